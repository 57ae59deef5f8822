"""Decisions: what a rule makes of the evidence, as data.  finding.py puts them into English.

Rules of this file:
1. A decision is frozen; what is to be changed is made anew.
2. What was seen is a tuple of facts: small frozen values that know their own sentence (facts/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Protocol

from pktmend.advice.finding import Remedy
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.samples import Sample


class Confidence(StrEnum):
    """How sure, the surest first; the values are those of --json."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"

    @property
    def rank(self) -> int:
        """0 for the surest."""
        return list(Confidence).index(self)


def least_sure(confidences: Iterable[Confidence]) -> Confidence:
    """Return the one that is least sure."""
    return max(confidences, key=lambda each: each.rank)


class Fact(Protocol):
    """Something that was seen, as data, with its sentence."""

    @property
    def text(self) -> str:
        """The sentence, without a full stop."""
        ...


class Sentence(Enum):
    """Facts that have no numbers: the value of each is its sentence."""

    @property
    def text(self) -> str:
        """The sentence, without a full stop."""
        text: Any = self.value
        return str(text)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One root cause as found.

    facts:   what proves it.       samples: packets that show it.       counts: numbers behind it.
    limits:  what this evidence cannot tell.
    bridge:  the cause's command with real interfaces, a line for each place that needs one; None if there is none.
    """

    cause: RootCause
    confidence: Confidence
    facts: tuple[Fact, ...] = ()
    samples: tuple[Sample, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    remedies: tuple[Remedy, ...] = ()
    limits: tuple[Fact, ...] = ()
    bridge: str | None = None

    @property
    def weight(self) -> tuple[bool, int, int]:
        """Sorts the most important first: what is unhealthy, what is sure, what is frequent."""
        return self.cause.is_healthy, self.confidence.rank, -max(self.counts.values(), default=0)
