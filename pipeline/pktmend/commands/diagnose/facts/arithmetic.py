"""Checksums that a program computes wrongly, over a wrong length, or leaves to a card that splits frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING

from pktmend.commands.diagnose.decision import Observation
from pktmend.commands.diagnose.facts.counts import counted
from pktmend.console.plural import quantity
from pktmend.enums import Cause

if TYPE_CHECKING:
    from pktmend.commands.diagnose.samples import Sample


class LargeSend(Observation):
    """How many of the partial ones looked at lack the length."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"in {self.n} of them that were looked at the sum lacks the length: large-send offload, as Windows leaves "
            "it to a card that splits the frame"
        )


def large_send(samples: Iterable[Sample]) -> tuple[LargeSend, ...]:
    """Return the fact that some of these are large sends, if they are."""
    n = sum(s.is_large_send for s in samples)
    return (LargeSend(n),) if n else ()


class Miscomputed(Observation):
    """Right but for the complement or the byte order."""

    cause: Cause
    n: int

    @property
    def text(self) -> str:
        how = {
            Cause.NOT_COMPLEMENTED: "the complement of what is right",
            Cause.BYTE_SWAPPED: "right with the bytes swapped",
        }[self.cause]
        return f"{quantity(self.n, 'checksum is')} {how}"


class Summed(Enum):
    """What a program sums instead of what it should."""

    NO_PSEUDO_HEADER = "right without the pseudo header"
    PROTOCOL = "right with protocol {value} in the pseudo header"
    FIRST_HEADER = "right with the number of the first IPv6 extension header in the pseudo header"
    FIRST_HEADER_AND_LENGTH = (
        "right with the number of the first IPv6 extension header in the pseudo header, and with the length of them all"
    )
    PACKET_LENGTH = "right with the IP packet's length in the pseudo header instead of the transport's"
    NO_SOURCE = "right without the source address in the pseudo header"
    NO_TARGET = "right without the destination address in the pseudo header"
    NEXT_HOP = "right with the addresses of the IP header, not the final ones of its routing header or options"
    ORDER_OF_NUMBER = "right with the protocol's number in the wrong byte order"
    ORDER_OF_LENGTH = "right with the length in the wrong byte order"
    ORDER_OF_BOTH = "right with protocol and length in the wrong byte order"
    HEADER = "right over the transport header alone: the payload was left out"
    HEADER_AND_LENGTH = "right over the transport header alone, its own length in the pseudo header"
    HEADER_BARE = "right over the transport header alone, without the pseudo header"
    WITHOUT_LAST_BYTE = "right without the odd last byte"
    LAST_BYTE_LOW = "right with the odd last byte in the lower half of its word"
    CARRY_ONCE = "what comes of adding the carries once, without the carry that this makes"
    NO_CARRY = "what comes of dropping the carries"
    LENGTH = "right with a length of {value} in the pseudo header, whatever the packet's is"
    PREFIX = "right over the first {value} bytes alone"
    PREFIX_AND_LENGTH = "right over the first {value} bytes alone, {value} in the pseudo header"
    PREFIX_BARE = "right over the first {value} bytes alone, without the pseudo header"
    PADDED_LENGTH = "right with the length that Ethernet's padding fills up to in the pseudo header"
    LENGTH_BEFORE_PADDING = "right for the packet without its padding, which the length in its IP header counts"
    ODD_PIECE = "right if each piece is summed by itself, the first {value} bytes as if a zero came after them"

    @property
    def is_length(self) -> bool:
        """Too much or too little was summed, or another length than the packet's."""
        return self.name.startswith(("LENGTH", "PACKET", "HEADER", "PREFIX", "PADDED"))

    @property
    def is_solved_for(self) -> bool:
        """Its value was chosen so that one packet fits."""
        return self in (Summed.LENGTH, Summed.ODD_PIECE) or self.is_prefix

    @property
    def is_prefix(self) -> bool:
        """A constant number of bytes was summed."""
        return self.name.startswith("PREFIX")

    @property
    def is_carry(self) -> bool:
        """What it gives depends on the carries alone, and is right where there are few."""
        return self in (Summed.CARRY_ONCE, Summed.NO_CARRY)


class Mistake(Observation):
    """One mistake that gives exactly the stored values of so many packets, of so many that are wrong there.

    differences: by how many different amounts these are off.     good: right ones beside them that it gives too.
    """

    kind: Summed
    value: int
    n: int
    total: int
    differences: int
    good: int

    @property
    def text(self) -> str:
        of = "" if self.n == self.total else f" of {self.total}"
        also = f"; of {quantity(self.good, 'good checksum')} beside them it gives the same" if self.good else ""
        off = f", off by {self.differences} different amounts" if self.differences > 1 else ""
        return f"{quantity(self.n, 'checksum')}{of}{off}: {self.kind.value.format(value=self.value)}{also}"


class Contradicted(Observation):
    """A mistake that gives so many wrong values, and would have spoilt so many right ones of the same senders."""

    kind: Summed
    value: int
    n: int
    good: int

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'checksum')} would be {self.kind.value.format(value=self.value)}, but "
            f"{quantity(self.good, 'good one')} of the same senders would not be good then"
        )


class LostCarry(Observation):
    """Always off by one carry, over differing sums, in few packets of their flows.

    is_split: what they sum to lies on one side of what the good ones sum to.
    """

    n: int
    total: int
    difference: int
    is_split: bool

    @property
    def text(self) -> str:
        split = "; their sums lie all on one side of those of the others" if self.is_split else ""
        return (
            f"{self.n} of {quantity(self.total, 'packet')} of these flows are off, all by the same carry "
            f"({self.difference:04x}), the others are right: a carry is lost where the sum overflows{split}"
        )


class SmallDifferences(Observation):
    """All off by a few, by differing numbers, the same way: carries that were not added, or too many."""

    n: int
    least: int
    most: int
    is_swapped: bool

    @property
    def text(self) -> str:
        order = ", in the byte order of a little-endian machine" if self.is_swapped else ""
        return (
            f"all {quantity(self.n, 'checksum')} of these senders are off the same way, by {self.least} to {self.most}"
            f"{order}: carries are not added to their sums as they should"
        )


class ComputedZero(Observation):
    """UDP sums that come to 0, sent as they are."""

    n: int
    good: int

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'UDP checksum is')} 0 where ffff is right, and no other is: the sum came to 0 and was "
            f"sent as that, which means 'none' (RFC 768); {self.good} beside them are right"
        )


class SentBy(Observation):
    """Who sent them."""

    sources: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"sent by {', '.join(self.sources[:4])}"


class OtherLength(Observation):
    """Right over another length."""

    counts: Mapping[str, int]

    @property
    def text(self) -> str:
        return f"{counted(self.counts, 'checksum is')} right over another length than the headers say"


class Trailers(Observation):
    """Frames with something after the packet."""

    n: int

    @property
    def text(self) -> str:
        return f"{quantity(self.n, 'frame has')} bytes after the packet: Ethernet padding or a frame check sequence"
