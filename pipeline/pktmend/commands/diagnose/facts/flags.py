"""Flags that contradict the packet: verified and wrong, flagged as partial and not the seed."""

from __future__ import annotations

from collections.abc import Mapping

from pktmend.commands.diagnose.decision import Observation, Sentence
from pktmend.commands.diagnose.facts.counts import counted
from pktmend.console.plural import quantity


class Flags(Sentence):
    """Facts without numbers."""

    VETH_BUG = "this kernel has the veth bug of 2016 (fixed in 4.4): veth claims that every packet is valid"
    SEEDS_ARE_ZERO = "all hold 0: the sender forgot the pseudo header"
    OFFSETS_VARY = (
        "they differ from S by varying amounts: complete sums of other contents, most likely. Their "
        "packets are corrupt, and the flag makes the receiver's kernel take them unseen"
    )


class WrongThoughVerified(Observation):
    """Wrong sums of packets that the kernel called verified."""

    counts: Mapping[str, int]

    @property
    def text(self) -> str:
        return f"{counted(self.counts, 'checksum is')} wrong although the kernel claimed that their packets are valid"


class PartialThoughVerified(Observation):
    """How many of them are partial."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"{self.n} of them hold the bare pseudo-header sum: not corrupt but partial, and claimed "
            "to be valid; inside this machine they are taken, anyone else drops them"
        )


class CompleteThoughFlagged(Observation):
    """Complete and right, and flagged as partial."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'checksum is')} complete and right, and still flagged as partial: what "
            "completes it next turns it into the bare pseudo-header sum"
        )


class FlaggedWithoutSeed(Observation):
    """Flagged as partial, and the field is not S."""

    counts: Mapping[str, int]

    @property
    def text(self) -> str:
        return f"{counted(self.counts, 'field is')} flagged as partial, without the seed S in it"


class MarkElsewhere(Observation):
    """Metadata that names no checksum field."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'packet is')} marked as partial at a place that is no checksum field: in a "
            "header, or in what a sum covers that is right, or S, as it is"
        )


class SeedOffset(Observation):
    """All fields differ from S by the same."""

    offset: int

    @property
    def text(self) -> str:
        return f"all differ from S by {self.offset:04x}: the same mistake each time, in a driver or program"
