"""For people without a terminal: a line a second for each interface, and the summary."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from pktmend.commands.monitor.bad_packets import explain
from pktmend.commands.monitor.pace import Pace
from pktmend.commands.monitor.snapshot import BadPacket, Snapshot
from pktmend.console.history import by_name, outcomes
from pktmend.console.report import check_lines, words
from pktmend.runtime.counters import Counters

SUMMARY_FLOWS = 5
CROWD = 32


def rate_line(before: Counters | None, now: Counters, seconds: float) -> str:
    """Return what changed per second: packets, bits, statuses and causes of checks, kernel drops."""
    earlier = outcomes(before) if before else {}
    found = {outcome: n - earlier.get(outcome, 0) for outcome, n in outcomes(now).items()}
    parts = [f"{outcome} {n / seconds:.0f}/s" for outcome, n in found.items() if n > 0]
    drops = now.kernel_drops - (before.kernel_drops if before else 0)
    if drops > 0:
        parts.append(f"KERNEL DROPS {drops / seconds:.0f}/s")
    packets = (now.packets - (before.packets if before else 0)) / seconds
    bits = (now.octets - (before.octets if before else 0)) * 8 / seconds
    return f"{now.from_}  {packets:.0f} packets/s  {bits / 1e6:.2f} Mbit/s  {', '.join(parts) or '-'}"


def summary_lines(snapshot: Snapshot) -> list[str]:
    """Return what was seen in all."""
    lines = []
    for d in snapshot.directions:
        name = f"{d.from_} ({owner})" if (owner := snapshot.owner(d.from_)) else d.from_
        lines.append(
            f"{name}: {d.packets} packets, {d.octets} bytes; kernel saw {d.kernel_seen}, dropped {d.kernel_drops}"
        )
        lines += check_lines(d.checks)
        for n, what in (
            (d.malformed, "malformed packets"),
            (d.truncated, "truncated packets"),
            (sum(d.unread.values()), "packets not looked into"),
            (d.claimed_valid, "bad although the kernel vouched for it"),
            (d.stray_csum_metadata, "packets with stray-csum-metadata, which names no checksum field"),
        ):
            if n:
                lines.append(f"  {what}: {n}")
    if snapshot.flows:
        lines.append("most bad packets:")
        lines += [
            f"  {f.interface} {f.flow}  {f.flow.transport}  {f.packets}  {f.cause}"
            for f in snapshot.flows[:SUMMARY_FLOWS]
        ]
    if counted := {name: n for name, n in snapshot.kernel_errors.items() if n}:
        lines.append(f"the kernel itself counted: {words(counted)}")
    if (file := snapshot.file) is not None:
        lines.append(
            f"{file.path}: {file.written} packets written, {file.octets} bytes in {file.files} files;"
            f" not written: {words(file.not_written)}"
        )
        if file.buffered:
            lines[-1] += f"; left in the buffer: {file.buffered}"
    return lines


class Lines:
    """Prints to *file*, standard output by default, every *interval* seconds; events go to stderr."""

    def __init__(self, file: TextIO | None = None, interval: float = 0) -> None:
        self._file = file or sys.stdout
        self._pace = Pace(interval)
        self._before: Snapshot | None = None
        self._latest: BadPacket | None = None

    def bad(self, packets: Sequence[BadPacket], snapshot: Snapshot) -> None:
        """Remember the latest one."""
        self._latest = packets[-1]

    def event(self, kind: str, text: str) -> None:
        """Say it."""
        print(f"pktmend: {text}", file=sys.stderr, flush=True)

    def second(self, before: Snapshot, now: Snapshot) -> None:
        """Print a line for each interface, if it is time; of very many only for those that carry something."""
        before = self._before or before
        self._before = before
        if not self._pace.is_due():
            return
        self._before = now
        earlier = by_name(before)
        is_crowded = len(now.directions) > CROWD
        seconds = (now.time_ns - before.time_ns) / 1e9
        for d in now.directions:
            if is_crowded and d.from_ in earlier and d.kernel_seen == earlier[d.from_].kernel_seen:
                continue
            line = rate_line(earlier.get(d.from_), d, seconds)
            owner = now.owner(d.from_)
            print(f"{line}  ({owner})" if owner else line, file=self._file, flush=True)

    def report(self, snapshot: Snapshot) -> None:
        """Print the statistics so far to stderr (SIGUSR1)."""
        print("\n".join(summary_lines(snapshot)), file=sys.stderr, flush=True)

    def tick(self, snapshot: Snapshot) -> bool:
        """There is no keyboard here."""
        return True

    def end(self, snapshot: Snapshot) -> None:
        """Print the summary."""
        print("\n".join(summary_lines(snapshot)), file=self._file)
        if self._latest is not None:
            print(f"latest bad packet: {explain(self._latest)}", file=self._file)
        print(end="", file=self._file, flush=True)

    def close(self) -> None:
        """Nothing to give back."""
