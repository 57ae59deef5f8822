"""The last bad packets of a flow, as the live view shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pktmend._core import Check
from pktmend.commands.monitor.bad_packets import EXPLAINED, clock
from pktmend.enums import CheckFlag, Proto
from pktmend.records import Flow, KeptPacket, Layer
from pktmend.report.packet import ShownPacket


class FlowPacket(NamedTuple):
    """A bad packet and why it is bad, in words."""

    shown: ShownPacket
    why: str


def flow_packets(flow: Flow, kept: Sequence[KeptPacket[Check]]) -> tuple[FlowPacket, ...]:
    """Return what is to be seen of each, in the order they came in."""
    return tuple(_flow_packet(flow, number, packet) for number, packet in enumerate(kept, 1))


def _flow_packet(flow: Flow, number: int, packet: KeptPacket[Check]) -> FlowPacket:
    k = packet.check
    digits = k.width * 2
    version, source, target = _addresses(packet.header, packet.frame)
    shown = ShownPacket(
        number=number,
        time=clock(packet.time_ns),
        flow=str(flow),
        verdict=f"{'inner ' if k.depth else ''}{Proto(k.proto)} checksum",
        offset=k.offset,
        width=k.width,
        stored=f"{k.stored:0{digits}x}",
        seed=f"{k.seed:04x}" if k.flags & CheckFlag.HAS_PSEUDO else "",
        expected=f"{k.expected:0{digits}x}" if k.flags & CheckFlag.HAS_EXPECTED else "",
        start=k.start,
        length=k.length,
        version=version,
        source=source,
        target=target,
        frame=packet.frame,
        wirelen=packet.wirelen,
    )
    return FlowPacket(shown, f"{k.cause}: {EXPLAINED[k.cause]}")


def _addresses(header: Layer | None, frame: bytes) -> tuple[int, str, str]:
    """Return version, source and target of the header; 0 and empty where there is none, or it is cut."""
    from ipaddress import ip_address  # here: only who looks at packets needs it

    if header is None:
        return 0, "", ""
    at, width = (header.l3 + 12, 4) if header.version == 4 else (header.l3 + 8, 16)
    if len(frame) < at + 2 * width:
        return 0, "", ""
    return header.version, str(ip_address(frame[at : at + width])), str(ip_address(frame[at + width : at + 2 * width]))
