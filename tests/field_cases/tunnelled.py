"""Encapsulations: an IP packet inside another."""

from __future__ import annotations

import struct

from field_cases.captures import eth
from field_cases.packets import GRE, Sum, ip, udp, zero


def _in_udp(src: str, dst: str, port: int, head: bytes, packet: bytes, body: bytes, sum_: Sum) -> bytes:
    flow = packet[8:44] if packet[0] >> 4 == 6 else packet[12:24]
    return udp(src, dst, (49152 + sum(flow), port), head + body, sum_=sum_, ident=sum(packet[4:6]))


def vxlan(src: str, dst: str, packet: bytes, *, port: int = 4789, sum_: Sum = zero, vni: int = 42) -> bytes:
    """VXLAN; *packet*: an IP packet."""
    return _in_udp(src, dst, port, struct.pack("!II", 0x08000000, vni << 8), packet, eth(packet, 11, 12), sum_)


def geneve(src: str, dst: str, packet: bytes, *, port: int = 6081, sum_: Sum = zero, options: bytes = b"") -> bytes:
    """Geneve with Ethernet inside."""
    head = struct.pack("!BBHI", len(options) // 4, 0, 0x6558, 7 << 8) + options
    return _in_udp(src, dst, port, head, packet, eth(packet, 11, 12), sum_)


def gtp(src: str, dst: str, packet: bytes, *, port: int = 2152, sum_: Sum = zero) -> bytes:
    """GTP-U, a G-PDU."""
    return _in_udp(src, dst, port, struct.pack("!BBHI", 0x30, 255, len(packet), 0x1001), packet, packet, sum_)


def gre(src: str, dst: str, packet: bytes, *, key: int | None = None) -> bytes:
    """GRE without a sum."""
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    head = struct.pack("!HH", 0x2000 if key is not None else 0, kind)
    return ip(src, dst, GRE, head + (b"" if key is None else struct.pack("!I", key)) + packet)


def ipip(src: str, dst: str, packet: bytes) -> bytes:
    """IP in IP."""
    return ip(src, dst, 41 if packet[0] >> 4 == 6 else 4, packet)


def mpls(packet: bytes, *labels: int, src: int = 1, dst: int = 2) -> bytes:
    """An MPLS frame; *packet* is what the bottom label carries."""
    stack = b"".join(
        struct.pack("!I", label << 12 | (number == len(labels) - 1) << 8 | 64) for number, label in enumerate(labels)
    )
    return eth(stack + packet, src, dst, kind=0x8847)
