"""The last bad packets of a flow, as the live view shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pktmend._core import Check
from pktmend.commands.monitor.bad_packets import EXPLAINED, clock
from pktmend.enums import Proto
from pktmend.records import Flow, KeptPacket
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
    shown = ShownPacket.of(
        k,
        packet.header,
        packet.frame,
        number=number,
        time=clock(packet.time_ns),
        flow=str(flow),
        verdict=f"{'inner ' if k.depth else ''}{Proto(k.proto)} checksum",
        wirelen=packet.wirelen,
    )
    return FlowPacket(shown, f"{k.cause}: {EXPLAINED[k.cause]}")
