"""Completions that were written over something that is no checksum field."""

from __future__ import annotations

from typing import Final

from pktmend.commands.diagnose.decision import Observation
from pktmend.commands.diagnose.facts.counts import differences
from pktmend.console.plural import quantity
from pktmend.enums import Proto

PLACES: Final = {0: "the source port", 2: "the target port", 4: "the sequence number", 6: "the sequence number"}


def place_text(proto: Proto, place: int) -> str:
    """`the target port`, `byte 24 of tcp`."""
    ports_only = proto != Proto.TCP and place > 2
    return f"byte {place} of {proto}" if ports_only else PLACES.get(place, f"byte {place} of {proto}")


class OtherEachTime(Observation):
    """Copies of one packet with another value at one place, and the bare pseudo-header sum in the checksum field."""

    n: int
    flow: str
    proto: Proto
    place: int
    values: tuple[int, ...]

    @property
    def text(self) -> str:
        values = ", ".join(map(str, self.values[:4])) if self.place in (0, 2) else differences(self.values[:4])
        return (
            f"{self.n} copies of one packet ({self.flow}) carry another value each time in "
            f"{place_text(self.proto, self.place)} ({values}), and the bare pseudo-header sum in their checksum field"
        )


class SumOfOtherBytes(Observation):
    """Those values are sums from a start that is off; what they were written over."""

    proto: Proto
    place: int
    shift: int
    was: int

    @property
    def text(self) -> str:
        was = str(self.was) if self.place in (0, 2) else f"{self.was:04x}"
        side = "before" if self.shift < 0 else "behind"
        off = f"{abs(self.shift)} bytes {side} " if self.shift else ""
        return (
            f"each is the checksum of all from {off}the {self.proto} header on: a completion "
            f"that started there and was written over {place_text(self.proto, self.place)}, which was {was}"
        )


class WrittenOver(Observation):
    """Packets in which the hop changed one place, of so many whose checksum field it left alone."""

    n: int
    of: int
    proto: Proto
    place: int

    @property
    def text(self) -> str:
        return (
            f"in {self.n} of {quantity(self.of, 'packet')} that were pending before it the hop left the checksum field "
            f"alone and wrote over {place_text(self.proto, self.place)}"
        )
