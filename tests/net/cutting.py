"""Numbered frames of one flow and of mixed kinds: what the kernel may carry, and what has to go through the ring.

Scapy makes the first frame of a flow; the number goes into the payload, and of TCP into the sequence number as well.
Checksums are summed anew by frames.total (RFC 1071).
"""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from scapy.all import TCP, UDP, Raw

import frames as f
from flood import SO_RCVBUFFORCE
from line import Line, open_tap, put
from running import assert_ledger

SIZE = 60  # bytes of payload of a single frame
SEGMENTS = 5  # of a super-frame
NO_VNET = bytes(10)
HEADS = {4: f.ip4, 6: f.ip6}


@dataclass(frozen=True)
class Flow:
    """A flow's frames, the same but for their numbers."""

    version: int
    is_tcp: bool
    payload: int = SIZE

    @property
    def first(self) -> Any:
        """The scapy packet."""
        transport = TCP(sport=40000, dport=80, ack=1, flags="A") if self.is_tcp else UDP(sport=40000, dport=5000)
        return f.ether / HEADS[self.version] / transport / Raw(bytes(self.payload))

    def frame(self, number: int) -> bytearray:
        """Return frame *number* with the seed in its checksum field."""
        frame = bytearray(_template(self))
        frame[-self.payload :] = struct.pack("!I", number) * (self.payload // 4)
        if self.is_tcp:
            frame[self.transport + 4 : self.transport + 8] = struct.pack("!I", number)
        return frame

    @property
    def transport(self) -> int:
        """Offset of the transport header."""
        return 34 if self.version == 4 else 54

    @property
    def field(self) -> int:
        """Offset of the checksum field."""
        return self.transport + (16 if self.is_tcp else 6)


@cache
def _template(flow: Flow) -> bytes:
    return f.leaked(flow.first)


@cache
def _vnet(flow: Flow, gso_type: int, gso_size: int) -> bytes:
    return f.vnet(flow.first, gso_type=gso_type, gso_size=gso_size)


Kind = Callable[[Flow, int], bytes]


def pending(flow: Flow, number: int) -> bytes:
    return _vnet(flow, 0, 0) + bytes(flow.frame(number))


def leaked(flow: Flow, number: int) -> bytes:
    return NO_VNET + bytes(flow.frame(number))


def good(flow: Flow, number: int) -> bytes:
    frame = flow.frame(number)
    right = 0xFFFF - f.total(bytes(frame[flow.transport :])) or 0xFFFF
    return NO_VNET + f.put16(bytes(frame), flow.field, right)


def corrupt(flow: Flow, number: int) -> bytes:
    frame = good(flow, number)
    return f.put16(frame, 10 + flow.field, f.get16(frame, 10 + flow.field) ^ 0x5A5A)


def without(flow: Flow, number: int) -> bytes:
    """UDP over IPv4 without a checksum."""
    return NO_VNET + f.put16(bytes(flow.frame(number)), flow.field, 0)


def super_frame(flow: Flow, number: int) -> bytes:
    """A pending one of SEGMENTS segments, all of this number."""
    large = Flow(flow.version, flow.is_tcp, flow.payload * SEGMENTS)
    return _vnet(large, 1 if flow.version == 4 else 4, flow.payload) + bytes(large.frame(number))


def mixed(count: int, flow: Flow, kinds: Sequence[Kind], seed: int = 1) -> list[bytes]:
    """Return *count* numbered frames with their virtio-net headers, kinds in runs of random length."""
    draw = random.Random(seed)
    made: list[bytes] = []
    while len(made) < count:
        kind, run = draw.choice(kinds), draw.choice((1, 1, 2, 5, 20))
        made += [kind(flow, number) for number in range(len(made), min(count, len(made) + run))]
    return made


def send_all(out: socket.socket, frames: Sequence[bytes], seed: int = 2) -> None:
    """Send them with pauses: a flow that had a suspect goes back to the kernel only in a pause of milliseconds."""
    draw, left = random.Random(seed), 0
    for frame in frames:
        if not left:
            time.sleep(draw.choice((0, 0.001, 0.008, 0.012)))
            left = draw.choice((5, 20, 60))
        left -= 1
        put(out, frame)


@contextmanager
def arrivals(line: Line) -> Iterator[tuple[socket.socket, list[int]]]:
    """A socket to send from at a, with virtio-net headers; and the numbers of what arrives at b, in order.

    A frame counts once for each segment's payload in it, so that what was joined or split is the same.
    """
    numbers: list[int] = []
    ours = bytes(f.raw(f.ether))[:12]
    with open_tap(line.a, "eth0", vnet=True) as out, open_tap(line.b, "eth0") as back:
        back.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 28)
        back.settimeout(0.1)
        is_over = threading.Event()

        def receive() -> None:
            while True:
                try:
                    frame = back.recv(1 << 17)
                except TimeoutError:
                    if is_over.is_set():
                        return
                    continue
                if frame[:12] == ours:
                    numbers.extend(numbers_of(frame))

        thread = threading.Thread(target=receive)
        thread.start()
        try:
            yield out, numbers
        finally:
            is_over.set()
            thread.join()


def numbers_of(frame: bytes) -> list[int]:
    """The numbers in a frame's payload, one for each SIZE bytes."""
    start = f.transport_start(frame)
    protocol = frame[23] if f.get16(frame, 12) == 0x0800 else frame[20]
    payload = frame[start + (20 if protocol == 6 else 8) :]
    return [int(struct.unpack_from("!I", payload, at)[0]) for at in range(0, len(payload) - SIZE + 1, SIZE)]


def lost_by_veths(line: Line, *where: str) -> int:
    """Frames from a to b that the veths had no room for, as the kernel counts them: at a's eth0, at pb, or both."""
    hosts = {"eth0": line.a, "pb": line.node}
    return sum(
        int(hosts[name].run("cat", f"/sys/class/net/{name}/statistics/tx_dropped").stdout) for name in where or hosts
    )


def assert_exact(line: Line, d: dict[str, Any], sent: int, arrived: int) -> None:
    """Each of *sent* frames from a has *arrived* at b, or is in a counter."""
    cut = d["cut_through"]
    assert d["arrived"] == cut["frames"] + d["kernel_seen"] + cut["lost"], d
    assert_ledger(d)
    named = sum(d["dropped"].values()) + sum(d["tx_error"].values())
    lost = d["kernel_drops"] + named + d["truncated"] + cut["lost"] + lost_by_veths(line)
    assert sent == arrived + lost, (sent, arrived, lost, d)
