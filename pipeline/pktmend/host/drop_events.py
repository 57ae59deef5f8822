"""What the kernel drops for its checksum, packet by packet, of all namespaces: two of its tracepoints.

skb:kfree_skb    each drop, with the kernel's reason (Linux 5.17) and the function that dropped it; no addresses.
tcp:tcp_bad_csum the flow of each TCP packet among them (Linux 5.10).

Rules of this file:
1. A reason is known by its name, which the event's own format tells: its numbers differ from kernel to kernel.
2. Every drop is one Drop.  What the trace buffer could not hold is counted.
3. Where both events tell of one packet, by the kernel's (hashed) address of it, they make one Drop.

Source: Linux include/trace/events/skb.h, tcp.h; Documentation/trace/ftrace.rst.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pktmend.errors import OSFailure
from pktmend.host.tracefs import instance, tracefs

DROPPED: Final = "skb/kfree_skb"
BAD_TCP: Final = "tcp/tcp_bad_csum"
REASON: Final = re.compile(r"\{\s*(\d+),\s*\"(\w*CSUM\w*)\"\s*\}")
EVENT: Final = re.compile(r" (kfree_skb|tcp_bad_csum): skbaddr=(\S+) (.*)")
WHY: Final = re.compile(r"location=(\S+?)(?:/0x[0-9a-f]+)?(?: \[\w+\])? reason: (\w+)")
ENDS: Final = re.compile(r"src=(\S+) dest=(\S+)")
END: Final = re.compile(r"\[?([0-9a-fA-F.:%\w]+?)\]?:(\d+)")
LOST: Final = re.compile(r"^(?:overrun|dropped events): (\d+)", re.MULTILINE)
CHUNK: Final = 1 << 18


@dataclass(frozen=True)
class Flow:
    """Source and target of a packet; ports are 0 where they are not known."""

    source: str
    source_port: int
    target: str
    target_port: int


@dataclass(frozen=True)
class Drop:
    """One packet that the kernel dropped for its checksum.

    reason:   TCP_CSUM, UDP_CSUM, IP_CSUM, ICMP_CSUM, SKB_CSUM, ... as this kernel calls it.
    location: the kernel's function that dropped it, as tcp_v4_rcv+0x99; "" if not known.
    flow:     of TCP; None of others, as the kernel does not tell.
    """

    reason: str
    location: str
    flow: Flow | None


def checksum_reasons(form: str) -> dict[str, str]:
    """Return {number: name} of the reasons that are about checksums, from the format of skb:kfree_skb."""
    return dict(REASON.findall(form))


class DropEvents:
    """Both tracepoints, switched on; made by drop_events().

    names: of the tracepoints that are watched.      reasons: names that this kernel has for checksums.
    """

    def __init__(self, folder: Path, names: tuple[str, ...], reasons: tuple[str, ...]) -> None:
        self.names = names
        self.reasons = reasons
        self._folder = folder
        self._has_reasons = f"skb:{Path(DROPPED).name}" in names
        self._pipe = os.open(folder / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = ""
        self._flows: dict[str, Flow] = {}

    def read(self) -> list[Drop]:
        """Return what was dropped since the last call; never waits."""
        return list(filter(None, map(self._drop, self._lines())))

    def _lines(self) -> Iterator[str]:
        while True:
            try:
                data = os.read(self._pipe, CHUNK)
            except BlockingIOError:
                return
            if not data:
                return
            *lines, self._rest = (self._rest + data.decode(errors="replace")).split("\n")
            yield from lines

    def _drop(self, line: str) -> Drop | None:
        event = EVENT.search(line)
        if event is None:
            return None
        name, packet, rest = event.groups()
        if name == "tcp_bad_csum":
            flow = flow_of(rest)
            if not self._has_reasons:
                return Drop("TCP_CSUM", "", flow)
            if flow is not None:
                self._flows[packet] = flow  # the drop itself is told next
            return None
        why = WHY.search(rest)
        return Drop(why[2], why[1], self._flows.pop(packet, None)) if why else None

    @property
    def lost(self) -> int:
        """How many events the trace buffers could not hold."""
        total = 0
        for stats in self._folder.glob("per_cpu/cpu*/stats"):
            with suppress(OSError):
                total += sum(map(int, LOST.findall(stats.read_text())))
        return total

    def close(self) -> None:
        """Switch both off."""
        os.close(self._pipe)
        for event in (DROPPED, BAD_TCP):
            with suppress(OSError):
                (self._folder / "events" / event / "enable").write_text("0")


def flow_of(text: str) -> Flow | None:
    """Return the flow in `src=10.0.0.1:5 dest=[fd00::1]:80`; None if there is none."""
    words = ENDS.search(text)
    ends = [END.fullmatch(word) for word in words.groups()] if words else []
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        return None
    return Flow(ends[0][1], int(ends[0][2]), ends[1][1], int(ends[1][2]))


@contextmanager
def drop_events() -> Iterator[DropEvents]:
    """Watch both tracepoints, or the one that this kernel has, in a tracing instance of our own.

    Raises: OSFailure if there is no tracefs or neither of them, PrivilegeError if it is not ours to use.
    """
    with tracefs() as root, instance(root) as folder:
        names, reasons = _switch_on(folder)
        if not names:
            raise OSFailure("this kernel has neither tracepoint", "tcp:tcp_bad_csum came with Linux 5.10")
        events = DropEvents(folder, names, reasons)
        try:
            yield events
        finally:
            events.close()


def _switch_on(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names = []
    events = folder / "events"
    reasons: dict[str, str] = {}
    try:
        reasons = checksum_reasons((events / DROPPED / "format").read_text())
        if (events / BAD_TCP).exists():  # first, so that no drop comes without its flow
            (events / BAD_TCP / "enable").write_text("1")
            names.append("tcp:tcp_bad_csum")
        if reasons:
            (events / DROPPED / "filter").write_text(" || ".join(f"reason == {number}" for number in reasons))
            (events / DROPPED / "enable").write_text("1")
            names.append("skb:kfree_skb")
    except OSError as error:
        raise OSFailure(f"switching on tracepoints: {error.strerror}", "", error.errno or 0) from error
    return tuple(names), tuple(reasons.values())
