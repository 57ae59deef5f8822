"""The rule on completions that landed on something else than a checksum field."""

from __future__ import annotations

from collections.abc import Iterable

from pktmend.commands.diagnose.case import SURE, Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.misplaced import OtherEachTime, SumOfOtherBytes
from pktmend.commands.diagnose.misplaced import Misplaced, find
from pktmend.commands.diagnose.remedies import misplaced_at
from pktmend.enums import Cause


def misplaced(case: Case) -> list[Decision]:
    """One packet sent again and again, each time with another port: it is the checksum that was written there."""
    leaked = [s for s in case.unexplained if s.cause == Cause.LEAKED]
    found = find([*case.tap.pending, *leaked])
    if not found:
        return []
    samples = tuple(s for one in found for s in one.samples)
    case.take_these(samples)
    case.claim(samples)
    facts = tuple(facts_of(found))
    for cause in (RootCause.OFFLOAD_PENDING, RootCause.METADATA_LOST):
        case.reject(cause, facts[0])
    is_certain = all(one.is_proven and len(one.samples) > SURE for one in found)
    return [
        Decision(
            cause=RootCause.MISPLACED_COMPLETION,
            confidence=Confidence.CERTAIN if is_certain else Confidence.LIKELY,
            facts=facts,
            samples=samples,
            counts={"packets": len(samples)},
            remedies=misplaced_at(samples[0].source),
        )
    ]


def facts_of(found: Iterable[Misplaced]) -> Iterable[Fact]:
    """Say what differs from copy to copy, and what that is."""
    for one in found:
        first = one.samples[0]
        yield OtherEachTime(len(one.samples), first.flow, first.proto, one.place, one.values)
        if one.is_proven:
            yield SumOfOtherBytes(first.proto, one.place, one.shift, one.was)
