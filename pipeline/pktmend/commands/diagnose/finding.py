"""Findings of diagnose: a decision put into English."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pktmend.advice.finding import Finding
from pktmend.commands.diagnose.causes import CAUSES, RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision
from pktmend.commands.diagnose.samples import Sample

SHOWN: Final = 3  # packets


@dataclass(frozen=True, kw_only=True)
class Diagnosis(Finding):
    """One root cause, ready to be printed.

    packets: two or three that show it.       counts: numbers behind it.
    limits:  what this evidence cannot tell; empty if nothing.
    bridge:  the cause's command with real interfaces, a line for each place that needs one; None if there is none.
    """

    cause: RootCause
    confidence: Confidence
    packets: tuple[Sample, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    limits: str = ""
    bridge: str | None = None

    @property
    def is_healthy(self) -> bool:
        """Nothing has to be cured."""
        return self.cause.is_healthy

    @property
    def is_problem(self) -> bool:
        """Something has to be cured.  What was not understood is neither healthy nor a problem."""
        return self.cause.is_problem

    def as_json(self) -> dict[str, Any]:
        """Return the object that `diagnose --json` prints."""
        return {
            "diagnosis": {
                "cause": str(self.cause),
                "title": self.title,
                "healthy": self.is_healthy,
                "confidence": str(self.confidence),
                "meaning": self.meaning,
                "evidence": list(self.evidence),
                "packets": [s.as_json() for s in self.packets],
                "remedy": [remedy.as_json() for remedy in self.remedies],
                "bridge": self.bridge,
                "limits": self.limits,
                "counts": self.counts,
            }
        }


def in_words(decision: Decision) -> Diagnosis:
    """Put a decision into English."""
    row = CAUSES[decision.cause]
    return Diagnosis(
        name=str(decision.cause),
        cause=decision.cause,
        confidence=decision.confidence,
        title=decision.headline.text if decision.headline else row.title,
        meaning=row.meaning,
        evidence=tuple(fact.text for fact in decision.facts),
        remedies=decision.remedies,
        packets=shown(decision.samples),
        counts=decision.counts,
        limits="; ".join(limit.text for limit in decision.limits),
        bridge=decision.bridge,
    )


def shown(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Return two or three packets, of different flows where there are."""
    flows: dict[str, Sample] = {}
    for s in samples:
        flows.setdefault(s.flow, s)
    first = set(flows.values())
    others = [s for s in samples if s not in first]
    return tuple(sorted([*flows.values(), *others][:SHOWN], key=lambda s: s.n))
