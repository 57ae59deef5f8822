"""Text and JSON of what was counted and found.  stdout is data; nothing here decides anything."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TextIO

from pktmend._core import Check
from pktmend.console.plural import quantity
from pktmend.console.printable import printable, printable_json
from pktmend.enums import Cause, CheckFlag, Proto, Reason, Status, Unread
from pktmend.runtime.counters import Counters, StageCount

_SPOKEN: Final = {str(Status.NONE): "without a checksum"}


def print_json(value: Mapping[str, object], file: TextIO | None = None, *, kind: str = "") -> None:
    """Print one NDJSON line, to standard output by default.

    kind: what the line is: its first member, `type`; "" where its only key says so, as in `monitor`.
    """
    import msgspec

    if kind:
        value = {"type": kind, **value}

    file = file or sys.stdout
    if file is None:  # standard output is closed: as print() does
        return
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # the name of an interface that is no UTF-8
        text = msgspec.json.encode(_in_utf8(value)).decode()
    getattr(file, "write_raw", file.write)((text if text.isascii() else printable_json(text)) + "\n")
    file.flush()


def _in_utf8(value: object) -> object:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {_in_utf8(key): _in_utf8(each) for key, each in value.items()}
    return [_in_utf8(each) for each in value] if isinstance(value, (list, tuple)) else value


def rfc3339(time_ns: int) -> str:
    """Return a time since the epoch as RFC 3339 has it, in UTC, to the nanosecond."""
    seconds, fraction = divmod(time_ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:09d}Z"


def words(counts: Mapping[str, int]) -> str:
    """`leaked 3, without a checksum 1`, or `-`."""
    return ", ".join(f"{_SPOKEN.get(name, name)} {n}" for name, n in counts.items()) or "-"


def direction_lines(d: Counters) -> list[str]:
    """Return the summary of one direction, a line each."""
    lines = [
        f"{d.from_} -> {d.to or '(nothing)'}",
        *_cut_through_lines(d),
        f"  kernel saw {d.kernel_seen}, dropped {d.kernel_drops}; read {d.read}",
        f"  sent {d.sent} (as {quantity(d.sent_frames, 'frame')}), dropped {words(d.dropped)}, truncated {d.truncated},"
        f" send errors {words(d.tx_error)}, held {d.held}",
        f"  repaired {words(d.repaired)}; finished {d.finished} (super-frames split {d.split})",
    ]
    lines += check_lines(d.all_checks)
    if d.claimed_valid:
        lines.append(f"  bad although the kernel vouched for it: {d.claimed_valid}")
    if d.stray_csum_metadata:
        lines.append(f"  stray-csum-metadata {d.stray_csum_metadata}: named no checksum field, not obeyed")
    if unread := sum(d.unread.values()):
        lines.append(f"  packets not looked into: {unread} ({words(d.unread)})")
    if d.malformed:
        lines.append(f"  malformed packets, passed untouched: {d.malformed}")
    return lines + [stage_line(stage, d.packets) for stage in d.stages]


def _cut_through_lines(d: Counters) -> list[str]:
    """What the kernel carried, and what it left to the ring."""
    c = d.cut_through
    if c is None:
        return []
    arp = f", ARP {c.no_checksum}" if c.no_checksum else ""
    held = f" ({c.held} of them healthy, behind others of their flow)" if c.held else ""
    return [
        f"  arrived {d.arrived}; carried in the kernel {c.frames}"
        f" ({c.octets} bytes, super-frames {c.super_frames}{arp});"
        f" to the ring {d.arrived - c.frames}{held}, lost on the way {c.lost}"
    ]


def stage_line(s: StageCount, packets: int) -> str:
    """One line on a user's stage: what it cost, and what went wrong with it."""
    cost = f", {s.ns / packets:.0f} ns a packet" if packets else ""
    failed = f", failed {quantity(s.errors, 'time')}, first: {s.fault}" if s.errors else ""
    own = f"; {words(s.counters)}" if s.counters else ""
    return f"  stage {s.name}: {quantity(s.calls, 'call')}, {s.ns / 1e9:.3f} s{cost}{failed}{own}"


def status_line(directions: Sequence[Counters]) -> str:
    """One line for a service manager: what was read and sent, what was repaired, what was lost."""
    repaired = sum(n for d in directions for n in d.repaired.values())
    dropped = sum(n for d in directions for n in d.dropped.values())
    lost = sum(d.kernel_drops + (d.cut_through.lost if d.cut_through else 0) for d in directions)
    carried = sum(d.cut_through.frames for d in directions if d.cut_through)
    carry = f", carried in the kernel {carried}" if any(d.cut_through for d in directions) else ""
    return (
        f"read {sum(d.read for d in directions)}, sent {sum(d.sent for d in directions)}, repaired {repaired},"
        f" bad {bad_of(merge_checks(directions))}, dropped {dropped}, lost by the kernel {lost}{carry}"
    )


def check_lines(checks: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return a line per protocol: its statuses and causes."""
    return [f"  {proto:7} {words(found)}" for proto, found in checks.items()]


def merge_checks(directions: Iterable[Counters]) -> dict[str, dict[str, int]]:
    """Add the checks of several directions."""
    total: dict[str, dict[str, int]] = {}
    for d in directions:
        for proto, found in d.checks.items():
            into = total.setdefault(proto, {})
            for outcome, n in found.items():
                into[outcome] = into.get(outcome, 0) + n
    return total


def bad_of(checks: Mapping[str, Mapping[str, int]]) -> int:
    """How many checks are bad, whatever the cause."""
    fine = {str(s) for s in Status if s is not Status.BAD}
    return sum(n for found in checks.values() for outcome, n in found.items() if outcome not in fine)


def check_json(k: Check) -> dict[str, Any]:
    """Return a check as `check --json` prints it."""
    out: dict[str, Any] = {"proto": str(Proto(k.proto)), "offset": k.offset, "status": str(Status(k.status))}
    if k.cause:
        out["cause"] = str(Cause(k.cause))
    if k.reason:
        out["reason"] = str(Reason(k.reason))
    if not k.flags & CheckFlag.NO_FIELD:
        digits = k.width * 2
        out["stored"] = f"{k.stored:0{digits}x}"
        if k.flags & CheckFlag.HAS_EXPECTED:
            out["expected"] = f"{k.expected:0{digits}x}"
    if k.flags & CheckFlag.QUOTED:
        out["quoted"] = True
    if k.flags & CheckFlag.CLAIMED_VALID:
        out["claimed_valid"] = True
    if k.depth:
        out["depth"] = k.depth
    return out


def packet_json(
    n: int, time_ns: int, caplen: int, wirelen: int, checks: Iterable[Check], unread: int = Unread.NONE
) -> dict[str, Any]:
    """Return a packet as `check --json` prints it; n counts from 1, unread says why something was not looked into."""
    found = {
        "n": n,
        "time": rfc3339(time_ns),
        "caplen": caplen,
        "wirelen": wirelen,
        "checks": [check_json(k) for k in checks],
    }
    return found | ({"unread": str(Unread(unread))} if unread else {})


def check_line(n: int, k: Check) -> str:
    """One line on a check, for people."""
    width = k.width * 2
    expected = f", expected {k.expected:0{width}x}" if k.flags & CheckFlag.HAS_EXPECTED else ""
    verdict = str(Status(k.status)) + (f" ({Cause(k.cause)})" if k.cause else "")
    claimed = "; the kernel vouched for it" if k.flags & CheckFlag.CLAIMED_VALID else ""
    return (
        f"packet {n}: {Proto(k.proto)} checksum at byte {k.offset} is {verdict}:"
        f" stored {k.stored:0{width}x}{expected}{claimed}"
    )
