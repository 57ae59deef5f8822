"""Frames whose direction shows in their addresses: what most captures are made of."""

from __future__ import annotations

from collections.abc import Iterable

from field_cases.captures import ETHERNET, Timed, eth, padded, pcap


def between(packet: bytes) -> bytes:
    """Ethernet between hosts whose MAC is told by the last byte of their address."""
    if packet[0] >> 4 == 6:
        return eth(packet, packet[23], packet[39])
    return eth(packet, packet[15], packet[19])


def wire(packets: Iterable[Timed], *, pad_from: frozenset[int] | set[int] = frozenset()) -> bytes:
    """A capture on Ethernet; frames of hosts in *pad_from* (last byte of the address) came from a wire, padded."""
    frames = []
    for time, packet in packets:
        frame = between(packet)
        if packet[23 if packet[0] >> 4 == 6 else 15] in pad_from:
            frame = padded(frame)
        frames.append((time, frame))
    return pcap(frames, ETHERNET)
