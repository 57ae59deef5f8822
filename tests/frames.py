"""Frames for tests, made by scapy (an independent implementation), how they get damaged, and the sum of any bytes."""

from __future__ import annotations

import struct
from typing import Any

from scapy.all import IP, TCP, UDP, Dot1Q, Ether, IPv6, Raw, in4_chksum, in6_chksum

ETHERNET = 14
NEEDS_CSUM, DATA_VALID = 1, 2

ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
ip4 = IP(src="10.7.0.1", dst="10.7.0.2", id=7)
ip6 = IPv6(src="fd07::1", dst="fd07::2")
tcp = TCP(sport=40000, dport=80, seq=1000, ack=2000, flags="PA", options=[("Timestamp", (1, 2))])
udp = UDP(sport=40000, dport=5000)
PAYLOAD = Raw(bytes(range(101)))


def raw(packet: Any) -> bytes:
    """Return the bytes of a scapy packet, its checksums computed by scapy."""
    return bytes(packet)


def put16(frame: bytes, offset: int, value: int) -> bytes:
    """Return *frame* with a 16-bit field replaced."""
    return frame[:offset] + struct.pack("!H", value) + frame[offset + 2 :]


def get16(frame: bytes, offset: int) -> int:
    """Return a 16-bit field."""
    return int(struct.unpack_from("!H", frame, offset)[0])


def total(data: bytes) -> int:
    """RFC 1071 section 1: the sum of the 16-bit words, carries folded, not complemented."""
    value = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1])) + (data[-1] << 8 if len(data) % 2 else 0)
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def transport_start(frame: bytes) -> int:
    """Return the offset of the transport header of an untunnelled frame without IPv6 extension headers."""
    at = ETHERNET
    while get16(frame, at - 2) in (0x8100, 0x88A8):
        at += 4
    return at + ((frame[at] & 15) * 4 if frame[at] >> 4 == 4 else 40)


def field_offset(packet: Any) -> int:
    """Return the offset of the outermost TCP or UDP checksum."""
    return transport_start(raw(packet)) + (16 if TCP in packet else 6)


def seed(packet: Any) -> int:
    """Return S, the folded pseudo-header sum: scapy's pseudo-header checksum over nothing, complemented."""
    number = 6 if TCP in packet else 17
    frame = raw(packet)
    length = len(frame) - transport_start(frame)
    if IPv6 in packet:
        whole = in6_chksum(number, packet[IPv6], bytes(length))
    else:
        whole = in4_chksum(number, packet[IP], bytes(length))
    return ~whole & 0xFFFF


def leaked(packet: Any) -> bytes:
    """Return the frame as a userspace hop hands it on: the field holds S."""
    return put16(raw(packet), field_offset(packet), seed(packet))


def vnet(packet: Any, *, flags: int = NEEDS_CSUM, gso_type: int = 0, gso_size: int = 0) -> bytes:
    """Return the virtio-net header of a frame whose transport checksum is partial."""
    frame = raw(packet)
    start = transport_start(frame)
    header = start + ((frame[start + 12] >> 4) * 4 if TCP in packet else 8)
    return struct.pack("=BBHHHH", flags, gso_type, header, gso_size, start, field_offset(packet) - start)


def tagged(packet: Any, vlan: int = 5) -> Any:
    """Return *packet* with a VLAN tag."""
    return ether / Dot1Q(vlan=vlan) / packet[Ether].payload
