"""Rules on headers that were rewritten without their checksum, and on a zero that was updated: what has a witness."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from pktmend.commands.diagnose.case import REPEATS, Case, surely
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.companions import Key, key_of
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.rewritten import (
    KernelUpdatesZero,
    OldHeaderSum,
    RightElsewhere,
    Translates,
    UpdatedZero,
)
from pktmend.commands.diagnose.groups import groups_of, is_mixed
from pktmend.commands.diagnose.remedies import TUNNEL_PORTS, UPDATE_SUM, update_zero
from pktmend.commands.diagnose.samples import FEW_BITS, Sample, bits
from pktmend.enums import Cause, Proto
from pktmend.errors import PktmendError

ZERO_FIXED: Final = (5, 7)
TRANSLATIONS: Final = 3  # of conntrack that are shown


def nat_on_zero(case: Case) -> list[Decision]:
    """A zero that was updated.  A value that repeats over one and the same right sum is another mistake."""
    flows: dict[Key, list[Sample]] = defaultdict(list)
    for s in case.unexplained:
        if s.cause == Cause.NAT_ON_ZERO:
            flows[key_of(s)].append(s)
    other = {
        s
        for key, some in flows.items()
        if len(some) >= REPEATS and len({s.expected for s in some}) == 1 and is_mixed(case, key, some)
        for s in some
    }
    samples = case.take(lambda s: s.cause == Cause.NAT_ON_ZERO and s not in other)
    if not samples:
        return []
    is_plain = all(s.stored == 0xFFFF for s in samples)  # by no net change, or a sum over what is summed already
    has_zero = any(found.get("absent") for found in case.tap.checks.values())  # else a template's sum looks the same
    is_open = is_plain or not (has_zero or all(s.layers > 1 or TUNNEL_PORTS & {*s.ports} for s in samples))
    return [updated_zero(case, samples, Confidence.LIKELY if is_open else surely(samples))]


def updated_zero(case: Case, samples: list[Sample], confidence: Confidence, limits: tuple[Fact, ...] = ()) -> Decision:
    """Return the decision that a zero was updated."""
    counts = case.total(samples)
    facts: list[Fact] = [UpdatedZero(counts)]
    if case.host is not None:
        machine = case.host.machine
        facts.append(KernelUpdatesZero(machine.release, is_fixed=machine.kernel >= ZERO_FIXED))
    return Decision(
        cause=RootCause.NAT_ON_ZERO,
        confidence=confidence,
        facts=tuple(facts),
        samples=tuple(samples),
        counts=counts,
        remedies=update_zero(samples),
        limits=limits,
        bridge=None if limits else case.bridge(RootCause.NAT_ON_ZERO, samples),
    )


def is_outer(s: Sample) -> bool:
    """The UDP sum of a tunnel, which most senders leave 0."""
    return s.proto == Proto.UDP and s.depth == 0 and s.layers > 1


def rewritten(case: Case) -> list[Decision]:
    """What has a witness: an address that changed, a TTL that fell.

    A TTL is one bit: damage looks the same where other headers of the flow are good, or other bits are wrong too.  An
    address that the IPv4 header's own sum does not fit may have been damaged.
    """
    groups = groups_of(case)
    others = len([s for s in case.unexplained if s.cause in (Cause.CORRUPT, Cause.BIT_FLIP) and s.width == 2])
    headers = [s for g in groups if not g.is_mixed for s in g.samples if s.cause == Cause.HEADER_DELTA]
    kinds = {s.delta for s in headers}
    if (others and len(headers) < max(REPEATS, others)) or (len(kinds) > 1 and len(headers) < 2 * len(kinds)):
        headers = []
    case.take_these(headers)
    damaged = {(s.n, s.depth, s.delta) for s in case.unexplained if s.proto == Proto.IP}
    flipped = {s for g in groups if g.is_mixed for s in g.samples if bits(s.delta) <= FEW_BITS}
    addresses = case.take(
        lambda s: s.cause == Cause.NAT_DELTA and s not in flipped and (s.n, s.depth, s.delta) not in damaged
    )
    if not addresses and not headers:
        return []
    facts: list[Fact] = []
    if addresses:
        facts.append(RightElsewhere(len(addresses)))
    if headers:
        facts.append(OldHeaderSum(len(headers)))
    if addresses:
        confidence = surely(addresses)
    else:
        confidence = Confidence.LIKELY if len(headers) >= REPEATS else Confidence.POSSIBLE
    limits = (Limit.STUCK_BIT_LOOKS_ALIKE,) if confidence is Confidence.POSSIBLE else ()
    return [not_updated(case, [*addresses, *headers], facts, confidence, limits)]


def not_updated(
    case: Case, samples: list[Sample], facts: Iterable[Fact], confidence: Confidence, limits: tuple[Fact, ...] = ()
) -> Decision:
    """Return the decision that headers were rewritten without their checksum."""
    is_open = confidence is Confidence.POSSIBLE  # nothing may be signed then: the contents are perhaps damaged
    return Decision(
        cause=RootCause.NAT_WITHOUT_UPDATE,
        confidence=confidence,
        facts=(*facts, *_translations(case, samples)),
        samples=tuple(samples),
        counts=case.total(samples),
        remedies=(case.two_taps(), UPDATE_SUM),
        limits=limits,
        bridge=None if is_open else case.bridge(RootCause.NAT_WITHOUT_UPDATE, samples),
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
