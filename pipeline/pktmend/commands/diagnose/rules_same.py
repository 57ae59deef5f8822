"""Rules on what repeats: the same difference, or the same distance from S, over differing packets of a flow.

A rewritten header spoils every packet of a kind (an MSS clamp SYNs only), over several flows, protocols and routers
alike.  Where others of the kind are good, something else repeats: a stuck bit, or a card that miscalculates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from pktmend.commands.diagnose.case import REPEATS, Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.companions import key_of
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.rewritten import (
    BothSumsOff,
    OppositeDifferences,
    OthersGood,
    SameDifference,
    TranslatedSeeds,
)
from pktmend.commands.diagnose.groups import (
    SURE_OF_A_BIT,
    Group,
    alike_in_bits,
    contents,
    groups_of,
    is_chance,
    open_samples,
)
from pktmend.commands.diagnose.remedies import before_translation
from pktmend.commands.diagnose.rules_rewritten import is_outer, not_updated, updated_zero
from pktmend.commands.diagnose.samples import FEW_BITS, Sample, bits, minus
from pktmend.enums import Cause, Proto


def unproven(case: Case) -> list[Decision]:
    """What one packet made look like a mistake of its sender, and the others do not bear out: it is unexplained."""
    case.unexplained = [
        replace(s, cause=Cause.CORRUPT) if s.cause in (Cause.PSEUDO_HEADER, Cause.COVERAGE) and s.width == 2 else s
        for s in case.unexplained
    ]
    return []


def same_value(case: Case) -> list[Decision]:
    """One value over contents and lengths that differ: what an update makes of 0, which holds nothing of a packet."""
    flows: dict[tuple[object, ...], list[Sample]] = defaultdict(list)
    for group in groups_of(case):
        if not group.is_mixed:
            flows[group.key[:4]] += [s for s in group.samples if s.seed is not None]
    found: list[Sample] = []
    for some in flows.values():
        values, lengths, differences = ({getattr(s, name) for s in some} for name in ("stored", "length", "delta"))
        if len(values) == 1 and len(lengths) > 1 and len(differences) > 1 and len(contents(some)) >= REPEATS:
            found += some
    if not found:
        return []
    case.take_these(found)
    return [updated_zero(case, found, Confidence.LIKELY)]


def seeds(case: Case) -> list[Decision]:
    """Fields that differ from S by the same, whatever the contents: partial, and of other addresses."""
    found: list[Sample] = []
    among = len(contents(open_samples(case)))
    groups = _by_hosts(group for group in groups_of(case) if not group.is_mixed)
    for group in groups:
        is_seed = group.offset is not None and group.difference is None
        if is_seed and not is_chance(len(contents(group.samples)), 0, among):
            found += group.samples
    if not found:
        return []
    offsets = {minus(s.stored, s.seed or 0) for s in found}
    for group in groups:  # single ones, to another host, that were translated alike
        s = group.samples[0]
        if s not in found and minus(s.stored, s.seed or 0) in offsets:
            found += group.samples
    case.take_these(found)
    counts = case.total(found)
    return [
        Decision(
            cause=RootCause.METADATA_LOST,
            confidence=Confidence.LIKELY if len(contents(found)) >= 2 else Confidence.POSSIBLE,
            facts=(TranslatedSeeds(counts, minus(found[0].stored, found[0].seed or 0)),),
            samples=tuple(found),
            counts=counts,
            remedies=before_translation(case.senders(found)),
            limits=(Limit.REPAIRS_BEFORE_NAT, *_of_file(case)),
            bridge=case.bridge(RootCause.METADATA_LOST, found),
        )
    ]


def _by_hosts(groups: Iterable[Group]) -> list[Group]:
    """Join the flows between two hosts that differ from S alike: ports and lengths are no part of what varies."""
    joined: dict[tuple[Proto, str, str, int], list[Sample]] = defaultdict(list)
    for group in groups:
        offsets = {minus(s.stored, s.seed) for s in group.samples if s.seed is not None}
        if len(offsets) == 1:
            joined[group.key[0], *group.ends, offsets.pop()] += group.samples
    return [
        Group((proto, source, target, (0, 0), ""), tuple(some), is_mixed=False)
        for (proto, source, target, _), some in joined.items()
    ]


def both_sums(case: Case) -> list[Decision]:
    """An IPv4 header and what it carries are off by the same: by what both sums cover, an address or the length.

    Damage of an address does that too, in few packets, whose neighbours are good.
    """
    headers = {(s.n, s.depth, s.source, s.target): s for s in open_samples(case) if s.proto == Proto.IP}
    pairs: dict[int, list[tuple[Sample, Sample]]] = defaultdict(list)
    for s in open_samples(case):
        header = headers.get((s.n, s.depth, s.source, s.target)) if s.seed is not None else None
        if header is not None and header.delta == s.delta and bits(s.delta) > FEW_BITS:
            pairs[s.delta].append((header, s))
    mixed = {group.key for group in groups_of(case) if group.is_mixed}
    taken = []
    for some in pairs.values():
        is_alone = len(some) < REPEATS and case.tap.counters.packets > len(some)
        if not is_alone and not any(key_of(s) in mixed for _, s in some):
            taken += some
    if not taken:
        return []
    samples = [s for pair in taken for s in pair]
    case.take_these(samples)
    fact = BothSumsOff(len(taken), tuple(sorted({s.delta for s in samples})))
    is_likely = len(taken) >= REPEATS
    limit = () if is_likely else (Limit.DAMAGE_LOOKS_ALIKE,)
    limits = (*limit, *_of_file(case))
    found = [not_updated(case, samples, [fact], Confidence.LIKELY if is_likely else Confidence.POSSIBLE, limits)]
    if not case.tap.is_live:  # a router takes no header with a wrong sum; a file keeps it
        found.append(
            replace(
                found[0],
                cause=RootCause.REWRITTEN_CAPTURE,
                confidence=Confidence.POSSIBLE,
                remedies=(),
                limits=(Limit.ONE_DIRECTION,),
                bridge=None,
            )
        )
    return found


def same_difference(case: Case) -> list[Decision]:
    """The same difference in every packet of a kind."""
    clusters: dict[int, list[Group]] = defaultdict(list)
    for group in groups_of(case):
        if group.difference is not None:
            clusters[group.difference].append(group)
        elif group.is_mixed:
            for d in {s.delta for s in group.samples}:
                clusters[d].append(Group(group.key, tuple(s for s in group.samples if s.delta == d), is_mixed=True))
    alone = [s for group in groups_of(case) if len(group.samples) == 1 for s in group.samples]
    taken: list[Sample] = []
    zeros: list[Sample] = []
    confidence = Confidence.LIKELY
    limits: set[Limit] = set()
    for d, groups in clusters.items():
        samples = [s for group in groups for s in group.samples]
        mixed = sum(len(group.samples) for group in groups if group.is_mixed)
        if mixed * 4 >= len(samples):
            if len(samples) >= REPEATS:
                case.reject(RootCause.NAT_WITHOUT_UPDATE, OthersGood(len(samples), d))
            continue
        whole = [s for group in groups if not group.is_mixed for s in group.samples]
        widest = max((len(contents(group.samples)) for group in groups if not group.is_mixed), default=0)
        n = len(contents(whole))
        is_repeated = n < 2 and len(whole) >= REPEATS
        few = bits(d) <= FEW_BITS
        if widest < (REPEATS if few else 2) and len(whole) * 2 < len(alone):
            continue  # of packets that are alone in their flows one pattern of bits makes several differences
        if not is_repeated and (n < (REPEATS if few else 2) or is_chance(n, d, alike_in_bits(open_samples(case), d))):
            continue
        if is_repeated and all(map(is_outer, whole)):
            zeros += whole
            continue
        taken += whole
        if is_repeated:
            limits.add(Limit.SAME_PACKET)
        if bits(d) == 1 and n < SURE_OF_A_BIT:
            limits.add(Limit.STUCK_BIT_LOOKS_ALIKE)
        if limits or n < REPEATS:
            confidence = Confidence.POSSIBLE
    case.take_these(zeros)
    found = [updated_zero(case, zeros, Confidence.POSSIBLE, (Limit.SAME_PACKET,))] if zeros else []
    if not taken:
        return found
    case.take_these(taken)
    facts: list[Fact] = [SameDifference(case.total(taken), tuple(sorted({s.delta for s in taken}))), *_opposite(taken)]
    return [*found, not_updated(case, taken, facts, confidence, (*sorted(limits, key=str), *_of_file(case)))]


def _of_file(case: Case) -> tuple[Limit, ...]:
    return () if case.tap.is_live else (Limit.REWRITTEN_LOOKS_ALIKE,)


def _opposite(samples: Iterable[Sample]) -> list[OppositeDifferences]:
    """Source NAT without update is off by the difference of two addresses, and its answers by the opposite."""
    deltas = {(s.source, s.target): s.delta for s in samples}
    pairs = [key for key, d in deltas.items() if key[0] < key[1] and deltas.get(key[::-1]) == (-d) % 0xFFFF]
    return [OppositeDifferences(*pair) for pair in pairs[:2]]
