"""Flags that contradict the packet: verified and wrong, flagged as partial and not the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pktmend.commands.diagnose.decision import Sentence
from pktmend.commands.diagnose.facts.counts import counted
from pktmend.console.plural import quantity


class Flags(Sentence):
    """Facts without numbers."""

    VETH_BUG = "this kernel has the veth bug of 2016 (fixed in 4.4): veth marks every packet as verified"
    SEEDS_ARE_ZERO = "all hold 0: the sender forgot the pseudo header"
    OFFSETS_VARY = (
        "they differ from S by varying amounts: finished sums of other contents, most likely. Their "
        "packets are corrupt, and the flag makes the receiver's kernel take them unseen"
    )


@dataclass(frozen=True)
class WrongThoughVerified:
    """Wrong sums of packets that the kernel called verified."""

    counts: Mapping[str, int]

    @property
    def text(self) -> str:
        return f"{counted(self.counts, 'checksum is')} wrong although the kernel marked their packets as verified"


@dataclass(frozen=True)
class PartialThoughVerified:
    """How many of them are partial."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"{self.n} of them hold the bare pseudo-header sum: not corrupt but unfinished, and marked "
            "as verified; inside this machine they are taken, anyone else drops them"
        )


@dataclass(frozen=True)
class CompleteThoughFlagged:
    """Complete and right, and flagged as partial."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'checksum is')} finished and right, and still flagged as unfinished: whoever "
            "completes it next turns it into the bare pseudo-header sum"
        )


@dataclass(frozen=True)
class FlaggedWithoutSeed:
    """Flagged as partial, and the field is not S."""

    counts: Mapping[str, int]

    @property
    def text(self) -> str:
        return f"{counted(self.counts, 'field is')} flagged as unfinished, without the seed S in it"


@dataclass(frozen=True)
class SeedOffset:
    """All fields differ from S by the same."""

    offset: int

    @property
    def text(self) -> str:
        return f"all differ from S by {self.offset:04x}: the same mistake each time, in a driver or program"
