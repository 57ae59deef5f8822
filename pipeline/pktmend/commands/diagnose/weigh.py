"""What holds for the decisions together, whichever rules made them: one finding for a cause, no packet in two that say
the opposite, and `certain` only where chance is ruled out.

Rules of this file:
1. It takes confidence, never gives it.
2. The more checks are bad for no known reason, the more often one of them looks like a known one: a value that is right
   by one of TESTS mistakes comes up in so many of 65,536.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import comb
from typing import Final

from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision
from pktmend.commands.diagnose.samples import Sample

TESTS: Final = 32  # mistakes, or subsets of changed words, that one stored value is tried against
RULED_OUT: Final = 1e-6
COMMON: Final = 0.002  # one beside four that are damaged
BY_A_VALUE: Final = (
    RootCause.NAT_ON_ZERO,
    RootCause.NAT_WITHOUT_UPDATE,
    RootCause.WRONG_ARITHMETIC,
    RootCause.LENGTH_FAULT,
    RootCause.DOUBLE_COMPLETION,
    RootCause.METADATA_LOST,
    RootCause.TUNNEL_INNER_UNFINISHED,
)
DAMAGE: Final = (RootCause.BIT_ERRORS, RootCause.CORRUPTION)
BY_SET_UP: Final = (RootCause.TAP_WITHOUT_VNET_HEADER,)  # what the kernel says of a device proves it, packets do not
MERGED: Final = (RootCause.NAT_WITHOUT_UPDATE, RootCause.WRONG_ARITHMETIC, RootCause.REWRITTEN_CAPTURE)


def weigh(found: Iterable[Decision]) -> list[Decision]:
    """Return the decisions, merged, disjoint and sober."""
    decisions = _apart(_merge(found))
    damaged = sum(len(each.samples) for each in decisions if each.cause in DAMAGE)
    return [_sober(each, damaged) for each in decisions]


def _merge(found: Iterable[Decision]) -> list[Decision]:
    """One decision for each cause that several rules find; as sure as the one that most packets show."""
    merged: list[Decision] = []
    at: dict[RootCause, int] = {}
    for decision in found:
        if decision.cause in at:
            first = merged[at[decision.cause]]
            surest = max(first, decision, key=lambda each: len(each.samples))
            keys = dict.fromkeys([*first.counts, *decision.counts])
            merged[at[decision.cause]] = replace(
                first,
                confidence=surest.confidence,
                facts=first.facts + tuple(fact for fact in decision.facts if fact not in first.facts),
                samples=first.samples + decision.samples,
                counts={key: first.counts.get(key, 0) + decision.counts.get(key, 0) for key in keys},
                limits=first.limits + tuple(limit for limit in decision.limits if limit not in first.limits),
                remedies=tuple(dict.fromkeys((*first.remedies, *decision.remedies))),
            )
            continue
        if decision.cause in MERGED:
            at[decision.cause] = len(merged)
        merged.append(decision)
    return merged


def _apart(found: Sequence[Decision]) -> list[Decision]:
    """A healthy result keeps no packet that is the example of a fault, and goes if it has no other."""
    taken = {_name(s) for each in found if not each.cause.is_healthy for s in each.samples}
    kept = []
    for each in found:
        if each.cause.is_healthy and each.cause is not RootCause.REWRITTEN_CAPTURE and each.samples:
            samples = tuple(s for s in each.samples if _name(s) not in taken)
            if not samples:
                continue
            each = replace(each, samples=samples)
        kept.append(each)
    return kept


def _name(s: Sample) -> tuple[int, int]:
    return s.n, s.offset


def _sober(decision: Decision, damaged: int) -> Decision:
    """`certain` of one packet, or of what chance may have made, becomes `likely`; of what chance makes, `possible`."""
    if decision.confidence is Confidence.POSSIBLE or decision.cause.is_healthy or decision.cause in BY_SET_UP:
        return decision
    shown = len({s.n for s in decision.samples})
    chance = 0.0
    if decision.cause in BY_A_VALUE and shown:
        few = min(shown, 64)
        chance = comb(few + damaged, few) * (TESTS / 0x10000) ** few
    if chance > COMMON:
        return replace(decision, confidence=Confidence.POSSIBLE, bridge=None)
    if decision.confidence is Confidence.CERTAIN and (shown == 1 or chance > RULED_OUT):
        return replace(decision, confidence=Confidence.LIKELY)
    return decision
