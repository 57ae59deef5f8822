"""Hand-made captures: frames with times and, in pcapng, the kernel's notes.  Written by hand, not by the engine."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import frames as f
from scapy.all import ICMP, IP, TCP, UDP, IPv6, Raw

A, B = "10.7.0.1", "10.7.0.2"
NOTE, VALID, TSO = 1 << 9, 1 << 10, 1 << 11
Timed = tuple[float, bytes]


def pcap(path: Path, packets: Iterable[Timed], link: int = 1) -> Path:
    """Write a classic capture with microseconds."""
    octets = struct.pack("=IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, link)
    for time, frame in packets:
        octets += struct.pack("=IIII", int(time), round(time % 1 * 1e6), len(frame), len(frame)) + frame
    path.write_bytes(octets)
    return path


def pcapng(path: Path, packets: Iterable[tuple[float, bytes, int]]) -> Path:
    """Write a pcapng; the third of each packet is its epb_flags."""
    octets = _block(0x0A0D0D0A, struct.pack("=IHHq", 0x1A2B3C4D, 1, 0, -1)) + _block(1, struct.pack("=HHI", 1, 0, 0))
    for time, frame, flags in packets:
        stamp = round(time * 1e6)
        head = struct.pack("=IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, len(frame), len(frame))
        options = struct.pack("=HHIHH", 2, 4, flags, 0, 0)
        octets += _block(6, head + frame + bytes(-len(frame) % 4) + options)
    path.write_bytes(octets)
    return path


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("=II", kind, length) + body + struct.pack("=I", length)


def ip(source: str, target: str, **fields: Any) -> Any:
    """Return the IP header of these addresses on Ethernet, each host with a MAC address of its own."""
    kind = IPv6 if ":" in source else IP
    ether = f.ether.copy()
    ether.src, ether.dst = (f"02:00:00:00:00:{int(x.rpartition(':' if ':' in x else '.')[2] or '0', 16) & 255:02x}"
                            for x in (source, target))
    return ether / kind(src=source, dst=target, **fields)


def tcp(source: str, target: str, sport: int, dport: int, seq: int, ack: int, flags: str, payload: bytes = b"") -> Any:
    """Return a TCP segment."""
    return ip(source, target) / TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags) / Raw(payload)


def udp(source: str, target: str, sport: int, dport: int, payload: bytes) -> Any:
    """Return a UDP datagram."""
    return ip(source, target) / UDP(sport=sport, dport=dport) / Raw(payload)


def echo(a: str, b: str, start: float, count: int = 3) -> list[Timed]:
    """Return a ping from a to b with its replies."""
    return [(start + n / 10 + delay, f.raw(ip(*ends) / ICMP(type=kind, id=77, seq=n) / Raw(bytes(48))))
            for n in range(count) for ends, kind, delay in (((a, b), 8, 0), ((b, a), 0, 0.001))]


def syns(source: str, target: str, start: float, count: int, *, sport: int = 40000, good: bool = False) -> list[Timed]:
    """Return a SYN and its retransmissions after 1, 3, 7, ... seconds, unfinished unless good."""
    syn = tcp(source, target, sport, 80, 1000, 0, "S")
    return [(start + 2**n - 1, f.raw(syn) if good else f.leaked(syn)) for n in range(count)]


def conversation(source: str, target: str, start: float, *, sport: int = 40000) -> list[Timed]:
    """Return a connection as seen on *source*: what it sends is unfinished, what it receives is good."""
    mine = [tcp(source, target, sport, 80, 1000, 0, "S"), tcp(source, target, sport, 80, 1001, 5001, "A"),
            tcp(source, target, sport, 80, 1001, 5001, "PA", b"GET / HTTP/1.0\r\n\r\n")]
    theirs = [tcp(target, source, 80, sport, 5000, 1001, "SA"),
              tcp(target, source, 80, sport, 5001, 1019, "PA", b"HTTP/1.0 200 OK\r\n\r\n")]
    order: Sequence[tuple[Any, bool]] = ((mine[0], True), (theirs[0], False), (mine[1], True), (mine[2], True),
                                         (theirs[1], False))
    return [(start + n / 1000, f.leaked(packet) if left else f.raw(packet)) for n, (packet, left) in enumerate(order)]


def damaged(frame: bytes, octet: int, bits: int) -> bytes:
    """Return *frame* with bits of one octet flipped."""
    return frame[:octet] + bytes([frame[octet] ^ bits]) + frame[octet + 1 :]
