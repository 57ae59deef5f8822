"""The rule on datagrams that were lost for want of a checksum.  Nothing acknowledges them; what is asked again tells.

| seen                                                                       | so                                |
|----------------------------------------------------------------------------|-----------------------------------|
| one answer again and again, partial each time, others of its service good  | that one does not arrive          |
| one answer of DNS, NTP or SNMP again and again, partial each time           | likewise: it was asked for again  |
| questions without an answer, all partial, and ICMP echo passes             | they do not arrive                |
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from pktmend.commands.diagnose.case import REPEATS, Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.conversations import Direction, echoes_between
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.partial import NoAnswers, SameAgain, SeedInField
from pktmend.commands.diagnose.loss import decide_lost
from pktmend.commands.diagnose.samples import SLL, SLL2, Sample
from pktmend.enums import Proto, Reason

UDP: Final = 17
QUESTIONS: Final = (53, 123, 161)  # DNS, NTP, SNMP: services that answer what they are asked
APART: Final = 100_000_000  # ns between copies: who repeats sooner has not waited for an answer


def unanswered(case: Case) -> list[Decision]:
    """In a file without the kernel's mark.  What all interfaces of a host show is one packet several times."""
    if case.tap.is_live:
        return []
    open_ones = [
        s
        for s in case.pending
        if s.proto == Proto.UDP and s.reason == Reason.NO_METADATA and s.link not in (SLL, SLL2) and not s.is_large_send
    ]
    found = []
    for rule in (_same_again, _no_answers):
        samples, facts = rule(case, open_ones)
        if samples:
            case.claim(samples)
            open_ones = [s for s in open_ones if s not in set(samples)]
            found.append(_lost(case, samples, facts))
    return found


def _lost(case: Case, samples: list[Sample], facts: list[Fact]) -> Decision:
    counts = {"udp pending": len(samples)}
    case.reject(RootCause.OFFLOAD_PENDING, facts[0])
    seen = (SeedInField(counts, is_as_sent=False), *facts)
    return decide_lost(case, samples, counts=counts, seen=seen, confidence=Confidence.LIKELY)


def _same_again(case: Case, samples: Iterable[Sample]) -> tuple[list[Sample], list[Fact]]:
    """Copies of one datagram of a service whose other datagrams are right."""
    copies: dict[tuple[str, str, bytes], list[Sample]] = defaultdict(list)
    for s in samples:
        copies[s.source, s.target, s.frame[s.start : s.start + s.length]].append(s)
    found: list[Sample] = []
    facts: list[Fact] = []
    for some in copies.values():
        first = some[0]
        apart = sum(b.time_ns - a.time_ns >= APART for a, b in pairwise(some)) + 1
        service = [d for d in case.tap.directions if (d.protocol, d.source, d.source_port) == (UDP, *_sender(first))]
        good, partial = sum(d.kinds["good"] for d in service), sum(d.partial for d in service)
        is_answer = any(d.replies for d in service if d.target == first.target)
        is_exception = good >= REPEATS and partial == len(some)
        is_same_question = first.ports[0] in QUESTIONS and not good  # a new one has another number
        if apart >= REPEATS and is_answer and (is_exception or is_same_question):
            found += some
            facts.append(SameAgain(first.flow, len(some), good))
    return found, facts


def _sender(s: Sample) -> tuple[str, int]:
    return s.source, s.ports[0]


def _no_answers(case: Case, samples: Iterable[Sample]) -> tuple[list[Sample], list[Fact]]:
    """Questions between two hosts between which echoes pass, if no partial datagram of who asks was answered."""
    asked: dict[tuple[str, str], list[Direction]] = defaultdict(list)
    for d in case.tap.directions:
        if d.protocol == UDP and d.partial:
            asked[d.source, d.target].append(d)
    answered = {source for (source, _), some in asked.items() if any(d.acked for d in some)}
    echoes = echoes_between(case.tap.directions)
    samples = list(samples)
    found: list[Sample] = []
    facts: list[Fact] = []
    for (source, target), some in asked.items():
        n, passed = sum(d.partial for d in some), echoes[frozenset((source, target))]
        is_silent = not any(d.replies or d.target_port not in QUESTIONS or d.kinds["good"] for d in some)
        if n >= REPEATS and passed and is_silent and source not in answered:
            found += [s for s in samples if (s.source, s.target) == (source, target)]
            facts.append(NoAnswers(source, target, n, passed))
    return found, facts if found else []
