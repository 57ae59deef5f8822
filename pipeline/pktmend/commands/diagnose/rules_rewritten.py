"""Rules on headers that were rewritten without their checksum: NAT, a TTL, what is off by the same in every packet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from pktmend.commands.diagnose.case import REPEATS, Case, surely
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.rewritten import (
    BothSumsOff,
    KernelUpdatesZero,
    OldHeaderSum,
    OppositeDifferences,
    RightElsewhere,
    SameDifference,
    TranslatedSeeds,
    Translates,
    UpdatedZero,
)
from pktmend.commands.diagnose.remedies import UPDATE_SUM, for_leak, update_zero
from pktmend.commands.diagnose.samples import FEW_BITS, Sample, bits, minus
from pktmend.enums import Cause, Proto
from pktmend.errors import PktmendError

ZERO_FIXED: Final = (5, 7)
TRANSLATIONS: Final = 3  # of conntrack that are shown


def nat_on_zero(case: Case) -> list[Decision]:
    """A zero that was updated."""
    samples = case.take_causes(Cause.NAT_ON_ZERO)
    if not samples:
        return []
    counts = case.total(samples)
    facts: list[Fact] = [UpdatedZero(counts)]
    if case.host is not None:
        machine = case.host.machine
        facts.append(KernelUpdatesZero(machine.release, is_fixed=machine.kernel >= ZERO_FIXED))
    return [
        Decision(
            cause=RootCause.NAT_ON_ZERO,
            confidence=surely(samples),
            facts=tuple(facts),
            samples=tuple(samples),
            counts=counts,
            remedies=update_zero(samples),
            bridge=case.bridge(RootCause.NAT_ON_ZERO, samples),
        )
    ]


def rewritten(case: Case) -> list[Decision]:
    """What has a witness: an address that changed, a TTL that fell."""
    samples = case.take_causes(Cause.NAT_DELTA, Cause.HEADER_DELTA)
    if not samples:
        return []
    addresses = sum(s.cause == Cause.NAT_DELTA for s in samples)
    headers = len(samples) - addresses
    facts: list[Fact] = []
    if addresses:
        facts.append(RightElsewhere(addresses))
    if headers:
        facts.append(OldHeaderSum(headers))
    return [_not_updated(case, samples, facts, surely(samples) if addresses else Confidence.LIKELY)]


def _not_updated(case: Case, samples: list[Sample], facts: Iterable[Fact], confidence: Confidence) -> Decision:
    return Decision(
        cause=RootCause.NAT_WITHOUT_UPDATE,
        confidence=confidence,
        facts=(*facts, *_translations(case, samples)),
        samples=tuple(samples),
        counts=case.total(samples),
        remedies=(case.two_taps(), UPDATE_SUM),
        bridge=case.bridge(RootCause.NAT_WITHOUT_UPDATE, samples),
    )


def _translations(case: Case, samples: list[Sample]) -> list[Translates]:
    """What the kernel's own NAT knows of these flows: it would have updated them."""
    if case.host is None or case.host.tapped is None:
        return []
    from pktmend.host.conntrack import read_connections  # files start without
    from pktmend.host.namespaces import call

    pairs = {frozenset((s.source, s.target)) for s in samples}
    found: dict[str, Translates] = {}
    for interface in filter(None, (case.host.tapped, case.host.peer)):
        try:
            connections = call(interface.namespace, read_connections)
        except PktmendError:
            continue
        for c in connections:
            ends = (c.original.source, c.original.target), (c.reply.source, c.reply.target)
            if c.is_rewritten and any(frozenset(each) in pairs for each in ends):
                fact = Translates(interface.namespace, c)
                found.setdefault(fact.text, fact)  # ports are not told: several connections read the same
    return list(found.values())[:TRANSLATIONS]


def alike(case: Case) -> list[Decision]:
    """An IPv4 header and what it carries are off by the same: by what both sums cover, an address or the length.

    A difference of one or two bits is left to damage, which does that too.
    """
    headers = {(s.n, s.depth, s.source, s.target): s for s in case.unexplained if s.proto == Proto.IP}
    pairs = [
        (header, s)
        for s in case.unexplained
        if s.seed is not None
        and s.expected is not None
        and (header := headers.get((s.n, s.depth, s.source, s.target)))
        and header.delta == s.delta
        and bits(s.delta) > FEW_BITS
    ]
    if not pairs:
        return []
    samples = [s for pair in pairs for s in pair]
    case.take_these(samples)
    fact = BothSumsOff(len(pairs), tuple(sorted({s.delta for s in samples})))
    return [_not_updated(case, samples, [fact], Confidence.LIKELY)]


def systematic(case: Case) -> list[Decision]:
    """The same difference in every packet of a flow, over differing contents: arithmetic, not damage."""
    flows: dict[tuple[str, str, Proto], list[Sample]] = defaultdict(list)
    for s in case.unexplained:
        if s.expected is not None and s.width == 2:
            flows[s.source, s.target, s.proto].append(s)
    moved: list[Sample] = []
    seeds: list[Sample] = []
    for some in flows.values():
        if len(some) >= REPEATS and len({s.expected for s in some}) >= REPEATS:
            if len({s.delta for s in some}) == 1:
                moved += some
            elif some[0].seed is not None and len({minus(s.stored, s.seed or 0) for s in some}) == 1:
                seeds += some
    found = []
    if seeds:
        case.take_these(seeds)
        found.append(_translated_seeds(case, seeds))
    if moved:
        case.take_these(moved)
        fact = SameDifference(case.total(moved), tuple(sorted({s.delta for s in moved})))
        found.append(_not_updated(case, moved, [fact, *_turned_round(moved)], Confidence.LIKELY))
    return found


def _turned_round(samples: Iterable[Sample]) -> list[OppositeDifferences]:
    """Source NAT without update is off by the difference of two addresses, and its answers by the opposite."""
    deltas = {(s.source, s.target): s.delta for s in samples}
    pairs = [key for key, d in deltas.items() if key[0] < key[1] and deltas.get(key[::-1]) == (-d) % 0xFFFF]
    return [OppositeDifferences(*pair) for pair in pairs[:2]]


def _translated_seeds(case: Case, samples: list[Sample]) -> Decision:
    counts = case.total(samples)
    return Decision(
        cause=RootCause.METADATA_LOST,
        confidence=Confidence.LIKELY,
        facts=(TranslatedSeeds(counts, minus(samples[0].stored, samples[0].seed or 0)),),
        samples=tuple(samples),
        counts=counts,
        remedies=for_leak(case.senders(samples)),
        limits=(Limit.REPAIRS_BEFORE_NAT,),
        bridge=case.bridge(RootCause.METADATA_LOST, samples),
    )
