"""The rule on headers that contradict each other about lengths."""

from __future__ import annotations

from pktmend.commands.diagnose.case import REPEATS, Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.limits import Limit
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
    is_cut = all(one.is_cut for one in found) and len({one.frame for one in found}) == 1
    is_likely = len(found) >= REPEATS and not is_cut
    return [
        Decision(
            cause=RootCause.LENGTH_FAULT,
            confidence=Confidence.LIKELY if is_likely else Confidence.POSSIBLE,
            facts=tuple(facts),
            counts={"malformed": case.tap.counters.malformed},
            remedies=(case.two_taps(),),
            limits=(Limit.CUT_UNSAID,) if is_cut else (),
        )
    ]
