"""Packets by hand: headers, and sums that are right or wrong in a chosen way.

A `Sum` makes the value of a checksum field from the pseudo header and the segment whose field is 0.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

Sum = Callable[[bytes, bytes], int]
TCP, UDP, ICMP, ICMP6, SCTP, GRE, IGMP, VRRP, OSPF, PIM = 6, 17, 1, 58, 132, 47, 2, 112, 89, 103
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def fold(value: int) -> int:
    """Add the carries until 16 bits are left."""
    while value >> 16:
        value = (value & 0xFFFF) + (value >> 16)
    return value


def total(data: bytes) -> int:
    """Return the folded one's complement sum of 16-bit words (RFC 1071), not complemented."""
    data += bytes(len(data) % 2)
    return fold(sum(struct.unpack(f"!{len(data) // 2}H", data)))


def right(pseudo: bytes, segment: bytes) -> int:
    """The sum as the RFCs say."""
    return total(pseudo + segment) ^ 0xFFFF


def partial(pseudo: bytes, segment: bytes) -> int:
    """The seed that a stack leaves for its card."""
    return total(pseudo)


def zero(pseudo: bytes, segment: bytes) -> int:
    """Never filled in, or none at all."""
    return 0


def off_by(value: int) -> Sum:
    """Right but for one constant, added in one's complement."""
    return lambda pseudo, segment: fold(right(pseudo, segment) + value % 0xFFFF)


def constant(value: int) -> Sum:
    """The same value whatever the packet holds."""
    return lambda pseudo, segment: value


def as_if(src: str, dst: str) -> Sum:
    """Right for other addresses."""
    return lambda pseudo, segment: right(
        pseudo_header(src, dst, pseudo[-1] if len(pseudo) == 40 else pseudo[9], len(segment)), segment
    )


def seed_of(src: str, dst: str) -> Sum:
    """The seed of other addresses."""
    return lambda pseudo, segment: total(
        pseudo_header(src, dst, pseudo[-1] if len(pseudo) == 40 else pseudo[9], len(segment))
    )


def address(text: str) -> bytes:
    """Return an address as it is on the wire."""
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def pseudo_header(src: str, dst: str, proto: int, length: int) -> bytes:
    """RFC 768 and RFC 8200, section 8.1."""
    if ":" in src:
        return address(src) + address(dst) + struct.pack("!IHBB", length, 0, 0, proto)
    return address(src) + address(dst) + struct.pack("!BBH", 0, proto, length)


def put(data: bytes, at: int, new: bytes) -> bytes:
    """Return *data* with bytes replaced at an offset; from the end if negative."""
    at = at if at >= 0 else len(data) + at
    return data[:at] + new + data[at + len(new) :]


def put16(data: bytes, at: int, value: int) -> bytes:
    """Return *data* with a 16-bit field replaced."""
    return put(data, at, struct.pack("!H", value))


def get16(data: bytes, at: int) -> int:
    """Return a 16-bit field."""
    return int(struct.unpack_from("!H", data, at)[0])


def flip(data: bytes, at: int, mask: int = 1) -> bytes:
    """Return *data* with the bits of one byte inverted."""
    at = at if at >= 0 else len(data) + at
    return put(data, at, bytes([data[at] ^ mask]))


def ip4(
    src: str,
    dst: str,
    proto: int,
    payload: bytes,
    *,
    ttl: int = 64,
    ident: int = 1,
    tos: int = 0,
    flags: int = 0x4000,
    options: bytes = b"",
    sum_: Sum = right,
    length: int | None = None,
) -> bytes:
    """An IPv4 packet; *flags* is the field of flags and fragment offset."""
    words = 5 + len(options) // 4
    size = words * 4 + len(payload) if length is None else length
    head = struct.pack("!BBHHHBBH", 0x40 | words, tos, size, ident & 0xFFFF, flags, ttl, proto, 0)
    head += address(src) + address(dst) + options
    return put16(head, 10, sum_(b"", head)) + payload


def ip6(src: str, dst: str, header: int, payload: bytes, *, hops: int = 64, length: int | None = None) -> bytes:
    """An IPv6 packet."""
    size = len(payload) if length is None else length
    return struct.pack("!IHBB", 6 << 28, size, header, hops) + address(src) + address(dst) + payload


def ip(src: str, dst: str, proto: int, payload: bytes, *, ident: int = 1, ttl: int = 64) -> bytes:
    """IPv4 or IPv6, by the addresses."""
    if ":" in src:
        return ip6(src, dst, proto, payload, hops=ttl)
    return ip4(src, dst, proto, payload, ident=ident, ttl=ttl)


def summed(src: str, dst: str, proto: int, segment: bytes, at: int, sum_: Sum) -> bytes:
    """Return the segment with its checksum filled in; ffff for UDP's 0 where the sum is right."""
    pseudo = b"" if proto in (ICMP, IGMP, OSPF, GRE) else pseudo_header(src, dst, proto, len(segment))
    value = sum_(pseudo, segment)
    if proto == UDP and sum_ is right and not value:
        value = 0xFFFF
    return put16(segment, at, value)


def tcp(
    src: str,
    dst: str,
    ports: tuple[int, int],
    seq: int,
    ack: int,
    flags: int,
    data: bytes = b"",
    *,
    options: bytes = b"",
    window: int = 502,
    sum_: Sum = right,
    ident: int = 1,
    ttl: int = 64,
) -> bytes:
    """A TCP segment in IP."""
    options += bytes(-len(options) % 4)
    head = struct.pack(
        "!HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, (5 + len(options) // 4) << 4, flags, window, 0, 0
    )
    segment = summed(src, dst, TCP, head + options + data, 16, sum_)
    return ip(src, dst, TCP, segment, ident=ident, ttl=ttl)


def udp(
    src: str,
    dst: str,
    ports: tuple[int, int],
    data: bytes,
    *,
    sum_: Sum = right,
    ident: int = 1,
    ttl: int = 64,
    length: int | None = None,
) -> bytes:
    """A UDP datagram in IP."""
    segment = struct.pack("!HHHH", *ports, 8 + len(data) if length is None else length, 0) + data
    return ip(src, dst, UDP, summed(src, dst, UDP, segment, 6, sum_), ident=ident, ttl=ttl)


def echo(src: str, dst: str, kind: str, ident: int, number: int, data: bytes, *, sum_: Sum = right) -> bytes:
    """An echo request or reply, of ICMP or ICMPv6."""
    six = ":" in src
    code = {"request": 128 if six else 8, "reply": 129 if six else 0}[kind]
    message = struct.pack("!BBHHH", code, 0, 0, ident, number) + data
    proto = ICMP6 if six else ICMP
    return ip(src, dst, proto, summed(src, dst, proto, message, 2, sum_), ident=number)


def icmp(src: str, dst: str, kind: int, code: int, rest: int, body: bytes, *, sum_: Sum = right) -> bytes:
    """Any ICMP or ICMPv6 message; *rest* is its second word."""
    proto = ICMP6 if ":" in src else ICMP
    message = struct.pack("!BBHI", kind, code, 0, rest) + body
    return ip(src, dst, proto, summed(src, dst, proto, message, 2, sum_), ident=kind)


def _crc32c_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC = _crc32c_table()


def crc32c(data: bytes) -> int:
    """RFC 9260, appendix A."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def sctp(src: str, dst: str, ports: tuple[int, int], tag: int, chunks: bytes, *, sum_: int | None = None) -> bytes:
    """An SCTP packet in IP; *sum_*: the field as a number instead of the right one."""
    packet = struct.pack("!HHII", *ports, tag, 0) + chunks
    value = struct.pack("<I", crc32c(packet)) if sum_ is None else struct.pack("!I", sum_)
    return ip(src, dst, SCTP, put(packet, 8, value))
