"""SCTP, DHCP and ICMP errors."""

from __future__ import annotations

from enum import Enum

from pktmend.commands.diagnose.decision import Observation, Sentence
from pktmend.commands.diagnose.facts.counts import times
from pktmend.console.plural import quantity


class SctpMistake(Enum):
    """What an SCTP field holds instead of a CRC32c."""

    EMPTY = "0: the CRC32c was left to hardware and never filled in"
    SIXTEEN_BITS = "a 16-bit Internet checksum: a hop completed them as if they were TCP"
    WRITTEN = "the right CRC32c in the wrong byte order or not complemented"


class SctpFields(Observation):
    """How many fields hold which mistake."""

    mistake: SctpMistake
    n: int

    @property
    def text(self) -> str:
        return f"{quantity(self.n, 'SCTP checksum field holds')} {self.mistake.value}"


class Dhcp(Sentence):
    """Facts without numbers."""

    METADATA_GONE = "the kernel's mark is gone too, so that no client can know"
    METADATA_UNSEEN = (
        "the kernel's mark is there, but a client that reads raw packets without asking for it "
        "(PACKET_AUXDATA) does not see it"
    )
    METADATA_UNKNOWN = (
        "the capture does not say whether the kernel's mark was there: either it was lost before, or the client reads "
        "raw packets without asking for it"
    )


class PartialAnswers(Observation):
    """DHCP answers with a partial sum."""

    n: int

    @property
    def text(self) -> str:
        return f"{self.n} DHCP answers carry a partial UDP checksum (F = S)"


class AskedAgain(Observation):
    """The client asked again after an answer: so often."""

    n: int

    @property
    def text(self) -> str:
        return f"the client asked again {times(self.n)} after an answer had come, as if there had been none"


class QuotesAnother(Observation):
    """ICMP errors that went to another host than the sender of what they quote; of how many, and the first."""

    n: int
    errors: int
    target: str
    quoted: tuple[str, str]

    @property
    def text(self) -> str:
        return (
            f"{self.n} of {quantity(self.errors, 'ICMP error')} went to another host than the "
            f"sender of the packet it quotes (to {self.target}, quoting {' > '.join(self.quoted)}): the outer address "
            "was translated, the quoted one was not"
        )


class WrongErrors(Observation):
    """ICMP errors whose own sum is wrong; of how many."""

    n: int
    errors: int

    @property
    def text(self) -> str:
        return (
            f"{self.n} of {quantity(self.errors, 'ICMP error')} had a wrong checksum of its own, the "
            "one from before what it quotes was rewritten; other ICMP messages are right"
        )
