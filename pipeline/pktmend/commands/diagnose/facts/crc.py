"""SCTP's CRC32c: a header that was rewritten, and other sums than that one."""

from __future__ import annotations

from enum import Enum

from pktmend.commands.diagnose.decision import Observation
from pktmend.console.plural import quantity


class OtherSum(Enum):
    """What a program computes instead of CRC32c."""

    ADLER32 = "an Adler-32, which RFC 3309 replaced by CRC32c"
    CRC32 = "a CRC-32 as Ethernet has it, not a CRC32c"
    START = "a CRC32c that was started from 0 instead of ffffffff"

    @property
    def text(self) -> str:
        """What it is."""
        return str(self.value)


class OtherSums(Observation):
    """How many fields hold another sum."""

    kind: OtherSum
    n: int

    @property
    def text(self) -> str:
        return f"{quantity(self.n, 'SCTP checksum field holds')} {self.kind.text}"


class ChangedWord(Observation):
    """Packets of a flow that are right once one word of their header is another, by the same bits in all.

    n: packets.     lengths: that differ.     then, now: ports; equal where it is not the ports' word alone.
    """

    n: int
    lengths: int
    then: tuple[int, int]
    now: tuple[int, int]

    @property
    def text(self) -> str:
        over = f" of {self.lengths} lengths" if self.lengths > 1 else ""
        if self.then == self.now:
            return f"{quantity(self.n, 'SCTP packet')}{over}: each is right but for one word, changed by the same bits"
        sides = zip(("source", "destination"), self.then, self.now, strict=True)
        ports = " and ".join(f"{side} port {then} instead of {now}" for side, then, now in sides if then != now)
        return f"{quantity(self.n, 'SCTP packet')}{over}: right for {ports}"


class SeenBefore(Observation):
    """The same packets with these ports, and right, in this capture."""

    n: int

    @property
    def text(self) -> str:
        return f"{quantity(self.n, 'packet was')} seen with those ports too, and right"
