"""Headers that contradict each other about lengths.  Frames and sums are scapy's."""

from __future__ import annotations

import random
from pathlib import Path

from scapy.all import IP

import frames as f
import tapes as t
from diagnosing import A, B, decide, decided, only
from pktmend.commands.diagnose.facts.malformed import Contradicts, RightOverOne

NOISE = random.Random(13)


def test_lengths_that_contradict_each_other(tmp_path: Path) -> None:
    """A card that writes the length of one part into the IPv4 header of the whole, and its sum."""
    frames = []
    for n in range(5):
        frame = f.raw(t.udp("172.31.0.5", "172.31.0.6", 7000, 7001, NOISE.randbytes(1400)))
        header = IP(frame[14:34])
        header.len, header.chksum = 328, None
        frames.append((n, frame[:14] + bytes(header)[:20] + frame[34:]))
    [found] = decide(t.pcap(tmp_path / "x", frames))
    assert decided([found]) == [("length-fault", "likely")]
    [fact] = only(found, Contradicts)
    assert isinstance(fact, Contradicts) and fact.n == 5
    assert fact.first.says == (("IPv4", 328), ("UDP", 1408)) and (fact.first.room, fact.first.frame) == (1428, 1442)
    assert only(found, RightOverOne) == [RightOverOne(5, 5, "UDP")]


def test_ip4_length_below_its_own_header(tmp_path: Path) -> None:
    frames = [(n, f.put16(f.raw(t.udp(A, B, 1, 2, bytes(40))), 16, 12)) for n in range(4)]
    assert decided(decide(t.pcap(tmp_path / "x", frames)))[0] == ("length-fault", "likely")


def test_one_such_packet_is_possible(tmp_path: Path) -> None:
    good = [(n, f.raw(t.udp(A, B, 1, 2, NOISE.randbytes(40)))) for n in range(9)]
    frame = f.put16(f.raw(t.tcp(A, B, 1, 2, 3, 4, "A")), 46, 0xF010)  # a TCP header of 60 bytes in 20
    found = decide(t.pcap(tmp_path / "x", [*good, (9, frame)]))
    assert decided(found) == [("length-fault", "possible")]


def test_frames_that_were_cut_without_saying_so(tmp_path: Path) -> None:
    """All end at one byte: a matter of who captured them, not of a length in a header."""
    packets = [(n, f.raw(t.udp(A, B, 1, 2, NOISE.randbytes(200 + n)))[:96]) for n in range(6)]
    assert decided(decide(t.pcap(tmp_path / "x", packets))) == [("nothing-wrong", "possible")]
