"""What a hop makes of packets: later, with other sums, another source, another family."""

from __future__ import annotations

import struct

from field_cases.captures import Timed
from field_cases.packets import Sum, address, put, put16, right, total


def after(packets: list[Timed], delay: float = 40e-6) -> list[Timed]:
    """The same a little later."""
    return [(t + delay, p) for t, p in packets]


def sums(packets: list[Timed], sum_: Sum = right) -> list[Timed]:
    """TCP and UDP over IPv4 with other sums."""
    out = []
    for time, packet in packets:
        at = {6: 36, 17: 26}.get(packet[9])
        if at:
            segment = put16(packet, at, 0)[20:]
            pseudo = packet[12:20] + struct.pack("!BBH", 0, packet[9], len(segment))
            packet = put16(packet, at, sum_(pseudo, segment))
        out.append((time, packet))
    return out


def renamed(packet: bytes, src: str, sum_at: int, value: int | None = None) -> bytes:
    """Another source; IPv4's sum right, the transport's as it was, or as given."""
    packet = put(put16(packet, 10, 0), 12, address(src))
    packet = put16(packet, 10, total(packet[:20]) ^ 0xFFFF)
    return packet if value is None else put16(packet, sum_at, value)


def to_ipv4(packet: bytes, *, src: str = "192.0.2.64", dst: str = "192.0.2.80") -> bytes:
    """NAT64: another family, the transport as it was."""
    head = struct.pack("!BBHHHBBH", 0x45, 0, len(packet) - 20, 0, 0x4000, 63, packet[6], 0)
    head += address(src) + address(dst)
    return put16(head, 10, total(head) ^ 0xFFFF) + packet[40:]
