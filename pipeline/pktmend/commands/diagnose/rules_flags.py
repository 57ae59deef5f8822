"""Rules on flags that contradict the packet: claimed valid and wrong, flagged as partial and not the seed."""

from __future__ import annotations

from typing import Final

from pktmend.advice.finding import Remedy
from pktmend.commands.diagnose.case import Case, surely
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.flags import (
    CompleteThoughFlagged,
    FlaggedWithoutSeed,
    Flags,
    MarkElsewhere,
    PartialThoughVerified,
    SeedOffset,
    WrongThoughVerified,
)
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.remedies import FIND_WHAT_FLAGS, GRO_OFF, RX_OFF, for_leak, gro_off, rx_off
from pktmend.commands.diagnose.samples import Sample, minus
from pktmend.enums import Cause, CheckFlag, PacketFlag

HONEST_VALID: Final = (6, 2)  # packet sockets before may say "verified" of what only a card had summed (Nov 2022)
VETH_FIXED: Final = (4, 4)
ASKED: Final = 16  # samples whose owners are looked up


def verified(case: Case) -> list[Decision]:
    """The VALID flag with wrong arithmetic.  It speaks of the outermost sum; super-frames have none of their own."""
    samples = case.take(
        lambda s: (
            bool(s.check_flags & CheckFlag.CLAIMED_VALID) and s.depth == 0 and not s.flags & PacketFlag.SUPER_FRAME
        )
    )
    if not samples:
        return []
    counts = case.total(samples)
    facts: list[Fact] = [WrongThoughVerified(counts)]
    confidence = Confidence.LIKELY
    limits: tuple[Fact, ...] = (Limit.WRITERS_CLAIM,)
    if case.host is not None:
        is_honest = case.host.machine.kernel >= HONEST_VALID
        confidence = surely(samples) if is_honest else Confidence.LIKELY
        limits = () if is_honest else (Limit.GENEROUS_CLAIM,)
        if case.host.machine.kernel < VETH_FIXED:
            facts.append(Flags.VETH_BUG)
    partial = sum(s.cause == Cause.LEAKED for s in samples)
    if partial:
        facts.append(PartialThoughVerified(partial))
    return [
        Decision(
            cause=RootCause.VOUCHED_FOR_BAD,
            confidence=confidence,
            facts=tuple(facts),
            samples=tuple(samples),
            counts=counts,
            remedies=_distrust(case, samples),
            limits=limits,
            bridge=case.bridge(RootCause.VOUCHED_FOR_BAD, samples),
        )
    ]


def _distrust(case: Case, samples: list[Sample]) -> tuple[Remedy, ...]:
    """Switch off what verifies: a card's receive checksum, the veth of old, or GRO where frames entered the machine."""
    if all(s.cause == Cause.LEAKED for s in samples):  # whoever checks them drops all: they have to be completed
        return for_leak(case.senders(samples))
    if case.host is None or case.host.tapped is None:
        return (RX_OFF,)
    tapped, machine = case.host.tapped, case.host.machine
    remedies = [rx_off(tapped)] if tapped.device or machine.kernel < VETH_FIXED else []
    owners = [case.owner(s.source, s.source_mac) for s in samples[:ASKED]]
    ports = [port for owner in owners if owner and (port := machine.peer_of(owner)) and port.has("rx-gro")]
    remedies += [gro_off(port) for port in {port.key: port for port in ports}.values()]
    return tuple(remedies) or (GRO_OFF,)


def stray(case: Case) -> list[Decision]:
    """Marked as partial where no checksum field lies: proven by the packet itself."""
    n = case.tap.counters.stray_csum_metadata
    if not n:
        return []
    samples = tuple(case.tap.stray)
    return [
        Decision(
            cause=RootCause.MISPLACED_COMPLETION,
            confidence=Confidence.CERTAIN,
            facts=(MarkElsewhere(n),),
            samples=samples,
            counts={"stray-csum-metadata": n},
            remedies=(FIND_WHAT_FLAGS,),
            bridge=case.bridge(RootCause.MISPLACED_COMPLETION, samples),
        )
    ]


def finished(case: Case) -> list[Decision]:
    """A file flags packets as partial whose sums are all right."""
    samples = tuple(case.tap.finished)
    if not samples:
        return []
    return [
        Decision(
            cause=RootCause.DOUBLE_COMPLETION,
            confidence=Confidence.LIKELY,
            facts=(CompleteThoughFlagged(len(samples)),),
            samples=samples,
            counts={"flagged": len(samples)},
            limits=(Limit.WRITERS_CLAIM,),
            remedies=(FIND_WHAT_FLAGS,),
        )
    ]


def flagged(case: Case) -> list[Decision]:
    """Flagged as partial, and the field is not the seed.  If it is complete already, it will be completed twice."""
    samples = case.take_causes(Cause.BAD_SEED)
    complete = [s for s in samples if s.stored == s.expected]
    others = [s for s in samples if s.stored != s.expected]
    found = []
    if complete:
        counts = {f"{complete[0].proto} bad-seed": len(complete)} if others else case.total(complete)
        found.append(
            Decision(
                cause=RootCause.DOUBLE_COMPLETION,
                confidence=surely(complete),
                facts=(CompleteThoughFlagged(len(complete)),),
                samples=tuple(complete),
                counts=counts,
                remedies=(FIND_WHAT_FLAGS,),  # tx off would have the sender's kernel complete them a second time
            )
        )
    if others:
        found.append(_bad_seed(case, others))
    return found


def _bad_seed(case: Case, samples: list[Sample]) -> Decision:
    counts = case.total(samples)
    facts: list[Fact] = [FlaggedWithoutSeed(counts)]
    offsets = {minus(s.stored, s.seed or 0) for s in samples}
    if all(s.stored == 0 for s in samples):
        facts.append(Flags.SEEDS_ARE_ZERO)
    elif len(samples) > 1 and len(offsets) == 1:
        facts.append(SeedOffset(offsets.pop()))
    elif len(offsets) > 1:
        facts.append(Flags.OFFSETS_VARY)
    return Decision(
        cause=RootCause.BAD_SEED,
        confidence=surely(samples),
        facts=tuple(facts),
        samples=tuple(samples),
        counts=counts,
        remedies=(FIND_WHAT_FLAGS,),
        limits=(Limit.SEED_OVER_CORRUPT,),
        bridge=case.bridge(RootCause.BAD_SEED, samples),
    )
