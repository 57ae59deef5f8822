"""A capture that was rewritten after it was taken."""

from __future__ import annotations

from pktmend.commands.diagnose.decision import Observation, Sentence
from pktmend.commands.diagnose.facts.counts import differences
from pktmend.console.plural import quantity


class Rewritten(Sentence):
    """Facts without numbers."""

    CONTENTS = (
        "no segment of these flows that has a payload fits its checksum: contents that were replaced in the file "
        "(scrubbed, anonymised) look like that"
    )
    QUOTES_KEPT = (
        "programs that replace the addresses of a capture often leave those quoted in ICMP errors as they were, and "
        "every error of this file quotes others"
    )


class BothWays(Observation):
    """There and back are off by the same."""

    a: str
    b: str
    difference: int

    @property
    def text(self) -> str:
        return (
            f"{self.a} > {self.b} and back are off by the same difference ({self.difference:04x}), which "
            "addresses or ports make that are replaced in a file: translation on the way makes opposite ones, or "
            "spoils one direction"
        )


class AcknowledgedWrong(Observation):
    """Segments whose sums do not fit the file's addresses, and which were taken."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'segment')} with a wrong checksum acknowledged, and none of them seen with a right "
            "one: on the wire it was right"
        )


class OldAddresses(Observation):
    """Complete sums that are off by the addresses' difference."""

    n: int
    differences: tuple[int, ...]

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'checksum is')} off by what a change of addresses makes "
            f"({differences(self.differences[:4])}), in every packet of its flow"
        )


class OldSeeds(Observation):
    """Partial sums of other addresses."""

    n: int

    @property
    def text(self) -> str:
        return (
            f"{quantity(self.n, 'field holds')} the pseudo-header sum S of other addresses, off by that "
            "difference once: partial at the sender, and not updated since"
        )
