"""Two taps, before and behind a hop: read or record both, match their packets, fetch and compare those that matter."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktmend.commands.diagnose import taps
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.finding import Finding
from pktmend.commands.diagnose.hop_findings import HEALTHY, Two, findings_of, is_notable
from pktmend.commands.diagnose.host_context import HostContext
from pktmend.commands.diagnose.match import Matched, Track, match, outcome_text
from pktmend.commands.diagnose.pairs import Change, Packet, compare, fetch, join_damaged
from pktmend.console.signals import Signals
from pktmend.enums import Status
from pktmend.errors import ConfigError, FormatError, PktmendError
from pktmend.runtime.counters import Counters

if TYPE_CHECKING:
    from pktmend.commands.diagnose.options import Options

PLAIN: Final = 16  # healthy pairs that are looked at for what the hop rewrites
DAMAGED: Final = 128


def diagnose_two(options: Options, signals: Signals) -> tuple[list[Tap], list[Finding], PktmendError | None]:
    """Read or record both taps and match them; return the taps, the findings, and the fault that ended a file."""
    with ExitStack() as stack:
        paths, around, counted = [options.a, options.b], None, None
        if options.is_live:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pktmend-")))
            paths, around, counted = _record(options, folder, signals)
        elif "-" in paths:
            raise ConfigError("two captures are read twice, which standard input cannot be", "give two files")
        two, fault = _match(options, paths, around, counted, signals)
    return [two.a, two.b], findings_of(two), fault


def _record(options: Options, folder: Path, signals: Signals) -> tuple[list[str], HostContext, list[Counters]]:
    from pktmend.host.machine import read_machine

    before = read_machine()
    files, counted = taps.record(
        (options.a, options.b),
        folder,
        signals,
        packets=options.packets,
        duration=options.seconds,
        expression=options.expression,
        promiscuous=options.promiscuous,
    )
    return [str(path) for path in files], HostContext(before, read_machine(), options.a), counted


def _match(
    options: Options, paths: list[str], around: HostContext | None, counted: list[Counters] | None, signals: Signals
) -> tuple[Two, FormatError | None]:
    tracks = Track(), Track()
    names = (options.a, options.b) if options.is_live else ("", "")
    wire = (options.is_live, options.is_live or options.at_wire)  # what is recorded here has the kernel's notes
    read, fault = [], None
    for path, track, name, at_wire in zip(paths, tracks, names, wire, strict=True):
        tap, failed = taps.read(
            path,
            signals,
            packets=options.packets if not options.is_live else 0,
            expression="" if options.is_live else options.expression,
            at_wire=at_wire,
            name=name,
            more=[track],
        )
        read.append(tap)
        fault = fault or failed
    for tap, live in zip(read, counted or (), strict=False):
        tap.counted = replace(tap.counters, kernel_seen=live.kernel_seen, kernel_drops=live.kernel_drops)
    matched = match(*tracks)
    changes = _changes(paths, wire, matched, tracks)
    return Two(read[0], read[1], matched, changes, around), fault


def _changes(
    paths: list[str], wire: tuple[bool, bool], matched: Matched, tracks: tuple[Track, Track]
) -> dict[tuple[str, str], list[Change]]:
    """Fetch and compare a few pairs of each kind, and what was too damaged to be matched."""
    wanted = {kind: rows if is_notable(kind) else rows[:PLAIN] for kind, rows in matched.moved.items()}
    lonely = [_bad_first(track, numbers) for track, numbers in zip(tracks, matched.missing, strict=True)]
    numbers = [[row[side] for rows in wanted.values() for row in rows] + lonely[side] for side in range(2)]
    found = [fetch(path, some, at_wire=at) for path, some, at in zip(paths, numbers, wire, strict=True)]
    changes: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for kind, rows in wanted.items():
        for n, m, towards in rows:
            if n in found[0] and m in found[1]:
                first, then = (found[0][n], found[1][m]) if towards else (found[1][m], found[0][n])
                changes[kind].append(compare(first, then))
    left = [[found[side][n] for n in lonely[side] if n in found[side]] for side in range(2)]
    for q, p in join_damaged([p for p in left[1] if _is_bad(p)], [p for p in left[0] if not _is_bad(p)]):
        changes["good", "corrupt"].append(compare(p, q))
        _forget(matched, p, q)
    return dict(changes)


def _forget(matched: Matched, p: Packet, q: Packet) -> None:
    """A damaged pair was found after all."""
    matched.pairs += 1
    matched.counts["good", "corrupt"] += 1
    for numbers, packet in zip(matched.missing, (p, q), strict=True):
        numbers.remove(packet.n)


def _is_bad(p: Packet) -> bool:
    return any(s.status == Status.BAD for s in p.checks)


def _bad_first(track: Track, numbers: list[int]) -> list[int]:
    """Return some of the packets without a partner, bad ones first."""
    wanted = set(numbers)
    outcome = {n: o for n, o in zip(track.numbers, track.outcomes, strict=True) if n in wanted}
    return sorted(numbers, key=lambda n: (outcome_text(outcome[n]) in HEALTHY, n))[:DAMAGED]
