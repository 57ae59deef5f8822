"""Findings: a root cause with what proves it and what cures it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from pktmend.commands.diagnose.causes import CAUSES, RootCause
from pktmend.commands.diagnose.samples import Sample

SHOWN: Final = 3  # packets
CONFIDENCE: Final = ("certain", "likely", "possible")


@dataclass(frozen=True)
class Remedy:
    """One command, what it does, and what else it does."""

    command: str
    effect: str
    side_effect: str = ""


@dataclass
class Finding:
    """One root cause as found.

    evidence: sentences for people.    samples: packets that show it.     counts: numbers behind it.
    limits:   what this evidence cannot tell, for people; empty if nothing.
    bridge:   the cause's command with real interfaces, a line for each place that needs one; None if there is none.
    """

    name: str
    confidence: str
    evidence: list[str]
    samples: list[Sample] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    remedies: list[Remedy] = field(default_factory=list)
    limits: str = ""
    bridge: str | None = None

    @property
    def cause(self) -> RootCause:
        """The row of the table."""
        return CAUSES[self.name]

    @property
    def weight(self) -> tuple[bool, int, int]:
        """Sorts the most important first: what is unhealthy, what is sure, what is frequent."""
        return self.cause.is_healthy, CONFIDENCE.index(self.confidence), -max(self.counts.values(), default=0)

    def shown(self) -> list[Sample]:
        """Two or three packets that show it, of different flows where there are."""
        flows: dict[str, Sample] = {}
        for s in self.samples:
            flows.setdefault(s.flow, s)
        rest = [s for s in self.samples if s not in flows.values()]
        return sorted([*flows.values(), *rest][:SHOWN], key=lambda s: s.n)

    def as_json(self) -> dict[str, Any]:
        """Return the object that `diagnose --json` prints."""
        return {
            "diagnosis": {
                "cause": self.name,
                "title": self.cause.title,
                "healthy": self.cause.is_healthy,
                "confidence": self.confidence,
                "meaning": self.cause.meaning,
                "evidence": self.evidence,
                "packets": [s.as_json() for s in self.shown()],
                "remedy": [
                    {"command": r.command, "effect": r.effect, "side_effect": r.side_effect} for r in self.remedies
                ],
                "bridge": self.bridge,
                "limits": self.limits,
                "counts": self.counts,
            }
        }


def times(n: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(n, f"{n} times")
