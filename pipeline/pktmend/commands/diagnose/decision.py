"""Decisions: what a rule makes of the evidence, as data.  finding.py puts them into English.

Rules of this file:
1. A decision is frozen; what is to be changed is made anew.
2. What was seen is a tuple of facts: frozen values, each an Observation or a Sentence, that know their own text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Protocol, dataclass_transform

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


@dataclass_transform(frozen_default=True)
class Observation:
    """A fact with numbers or names: a frozen dataclass in all that is used of one.

    Those of the standard library take a quarter of a millisecond each to define, and there are sixty facts: a seventh
    of the start of the command.
    """

    def __init__(self, *values: Any, **named: Any) -> None:
        names = tuple(type(self).__annotations__)
        given = dict(zip(names, values, strict=False)) | named
        defaults = {name: getattr(type(self), name) for name in names if hasattr(type(self), name)}
        if given.keys() | defaults.keys() != set(names) or len(values) + len(named) != len(given):
            raise TypeError(f"{type(self).__name__} takes {', '.join(names)}")
        vars(self).update(defaults | given)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]  # some hold dictionaries

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


class Sentence(Enum):
    """Facts that have no numbers: the value of each is its sentence."""

    @property
    def text(self) -> str:
        """The sentence, without a full stop."""
        text: Any = self.value
        return str(text)


@dataclass(frozen=True)
class Rejected:
    """A root cause that was considered, and the fact that speaks against it."""

    cause: RootCause
    why: Fact


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One root cause as found.

    facts:   what proves it.       samples: packets that show it.       counts: numbers behind it.
    limits:  what this evidence cannot tell.
    bridge:  the cause's command with real interfaces, a line for each place that needs one; None if there is none.
    headline: what stands in place of the cause's title; None: that title.
    """

    cause: RootCause
    confidence: Confidence
    facts: tuple[Fact, ...] = ()
    samples: tuple[Sample, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    remedies: tuple[Remedy, ...] = ()
    limits: tuple[Fact, ...] = ()
    bridge: str | None = None
    headline: Fact | None = None

    @property
    def weight(self) -> tuple[bool, bool, int, int]:
        """Sorts the most important first: what is unhealthy, what is unknown, what is sure, what is frequent."""
        frequent = -max(self.counts.values(), default=0)
        return not self.cause.is_problem, self.cause.is_healthy, self.confidence.rank, frequent
