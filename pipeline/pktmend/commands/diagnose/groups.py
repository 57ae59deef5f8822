"""Groups: what the bad checks of a flow and kind have in common, and whether others of that kind are good.

Rules of this file:
1. Two packets with the same contents are one observation, from one sender: they say nothing of what varies with them.
2. What repeats is held against what would repeat by chance among all that is unexplained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import comb
from typing import Final

from pktmend.commands.diagnose.case import REPEATS, Case
from pktmend.commands.diagnose.companions import Key, key_of, lie_between
from pktmend.commands.diagnose.samples import FEW_BITS, Sample, bits, minus
from pktmend.enums import Cause, Proto

UNEXPLAINED: Final = (  # what no rule took
    Cause.BIT_FLIP,
    Cause.CORRUPT,
    Cause.HEADER_DELTA,
    Cause.NAT_DELTA,
    Cause.PSEUDO_HEADER,
    Cause.COVERAGE,
)
CHANCE: Final = 1e-3  # a repetition that random damage makes no more often is none
SURE_OF_A_BIT: Final = 6  # packets by which a stuck bit is unlikely: it spoils half of what it meets
VALUES: Final = {1: 32, 2: 900}  # differences of so many bits; of others there are 65,535


@dataclass(frozen=True)
class Group:
    """Bad checks of one flow and kind; is_mixed: others of that kind, between them or as many, are good."""

    key: Key
    samples: tuple[Sample, ...]
    is_mixed: bool

    @property
    def ends(self) -> tuple[str, str]:
        """Source and target address."""
        return self.key[1], self.key[2]

    @property
    def difference(self) -> int | None:
        """What all are off by; None if it varies."""
        found = {s.delta for s in self.samples}
        return found.pop() if len(found) == 1 else None

    @property
    def offset(self) -> int | None:
        """By what all differ from S, over different contents; None if that varies."""
        found = {None if s.seed is None else minus(s.stored, s.seed) for s in self.samples}
        return found.pop() if len(found) == 1 and len(contents(self.samples)) > 1 else None


def contents(samples: Iterable[Sample]) -> set[tuple[str, int | None, int]]:
    """Return one entry for each observation: of two sums of a packet that are off by the same, one."""
    once = {(s.n, s.delta): s for s in samples}
    return {(s.source, s.expected, s.length) for s in once.values()}


def segments(samples: Iterable[Sample]) -> set[tuple[object, ...]]:
    """Return one entry for each TCP segment, whatever its options, and for each observation of the others."""
    return {
        (s.source, s.ports, s.frame[s.start + 4 : s.start + 8]) if s.proto == Proto.TCP else (s.source, s.expected)
        for s in samples
    }


def open_samples(case: Case) -> list[Sample]:
    """What no arithmetic explains, of 16-bit sums."""
    return [s for s in case.unexplained if s.cause in UNEXPLAINED and s.expected is not None and s.width == 2]


def groups_of(case: Case) -> list[Group]:
    """Return the groups of all that is unexplained."""
    found: dict[Key, list[Sample]] = defaultdict(list)
    for s in open_samples(case):
        found[key_of(s)].append(s)
    return [Group(key, tuple(some), is_mixed(case, key, some)) for key, some in found.items()]


def is_mixed(case: Case, key: Key, samples: list[Sample]) -> bool:
    """Are others of the flow and kind good?  A header that is rewritten from some packet on leaves those before.

    So does a bit that only some contents lose, and a segment sent again and again loses it each time.
    """
    companions = case.tap.companions
    good = companions.good_of(key)
    if len(contents(samples)) < REPEATS and not good:
        good = companions.good_between(key)
    first, last = samples[0].n, samples[-1].n
    is_few = all(bits(s.delta) <= FEW_BITS for s in samples)
    if lie_between(good, first, last) or (good and is_few and len(segments(samples)) < SURE_OF_A_BIT):
        return True
    if not good and companions.is_exhausted and key[0] != Proto.IP and key[-1] != "syn":
        return any(
            d.kinds["good"] > 0
            for d in case.tap.directions
            if (d.source, d.target, (d.source_port, d.target_port)) == key[1:4]
        )
    return bool(good) and (len(contents(samples)) < REPEATS or (good[0] < first and good[-1] > last))


def is_chance(observed: int, difference: int, among: int) -> bool:
    """Would random damage in *among* checks make *observed* of them repeat a difference of that kind?"""
    values = VALUES.get(bits(difference), 0xFFFF)
    return observed < 2 or comb(max(among, observed), observed) / values ** (observed - 1) > CHANCE


def alike_in_bits(samples: Iterable[Sample], difference: int) -> int:
    """How many observations are off by a difference of so few bits; or by one of many."""
    few = bits(difference) <= FEW_BITS
    wanted = bits(difference)
    some = [s for s in samples if (bits(s.delta) == wanted if few else bits(s.delta) > FEW_BITS)]
    return len(contents(some))
