"""Partial checksums without their metadata: which kind of hop lost it, as far as something shows it.

A leaked field and a complete field that was completed again hold the same value.  What tells them apart is the sender:
one that leaves checksums to its device leaks, one that completes them itself does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pktmend.commands.diagnose.capture_point import infer
from pktmend.commands.diagnose.case import MOST_ENDS, Case
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.conversations import TCP, Direction
from pktmend.commands.diagnose.decision import Confidence, Decision, Fact
from pktmend.commands.diagnose.facts.capture_point import SentAgain
from pktmend.commands.diagnose.facts.limits import Limit
from pktmend.commands.diagnose.facts.partial import (
    AckedAllTheSame,
    HopKind,
    LossyHop,
    MacSources,
    Partial,
    SenderLeaves,
    TunnelPackets,
)
from pktmend.commands.diagnose.remedies import End, for_leak
from pktmend.commands.diagnose.samples import Sample

if TYPE_CHECKING:
    from pktmend.host.model import Interface


@dataclass(frozen=True)
class Route:
    """What this machine knows of the path between two hosts and the tap."""

    ends: list[End]
    hops: list[LossyHop]

    @property
    def senders(self) -> list[Interface]:
        """Interfaces of this machine that the packets come from."""
        return [end.interface for end in self.ends if end.leaks and end.interface is not None]

    @property
    def blind_tap(self) -> Interface | None:
        """A sender that cannot tell its program what is partial."""
        return next((sender for sender in self.senders if sender.is_blind_tap), None)

    @property
    def passes_xdp(self) -> bool:
        """The surest hop is an XDP program or an AF_XDP socket."""
        return bool(self.hops) and self.hops[0].kind in (HopKind.PROGRAM, HopKind.XDP)


def route_of(case: Case, flows: Iterable[tuple[str, str, str]]) -> Route:
    """Return the ends of these (source, target, MAC source), those that leak first, and the hops between them."""
    flows = list(flows)
    sources = {source: mac for source, _, mac in flows if source}
    targets = dict.fromkeys(target for _, target, _ in flows if target and target not in sources)
    ends = [End(source, case.owner(source, mac)) for source, mac in list(sources.items())[:MOST_ENDS]]
    answering = [End(target, case.owner(target), leaks=False) for target in targets]
    ends += [end for end in answering if end.interface is not None][:MOST_ENDS]
    return Route(ends, case.host.hops(_interfaces(ends)) if case.host else [])


def _route(case: Case, samples: Sequence[Sample], before: Sequence[Sample], *, was_pending: bool) -> Route:
    """Where the packets come from that hold these checks: of a tunnel, from who sent what is inside.

    What it is wrapped into is sent by others; their settings may not reach what is inside.  The program behind a TUN or
    TAP is named where these come from it, and the tap before it, if there is one, saw them marked.
    """
    written: list[LossyHop] = []
    if case.host is not None and not any(s.is_outgoing for s in samples):
        written = case.host.writer(case.host.behind if was_pending else case.host.tapped)
    inner = route_of(case, [(s.source, s.target, "" if s.depth else s.source_mac) for s in before or samples])
    return Route(inner.ends, [*inner.hops, *written])


def _interfaces(ends: Iterable[End]) -> list[Interface]:
    return [end.interface for end in ends if end.interface is not None]


def decide_lost(
    case: Case,
    samples: Sequence[Sample],
    *,
    counts: Mapping[str, int],
    seen: Iterable[Fact],
    confidence: Confidence,
    was_pending: bool = False,
    before: Sequence[Sample] = (),
) -> Decision:
    """Name the kind of hop.

    seen: what showed that they leaked.     was_pending: a tap before the hop saw them partial.
    before: the same packets at that tap, as their sender sent them; a NAT gives them other addresses.
    """
    is_tunnel = all(s.layers > 1 for s in samples) and any(s.depth for s in samples)
    route = _route(case, samples, before, was_pending=was_pending)
    senders = route.senders
    facts = (*seen, *_travel(case), *(SenderLeaves(i) for i in senders if i.leaves_checksums), *case.rising())
    if was_pending:
        case.reject(RootCause.DOUBLE_COMPLETION, Partial.PENDING_BEFORE)
    if senders and not was_pending and all(i.features and not i.leaves_checksums for i in senders):
        return _completed_twice(case, samples, counts, facts)
    limits: tuple[Fact, ...] = (Limit.COMPLETED_TWICE,)
    if any(i.leaves_checksums for i in senders):
        limits = ()
    elif confidence is Confidence.CERTAIN:
        confidence = Confidence.LIKELY
    hops, ends = route.hops, route.ends
    cause = RootCause.METADATA_LOST
    blind = route.blind_tap or _blind_before(case, before)
    if blind is not None and case.host is not None:
        cause = RootCause.TAP_WITHOUT_VNET_HEADER
        others = (hop for hop in hops if hop.kind not in (HopKind.TAP, HopKind.WRITER))
        hops = [case.host.blind_tap(blind), *others]
        ends = ends if blind is route.blind_tap else [End(blind.name, blind)]
    elif is_tunnel:
        is_wrapped = bool(before) and all(s.layers == 1 for s in before)
        is_inner = all(s.depth > 0 for s in samples)  # who wraps in user space leaves no outer sum partial
        by_hop = is_wrapped or (is_inner and _enters_hop(case, senders, hops))  # it wraps them, and loses the mark
        cause = RootCause.METADATA_LOST if by_hop else RootCause.TUNNEL_INNER_UNFINISHED
        inside = sum(s.depth > 0 for s in samples)
        facts = (*facts, TunnelPackets(*samples[0].outer, inside, len(samples)))
    elif route.passes_xdp:
        cause = RootCause.XDP_HOP
        if not hops[0].is_sure:
            confidence, limits = Confidence.LIKELY, (Limit.XDP_MAY_PASS,)
    return Decision(
        cause=cause,
        confidence=confidence,
        facts=(*facts, *hops, *(case.host.set_up(_interfaces(route.ends)) if case.host else ())),
        samples=tuple(samples),
        counts=counts,
        remedies=for_leak(ends, hops, in_tunnel=is_tunnel),
        limits=limits,
        bridge=case.bridges(cause, samples, senders),
    )


def _blind_before(case: Case, before: Sequence[Sample]) -> Interface | None:
    """The first of two taps, if it is a TAP that hands these to its program without their mark."""
    tapped = case.host.tapped if case.host is not None and case.host.behind is not None else None
    is_blind = tapped is not None and tapped.is_blind_tap
    return tapped if is_blind and before and all(s.is_outgoing for s in before) else None


def _enters_hop(case: Case, senders: Iterable[Interface], hops: Iterable[LossyHop]) -> bool:
    """Is one of the hops what these senders send to, before anything has wrapped it?"""
    if case.host is None:
        return False
    ports = {i.key for hop in hops if hop.kind is HopKind.PACKET for i in hop.interfaces}
    return any(peer.key in ports for i in senders if (peer := case.host.machine.peer_of(i)))


def _completed_twice(
    case: Case, samples: Sequence[Sample], counts: Mapping[str, int], facts: tuple[Fact, ...]
) -> Decision:
    return Decision(
        cause=RootCause.DOUBLE_COMPLETION,
        confidence=Confidence.LIKELY,
        facts=(*facts, Partial.SENDERS_COMPLETE),
        samples=tuple(samples),
        counts=counts,
        limits=(Limit.TAP_BEFORE_TOO,),
        bridge=case.bridge(RootCause.DOUBLE_COMPLETION, samples),
    )


def _travel(case: Case) -> list[Fact]:
    """Where they come from: MAC addresses and direction; and what became of them."""
    facts: list[Fact] = []
    leaking = [d for d in case.tap.directions if d.kinds["leaked"]]
    macs = tuple(sorted({d.source_mac for d in leaking if d.source_mac}))
    if macs:
        facts.append(MacSources(macs, is_outgoing=any(d.outgoing for d in leaking)))
    acked = sum(d.acked for d in leaking if d.protocol == TCP)
    if acked:
        facts.append(AckedAllTheSame(acked))
    elif any(d.is_dead for d in leaking):
        point = infer(with_context(case, leaking), has_metadata=False)
        facts += [fact for fact in point.facts if isinstance(fact, SentAgain)]
    return facts


def with_context(case: Case, directions: Iterable[Direction]) -> list[Direction]:
    """Return the conversations of these hosts, with what else passes between them."""
    hosts = {host for d in directions for host in (d.source, d.target)}
    return [d for d in case.tap.directions if d.source in hosts or d.target in hosts]
