"""SCTP: headers that were rewritten without a new CRC32c, and sums that are none.

Frames and CRC32c are scapy's; Adler-32 and CRC-32 are zlib's.
"""

from __future__ import annotations

import random
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from scapy.all import IP, SCTP, SCTPChunkData

import frames as f
import tapes as t
from diagnosing import A, B, decide, decided, only
from pktmend.commands.diagnose.facts.crc import ChangedWord, OtherSum, OtherSums, SeenBefore

FIELD, PORTS = 14 + 20 + 8, 14 + 20
NOW = (40000, 1000)


def sctp(n: int, size: int, *, ports: tuple[int, int] = NOW, source: str = A) -> bytes:
    data = random.Random(n).randbytes(size)
    packet: Any = f.ether / IP(src=source, dst=B) / SCTP(sport=ports[0], dport=ports[1], tag=0x1234)
    return f.raw(packet / SCTPChunkData(tsn=n, stream_id=1, proto_id=0, data=data))


def translated(n: int, size: int, *, then: tuple[int, int] = (40000, 30487), source: str = A) -> bytes:
    """The packet with other ports than its CRC32c was made for."""
    return (
        sctp(n, size, source=source)[:FIELD]
        + sctp(n, size, ports=then)[FIELD : FIELD + 4]
        + sctp(n, size, source=source)[FIELD + 4 :]
    )


def capture(path: Path, frames: list[bytes]) -> Path:
    return t.pcap(path / "x.pcap", list(enumerate(frames)))


@pytest.mark.parametrize(
    ("sizes", "confidence"),
    [((40, 44, 48, 52), "certain"), ((40, 40, 40), "likely"), ((40,), "likely")],
)
def test_a_port_that_was_translated(sizes: tuple[int, ...], confidence: str, tmp_path: Path) -> None:
    [found] = decide(capture(tmp_path, [translated(n, size) for n, size in enumerate(sizes)]))
    assert decided([found]) == [("nat-without-update", confidence)]
    assert found.facts == (ChangedWord(len(sizes), len(set(sizes)), (40000, 30487), NOW),)


def test_both_ports_of_several_lengths(tmp_path: Path) -> None:
    frames = [translated(n, 40 + 4 * n, then=(50123, 30487)) for n in range(4)]
    assert decided(decide(capture(tmp_path, frames))) == [("nat-without-update", "certain")]
    [one] = decide(capture(tmp_path, frames[:1]))
    assert one.cause == "corruption"  # some ports always fit


def test_the_same_packets_before_translation(tmp_path: Path) -> None:
    frames = []
    for n in range(2):
        frames += [sctp(n, 40, ports=(40000, 30487), source="10.9.9.9"), translated(n, 40)]
    [found] = decide(capture(tmp_path, frames))
    assert decided([found]) == [("nat-without-update", "certain")]
    assert only(found, SeenBefore) == [SeenBefore(2)]


def test_a_right_packet_of_the_flow_speaks_against_it(tmp_path: Path) -> None:
    frames = [translated(n, 40 + 4 * n) if n % 2 else sctp(n, 40 + 4 * n) for n in range(6)]
    assert all(found.cause != "nat-without-update" for found in decide(capture(tmp_path, frames)))


def test_damage_is_no_translation(tmp_path: Path) -> None:
    noise = random.Random(1)
    for _ in range(100):
        frames = [t.damaged(sctp(n, 40), noise.randrange(50, 90), noise.randrange(1, 256)) for n in range(3)]
        assert all(found.cause != "nat-without-update" for found in decide(capture(tmp_path, frames)))


@pytest.mark.parametrize("kind", OtherSum)
def test_another_sum(kind: OtherSum, tmp_path: Path) -> None:
    frames = []
    for n in range(2):
        frame = sctp(n, 40 + 4 * n)
        packet = frame[PORTS:FIELD] + bytes(4) + frame[FIELD + 4 :]
        if kind is OtherSum.ADLER32:
            field = struct.pack("!I", zlib.adler32(packet))
        elif kind is OtherSum.CRC32:
            field = struct.pack("<I", zlib.crc32(packet))
        else:
            field = struct.pack("<I", crc32c_from_zero(packet))
        frames.append(frame[:FIELD] + field + frame[FIELD + 4 :])
    [found] = decide(capture(tmp_path, frames))
    assert decided([found]) == [("sctp-wrong-sum", "certain")] and found.facts == (OtherSums(kind, 2),)


def crc32c_from_zero(data: bytes) -> int:
    """Bit by bit, as RFC 9260 appendix A defines it, but started from 0."""
    register = 0
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF
