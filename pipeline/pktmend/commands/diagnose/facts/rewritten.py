"""Headers that were rewritten without their checksum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pktmend.advice.place import space
from pktmend.commands.diagnose.decision import Observation
from pktmend.commands.diagnose.facts.counts import counted, differences
from pktmend.console.plural import quantity

if TYPE_CHECKING:
    from pktmend.host.conntrack import Connection
    from pktmend.host.namespaces import Namespace


class UpdatedZero(Observation):
    """What an update makes of 0."""

    counts: Mapping[str, int]

    @property
    def text(self) -> str:
        return (
            f"in {counted(self.counts, 'checksum')} the field is what an update for changed addresses "
            "makes of 0, or repeats over differing packets"
        )


class KernelUpdatesZero(Observation):
    """Whether this kernel does it."""

    release: str
    is_fixed: bool

    @property
    def text(self) -> str:
        does = "does not do that any more: it happened elsewhere" if self.is_fixed else "has that bug"
        return f"this kernel ({self.release}) {does}"


class RightElsewhere(Observation):
    """Right for an address or port that was seen elsewhere."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'checksum is')} right for the address or port that the same "
            "packet, or the other direction, shows elsewhere in this capture"
        )


class OldHeaderSum(Observation):
    """IPv4 headers with the sum from before a router changed them."""

    n: int

    @property
    def text(self) -> str:
        return f"{quantity(self.n, 'IPv4 header has')} the checksum from before the TTL fell or the ToS was set"


class Translates(Observation):
    """What the kernel's own NAT does with such a connection."""

    namespace: Namespace
    connection: Connection

    @property
    def text(self) -> str:
        old, new = self.connection.original, self.connection.reply
        return (
            f"conntrack of {space(self.namespace)} translates {old.source} > {old.target} to {new.target} > "
            f"{new.source}"
        )


class BothSumsOff(Observation):
    """An IPv4 header's sum and that of what it carries are off by the same."""

    packets: int
    differences: tuple[int, ...]

    @property
    def text(self) -> str:
        return (
            f"in {quantity(self.packets, 'packet')} the checksums of the IPv4 header and of what it carries are off "
            f"by the same difference ({differences(self.differences[:4])}): what both cover, an address or the "
            "length, was changed after they were made; of random damage 1 in 65,536 would be"
        )


class SameDifference(Observation):
    """Off by the same in every packet of a flow."""

    counts: Mapping[str, int]
    differences: tuple[int, ...]

    @property
    def text(self) -> str:
        return (
            f"{counted(self.counts, 'checksum is')} off by the same difference in every packet of a flow "
            f"and kind ({differences(self.differences[:4])}): their contents were summed right, and a header "
            "was changed afterwards"
        )


class OthersGood(Observation):
    """Why a difference that repeats is no rewritten header."""

    n: int
    difference: int

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'checksum is')} off by {self.difference:04x}, but others of the same flow and kind, "
            "between them, are good: a rewritten header spoils all"
        )


class OppositeDifferences(Observation):
    """There and back are off by opposite differences."""

    a: str
    b: str

    @property
    def text(self) -> str:
        return f"{self.a} > {self.b} and back are off by opposite differences, as translation of one address makes them"


class TranslatedSeeds(Observation):
    """Seeds that were updated as if they were sums: all differ from S by the same."""

    counts: Mapping[str, int]
    offset: int

    @property
    def text(self) -> str:
        return (
            f"{counted(self.counts, 'field differs')} from the pseudo-header sum S by the same {self.offset:04x} "
            "whatever the payload is: it was never summed. They left partial and lost the mark, and what translated "
            "them updated the field as if it were complete, or not at all"
        )
