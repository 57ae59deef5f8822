"""What shows where a capture was taken."""

from __future__ import annotations

from pktmend.commands.diagnose.decision import Observation, Sentence
from pktmend.commands.diagnose.facts.counts import times
from pktmend.console.plural import quantity

SHORTEST_ON_ETHERNET = 60


class Point(Sentence):
    """What shows it without a number."""

    METADATA = "the kernel's mark that they are partial is there"


class Acked(Observation):
    """Partial segments were acknowledged: so often."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"partial segments were acknowledged {times(self.n)}, and no completed copy of them went by: "
            "they were completed after this tap"
        )


class Repeated(Observation):
    """Partial segments after which the receiver repeated an acknowledgment: so often."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"the receiver repeated its acknowledgment {times(self.n)} right after later partial segments, as it "
            "does for what comes out of order: those arrived"
        )


class TooLong(Observation):
    """Long segments were sent again in vain while shorter ones arrived; bytes of the frames."""

    flow: str
    n: int
    shortest: int
    passed: int

    @property
    def text(self) -> str:
        return (
            f"{self.flow}: segments of {self.shortest} bytes and more were sent again {times(self.n)} in vain, while "
            f"partial ones of up to {self.passed} bytes arrived: not their checksums, but the path's MTU (a path MTU "
            "black hole: a link in between carries less and its 'packet too big' does not get back)"
        )


class WentSilent(Observation):
    """Partial segments arrived until some were sent again in vain."""

    flow: str
    n: int

    @property
    def text(self) -> str:
        return (
            f"{self.flow}: after others had arrived, partial segments were sent again {times(self.n)} in vain: the "
            "other end or the path has gone, or what is on it has changed"
        )


class Answered(Observation):
    """Partial packets of other protocols got an answer."""

    n: int

    @property
    def text(self) -> str:
        return f"{quantity(self.n, 'partial packet was')} answered: the receiver took them as right"


class SentAgain(Observation):
    """Partial segments were sent again in vain; what else passes between the two: echo messages, or later packets."""

    source: str
    target: str
    n: int
    echoes: int = 0
    went_on: int = 0

    @property
    def text(self) -> str:
        if self.echoes:
            works = f"ICMP between the two passes ({quantity(self.echoes, 'echo message')})"
        elif self.went_on:
            works = f"{self.target} went on sending ({quantity(self.went_on, 'packet')}) and acknowledged none of them"
        else:
            works = "nothing shows that the path works at all"
        return (
            f"partial segments {self.source} > {self.target} were sent again {times(self.n)} and "
            f"never acknowledged; {works}"
        )


class Unanswered(Observation):
    """Connections without an answer, of hosts whose others are acknowledged; a few of their flows."""

    n: int
    flows: tuple[str, ...]

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'connection')} had no answer ({', '.join(self.flows)}); the checksums are partial "
            "like those that were acknowledged, so that a closed port or a firewall explains it, or a hop "
            "further on: tap behind it to know"
        )


class LongFrames(Observation):
    """Frames longer than any link carries."""

    longest: int

    @property
    def text(self) -> str:
        return (
            f"frames of up to {self.longest} bytes, longer than any link carries: seen on a host, before they are split"
        )


class TakenOn(Observation):
    """One host's packets are partial, all others' are good."""

    host: str

    @property
    def text(self) -> str:
        return (
            f"all that {self.host} sent is partial and all that the others sent is good: taken on {self.host}, or "
            "next to it on the same machine"
        )


class ShortFrames(Observation):
    """Only this host's frames lack Ethernet's padding."""

    host: str

    @property
    def text(self) -> str:
        return f"only frames of {self.host} are shorter than the {SHORTEST_ON_ETHERNET} bytes that a wire carries"


class Loopback(Observation):
    """Both ends are loopback addresses (RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3)."""

    addresses: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{' and '.join(self.addresses)}: loopback addresses, whose packets never leave their host"


class ToItself(Observation):
    """A host's packets to its own address."""

    addresses: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{' and '.join(self.addresses)}: a host's packets to itself, which never leave it"
