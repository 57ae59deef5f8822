"""Rules on what no mistake of arithmetic explains: super-frames, and damage.

Random damage is told from a systematic mistake by repetition: a mistake makes the same difference in every packet of a
flow, damage does not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from pktmend.advice.finding import Remedy
from pktmend.commands.diagnose.case import REPEATS, Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.companions import Ends, ends_of
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.evidence import LONGEST
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.wrong import (
    BitErrorRate,
    DamagedLengths,
    FewBits,
    OneConversation,
    SegmentSums,
    Spread,
    SuperFrames,
    Unexplained,
)
from pktmend.commands.diagnose.groups import UNEXPLAINED
from pktmend.commands.diagnose.remedies import link_counters
from pktmend.commands.diagnose.samples import FEW_BITS, Sample, bits
from pktmend.enums import Cause, PacketFlag, Proto

STANDARD: Final = 1526  # bytes of the longest Ethernet frame that is no jumbo frame, with two VLAN tags


def super_frames(case: Case) -> list[Decision]:
    """Frames that a card or the stack coalesced: their checksum is that of a part, or left to do.  Never a fault."""
    total = case.tap.counters.super_frames
    samples = case.take(
        lambda s: s.proto in (Proto.TCP, Proto.UDP) and (bool(s.flags & PacketFlag.SUPER_FRAME) or s.wirelen > LONGEST)
    )
    longest = max((d.largest for d in case.tap.directions), default=0)
    if not total and not samples and longest <= LONGEST:
        return []
    return [
        Decision(
            cause=RootCause.SUPER_FRAMES,
            confidence=Confidence.CERTAIN,
            facts=(SuperFrames(total, longest), *([SegmentSums(len(samples))] if samples else [])),
            samples=tuple(samples),
            counts={"frames": max(total, len(samples), 1)},
        )
    ]


def coalesced(case: Case) -> list[Decision]:
    """Longer than Ethernet carries, all of them and no other of their flows, and acknowledged: a card put them together
    (LRO, RSC) and kept the sum of one part.
    """
    if case.tap.is_live:
        return []
    flows: dict[Ends, list[Sample]] = defaultdict(list)
    for s in case.unexplained:
        if s.proto == Proto.TCP:
            flows[ends_of(s)].append(s)
    samples = [
        s
        for some in flows.values()
        if all(s.cause in UNEXPLAINED and s.wirelen > STANDARD for s in some)
        and len({s.delta for s in some}) > 1
        and sum(map(case.tap.companions.is_acknowledged, some)) >= REPEATS
        for s in some
    ]
    if not samples:
        return []
    case.take_these(samples)
    return [
        Decision(
            cause=RootCause.SUPER_FRAMES,
            confidence=Confidence.LIKELY,
            facts=(SuperFrames(len(samples), max(s.wirelen for s in samples)), SegmentSums(len(samples))),
            samples=tuple(samples),
            counts={"frames": len(samples)},
        )
    ]


def random(case: Case) -> list[Decision]:
    """What is left: a few bits in a few packets, or contents that are simply others."""
    samples = case.take(lambda s: True)
    if not samples:
        return []
    known = [s for s in samples if s.expected is not None and s.width == 2]
    few = [s for s in known if bits(s.delta) <= FEW_BITS]
    is_bits = len(few) * 2 >= len(samples)
    counts = case.total(samples)
    facts: list[Fact] = [Unexplained(case.tap.counters.packets, counts, len(samples))]
    if is_bits:
        facts += _bit_facts(case, samples, few, counts)
    trusting = sum(s.cause == Cause.LENGTH for s in samples)
    if trusting:
        facts.append(DamagedLengths(trusting))
    facts.append(_spread(case, samples))
    return [
        Decision(
            cause=RootCause.BIT_ERRORS if is_bits else RootCause.CORRUPTION,
            confidence=Confidence.LIKELY if len(samples) >= REPEATS else Confidence.POSSIBLE,
            facts=tuple(facts),
            samples=tuple(samples),
            counts=counts,
            remedies=(case.two_taps(), *_link_remedies(case)),
            limits=_limits(samples, is_bits=is_bits),
        )
    ]


def _bit_facts(case: Case, samples: list[Sample], few: list[Sample], counts: Mapping[str, int]) -> list[Fact]:
    flips = sum(bits(s.delta) for s in few) * sum(counts.values()) // len(samples)
    columns = sorted({s.delta if s.delta < 0x8000 else (-s.delta) % 0xFFFF for s in few})
    facts: list[Fact] = [FewBits(len(few), len(samples), tuple(columns))]
    if flips >= REPEATS:
        facts.append(BitErrorRate(case.tap.counters.octets * 8 // flips))
    return facts


def _limits(samples: list[Sample], *, is_bits: bool) -> tuple[Limit, ...]:
    if is_bits and len(samples) >= REPEATS:
        return ()
    is_header = is_bits and all(s.proto == Proto.IP for s in samples)
    return (Limit.HEADER_CHANGE_LOOKS_ALIKE, Limit.SECOND_TAP) if is_header else (Limit.SECOND_TAP,)


def _spread(case: Case, samples: list[Sample]) -> Fact:
    """Are they all of one conversation, one sender, or everywhere?"""
    flows = {s.flow for s in samples}
    if len(flows) == 1:
        return OneConversation(next(iter(flows)), len(case.tap.directions) - 1)
    return Spread(len(flows), frozenset(s.source_mac for s in samples if s.source_mac))


def _link_remedies(case: Case) -> tuple[Remedy, ...]:
    tapped = case.host.tapped if case.host else None
    return (link_counters(tapped),) if tapped is not None and tapped.device else ()
