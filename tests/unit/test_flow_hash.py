"""The programs that share frames among workers, run by the kernel on datagrams of a Unix socket."""

from __future__ import annotations

import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator

import pytest

import frames as f
from pktmend._kernel import ffi, lib
from pktmend.packetio.flow_hash import part

COUNT = 3


class Workers:
    """A socket for each part; keepers() says which of them take a frame."""

    def __init__(self, count: int) -> None:
        self.pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]
        for number, (_, taker) in enumerate(self.pairs):
            program = part(number, count)
            instructions = ffi.from_buffer(program)
            first = ffi.cast("struct sock_filter *", instructions)
            attached = ffi.new("struct sock_fprog *", {"len": len(program) // 8, "filter": first})
            taker.setsockopt(socket.SOL_SOCKET, lib.SO_ATTACH_FILTER, bytes(ffi.buffer(attached)))
            taker.setblocking(False)

    def keepers(self, frame: bytes) -> list[int]:
        found = []
        for number, (sender, taker) in enumerate(self.pairs):
            sender.send(frame)
            try:
                assert taker.recv(1 << 16) == frame
                found.append(number)
            except BlockingIOError:
                pass
        return found

    def close(self) -> None:
        for each in self.pairs:
            for s in each:
                s.close()


@pytest.fixture
def workers() -> Iterator[Workers]:
    made = Workers(COUNT)
    yield made
    made.close()


def random_frame(chance: random.Random) -> bytes:
    """Anything, but often with the type and version of IP, and any header length, protocol and fragment field."""
    frame = bytearray(chance.randbytes(chance.randrange(1, 120)))
    if len(frame) > 14 and chance.random() < 0.8:
        is_4 = chance.random() < 0.6
        frame[12:14] = b"\x08\x00" if is_4 else b"\x86\xdd"
        frame[14] = chance.choice([0x45, 0x4F, 0x40, 0x46, 0x5F, chance.randrange(256)]) if is_4 else 0x60
        if len(frame) > 23:
            frame[23 if is_4 else 20] = chance.choice([6, 17, 33, 132, 136, 1, 44])
        if is_4 and len(frame) > 21:
            frame[20:22] = chance.choice([b"\0\0", b"\x40\0", b"\x20\0", b"\0\x17"])
    return bytes(frame)


def test_exactly_one_takes_each_frame_whatever_it_holds(workers: Workers) -> None:
    chance = random.Random(20261128)
    taken: Counter[int] = Counter()
    for _ in range(5000):
        frame = random_frame(chance)
        found = workers.keepers(frame)
        assert len(found) == 1, frame.hex()
        taken[found[0]] += 1
    assert min(taken.values()) > 1000  # and they share the work


@pytest.mark.parametrize("length", range(34, 75))
def test_ipv4_header_that_says_it_is_longer_than_the_frame(workers: Workers, length: int) -> None:
    frame = f.raw(f.ether / f.ip4 / f.tcp)[:34].ljust(length, b"\0")
    for words in range(16):
        for protocol in (6, 17, 132):
            crafted = bytearray(frame)
            crafted[14], crafted[23] = 0x40 | words, protocol
            assert len(workers.keepers(bytes(crafted))) == 1, crafted.hex()


@pytest.mark.parametrize("protocol", [17, 136, 33])
def test_fragments_and_whole_datagrams_of_a_flow_meet(workers: Workers, protocol: int) -> None:
    """Over twenty pairs of addresses; by their ports they would not, but by chance."""
    for n in range(20):
        whole = bytearray(f.raw(f.ether / f.ip4 / f.udp / f.PAYLOAD))
        whole[23], whole[33] = protocol, n
        whole[34:38] = struct.pack("!HH", 4000 + n, 53)
        later = bytearray(whole)
        later[20:22], later[34:38] = b"\0\x04", b"data"
        assert workers.keepers(bytes(whole)) == workers.keepers(bytes(later))


def test_flows_of_tcp_are_spread_and_each_stays_together(workers: Workers) -> None:
    used = set()
    for port in range(40):
        frame = bytearray(f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD))
        frame[34:36] = struct.pack("!H", 40000 + port)
        (kept,) = workers.keepers(bytes(frame))
        assert workers.keepers(bytes(frame) + b"more") == [kept]
        used.add(kept)
    assert used == set(range(COUNT))
