"""Rules on what computes checksums wrongly in a way that nobody knows: few differences that repeat over differing
contents, or small ones in all that a host sends.

A bit that is stuck, or one that is flipped, leaves differences of that bit; a pattern of bits leaves each difference
and its opposite.  Arithmetic errs one way, or by what depends on a length.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from itertools import product
from typing import Final

from pktmend.commands.diagnose.case import REPEATS, Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.arithmetic import SentBy
from pktmend.commands.diagnose.facts.wrong import FewDifferences, SmallDifferences, SummedTwice
from pktmend.commands.diagnose.groups import UNEXPLAINED, contents
from pktmend.commands.diagnose.remedies import miscomputed_at
from pktmend.commands.diagnose.samples import FEW_BITS, Sample, bits
from pktmend.enums import Cause, Proto, Status

FEW_GOOD: Final = 4  # of so many one may be good, by having the length or count that all are taken to have
ENOUGH: Final = 6  # checks by which a repetition is told from damage
SMALL: Final = 0x7FF  # a difference by what depends on a length; one random value in 16 is as small
LINES: Final = 5  # bits that may be stuck together


def engine(case: Case) -> list[Decision]:
    """Both kinds, one finding."""
    facts: list[Fact] = []
    samples: list[Sample] = []
    for rule in (_small_differences, _few_differences):
        some, fact = rule(case)
        if fact is not None:
            case.take_these(some)
            samples += some
            facts.append(fact)
    if not samples:
        return []
    sources = tuple(sorted({s.source for s in samples}))
    return [
        Decision(
            cause=RootCause.WRONG_ARITHMETIC,
            confidence=Confidence.LIKELY,
            facts=(*facts, SentBy(sources)),
            samples=tuple(samples),
            counts=case.total(samples),
            remedies=(miscomputed_at(sources[0]),),
        )
    ]


def summed_twice(case: Case) -> list[Decision]:
    """The sum over what is summed already is always ffff, whatever was right."""
    samples = [s for s in _transport(case) if s.stored == 0xFFFF]
    others = {s.proto for s in samples} - {Proto.UDP}  # UDP alone: what an update makes of 0 is ffff too
    if not others or len({s.expected for s in samples}) < REPEATS:
        return []
    case.take_these(samples)
    sources = tuple(sorted({s.source for s in samples}))
    return [
        Decision(
            cause=RootCause.WRONG_ARITHMETIC,
            confidence=Confidence.LIKELY,
            facts=(SummedTwice(len(samples)), SentBy(sources)),
            samples=tuple(samples),
            counts=case.total(samples),
            remedies=(miscomputed_at(sources[0]),),
        )
    ]


def _transport(case: Case) -> list[Sample]:
    return [
        s
        for s in case.unexplained
        if s.cause in (*UNEXPLAINED, Cause.NAT_ON_ZERO) and s.expected is not None and s.width == 2
    ]


def _small_differences(case: Case) -> tuple[list[Sample], Fact | None]:
    """In all packets of a sender: what varies a little varies with a length or a count."""
    senders: dict[tuple[str, Proto], list[Sample]] = defaultdict(list)
    for s in _transport(case):
        senders[s.source, s.proto].append(s)
    good = Counter[tuple[str, Proto]]()
    for (proto, source, *_), numbers in case.tap.companions.good.items():
        good[source, proto] += len(numbers)
    found: list[Sample] = []
    for key, some in senders.items():
        differences = {s.delta for s in some}
        n, widest = len(contents(some)), max(map(bits, differences))
        is_small = all(min(d, 0xFFFF - d) <= SMALL for d in differences)
        is_one_way = len({d <= SMALL for d in differences}) == 1
        is_enough = widest > 1 and n > (REPEATS if widest > FEW_BITS and is_one_way else ENOUGH)
        is_enough = is_enough and good[key] * FEW_GOOD <= n
        if is_small and is_enough and len(differences) > 1:
            found += some
    return (found, SmallDifferences(len(found))) if found else ([], None)


def _few_differences(case: Case) -> tuple[list[Sample], Fact | None]:
    """Far fewer differences than checks."""
    samples = [s for s in _transport(case) if s.status == Status.BAD]
    differences = {s.delta for s in samples}
    repeated = len(contents(samples)) - len(differences)
    by_chance = len(samples) ** 2 / 2 / 0xFFFF
    if len(samples) < max(ENOUGH, 2 * len(differences)) or repeated < max(REPEATS, 4 * by_chance):
        return [], None
    many = [s for s in samples if bits(s.delta) > FEW_BITS]
    if len(many) * 2 < len(samples) or _is_of_lines(differences):
        return [], None
    opposite = sum(-d % 0xFFFF in differences for d in differences)
    if opposite * 2 >= len(differences) > 1:
        return [], None
    return samples, FewDifferences(len(samples), tuple(sorted(differences)))


def _is_of_lines(differences: Collection[int]) -> bool:
    """Do a few bits, each added or taken away or not, make all of these?"""
    lines = sorted({min(d, 0xFFFF - d) for d in differences if bits(d) == 1})
    if not lines or len(lines) > LINES:
        return False
    made = {sum(sign * line for sign, line in zip(signs, lines, strict=True)) % 0xFFFF for signs in _signs(len(lines))}
    return set(differences) <= made


def _signs(n: int) -> product[tuple[int, ...]]:
    return product((-1, 0, 1), repeat=n)
