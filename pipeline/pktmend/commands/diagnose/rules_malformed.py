"""The rule on headers that contradict each other about lengths."""

from __future__ import annotations

from pktmend.commands.diagnose.case import REPEATS, Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.malformed import Contradicts, RightOverOne


def malformed(case: Case) -> list[Decision]:
    """Lengths that cannot all be right: nothing can be said of such a packet's checksum, and nothing good of it."""
    found = case.tap.contradictions
    if not found:
        return []
    first = found[0]
    facts: list[Fact] = [Contradicts(case.tap.counters.malformed, first)]
    right = [one.right for one in found if one.right]
    if right:
        facts.append(RightOverOne(len(right), len(found), right[0]))
    if _is_cut(case):
        return []
    return [
        Decision(
            cause=RootCause.LENGTH_FAULT,
            confidence=Confidence.LIKELY if len(found) >= REPEATS else Confidence.POSSIBLE,
            facts=tuple(facts),
            counts={"malformed": case.tap.counters.malformed},
            remedies=(case.two_taps(),),
        )
    ]


def _is_cut(case: Case) -> bool:
    """Do all end at one byte, and none goes beyond it?  Then whoever captured them cut them without saying so."""
    found = case.tap.contradictions
    ends = {one.frame for one in found}
    longest = max((d.largest for d in case.tap.directions), default=0)
    return len(found) > 1 and all(one.is_cut for one in found) and len(ends) == 1 and longest <= max(ends)
