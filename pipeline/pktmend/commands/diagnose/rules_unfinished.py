"""Rules on unfinished checksums: leaked ones, and pending ones, of which most are healthy.

A leaked field and a finished field that was finished again hold the same value.  What tells them apart is the sender:
one that leaves checksums to its device leaks, one that finishes them itself does not.
"""

from __future__ import annotations

from pktmend.commands.diagnose.capture_point import CapturePoint, Path, infer
from pktmend.commands.diagnose.case import Case, counted, surely
from pktmend.commands.diagnose.conversations import TCP, Direction
from pktmend.commands.diagnose.finding import Finding, times
from pktmend.commands.diagnose.host_context import Hop, is_blind_tap, named
from pktmend.commands.diagnose.remedies import for_leak
from pktmend.commands.diagnose.samples import Sample
from pktmend.enums import Cause, Reason
from pktmend.host.model import Interface

FLOWS = 4  # pairs of hosts for which remedies are given
Ends = list[tuple[str, Interface | None, bool]]


def leaked(case: Case) -> list[Finding]:
    """F == S although the source would have told: some hop lost the note."""
    mine = case.claim_causes(Cause.LEAKED, Cause.INNER_PENDING)
    own = [s for s in mine if s.cause == Cause.LEAKED]
    if not own:
        return []
    counts = case.total(own)
    evidence = [
        f"the field holds the bare pseudo-header sum (F = S) in {counted(counts, 'checksum')}, and no note "
        "says that they are unfinished; by chance one corrupt packet in 65,536 looks like that"
    ]
    return [lost(case, own, counts, evidence, surely(own) if case.tap.is_live else "likely")]


def lost(
    case: Case,
    samples: list[Sample],
    counts: dict[str, int],
    evidence: list[str],
    confidence: str,
    *,
    was_pending: bool = False,
) -> Finding:
    """Name the kind of hop, as far as something shows it.

    was_pending: a tap before the hop saw them unfinished.
    """
    is_tunnel = all(s.layers > 1 for s in samples)
    ends = _ends(case, [(*(s.outer if is_tunnel else (s.source, s.target)), s.source_mac) for s in samples])
    hops = case.around.hops([end for _, end, _ in ends if end]) if case.around else []
    senders = [end for _, end, leaks in ends if leaks and end is not None]
    evidence = [*evidence, *_travel_lines(case), *_sender_lines(senders), *case.rising()]
    name = "metadata-lost"
    limits = (
        "a finished checksum that a hop finishes again leaves the same value; a second tap before the hop (-I) "
        "would tell"
    )
    if senders and not was_pending and all(end.features and not end.leaves_checksums for end in senders):
        name, confidence = "double-completion", "likely"
        evidence.append(
            "the senders finish checksums themselves (tx offload is off), so that they were right when they left"
        )
        return Finding(
            name,
            confidence,
            evidence,
            samples,
            counts,
            limits="tap before the hop too (-I) to be certain",
            bridge=case.bridge(name, samples),
        )
    if any(end.leaves_checksums for end in senders):
        limits = ""
    elif confidence == "certain":
        confidence = "likely"
    blind = next((end for end in senders if is_blind_tap(end)), None)
    if blind is not None:
        name = "tap-without-vnet-header"
        hops = [Hop("tap", "", 0, (blind,)), *[hop for hop in hops if hop.kind != "tap"]]
    elif is_tunnel:
        name = "tunnel-inner-unfinished"
        inner = sum(s.depth > 0 for s in samples)
        evidence.append(
            f"all are packets of a tunnel, {samples[0].outer[0]} > {samples[0].outer[1]}; {inner} of "
            f"{len(samples)} lie inside it, where an outer checksum is right only once the inner one is"
        )
    elif hops and hops[0].kind in ("program", "xdp"):
        name = "xdp-hop"
        if not hops[0].is_sure:
            confidence, limits = "likely", "an XDP program may also let frames pass: its maps do not tell what it does"
    evidence += [hop.text for hop in hops]
    evidence += case.around.set_up(end for _, end, _ in ends if end) if case.around else []
    return Finding(
        name, confidence, evidence, samples, counts, for_leak(ends, hops), limits, case.bridges(name, samples, senders)
    )


def _ends(case: Case, flows: list[tuple[str, str, str]]) -> Ends:
    """Return the hosts of these flows, those that leak first."""
    sources = {source: mac for source, _, mac in flows if source}
    targets = [target for _, target, _ in flows if target and target not in sources]
    ends: Ends = [(source, case.owner(source, mac), True) for source, mac in list(sources.items())[:FLOWS]]
    answering = [(target, case.owner(target), False) for target in dict.fromkeys(targets)]
    return ends + [end for end in answering if end[1] is not None][:FLOWS]


def _sender_lines(senders: list[Interface]) -> list[str]:
    return [
        f"their sender is {named(end)}, which leaves checksums to its device (tx offload on)"
        for end in senders
        if end.leaves_checksums
    ]


def _travel_lines(case: Case) -> list[str]:
    """Where they come from: MAC addresses and direction; and what became of them."""
    lines = []
    mine = [way for way in case.tap.ways if way.kinds["leaked"]]
    out = sum(way.outgoing for way in mine)
    macs = sorted({way.source_mac for way in mine if way.source_mac})
    if macs:
        lines.append(
            f"their MAC source is {', '.join(macs[:3])}{' and others' if len(macs) > 3 else ''}"
            f"{'; they leave through the tapped interface' if out else ''}"
        )
    accepted = sum(way.accepted for way in mine if way.protocol == TCP)
    if accepted:
        lines.append(
            f"they were acknowledged {times(accepted)} all the same: somebody finishes them further on, or "
            "the receiver does not check"
        )
    elif any(way.is_dead for way in mine):
        lines += infer(_context(case, mine), is_noted=False).evidence
    return lines


# --- pending ------------------------------------------------------------------------------------------------------


def pending(case: Case) -> list[Finding]:
    """Unfinished, and either known to be or perhaps so: where the tap is and what happened next decides."""
    total = case.tap.total("pending")
    if not total:
        return []
    mine = [way for way in case.tap.ways if any(way.kinds[kind] for kind in ("noted", "bare", "blank"))]
    bare = (
        not any(way.kinds["noted"] for way in mine)
        or any(way.kinds["bare"] for way in mine)
        or any(s.reason == Reason.NO_METADATA for s in case.tap.pending)
    )
    place = infer(_context(case, mine), is_noted=not bare)
    samples = case.tap.pending
    counts = {f"{proto} pending": found["pending"] for proto, found in case.tap.checks.items() if "pending" in found}
    blind = case.around.tapped if case.around and case.around.tapped and is_blind_tap(case.around.tapped) else None
    if blind is not None and any(way.outgoing for way in mine):
        return [_blind(case, blind, samples, counts)]
    if place.lost:
        finding = _unanswered(case, place, counts, is_live_note=case.tap.is_live and not bare)
        if finding is not None:
            return [finding]
    return [_healthy(place, samples, counts, bare)]


def _context(case: Case, mine: list[Direction]) -> list[Direction]:
    """The conversations of these hosts, with what else passes between them."""
    hosts = {way.source for way in mine} | {way.target for way in mine}
    return [way for way in case.tap.ways if way.source in hosts or way.target in hosts]


def _healthy(place: CapturePoint, samples: list[Sample], counts: dict[str, int], bare: bool) -> Finding:
    evidence = [
        f"the field holds the pseudo-header sum (F = S) in {counted(counts, 'checksum')}, as their senders left it"
    ]
    evidence += place.evidence
    limits = ""
    if bare and place.verdict in ("open", "silent"):
        limits = (
            "the capture holds no note of the kernel and nothing that shows where it was taken: at the sender "
            "this is healthy; if it was taken beyond, say so with --at wire"
        )
    return Finding("offload-pending", place.confidence, evidence, samples, counts, limits=limits)


def _unanswered(case: Case, place: CapturePoint, counts: dict[str, int], *, is_live_note: bool) -> Finding | None:
    """Sent again in vain.  Live the loss lies further on, and is claimed only if a hop that loses the note is there."""
    ends = _ends(case, [(path.source, path.target, _mac_of(path)) for path in place.lost])
    hops = case.around.hops([end for _, end, _ in ends if end]) if case.around else []
    if is_live_note and (not hops or place.verdict != "lost"):
        place.evidence.insert(0, "the kernel's note that they are unfinished is there: at this tap they are healthy")
        place.evidence.append(
            "a firewall or a closed port explains that, or a hop further on that loses the note: tap "
            "behind the next hop to know"
        )
        place.confidence = "likely"
        return None
    lost = {(path.source, path.target) for path in place.lost}
    samples = [s for s in case.tap.pending if (s.source, s.target) in lost]
    blind = next((end for _, end, leaks in ends if leaks and end is not None and is_blind_tap(end)), None)
    name = (
        "tap-without-vnet-header"
        if blind
        else "tunnel-inner-unfinished"
        if samples and all(s.depth for s in samples)
        else "xdp-hop"
        if hops and hops[0].kind in ("program", "xdp")
        else "metadata-lost"
    )
    evidence = [
        f"the field holds the pseudo-header sum (F = S) in {counted(counts, 'checksum')}",
        *place.evidence,
        *(hop.text for hop in hops),
        *case.rising(),
    ]
    limits = (
        "a firewall that drops these connections looks the same in a capture of the sender's side: capture at "
        "the receiver, where a leaked checksum still holds S"
    )
    senders = [end for _, end, leaks in ends if leaks and end is not None]
    return Finding(
        name,
        place.confidence,
        evidence,
        samples,
        counts,
        for_leak(ends, hops),
        limits,
        case.bridges(name, samples, senders, is_behind=False),
    )


def _mac_of(path: Path) -> str:
    return path.dead[0].source_mac if path.dead else ""


def _blind(case: Case, tap: Interface, samples: list[Sample], counts: dict[str, int]) -> Finding:
    """The kernel notes what the program behind the TAP will never learn."""
    hop = Hop("tap", "", 0, (tap,))
    evidence = [
        f"the stack sends {counted(counts, 'pending checksum')} out here, and the note stays behind",
        hop.text,
        *case.rising(),
    ]
    remedies = for_leak([(tap.name, tap, True)], [hop])
    return Finding(
        "tap-without-vnet-header",
        "certain",
        evidence,
        samples,
        counts,
        remedies,
        bridge=case.bridge("tap-without-vnet-header", samples, is_behind=False),
        limits="a program that computes every checksum anew would repair it; none is known to",
    )
