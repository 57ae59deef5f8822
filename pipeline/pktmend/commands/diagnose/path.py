"""The drawing of the path that a diagnosis names: sender, hop, receiver, and where the metadata or the sum is lost.

Rules of this file:
1. It shows what the finding says and no more: a hop that was not seen is drawn as what the cause calls it.
2. Where the tap was is drawn only where the cause says on which side of the fault its packets were.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, NamedTuple

from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.decision import Confidence
from pktmend.commands.diagnose.finding import Diagnosis
from pktmend.commands.diagnose.options import Options
from pktmend.commands.diagnose.samples import end_text
from pktmend.report.drawing import Drawing, State, Station, chain


class Fault(Enum):
    """Where it is."""

    SENDER = auto()
    HOP = auto()
    RECEIVER = auto()
    CAPTURE = auto()


class Way(NamedTuple):
    """How a cause is drawn: where the fault is, what is said there, and what it makes of the receiver."""

    fault: Fault
    words: str
    receiver: str = "drops these packets"


WAYS: Final = {
    RootCause.METADATA_LOST: Way(Fault.HOP, "loses the mark of partial checksums"),
    RootCause.TAP_WITHOUT_VNET_HEADER: Way(Fault.HOP, "TAP without the virtio-net header"),
    RootCause.XDP_HOP: Way(Fault.HOP, "XDP or AF_XDP: no mark travels"),
    RootCause.TUNNEL_INNER_UNFINISHED: Way(Fault.HOP, "tunnel: inner checksum not completed"),
    RootCause.NAT_ON_ZERO: Way(Fault.HOP, "NAT updates a checksum that is 0"),
    RootCause.NAT_WITHOUT_UPDATE: Way(Fault.HOP, "rewrites headers, not the checksum"),
    RootCause.ICMP_STALE_INNER: Way(Fault.HOP, "NAT: quoted packet not translated", "ignores these errors"),
    RootCause.VOUCHED_FOR_BAD: Way(Fault.RECEIVER, "its kernel vouches for wrong sums", "takes corrupt data"),
    RootCause.BAD_SEED: Way(Fault.SENDER, "leaves a wrong value to start from", "depends on who completes it"),
    RootCause.DHCP_RAW_CLIENT: Way(Fault.RECEIVER, "reads past the kernel, no mark", "discards the answers"),
    RootCause.SCTP_WRONG_SUM: Way(Fault.SENDER, "no CRC32c in SCTP packets"),
    RootCause.IP_HEADER_NEVER_FILLED: Way(Fault.SENDER, "IPv4 header without a checksum"),
    RootCause.DOUBLE_COMPLETION: Way(Fault.HOP, "completes what is complete"),
    RootCause.LENGTH_FAULT: Way(Fault.SENDER, "a length is wrong"),
    RootCause.BIT_ERRORS: Way(Fault.HOP, "a link, memory or card flips bits"),
    RootCause.CORRUPTION: Way(Fault.HOP, "packets are damaged on the way"),
    RootCause.NEVER_FILLED: Way(Fault.SENDER, "leaves the field empty"),
    RootCause.WRONG_ARITHMETIC: Way(Fault.SENDER, "computes the checksum wrongly"),
    RootCause.MISPLACED_COMPLETION: Way(Fault.HOP, "writes the sum to the wrong place"),
    RootCause.REWRITTEN_CAPTURE: Way(Fault.CAPTURE, "rewritten after it was taken", "got packets that were right"),
    RootCause.NOT_UNDERSTOOD: Way(Fault.CAPTURE, "packets in it were not understood", "not known"),
}
HOP: Final = {
    RootCause.OFFLOAD_PENDING: "completes what the sender left partial",
    RootCause.SUPER_FRAMES: "splits what the sender left whole",
}


def path_of(options: Options, findings: Sequence[Diagnosis]) -> Drawing | None:
    """Draw the most important finding; None where there is none, or nothing was seen."""
    if not findings or findings[0].cause is RootCause.NOTHING_SEEN:
        return None
    finding = findings[0]
    way = WAYS.get(finding.cause)
    bad = State.LOST if finding.confidence is not Confidence.POSSIBLE else State.UNSURE
    return _healthy(options, finding) if way is None else _faulty(options, finding, way, bad)


def _ends(finding: Diagnosis) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is known of sender and receiver: addresses, where packets were kept that show it."""
    flows = {(s.source, s.target, s.ports) for s in finding.packets}
    if len(flows) != 1:
        return (), ()
    source, target, ports = flows.pop()
    return (end_text(source, ports[0]),), (end_text(target, ports[1]),)


def _healthy(options: Options, finding: Diagnosis) -> Drawing:
    source, target = _ends(finding)
    hop = HOP.get(finding.cause, "")
    stations = [Station("sender", "Sender", source, state=State.FINE)]
    if hop:
        stations.append(Station("hop", "Network card, or the last hop", (hop,), state=State.FINE))
    stations.append(Station("receiver", "Receiver", (*target, "gets right checksums"), state=State.FINE))
    taps = [f"captured here: {name}" for name in (options.a, options.b) if name]
    labels = [(taps[0], State.FINE), *((taps[1] if len(taps) > 1 else "", State.FINE) for _ in stations[2:])]
    return chain(f"{finding.title}: sender, receiver", stations, labels)


def _faulty(options: Options, finding: Diagnosis, way: Way, bad: State) -> Drawing:
    source, target = _ends(finding)
    at = way.fault

    def state(place: Fault) -> State:
        return bad if at is place else State.PLAIN

    said = {place: (way.words,) if at is place else () for place in Fault}
    stations = [Station("sender", "Sender", (*source, *said[Fault.SENDER]), state=state(Fault.SENDER))]
    if at is Fault.HOP or options.b:
        stations.append(Station("hop", "Hop on the way", said[Fault.HOP], state=state(Fault.HOP)))
    if at is Fault.CAPTURE:
        stations.append(Station("capture", options.a, said[Fault.CAPTURE], state=State.UNSURE))
    receiver = (*target, *said[Fault.RECEIVER], way.receiver)
    stations.append(Station("receiver", "Receiver", receiver, state=state(Fault.RECEIVER)))
    wrong = [State.PLAIN] * (len(stations) - 1)
    if at is Fault.SENDER:
        wrong = [bad] * len(wrong)
    elif at is Fault.HOP:
        wrong[-1] = bad
    taps = [""] * len(wrong)
    if at is not Fault.CAPTURE:
        taps[-1] = f"captured here: {options.b or options.a}"
        if options.b:
            taps[0] = f"captured here: {options.a}"
    return chain(f"{finding.title}: from sender to receiver", stations, list(zip(taps, wrong, strict=True)))
