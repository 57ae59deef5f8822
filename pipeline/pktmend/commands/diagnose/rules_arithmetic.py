"""Rules on checksums that a program computes wrongly, or over a wrong length.

Rules of this file:
1. A mistake that gives one exact value fits one damaged packet in 65,536.  Where it gives differing differences in
   several packets, chance is ruled out; where the difference is the same in all, that is one test and no more.
2. Good packets are evidence too: a mistake that would have spoilt one of the same sender and kind is not what it does.
3. What was solved for (a length, a number of bytes) costs the first packet.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from pktmend.commands.diagnose.carries import Found, good_beside, is_syn, lost_carries
from pktmend.commands.diagnose.case import REPEATS, SURE, Case, surely
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact, least_sure
from pktmend.commands.diagnose.facts.arithmetic import (
    ComputedZero,
    Contradicted,
    Miscomputed,
    Mistake,
    OtherLength,
    SentBy,
    Summed,
    Trailers,
)
from pktmend.commands.diagnose.mistakes import Named, is_whole, mistakes_of
from pktmend.commands.diagnose.remedies import OTHER_LENGTH, miscomputed_at
from pktmend.commands.diagnose.samples import Sample, bits
from pktmend.enums import Cause, PacketFlag, Proto

CANDIDATES: Final = (
    Cause.NAT_DELTA,
    Cause.NAT_ON_ZERO,
    Cause.BIT_FLIP,
    Cause.CORRUPT,
    Cause.PSEUDO_HEADER,
    Cause.COVERAGE,
)
SHORT: Final = 60  # bytes, of the longest TCP header: so few prefixes it has that one that fits is hardly chance
ORDER: Final = list(Summed)


class _Fits(dict[Sample, set[Named]]):
    """The mistakes of samples, each asked for once."""

    def __missing__(self, s: Sample) -> set[Named]:
        self[s] = mistakes_of(s)
        return self[s]


def computed_zero(case: Case) -> list[Decision]:
    """UDP over IPv6: a sum that comes to 0 has to be sent as ffff."""
    zeros = [s for s in case.unexplained if s.cause == Cause.ILLEGAL_ZERO]
    sources = {s.source for s in zeros}
    wrong = {s.source for s in zeros if s.expected != 0xFFFF}
    samples = [s for s in zeros if s.source in sources - wrong]
    if not samples:
        return []
    case.take_these(samples)
    good = good_beside(case, samples)
    contents = {s.frame[s.start :] for s in samples}
    is_sure = len(contents) >= SURE and good
    confidence = Confidence.CERTAIN if is_sure else Confidence.LIKELY
    return [_decision(case, RootCause.WRONG_ARITHMETIC, samples, [ComputedZero(len(samples), good)], confidence)]


def several(case: Case) -> list[Decision]:
    """One mistake that explains the sums of several packets, whatever each alone looks like."""
    groups: dict[tuple[Proto, int], list[Sample]] = defaultdict(list)
    for s in case.unexplained:
        if s.cause in CANDIDATES and s.width == 2 and _is_single(s):
            groups[s.proto, s.version].append(s)
    found = [each for group in groups.values() for each in _mistakes(case, group)]
    decisions = []
    for cause in (RootCause.WRONG_ARITHMETIC, RootCause.LENGTH_FAULT):
        own = [each for each in found if each.is_length == (cause is RootCause.LENGTH_FAULT)]
        samples = [s for each in own for s in each.samples]
        if samples:
            case.take_these(samples)
            confidence = least_sure(each.confidence for each in own)
            decisions.append(_decision(case, cause, samples, [each.fact for each in own], confidence))
    return decisions


def _decision(
    case: Case, cause: RootCause, samples: Sequence[Sample], facts: Iterable[Fact], confidence: Confidence
) -> Decision:
    sources = tuple(sorted({s.source for s in samples}))
    return Decision(
        cause=cause,
        confidence=confidence,
        facts=(*facts, SentBy(sources)),
        samples=tuple(samples),
        counts=case.total(samples),
        remedies=(miscomputed_at(sources[0]),),
        bridge=case.bridge(cause, samples),
    )


def _mistakes(case: Case, group: list[Sample]) -> list[Found]:
    """The mistake that explains most, then the one that explains most of the rest."""
    fits = _Fits()
    good = [s for s in case.tap.good if (s.proto, s.version) == (group[0].proto, group[0].version)]
    left, found = list(group), []
    while len(left) >= SURE:
        counted = Counter(mistake for s in left for mistake in fits[s])
        best = sorted(counted, key=lambda m: (-counted[m], ORDER.index(m[0]), -m[1]))
        one = next(filter(None, (_accept(case, m, left, fits, good) for m in best if counted[m] >= SURE)), None)
        one = one or lost_carries(case, left)
        if one is None:
            break
        found.append(one)
        left = [s for s in left if s not in set(one.samples)]
    return found


def _accept(case: Case, mistake: Named, left: list[Sample], fits: _Fits, good: list[Sample]) -> Found | None:
    """Is this what happened?  See rules 1 to 3 at the head of this file."""
    kind, value = mistake
    if kind.is_length and _may_quote(left[0]) and len({s.delta for s in left}) == 1:
        return None
    samples = [s for s in left if mistake in fits[s]]
    fitting, sources = set(samples), {s.source for s in samples}
    others = [s for s in left if s.source in sources and s not in fitting and is_whole(s)]
    differences = len({s.length if kind is Summed.LENGTH else s.delta for s in samples})
    if kind.is_carry:
        tests = len(samples)
    elif kind.is_solved_for:
        tests = min(differences, len({s.stored for s in samples})) - 1
    else:
        tests = differences
    if kind.is_solved_for or kind.is_carry:  # values that a bit that flips may leave as well
        many = sum(bits(s.delta) > 1 for s in samples)
        if len(others) >= len(samples) or (differences > 1 and many < SURE):
            return None
    kinds = {is_syn(s) for s in samples}
    beside = [s for s in good if s.source in sources and is_syn(s) in kinds]
    same = [s for s in beside if mistake in fits[s] or (kind.is_prefix and value >= s.length)]
    is_alone = not others and len(same) == len(beside)
    if tests >= SURE and len(samples) >= REPEATS:
        confidence: Confidence | None = Confidence.CERTAIN if is_alone else Confidence.LIKELY
    elif is_alone and _is_likely(kind, samples, tests):
        confidence = Confidence.LIKELY
    else:
        confidence = None
    if confidence is None or (kind.is_carry and len(same) < len(beside)):
        if len(same) < len(beside) and tests >= 1 and len(samples) >= REPEATS:
            cause = RootCause.LENGTH_FAULT if kind.is_length else RootCause.WRONG_ARITHMETIC
            case.reject(cause, Contradicted(kind, value, len(samples), len(beside) - len(same)))
        return None
    if not others:  # those that were not kept whole are of the same making
        samples += [s for s in left if s.source in sources and not is_whole(s)]
    fact = Mistake(kind, value, len(samples), len(samples) + len(others), differences, len(same))
    return Found(samples, fact, kind.is_length, confidence)


def _may_quote(s: Sample) -> bool:
    """What an error quotes may sum to 0 by itself: leaving it out looks like changing a word of it."""
    return s.proto in (Proto.ICMP, Proto.ICMPV6)


def _is_single(s: Sample) -> bool:
    """Not a frame that the stack coalesced, whose sum is that of its first part."""
    return s.expected is not None and not s.flags & PacketFlag.SUPER_FRAME


def _is_likely(kind: Summed, samples: Sequence[Sample], tests: int) -> bool:
    """Short of a proof: two packets, or one difference in all of them."""
    if kind in (Summed.PACKET_LENGTH, Summed.PROTOCOL) and all(map(is_syn, samples)):
        return False  # another segment size in SYNs, rewritten by a hop, is a small constant difference too
    if tests < 1:
        is_short = all(s.length <= SHORT for s in samples) and len({s.stored for s in samples}) >= SURE
        return is_short and kind in (Summed.PREFIX, Summed.PREFIX_AND_LENGTH)
    return not kind.is_solved_for or len(samples) >= REPEATS  # any two of many damaged ones may fit one value


def arithmetic(case: Case) -> list[Decision]:
    """Right but for the complement or the byte order; or what one packet shows, if no other of its sender is bad."""
    samples = case.take_causes(Cause.NOT_COMPLEMENTED, Cause.BYTE_SWAPPED)
    quotes = Counter(s.delta for s in case.unexplained if _may_quote(s))
    singles = case.take(
        lambda s: (
            s.cause in (Cause.PSEUDO_HEADER, Cause.COVERAGE)
            and _is_single(s)
            and _is_all(case, s)
            and not (_may_quote(s) and quotes[s.delta] > 1)
        )
    )
    found = []
    if samples:
        mistakes = [Miscomputed(cause, n) for cause, n in Counter(s.cause for s in samples).items()]
        found.append(_decision(case, RootCause.WRONG_ARITHMETIC, samples, mistakes, surely(samples)))
    for cause in (RootCause.WRONG_ARITHMETIC, RootCause.LENGTH_FAULT):
        own = {s: kind for s in singles if (kind := _one_mistake(s)).is_length == (cause is RootCause.LENGTH_FAULT)}
        if own:
            facts = [Mistake(kind, 0, n, n, 1, 0) for kind, n in Counter(own.values()).items()]
            found.append(_decision(case, cause, list(own), facts, Confidence.LIKELY))
    return found


def _one_mistake(s: Sample) -> Summed:
    """What the engine meant, by the packet alone; where it was not kept whole, the likeliest."""
    kinds = [kind for kind, _ in mistakes_of(s) if not kind.is_solved_for and not kind.is_carry]
    first = Summed.NO_PSEUDO_HEADER if s.cause == Cause.PSEUDO_HEADER else Summed.WITHOUT_LAST_BYTE
    return min(kinds, key=ORDER.index, default=first)


def _is_all(case: Case, one: Sample) -> bool:
    """Is this all that is unexplained of its sender?  Among much damage a fit is chance."""
    return all(s is one or (s.source, s.proto) != (one.source, one.proto) for s in case.tap.samples())


def length(case: Case) -> list[Decision]:
    """Right over another length.  What the length of a damaged IPv4 header says is not held against the checksum."""
    damaged = {s.n for s in case.unexplained if s.proto == Proto.IP and s.cause != Cause.LENGTH}
    samples = case.take(lambda s: s.cause == Cause.LENGTH and s.n not in damaged)
    if not samples:
        return []
    counts = case.total(samples)
    padded = sum(s.wirelen > s.start + s.length for s in samples)
    return [
        Decision(
            cause=RootCause.LENGTH_FAULT,
            confidence=surely(samples) if len({s.delta for s in samples}) > 1 else Confidence.LIKELY,  # one test else
            facts=(OtherLength(counts), *([Trailers(padded)] if padded else [])),
            samples=tuple(samples),
            counts=counts,
            remedies=(OTHER_LENGTH,),
            bridge=case.bridge(RootCause.LENGTH_FAULT, samples),
        )
    ]
