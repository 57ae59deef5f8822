"""Captures for fix whose form matters: blocks, byte orders, compression, emptiness."""

from __future__ import annotations

import gzip
import struct

from field_cases.captures import _block, eth, pcap
from field_cases.packets import (
    Sum,
    address,
    echo,
    ip6,
    partial,
    pseudo_header,
    put16,
    right,
    udp,
)
from field_cases.repairs import Pair, repair, sent
from field_cases.talk import A6, B6, A, noise
from field_cases.wires import wire

WIRE, ALL, ALL_AT_WIRE = ("--at", "wire"), ("--repair", "all"), ("--repair", "all", "--at", "wire")


def home_address(source: str, sum_: Sum) -> bytes:
    """IPv6 with the home address option: the sum is made with the home address."""
    option = b"\x01\x02\0\0" + b"\xc9\x10" + address("2001:db8:77::7")
    segment = struct.pack("!HHHH", 5000, 5001, 48, 0) + noise(40)
    segment = put16(segment, 6, sum_(pseudo_header("2001:db8:77::7", B6, 17, 48), segment))
    return ip6(source, B6, 60, bytes([17, 2]) + option + segment)


def routed(final: str, sum_: Sum) -> bytes:
    """IPv6 with a routing header of segments: the sum is made with the last one."""
    route = bytes([17, 4, 4, 1, 1, 0, 0, 0]) + address(final) + address(B6)
    segment = struct.pack("!HHHH", 5000, 5001, 48, 0) + noise(40)
    segment = put16(segment, 6, sum_(pseudo_header(A6, final, 17, 48), segment))
    return ip6(A6, B6, 43, route + segment)


@repair(*ALL, why="IPv6's final addresses count: home address option, routing header", variants=("home", "routing"))
def final_addresses(kind: str) -> Pair:
    wrong: Sum = lambda pseudo, segment: 0x1357  # noqa: E731
    make, who = (home_address, A6) if kind == "home" else (routed, "2001:db8::99")
    return wire([(1.0, make(who, wrong)), (2.0, make(who, right))]), wire(
        [(1.0, make(who, right)), (2.0, make(who, right))]
    )


@repair(*ALL, why="twenty extension headers before ICMPv6: the sum is found behind them")
def many_extension_headers() -> Pair:
    made = []
    for sum_ in (lambda pseudo, segment: 0x1357, right):
        message = echo(A6, B6, "request", 1, 2, noise(30), sum_=sum_)[40:]
        chain = b"".join(bytes([60 if n < 19 else 58, 0, 1, 4, 0, 0, 0, 0]) for n in range(20))
        made.append(wire([(1.0, ip6(A6, B6, 60, chain + message))]))
    return made[0], made[1]


@repair(*ALL, why="a computed 0 of UDP is written as ffff")
def computed_zero() -> Pair:
    from field_cases.extremes import aimed

    body = aimed(A6, B6, 60, 3, 0)
    return tuple(wire([(1.0, udp(A6, B6, (5000, 5001), body, sum_=s))]) for s in (lambda p, g: 0x99, right))  # type: ignore[return-value]


def blocks(sum_: Sum) -> bytes:
    """pcapng with options, a name resolution block, a custom block and one that nobody knows, between packets."""
    comment = struct.pack("=HH", 1, 5) + b"hello\0\0\0" + bytes(4)
    out = _block(0x0A0D0D0A, struct.pack("=IHHq", 0x1A2B3C4D, 1, 0, -1) + comment)
    out += _block(1, struct.pack("=HHI", 1, 0, 0) + struct.pack("=HHB3x", 9, 1, 9) + bytes(4))
    out += _block(4, struct.pack("=HH4s", 1, 6, address(A)) + b"a\0\0\0" + bytes(4))
    for n, (_, packet) in enumerate(sent(sum_)):
        frame = eth(packet)
        body = struct.pack("=IIIII", 0, n, n * 7919, len(frame), len(frame)) + frame + bytes(-len(frame) % 4)
        out += _block(6, body + comment)
        out += _block(0xBAD, struct.pack("=I", 32473) + noise(30, n)) if n % 3 == 0 else b""
        out += _block(0xABCDEF, noise(12, n)) if n % 4 == 1 else b""
    return out + _block(5, struct.pack("=III", 0, 1, 2) + bytes(4))


@repair(*WIRE, why="all blocks and options stay", suffix=".pcapng")
def pcapng_blocks() -> Pair:
    return blocks(partial), blocks(right)


@repair(why="an empty capture stays one", variants=("pcap",))
def empty(kind: str) -> Pair:
    return pcap([]), pcap([])


@repair(why="a section header alone", suffix=".pcapng")
def only_a_section() -> Pair:
    return (made := _block(0x0A0D0D0A, struct.pack("=IHHq", 0x1A2B3C4D, 1, 0, -1))), made


@repair(*WIRE, why="nanoseconds stay, and so does the other byte order", variants=("nano", "big-endian"))
def formats(kind: str) -> Pair:
    if kind == "nano":
        return tuple(pcap([(t, eth(p)) for t, p in sent(s)], nano=True) for s in (partial, right))  # type: ignore[return-value]
    made = []
    for sum_ in (partial, right):
        out = struct.pack(">IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
        for time, packet in sent(sum_):
            out += struct.pack(">IIII", int(time), 7, len(packet) + 14, len(packet) + 14) + eth(packet)
        made.append(out)
    return made[0], made[1]


@repair(*WIRE, why="a compressed capture, and octets behind its last member", variants=("gz", "trailing"))
def compressed(kind: str) -> Pair:
    extra = b"no member of gzip" if kind == "trailing" else b""
    return gzip.compress(wire(sent(partial))) + extra, wire(sent(right))
