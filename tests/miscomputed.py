"""Checksums that a program gets wrong: a frame in parts, of which a mistake takes others; the sum is RFC 1071's."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any, NamedTuple

from scapy.all import IP, IPv6, Raw
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting

import frames as f
import tapes as t
from diagnosing import SERVER, A
from judging import judge
from pktmend import Proto, Status


class Parts(NamedTuple):
    """A frame in the parts that a checksum is made of; body: the transport header and payload, its field 0."""

    frame: bytes
    offset: int
    addresses: bytes
    number: int
    body: bytes
    header: int

    @property
    def length(self) -> int:
        return len(self.body)

    def wrong(self, *, pseudo: bytes | None = None, body: bytes | None = None) -> bytes:
        """Return the frame with the checksum of another pseudo header or body."""
        value = ~f.total((self.pseudo() if pseudo is None else pseudo) + (self.body if body is None else body)) & 0xFFFF
        return f.put16(self.frame, self.offset, value or 0xFFFF)

    def pseudo(self, number: int = 0, length: int | None = None) -> bytes:
        return self.addresses + struct.pack("!2H", number or self.number, self.length if length is None else length)


def parts(packet: Any) -> Parts:
    frame = f.raw(packet)
    k = judge(frame)[-1]
    assert k.status == Status.GOOD  # where it lies; scapy said what it is
    ip = packet[IPv6] if IPv6 in packet else packet[IP]
    addresses = frame[26:34] if ip.version == 4 else frame[22:54]
    body = f.put16(frame[k.start :], k.offset - k.start, 0)
    header = (body[12] >> 4) * 4 if k.proto == Proto.TCP else 8
    number = {Proto.TCP: 6, Proto.UDP: 17, Proto.ICMPV6: 58, Proto.ICMP: 1}[k.proto]
    return Parts(frame, k.offset, addresses, number, body, header)


def tcp4(n: int, data: bytes) -> Parts:
    return parts(t.tcp(A, SERVER, 40000, 80, 1000 + 7 * n, 2000, "PA", data))


def udp4(n: int, data: bytes) -> Parts:
    return parts(t.udp(A, SERVER, 40000, 5000, data))


def udp6(n: int, data: bytes) -> Parts:
    return parts(t.udp("fd07::1", "fd07::2", 40000, 5000, data))


def icmp6(n: int, data: bytes) -> Parts:
    return parts(f.ether / f.ip6 / ICMPv6EchoRequest(id=5, seq=n, data=data))


def options6(n: int, data: bytes) -> Parts:
    return parts(f.ether / f.ip6 / IPv6ExtHdrDestOpt() / f.udp / Raw(data))


def routed6(n: int, data: bytes) -> Parts:
    return parts(f.ether / f.ip6 / IPv6ExtHdrRouting(addresses=["fd07::9"], segleft=1) / f.udp / Raw(data))


def odd(n: int, size: int = 61) -> bytes:
    """Random bytes, more of them each time, an odd number, the last one of several bits and another each time."""
    return random.Random(n).randbytes(size - 1 + 2 * n) + bytes([0x5B + 2 * n])


def capture(path: Path, frames: list[bytes]) -> Path:
    return t.pcap(path / "x.pcap", list(enumerate(frames)))
