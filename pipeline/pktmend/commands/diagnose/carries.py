"""Sums that lack carries, by differences alone; and what the rules on arithmetic share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import comb
from typing import Final

from pktmend.commands.diagnose.case import REPEATS, SURE, Case
from pktmend.commands.diagnose.decision import Confidence, Fact
from pktmend.commands.diagnose.facts.arithmetic import LostCarry, SmallDifferences
from pktmend.commands.diagnose.samples import Sample
from pktmend.enums import Proto

SMALL: Final = 64  # carries that a sum may lack
RARE: Final = 4  # at most one packet in so many loses a carry
SCARCE: Final = 5  # the same where there are two, which a bit that flips may have spoilt as well
CHANCE: Final = 1 << 16
SYN: Final = 0x02


@dataclass(frozen=True)
class Found:
    """A mistake, the samples that it explains, and how sure that is."""

    samples: list[Sample]
    fact: Fact
    is_length: bool
    confidence: Confidence


def is_syn(s: Sample) -> bool:
    """A SYN is made by other code than what follows."""
    return s.proto == Proto.TCP and len(s.frame) > s.start + 13 and bool(s.frame[s.start + 13] & SYN)


def good_beside(case: Case, samples: Iterable[Sample]) -> int:
    """How many packets of the same flows are right."""
    flows = {(s.source, s.target, s.ports) for s in samples}
    return sum(
        d.kinds["good"] for d in case.tap.directions if (d.source, d.target, (d.source_port, d.target_port)) in flows
    )


def lost_carries(case: Case, left: list[Sample]) -> Found | None:
    """Sums that lack carries: one in few packets, or several in all of them."""
    good = good_beside(case, left)
    if len(left) < REPEATS:
        is_one = all(s.delta == 1 for s in left) and good >= SCARCE * len(left)
        return (
            Found(left, LostCarry(len(left), good + len(left), 1, False), False, Confidence.POSSIBLE)
            if is_one
            else None
        )
    for is_swapped in (False, True):
        off = {s: _carry(s, is_swapped=is_swapped) for s in left}
        is_header = left[0].proto == Proto.IP and is_swapped  # 0100 there is a TTL that fell
        if is_header or not all(1 <= abs(d) <= SMALL and d * off[left[0]] > 0 for d in off.values()):
            continue
        some = set(off.values())
        if some <= {1, -1} and len({s.frame[s.start :] for s in left}) >= REPEATS:
            is_split = _is_split(case, left, is_swapped=is_swapped)
            if is_split or good >= (RARE - 1) * len(left):
                confidence = Confidence.CERTAIN if is_split else Confidence.LIKELY
                fact = LostCarry(len(left), good + len(left), left[0].delta, is_split)
                return Found(left, fact, False, confidence)
        senders = {(s.source, s.proto, s.version) for s in left}
        others = sum((s.source, s.proto, s.version) in senders for s in case.tap.good)  # each datagram may be a flow
        is_all = max(good, others) * RARE <= len(left) and not all(map(is_syn, left)) and left[0].proto != Proto.IP
        if len(some) >= SURE and is_all:
            fewest, most = sorted((min(map(abs, some)), max(map(abs, some))))
            return Found(left, SmallDifferences(len(left), fewest, most, is_swapped), False, Confidence.LIKELY)
    return None


def _is_split(case: Case, bad: list[Sample], *, is_swapped: bool) -> bool:
    """Do the sums of bad and good packets of these flows lie on both sides of a value, and not by chance?

    A carry is lost where adding something to a sum overflows, so what is left is less than what was added.
    """
    flows = {(s.source, s.target, s.ports, s.proto) for s in bad}
    good = [s for s in case.tap.good if (s.source, s.target, s.ports, s.proto) in flows and s.width == 2]
    lost, kept = ([_turn(~s.stored & 0xFFFF, is_swapped=is_swapped) for s in some] for some in (bad, good))
    if not kept or comb(len(lost) + len(kept), len(lost)) < CHANCE:
        return False
    return max(lost) < min(kept) or min(lost) > max(kept)


def _turn(value: int, *, is_swapped: bool) -> int:
    return value >> 8 | (value & 0xFF) << 8 if is_swapped else value


def _carry(s: Sample, *, is_swapped: bool) -> int:
    """Stored less expected, as a signed number of carries; in a little-endian machine's sum a carry is 0100."""
    d = _turn(s.delta, is_swapped=is_swapped)
    return d if d < 0x8000 else d - 0xFFFF
