"""Two taps around a hop: read or record both, match their packets, fetch and compare those that matter."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pktmend.commands.diagnose import rules, rules_hop, taps
from pktmend.commands.diagnose.decision import Decision, Rejected
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.host_context import HostContext
from pktmend.commands.diagnose.match import Matched, Track, is_notable, match, unhealthy_first
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.pairs import Change, Packet, compare, fetch, pair_damaged
from pktmend.commands.diagnose.taps import Hooks
from pktmend.enums import Status
from pktmend.errors import ConfigError, FormatError
from pktmend.host.machine import read_machine
from pktmend.runtime.counters import Counters

PLAIN: Final = 16  # healthy pairs that are looked at for what the hop rewrites
DAMAGED: Final = 128
Changes = dict[tuple[str, str], list[Change]]


@dataclass(frozen=True)
class Recording:
    """A capture of one side.  interface: that it was just recorded from; empty for a file of the user's."""

    path: str
    interface: str
    at_wire: bool


def diagnose(
    options: Options, hooks: Hooks, rejected: list[Rejected]
) -> tuple[tuple[Tap, ...], list[Decision], FormatError | None]:
    """Read or record both taps and match them; return the taps, the decisions, and the fault that ended a file.

    Appends to *rejected* what was considered at either tap and dropped.
    """
    if options.is_live:
        return _live(options, hooks, rejected)
    if "-" in (options.a, options.b):
        raise ConfigError("two captures are read twice, which standard input cannot be", "give two files")
    sides = Recording(options.a, "", False), Recording(options.b, "", options.at_wire)
    return compare_recordings(options, hooks, sides, rejected)


def _live(
    options: Options, hooks: Hooks, rejected: list[Rejected]
) -> tuple[tuple[Tap, ...], list[Decision], FormatError | None]:
    with tempfile.TemporaryDirectory(prefix="pktmend-") as folder:
        before = read_machine()
        paths, counted = taps.record(options, hooks, Path(folder))
        after = read_machine()
        host = HostContext(before, after, options.a, behind=after.find(options.b))
        a, b = (Recording(path, name, True) for path, name in zip(paths, (options.a, options.b), strict=True))
        whole = replace(options, packets=0, expression="")  # both were applied while recording
        return compare_recordings(whole, hooks, (a, b), rejected, host, counted)


def compare_recordings(
    options: Options,
    hooks: Hooks,
    sides: tuple[Recording, Recording],
    rejected: list[Rejected],
    host: HostContext | None = None,
    counted: Sequence[Counters] = (),
) -> tuple[tuple[Tap, ...], list[Decision], FormatError | None]:
    """Compare two captures; counted: by the rings, where they were just recorded."""
    tracks = Track(), Track()
    read, faults = [], []
    for side, track in zip(sides, tracks, strict=True):
        tap, fault = taps.read(
            side.path,
            hooks,
            packets=options.packets,
            expression=options.expression,
            at_wire=side.at_wire,
            name=side.interface,
            more=[track],
        )
        read.append(tap)
        faults.append(fault)
    for tap, live in zip(read, counted, strict=False):
        tap.counted = tap.counters._replace(kernel_seen=live.kernel_seen, kernel_drops=live.kernel_drops)
    matched = match(*tracks)
    a, b = read
    two = rules_hop.TwoTaps(a, b, matched, _changes(sides, matched, tracks), host)
    hosts = (host, host.at_second_tap) if host else (None, None)
    alone = [rules.decide(tap, each, rejected) for tap, each in zip(read, hosts, strict=True)]
    decisions = rules_hop.decide(two, *alone)
    return (a, b), decisions, next(filter(None, faults), None)


def _changes(sides: tuple[Recording, Recording], matched: Matched, tracks: tuple[Track, Track]) -> Changes:
    """Fetch and compare a few pairs of each kind, and what was too damaged to be matched."""
    wanted = {kind: rows if is_notable(kind) else rows[:PLAIN] for kind, rows in matched.moved.items()}
    unmatched = [
        unhealthy_first(track, numbers)[:DAMAGED] for track, numbers in zip(tracks, matched.missing, strict=True)
    ]
    found = [
        fetch(side.path, [*(row[i] for rows in wanted.values() for row in rows), *unmatched[i]], at_wire=side.at_wire)
        for i, side in enumerate(sides)
    ]
    changes: Changes = defaultdict(list)
    for kind, rows in wanted.items():
        for n, m, towards in rows:
            if n in found[0] and m in found[1]:
                first, then = (found[0][n], found[1][m]) if towards else (found[1][m], found[0][n])
                changes[kind].append(compare(first, then))
    left = [[found[i][n] for n in unmatched[i] if n in found[i]] for i in range(2)]
    for q, p in pair_damaged([p for p in left[1] if _is_bad(p)], [p for p in left[0] if not _is_bad(p)]):
        changes["good", "corrupt"].append(compare(p, q))
        _add_pair(matched, p, q, ("good", "corrupt"))
    # what is pending on both sides, and yet not found again by its contents: a completion may have hit these
    for q, p in pair_damaged([p for p in left[1] if _is_pending(p)], [p for p in left[0] if _is_pending(p)]):
        changes["pending", "pending"].append(compare(p, q))
        _add_pair(matched, p, q, ("pending", "pending"))
    return dict(changes)


def _add_pair(matched: Matched, p: Packet, q: Packet, kind: tuple[str, str]) -> None:
    """A damaged pair was found after all."""
    matched.pairs += 1
    matched.counts[kind] += 1
    for numbers, packet in zip(matched.missing, (p, q), strict=True):
        numbers.remove(packet.n)


def _is_bad(p: Packet) -> bool:
    return any(s.status == Status.BAD for s in p.checks)


def _is_pending(p: Packet) -> bool:
    return any(s.status == Status.PENDING for s in p.checks)
