"""Rules on partial checksums: leaked ones, and pending ones, of which most are healthy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pktmend.commands.diagnose.capture_point import CapturePoint, Outcome, infer
from pktmend.commands.diagnose.case import Case, surely
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.conversations import PROTOCOLS, Direction
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.arithmetic import large_send
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.partial import (
    BlindTapSends,
    LossyHop,
    Partial,
    SeedInField,
    SeedWithoutMetadata,
)
from pktmend.commands.diagnose.loss import Route, decide_lost, route_of, with_context
from pktmend.commands.diagnose.remedies import End, for_leak
from pktmend.commands.diagnose.samples import Sample
from pktmend.enums import Cause, Reason

if TYPE_CHECKING:
    from pktmend.host.model import Interface

PENDING_KINDS = ("pending_flagged", "pending_unknown", "never_filled")
Counts = Mapping[str, int]


def leaked(case: Case) -> list[Decision]:
    """F == S although the source would have told: some hop lost the metadata."""
    matched = case.take_causes(Cause.LEAKED, Cause.INNER_PENDING)
    samples = [s for s in matched if s.cause == Cause.LEAKED]
    if not samples:
        return []
    counts = case.total(samples)
    case.reject(RootCause.OFFLOAD_PENDING, SeedWithoutMetadata(counts))
    confidence = surely(samples) if case.tap.is_live else Confidence.LIKELY
    seen: list[Fact] = [SeedWithoutMetadata(counts), *large_send(samples)]
    return [decide_lost(case, samples, counts=counts, seen=seen, confidence=confidence)]


def pending(case: Case) -> list[Decision]:
    """Partial, and either known to be or perhaps so: where the tap is and what happened next decides."""
    if case.tap.total("pending") <= case.tap.stray_pending:
        return []  # none, or such as are marked at a wrong place
    directions = [d for d in case.tap.directions if any(d.kinds[kind] for kind in PENDING_KINDS)]
    claimed = [d for d in directions if (d.source, d.target, d.source_port, d.target_port) in case.claimed]
    directions = [d for d in directions if d not in claimed]
    counts = _counts(case, claimed)
    if not counts:
        return []
    has_metadata = (
        any(d.kinds["pending_flagged"] for d in directions)
        and not any(d.kinds["pending_unknown"] for d in directions)
        and not any(s.reason == Reason.NO_METADATA for s in case.pending)
    )
    tapped = case.host.tapped if case.host else None
    if case.host and tapped is not None and tapped.is_blind_tap and any(d.outgoing for d in directions):
        return [_blind(case, tapped, case.host.blind_tap(tapped), counts)]
    point = infer(with_context(case, directions), has_metadata=has_metadata)
    if not point.paths:
        return [_healthy(case, point, counts, has_metadata=has_metadata)]
    route = route_of(case, [(path.source, path.target, path.source_mac) for path in point.paths])
    if case.tap.is_live and has_metadata and (not route.hops or point.outcome is not Outcome.LOST):
        # The loss lies further on, if there is one: it is taken only if a hop that loses the metadata is there.
        facts = (Partial.HEALTHY_AT_THIS_TAP, *point.facts, Partial.PERHAPS_FURTHER_ON)
        point = replace(point, confidence=Confidence.LIKELY, facts=facts)
        return [_healthy(case, point, counts, has_metadata=has_metadata)]
    return [_unanswered(case, point, route, counts)]


def _counts(case: Case, claimed: Iterable[Direction]) -> Counts:
    """{"tcp pending": 41}: of those that no other rule has explained."""
    explained = Counter[str]()
    for d in claimed:
        explained[PROTOCOLS.get(d.protocol, "").lower()] += sum(d.kinds[kind] for kind in PENDING_KINDS[:2])
    left = {proto: found.get("pending", 0) - explained[proto] for proto, found in case.tap.checks.items()}
    return {f"{proto} pending": n for proto, n in left.items() if n > 0}


def _healthy(case: Case, point: CapturePoint, counts: Counts, *, has_metadata: bool) -> Decision:
    if point.outcome is Outcome.COMPLETED:
        case.reject(RootCause.METADATA_LOST, point.facts[0])
    is_open = not has_metadata and point.outcome in (Outcome.OPEN, Outcome.SILENT)
    return Decision(
        cause=RootCause.OFFLOAD_PENDING,
        confidence=point.confidence,
        facts=(SeedInField(counts, is_as_sent=True), *large_send(case.pending), *point.facts),
        samples=tuple(case.pending),
        counts=counts,
        limits=(Limit.POINT_UNKNOWN,) if is_open else (),
    )


def _unanswered(case: Case, point: CapturePoint, route: Route, counts: Counts) -> Decision:
    """Sent again in vain."""
    case.reject(RootCause.OFFLOAD_PENDING, point.facts[0])
    lost = {(path.source, path.target) for path in point.paths}
    samples = [s for s in case.pending if (s.source, s.target) in lost]
    cause = _cause_of(route, samples)
    return Decision(
        cause=cause,
        confidence=point.confidence,
        facts=(SeedInField(counts, is_as_sent=False), *large_send(samples), *point.facts, *route.hops, *case.rising()),
        samples=tuple(samples),
        counts=counts,
        remedies=for_leak(route.ends, route.hops),
        limits=(Limit.FIREWALL_LOOKS_ALIKE,),
        bridge=case.bridges(cause, samples, route.senders, is_behind=False),
    )


def _cause_of(route: Route, samples: list[Sample]) -> RootCause:
    if route.blind_tap is not None:
        return RootCause.TAP_WITHOUT_VNET_HEADER
    if samples and all(s.depth for s in samples):
        return RootCause.TUNNEL_INNER_UNFINISHED
    return RootCause.XDP_HOP if route.passes_xdp else RootCause.METADATA_LOST


def _blind(case: Case, tap: Interface, hop: LossyHop, counts: Counts) -> Decision:
    """The kernel knows what the program behind the TAP will never learn."""
    samples = tuple(case.pending)
    return Decision(
        cause=RootCause.TAP_WITHOUT_VNET_HEADER,
        confidence=Confidence.CERTAIN,
        facts=(BlindTapSends(counts), hop, *case.rising()),
        samples=samples,
        counts=counts,
        remedies=for_leak([End(tap.name, tap)], [hop]),
        limits=(Limit.PROGRAM_MAY_COMPUTE,),
        bridge=case.bridge(RootCause.TAP_WITHOUT_VNET_HEADER, samples, is_behind=False),
    )
