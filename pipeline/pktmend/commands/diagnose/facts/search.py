"""What a search over all namespaces saw: the drop, the way of the packets, the hop."""

from __future__ import annotations

from collections.abc import Mapping

from pktmend.commands.diagnose.decision import Observation, Sentence
from pktmend.console.plural import quantity


class Search(Sentence):
    """Facts without numbers."""

    BY_TOPOLOGY = "this lies on the way between the two; the packets themselves were not seen again"


class Dropped(Observation):
    """Packets that the kernel dropped; where: the namespace; location, flow: of the first, as far as it was told."""

    n: int
    where: str
    counters: Mapping[str, int]
    reason: str = ""
    location: str = ""
    flow: str = ""

    @property
    def text(self) -> str:
        why = f", reason {self.reason}" if self.reason else ""
        by = f" in {self.location.partition('+')[0]}" if self.location else ""
        flow = f", the first {self.flow}" if self.flow else ""
        counted = ", ".join(f"{name} +{n}" for name, n in self.counters.items())
        return f"the kernel dropped {quantity(self.n, 'packet')} in {self.where} for their checksum{why}{by}{flow}" + (
            f" ({counted})" if counted else ""
        )


class OfferLeaked(Observation):
    """A DHCP message that a client's raw socket got unfinished."""

    where: str

    @property
    def text(self) -> str:
        return (
            f"a DHCP message arrived in {self.where} with a checksum that nobody completed; a client that reads from a "
            "raw socket discards it, and no counter shows that"
        )


class Passed(Observation):
    """The interfaces that the packets passed, in their order, and what their checks were at each."""

    steps: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return "they pass " + ", ".join(f"{place}: {outcome}" for place, outcome in self.steps)


class LostBetween(Observation):
    """The two neighbouring interfaces between which they were spoilt."""

    before: str
    behind: str

    @property
    def text(self) -> str:
        return f"they are all right at {self.before} and wrong at {self.behind}, the next place where they show"


class WrongFromTheFirst(Observation):
    """They were wrong already at the first interface of this machine that showed them."""

    place: str

    @property
    def text(self) -> str:
        return f"they are wrong already at {self.place}, the first place of this machine where they show"


class NotSeenAgain(Observation):
    """Dropped, but no tap saw such a packet afterwards."""

    taps: int

    @property
    def text(self) -> str:
        return f"none of them came again while {quantity(self.taps, 'interface was')} tapped"
