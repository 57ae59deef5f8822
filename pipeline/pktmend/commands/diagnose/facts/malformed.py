"""Headers that contradict each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktmend.commands.diagnose.decision import Observation
from pktmend.console.plural import quantity

if TYPE_CHECKING:
    from pktmend.commands.diagnose.contradictions import Contradiction


class Contradicts(Observation):
    """How many packets contradict themselves, and the first of them."""

    n: int
    first: Contradiction

    @property
    def text(self) -> str:
        one = self.first
        says = ", ".join(f"{name} {'says ' if i == 0 else ''}{size}" for i, (name, size) in enumerate(one.says))
        return (
            f"{quantity(self.n, 'packet')} with lengths that contradict each other; in packet {one.n} ({one.flow}) "
            f"{says} bytes, and the frame has {one.room} from the IP header on ({one.frame} in all)"
        )


class RightOverOne(Observation):
    """The checksum is right over the length of one of the headers."""

    n: int
    of: int
    header: str

    @property
    def text(self) -> str:
        return (
            f"in {self.n} of {self.of} the UDP checksum is right over the length that {self.header} says: the other "
            "length was changed after the packet was made"
        )


class LengthChanged(Observation):
    """UDP lengths that were changed after the sum was made."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"in {quantity(self.n, 'packet')} UDP says less than IP has, and the checksum is right over all that IP "
            "has if UDP says so too: its length was changed after the packet was made"
        )
