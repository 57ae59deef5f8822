"""Conversations: TCP between two hosts as a capture sees it, datagrams that are answered, echoes."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from field_cases.captures import Timed
from field_cases.packets import ACK, FIN, PSH, SYN, Sum, echo, right, tcp, udp

A, B = "10.7.0.1", "10.7.0.2"
A6, B6 = "fd07::1", "fd07::2"
MSS = b"\x02\x04\x05\xb4\x04\x02\x01\x03\x03\x07\x01\x01"


def noise(size: int, seed: int = 1) -> bytes:
    """Payload that repeats nowhere."""
    return random.Random(seed * 65537 + size).randbytes(size)


@dataclass
class Talk:
    """One TCP connection from `a` to `b`; a time advances with each packet.

    Each side's sums are made by its own `Sum`. Methods append a packet and return it.
    """

    a: str = A
    b: str = B
    ports: tuple[int, int] = (40000, 80)
    sum_a: Sum = right
    sum_b: Sum = right
    time: float = 1000.0
    step: float = 0.0007
    seed: int = 1
    stamps: bool = True
    packets: list[Timed] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        self.seq_a, self.seq_b = rng.getrandbits(32), rng.getrandbits(32)
        self.tick, self.ident = rng.getrandbits(31), rng.getrandbits(15)

    def send(
        self,
        from_a: bool,
        flags: int,
        data: bytes = b"",
        *,
        seq: int | None = None,
        ack: int | None = None,
        options: bytes = b"",
        sum_: Sum | None = None,
    ) -> bytes:
        """Append a segment as the connection stands; *seq*, *ack*: other numbers than the next."""
        src, dst = (self.a, self.b) if from_a else (self.b, self.a)
        ports = self.ports if from_a else self.ports[::-1]
        mine, other = (self.seq_a, self.seq_b) if from_a else (self.seq_b, self.seq_a)
        self.time += self.step
        self.ident += 1
        if self.stamps and not options:
            now = self.tick + int(self.time * 1000) % 1000000
            options = b"\x01\x01\x08\x0a" + struct.pack("!II", now & 0xFFFFFFFF, (now - 1) & 0xFFFFFFFF)
        elif self.stamps:
            now = self.tick + int(self.time * 1000) % 1000000
            options += b"\x01\x01\x08\x0a" + struct.pack("!II", now & 0xFFFFFFFF, 0)
        packet = tcp(
            src,
            dst,
            ports,
            mine if seq is None else seq,
            (other if ack is None else ack) if flags & ACK else 0,
            flags,
            data,
            options=options,
            ident=self.ident,
            sum_=sum_ or (self.sum_a if from_a else self.sum_b),
        )
        if seq is None:
            moved = len(data) + bool(flags & (SYN | FIN))
            if from_a:
                self.seq_a += moved
            else:
                self.seq_b += moved
        self.packets.append((self.time, packet))
        return packet

    def open(self) -> Talk:
        """Three packets."""
        self.send(True, SYN, options=MSS)
        self.send(False, SYN | ACK, options=MSS)
        self.send(True, ACK)
        return self

    def ask(self, size: int = 120) -> Talk:
        """Data from a to b, acknowledged."""
        self.send(True, PSH | ACK, noise(size, self.ident))
        self.send(False, ACK)
        return self

    def answer(self, size: int = 1200, times: int = 1) -> Talk:
        """Data from b to a, each segment acknowledged."""
        for _ in range(times):
            self.send(False, PSH | ACK, noise(size, self.ident))
            self.send(True, ACK)
        return self

    def close(self) -> Talk:
        """Four packets."""
        self.send(True, FIN | ACK)
        self.send(False, ACK)
        self.send(False, FIN | ACK)
        self.send(True, ACK)
        return self

    def pause(self, seconds: float) -> Talk:
        """Let time pass."""
        self.time += seconds
        return self

    def syns(self, times: int = 4) -> Talk:
        """A SYN, and the same again after 1, 3, 7, ... seconds."""
        start = self.seq_a
        self.send(True, SYN, options=MSS)
        for number in range(times - 1):
            self.time += 2**number
            self.send(True, SYN, options=MSS, seq=start)
        return self


def whole(talk: Talk, rounds: int = 3) -> Talk:
    """A connection from its first packet to its last."""
    talk.open()
    for number in range(rounds):
        talk.ask(80 + 13 * number).answer(900 + 37 * number)
    return talk.close()


def pings(
    a: str = A,
    b: str = B,
    times: int = 3,
    *,
    time: float = 1000.2,
    every: float = 1.0,
    sum_: Sum = right,
    sum_b: Sum = right,
) -> list[Timed]:
    """Echo requests and their answers."""
    out = []
    for number in range(times):
        data = noise(56, number + 7)
        out.append((time + number * every, echo(a, b, "request", 77, number + 1, data, sum_=sum_)))
        out.append((time + number * every + 0.0004, echo(b, a, "reply", 77, number + 1, data, sum_=sum_b)))
    return out


def questions(
    a: str = A,
    b: str = B,
    times: int = 4,
    *,
    port: int = 53,
    sum_: Sum = right,
    sum_b: Sum | None = right,
    time: float = 1000.1,
    size: int = 33,
    again: float = 0.3,
) -> list[Timed]:
    """Datagrams that are answered; *sum_b* None: they are not."""
    out = []
    for number in range(times):
        ports = (50000 + number, port)
        out.append((time + number * again, udp(a, b, ports, noise(size + number, number), sum_=sum_, ident=number + 9)))
        if sum_b is not None:
            answer = udp(b, a, ports[::-1], noise(size + 40 + number, number + 90), sum_=sum_b, ident=number + 400)
            out.append((time + number * again + 0.0008, answer))
    return out


def merged(*parts: Iterable[Timed]) -> list[Timed]:
    """All packets in the order of their times."""
    return sorted((packet for part in parts for packet in part), key=lambda packet: packet[0])


def framed(packets: Iterable[Timed], wrap: Callable[[bytes], bytes]) -> list[Timed]:
    """Each packet as a frame."""
    return [(time, wrap(packet)) for time, packet in packets]


def changed(packets: Iterable[Timed], change: Callable[[bytes], bytes]) -> list[Timed]:
    """Each packet changed by a function; other name, for reading."""
    return framed(packets, change)
