"""Hand-made captures: frames with times and, in pcapng, the kernel's metadata.  Only read() is the engine's."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scapy.all import ICMP, IP, TCP, UDP, IPv6, Raw

import frames as f
from pktmend import Batch, Capture, Pipeline

A, B = "10.7.0.1", "10.7.0.2"
PARTIAL, VALID, TSO = 1 << 9, 1 << 10, 1 << 11
Timed = tuple[float, bytes]


def pcap(path: Path, packets: Iterable[Timed], link: int = 1) -> Path:
    """Write a classic capture with microseconds."""
    data = struct.pack("=IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, link)
    for time, frame in packets:
        data += struct.pack("=IIII", int(time), round(time % 1 * 1e6), len(frame), len(frame)) + frame
    path.write_bytes(data)
    return path


class File:
    """A pcapng file built block by block, in either byte order or (=) this machine's."""

    def __init__(self, order: str = "<") -> None:
        self.order = order
        self.data = b""

    def pack(self, form: str, *values: int) -> bytes:
        return struct.pack(self.order + form, *values)

    def block(self, kind: int, body: bytes) -> File:
        body += bytes(-len(body) % 4)
        length = len(body) + 12
        self.data += self.pack("II", kind, length) + body + self.pack("I", length)
        return self

    def option(self, code: int, value: bytes) -> bytes:
        return self.pack("HH", code, len(value)) + value + bytes(-len(value) % 4)

    def section(self, *options: bytes) -> File:
        return self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, 1, 0, -1) + b"".join(options))

    def interface(self, link: int = 1, snaplen: int = 0, *options: bytes) -> File:
        return self.block(1, self.pack("HHI", link, 0, snaplen) + b"".join(options))

    def packet(self, frame: bytes, *options: bytes, interface: int = 0, time: int = 0, wirelen: int = 0) -> File:
        padding = bytes(-len(frame) % 4)
        return self.block(
            6,
            self.pack("IIIII", interface, time >> 32, time & 0xFFFFFFFF, len(frame), wirelen or len(frame))
            + frame
            + padding
            + b"".join(options),
        )


def pcapng(path: Path, packets: Iterable[tuple[float, bytes, int]]) -> Path:
    """Write a pcapng of microseconds; the third of each packet is its epb_flags."""
    file = File("=").section().interface()
    for time, frame, flags in packets:
        file.packet(frame, file.option(2, file.pack("I", flags)), time=round(time * 1e6))
    path.write_bytes(file.data)
    return path


def read(path: Path | str) -> list[tuple[int, int, int, bytes]]:
    """Return (number, time_ns, flags, frame) of each packet."""
    seen: list[tuple[int, int, int, bytes]] = []

    def collect(batch: Batch) -> None:
        frames = map(bytes, map(batch.frame, range(len(batch))))
        seen.extend(zip(batch.number, batch.time_ns, batch.flags, frames, strict=True))

    with Capture(path) as source:
        Pipeline(source, [collect]).run()
    return seen


def ip(source: str, target: str, **fields: Any) -> Any:
    """Return the IP header of these addresses on Ethernet, each host with a MAC address of its own."""
    kind = IPv6 if ":" in source else IP
    ether = f.ether.copy()
    ether.src, ether.dst = (
        f"02:00:00:00:00:{int(x.rpartition(':' if ':' in x else '.')[2] or '0', 16) & 255:02x}"
        for x in (source, target)
    )
    return ether / kind(src=source, dst=target, **fields)


def tcp(source: str, target: str, sport: int, dport: int, seq: int, ack: int, flags: str, payload: bytes = b"") -> Any:
    """Return a TCP segment."""
    return ip(source, target) / TCP(sport=sport, dport=dport, seq=seq, ack=ack, flags=flags) / Raw(payload)


def udp(source: str, target: str, sport: int, dport: int, payload: bytes) -> Any:
    """Return a UDP datagram."""
    return ip(source, target) / UDP(sport=sport, dport=dport) / Raw(payload)


def echo(a: str, b: str, start: float, count: int = 3) -> list[Timed]:
    """Return a ping from a to b with its replies."""
    return [
        (start + n / 10 + delay, f.raw(ip(*ends) / ICMP(type=kind, id=77, seq=n) / Raw(bytes(48))))
        for n in range(count)
        for ends, kind, delay in (((a, b), 8, 0), ((b, a), 0, 0.001))
    ]


def syns(source: str, target: str, start: float, count: int, *, sport: int = 40000, good: bool = False) -> list[Timed]:
    """Return a SYN and its retransmissions after 1, 3, 7, ... seconds, partial unless good."""
    syn = tcp(source, target, sport, 80, 1000, 0, "S")
    return [(start + 2**n - 1, f.raw(syn) if good else f.leaked(syn)) for n in range(count)]


def conversation(source: str, target: str, start: float, *, sport: int = 40000) -> list[Timed]:
    """Return a connection as seen on *source*: what it sends is partial, what it receives is good."""
    mine = [
        tcp(source, target, sport, 80, 1000, 0, "S"),
        tcp(source, target, sport, 80, 1001, 5001, "A"),
        tcp(source, target, sport, 80, 1001, 5001, "PA", b"GET / HTTP/1.0\r\n\r\n"),
    ]
    theirs = [
        tcp(target, source, 80, sport, 5000, 1001, "SA"),
        tcp(target, source, 80, sport, 5001, 1019, "PA", b"HTTP/1.0 200 OK\r\n\r\n"),
    ]
    order: Sequence[tuple[Any, bool]] = (
        (mine[0], True),
        (theirs[0], False),
        (mine[1], True),
        (mine[2], True),
        (theirs[1], False),
    )
    return [(start + n / 1000, f.leaked(packet) if left else f.raw(packet)) for n, (packet, left) in enumerate(order)]


def damaged(frame: bytes, at: int, bits: int) -> bytes:
    """Return *frame* with bits of one byte flipped."""
    return frame[:at] + bytes([frame[at] ^ bits]) + frame[at + 1 :]
