"""Bad packets one by one: which of them are shown, and each explained in one line."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

from pktmend.commands.monitor.snapshot import BadPacket
from pktmend.enums import Cause, CheckFlag, Proto

EXPLAINED: Final = {
    Cause.NONE: "wrong",
    Cause.LEAKED: "partial: the sum of the pseudo header; a hop before here lost the metadata that says so",
    Cause.NEVER_FILLED: "zero where one is mandatory: never filled in",
    Cause.ILLEGAL_ZERO: "zero, which UDP over IPv6 may have in tunnels only",
    Cause.BAD_SEED: "marked as partial, but not the sum of the pseudo header",
    Cause.INNER_PENDING: "right once the inner packet is complete",
    Cause.NOT_COMPLEMENTED: "the right sum, not complemented",
    Cause.BYTE_SWAPPED: "the right one with its bytes swapped",
    Cause.LENGTH: "right over another length: padding was summed, or the length left out",
    Cause.HEADER_DELTA: "that of the packet before a small change of its header (TTL, ToS)",
    Cause.NAT_DELTA: "that of the packet before its address or port was translated",
    Cause.NAT_ON_ZERO: "a zero that meant none, updated by an address translation",
    Cause.BIT_FLIP: "one bit off",
    Cause.CORRUPT: "no known mistake explains it: the packet was damaged",
    Cause.PSEUDO_HEADER: "right without a pseudo header, or with another protocol's number in it",
    Cause.COVERAGE: "right but for the odd last byte, or over the transport header alone",
}


def explain(packet: BadPacket) -> str:
    """Return one line on a bad packet, for people."""
    k = packet.worst
    digits = k.width * 2
    right = f", right is {k.expected:0{digits}x}" if k.flags & CheckFlag.HAS_EXPECTED else ""
    claimed = "; the kernel vouched for it" if k.flags & CheckFlag.CLAIMED_VALID else ""
    inner = "inner " if k.depth else ""
    return (
        f"{clock(packet.time_ns)} {packet.interface} {packet.flow}: {inner}{Proto(k.proto)} checksum"
        f" {k.stored:0{digits}x}{right} ({packet.cause}): {EXPLAINED[packet.cause]}{claimed}"
    )


def clock(time_ns: int) -> str:
    """Return the time of day, to the millisecond."""
    return f"{time.strftime('%H:%M:%S', time.localtime(time_ns // 1_000_000_000))}.{time_ns // 1_000_000 % 1000:03d}"


class Picker:
    """Picks what is shown: at most *limit* packets of each cause, on each interface, in each second (or *interval*)."""

    def __init__(self, limit: int, interval: float = 0) -> None:
        self._limit = limit
        self._interval = max(1.0, interval)
        self._turn = 0
        self._picked: Counter[tuple[str, Cause]] = Counter()
        self.shown = 0

    def pick(self, packets: Sequence[BadPacket], now: float) -> list[BadPacket]:
        """Return those of *packets* that are to be shown, in the order of time."""
        if (turn := int(now / self._interval)) != self._turn:
            self._turn = turn
            self._picked.clear()
        out = []
        for packet in sorted(packets, key=lambda packet: packet.time_ns):
            if self._picked[key := (packet.interface, packet.cause)] < self._limit:
                self._picked[key] += 1
                out.append(packet)
        self.shown += len(out)
        return out
