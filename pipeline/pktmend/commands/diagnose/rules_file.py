"""The rule on captures whose addresses were replaced after they were taken: anonymised, prepared for replay.

Such a file is told from translation on the way by what a receiver would not do: acknowledge, answer, go on.

| seen                                                        | translated on the way | replaced in the file |
|-------------------------------------------------------------|-----------------------|----------------------|
| there and back                                              | one, or opposite      | the same difference  |
| segments with a wrong sum are acknowledged                  | no                    | yes                  |
| partial sums (F - S), the addresses' difference being d     | -2d, or -d            | -d                   |
| IPv4 headers off by d too, and the conversation goes on     | no                    | yes                  |
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pktmend.commands.diagnose.case import REPEATS, Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.companions import ends_of
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.rewritten_capture import (
    AcknowledgedWrong,
    BothWays,
    OldAddresses,
    OldSeeds,
    Rewritten,
)
from pktmend.commands.diagnose.groups import Group, alike_in_bits, contents, groups_of, is_chance, open_samples
from pktmend.commands.diagnose.rules_rewritten import is_outer
from pktmend.commands.diagnose.samples import Sample, minus
from pktmend.enums import Cause, Proto

Pair = tuple[str, str]
Shifts = dict[Pair, dict[int, set[int]]]
SHOWN = 3
ALIKE = (Cause.LENGTH, Cause.PSEUDO_HEADER, Cause.COVERAGE)  # mistakes that fit one difference by chance


def rewritten_capture(case: Case) -> list[Decision]:
    """Addresses that were replaced in a file.  What an interface shows was not."""
    if case.tap.is_live:
        return []
    groups = _replaced(case)
    shifts = _shifts(groups)
    both = _both_ways(case, shifts)
    acked = _acknowledged(case, groups)
    accepted: dict[Pair, set[int]] = defaultdict(set)
    for a, b, d in both:
        accepted[a, b].add(d)
        accepted[b, a].add(d)
    for s, d in acked:
        accepted[s.source, s.target].add(d)
    for pair, d in _header_and_seed(groups):
        accepted[pair].add(d)
    if not accepted:
        return []
    for pair, some in shifts.items():  # others of the file, seen in one direction
        accepted[pair] |= {d for d, numbers in some.items() if len(numbers) >= REPEATS}
    others = [s for s in case.unexplained if s.cause == Cause.BAD_SEED or (s.cause in ALIKE and s.width == 2)]
    samples = [s for s in (*open_samples(case), *others) if _is_of(s, accepted)]
    case.take_these(samples)
    seeds = [s for s in samples if s.delta not in accepted[s.source, s.target]]
    facts: list[Fact] = [BothWays(*each) for each in both[:SHOWN]]
    if acked:
        facts.append(AcknowledgedWrong(len(acked)))
    if len(samples) > len(seeds):
        moved = sorted({s.delta for s in samples} & {d for some in accepted.values() for d in some})
        facts.append(OldAddresses(len(samples) - len(seeds), tuple(moved)))
    if seeds:
        facts.append(OldSeeds(len(seeds)))
    is_likely = len({s.n for s in samples}) >= REPEATS and (both or len(acked) >= REPEATS)
    return [
        Decision(
            cause=RootCause.REWRITTEN_CAPTURE,
            confidence=Confidence.LIKELY if is_likely else Confidence.POSSIBLE,
            facts=tuple(facts),
            samples=tuple(samples),
            counts=case.total(samples),
            limits=(Limit.TWO_TRANSLATIONS,),
        )
    ]


def _replaced(case: Case) -> list[Group]:
    """Return the groups that other addresses in a file can have spoilt.

    Not a TTL or ToS, which nobody replaces; nor a tunnel's outer UDP sum, which many a receiver does not look at: that
    what is inside goes on says nothing of it.
    """
    return [
        group
        for group in groups_of(case)
        if not group.is_mixed and not all(s.cause == Cause.HEADER_DELTA or is_outer(s) for s in group.samples)
    ]


def replaced_contents(case: Case) -> list[Decision]:
    """Segments with a payload are wrong, all of them and each in its own way, and were taken all the same."""
    if case.tap.is_live:
        return []
    groups = _replaced(case)
    companions = case.tap.companions
    spoiled = [g for g in groups if g.key[-1] == "data" and len(contents(g.samples)) >= REPEATS]
    acked = max((sum(map(companions.is_acknowledged, group.samples)) for group in spoiled), default=0)
    if acked < REPEATS:
        return []
    samples = [s for group in spoiled for s in group.samples]
    case.take_these(samples)
    return [
        Decision(
            cause=RootCause.REWRITTEN_CAPTURE,
            confidence=Confidence.POSSIBLE,
            facts=(AcknowledgedWrong(acked), Rewritten.CONTENTS),
            samples=tuple(samples),
            counts=case.total(samples),
            limits=(Limit.CARD_MAY_START,),
        )
    ]


def _header_and_seed(groups: Iterable[Group]) -> list[tuple[Pair, int]]:
    """Return where IPv4 headers are off by d and partial sums by -d: neither was updated when the address changed."""
    headers: dict[Pair, set[int]] = defaultdict(set)
    for group in groups:
        if group.key[0] == Proto.IP and group.difference is not None:
            headers[group.ends].add(group.difference)
    return [
        (group.ends, -group.offset % 0xFFFF)
        for group in groups
        if group.offset is not None and group.difference is None and -group.offset % 0xFFFF in headers[group.ends]
    ]


def _shifts(groups: Iterable[Group]) -> Shifts:
    """Return {(source, target): {difference that a change of addresses made: packets}}; seeds show its opposite."""
    shifts: Shifts = defaultdict(lambda: defaultdict(set))
    for group in groups:
        numbers = {s.n for s in group.samples}
        if group.difference is not None:
            shifts[group.ends][group.difference] |= numbers
        elif group.offset is not None:
            shifts[group.ends][-group.offset % 0xFFFF] |= numbers
    return shifts


def _both_ways(case: Case, shifts: Shifts) -> list[tuple[str, str, int]]:
    """Return (one host, the other, difference) where there and back agree more often than chance would have it."""
    found = []
    samples = open_samples(case)
    for (a, b), there in shifts.items():
        back = shifts.get((b, a), {}) if a < b else {}
        for d in there.keys() & back.keys():
            n = len(there[d] | back[d])
            if n >= REPEATS and not is_chance(n, d, max(n, alike_in_bits(samples, d))):
                found.append((a, b, d))
    return found


def _acknowledged(case: Case, groups: Iterable[Group]) -> list[tuple[Sample, int]]:
    """Return (segment, difference) of segments that were taken although all of their flow are off by one difference."""
    found: list[tuple[Sample, int]] = []
    for group in groups:
        d = group.difference
        if d is None and group.offset is not None:
            d = -group.offset % 0xFFFF
        some = [s for s in group.samples if case.tap.companions.is_acknowledged(s)]
        if d is not None and len(some) >= 2 and len({ends_of(s) for s in some}) == 1:
            found += [(s, d) for s in some]
    return found


def _is_of(s: Sample, accepted: dict[Pair, set[int]]) -> bool:
    some = accepted.get((s.source, s.target), set())
    return s.delta in some or (s.seed is not None and minus(s.seed, s.stored) in some)
