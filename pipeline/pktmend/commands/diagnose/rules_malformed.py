"""The rule on headers that contradict each other about lengths."""

from __future__ import annotations

from pktmend._core import checksum
from pktmend.commands.diagnose.case import REPEATS, Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.malformed import Contradicts, LengthChanged, RightOverOne
from pktmend.commands.diagnose.groups import UNEXPLAINED
from pktmend.commands.diagnose.mistakes import network_of
from pktmend.commands.diagnose.samples import Sample
from pktmend.enums import Proto

UDP = 17


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


def changed_length(case: Case) -> list[Decision]:
    """UDP says less than IP has, and the sum is right over all that IP has, if UDP said so too."""
    samples = [s for s in case.unexplained if s.proto == Proto.UDP and s.cause in UNEXPLAINED and _is_right_over_all(s)]
    if len(samples) < REPEATS:
        return []  # a bit of the length that flipped
    case.take_these(samples)
    return [
        Decision(
            cause=RootCause.LENGTH_FAULT,
            confidence=Confidence.LIKELY,
            facts=(LengthChanged(len(samples)),),
            samples=tuple(samples),
            counts=case.total(samples),
            remedies=(case.two_taps(),),
        )
    ]


def _is_right_over_all(s: Sample) -> bool:
    at = network_of(s)
    if at < 0 or s.version != 4:  # in IPv6 the header was found by the lengths that agree
        return False
    size = int.from_bytes(s.frame[at + 2 : at + 4]) - (s.start - at)
    datagram = s.frame[s.start : s.start + size]
    if size <= s.length or len(datagram) < size:
        return False
    pseudo = s.frame[at + 12 : at + 20] + size.to_bytes(4) + UDP.to_bytes(4)
    return checksum(pseudo + datagram[:4] + size.to_bytes(2) + datagram[6:]) == 0


def _is_cut(case: Case) -> bool:
    """Do all end at one byte, and none goes beyond it?  Then whoever captured them cut them without saying so."""
    found = case.tap.contradictions
    ends = {one.frame for one in found}
    longest = max((d.largest for d in case.tap.directions), default=0)
    return len(found) > 1 and all(one.is_cut for one in found) and len(ends) == 1 and longest <= max(ends)
