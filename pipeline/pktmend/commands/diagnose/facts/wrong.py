"""Checksums that are wrong rather than partial: empty, or damaged."""

from __future__ import annotations

from collections.abc import Mapping

from pktmend.commands.diagnose.decision import Observation, Sentence
from pktmend.commands.diagnose.facts.counts import counted, differences, times
from pktmend.console.plural import quantity


class Wrong(Sentence):
    """Facts without numbers."""

    LINUX_FILLS = "Linux fills in the IPv4 header's checksum itself, always: these come from a program or device"


class LeftToCard(Observation):
    """Empty fields whose packets were acknowledged or answered."""

    counts: Mapping[str, int]

    @property
    def text(self) -> str:
        return f"{counted(self.counts, 'checksum is')} 0, left to the sender's network card"


class FilledLater(Observation):
    """How often their packets were acknowledged or answered."""

    n: int

    @property
    def text(self) -> str:
        return f"their packets were acknowledged or answered {times(self.n)}: they were filled in after this tap"


class EmptyOverPartial(Observation):
    """Empty IPv4 headers over a partial checksum."""

    counts: Mapping[str, int]

    @property
    def text(self) -> str:
        return (
            f"{counted(self.counts, 'checksum is')} 0, and what such a header carries is "
            "partial too (F = S): both are left to the sender's network card, before which this was taken"
        )


class Empty(Observation):
    """Fields that are 0 where a sum is mandatory."""

    counts: Mapping[str, int]

    @property
    def text(self) -> str:
        return f"{counted(self.counts, 'checksum is')} 0, which is no checksum there"


class IllegalZeros(Observation):
    """How many of them are UDP over IPv6."""

    n: int

    @property
    def text(self) -> str:
        return f"{self.n} of them UDP over IPv6, where 0 is allowed in tunnels only (RFC 8200, RFC 6935)"


class SuperFrames(Observation):
    """Super-frames, and the longest; n is 0 where the source does not say and their length does."""

    n: int
    longest: int

    @property
    def text(self) -> str:
        if self.n:
            return f"{quantity(self.n, 'super-frame')}, the longest of {self.longest} bytes"
        return f"frames of up to {self.longest} bytes, longer than any link carries"


class SegmentSums(Observation):
    """Coalesced frames whose sum is that of one segment."""

    n: int

    @property
    def text(self) -> str:
        return f"in {quantity(self.n, 'frame')} the checksum is that of one of its segments"


class Unexplained(Observation):
    """Wrong, and no mistake of arithmetic explains it; looked_at: of them closely."""

    packets: int
    counts: Mapping[str, int]
    looked_at: int

    @property
    def text(self) -> str:
        part = f"; {self.looked_at} were looked at closely" if self.looked_at < sum(self.counts.values()) else ""
        return (
            f"in {quantity(self.packets, 'packet')} {counted(self.counts, 'checksum is')} wrong, and no mistake of "
            f"arithmetic explains it{part}"
        )


class FewBits(Observation):
    """Off by one or two bits; of how many, and the bits as differences."""

    n: int
    total: int
    columns: tuple[int, ...]

    @property
    def text(self) -> str:
        return (
            f"{self.n} of {self.total} off by one or two bits only ({differences(self.columns[:6])}); of random damage "
            "1 in 146 would be"
        )


class BitErrorRate(Observation):
    """One bit in so many."""

    bits: int

    @property
    def text(self) -> str:
        return f"about one bit in {self.bits:.1e} was damaged"


class DamagedLengths(Observation):
    """Right over another length than a damaged IPv4 header says."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'checksum is')} right over another length than an IPv4 header says that is "
            "itself wrong: its length was damaged"
        )


class OneConversation(Observation):
    """All in one conversation, of how many others none."""

    flow: str
    others: int

    @property
    def text(self) -> str:
        none = f"; {quantity(self.others, 'other has')} none" if self.others > 0 else ""
        return f"all in one conversation, {self.flow}{none}"


class Spread(Observation):
    """Over how many conversations, by which senders (empty where links have no addresses)."""

    conversations: int
    macs: frozenset[str]

    @property
    def text(self) -> str:
        if len(self.macs) == 1:
            senders = f", all from {next(iter(self.macs))}"
        else:
            senders = f" and {quantity(len(self.macs), 'sender')}" if self.macs else ""
        return f"spread over {quantity(self.conversations, 'conversation')}{senders}"


class SummedTwice(Observation):
    """Always ffff."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'checksum is')} ffff, whatever would be right: what a sum over a packet makes whose "
            "checksum is filled in already"
        )


class SmallDifferences(Observation):
    """A little off in all packets of a sender, and not always by the same."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"all {quantity(self.n, 'checksum')} of their sender are off by a little, and not by the same: by what "
            "varies with a length or a count; damage would leave others right"
        )


class FewDifferences(Observation):
    """Few differences over many contents."""

    n: int
    differences: tuple[int, ...]

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'checksum is')} off by {quantity(len(self.differences), 'difference')} only "
            f"({differences(self.differences[:6])}), of differing contents: damage would leave others"
        )
