"""What the rules of wrong and rewritten sums decide, as data: cause, confidence and facts, none of their English.

Numbers are counted by hand from the frames; every checksum is scapy's, or damaged by hand from scapy's.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path

import frames as f
import tapes as t
from diagnosing import SERVER, A, B, decide, decided, only
from pktmend import Cause
from pktmend.commands.diagnose.facts import arithmetic, rewritten, wrong
from pktmend.commands.diagnose.facts.limits import Limit

# --- wrong ----------------------------------------------------------------------------------------------------------


def test_empty_fields(tmp_path: Path) -> None:
    frames = [(n, f.put16(f.raw(t.udp("fd07::1", "fd07::2", 4000, 9, bytes([n]))), 60, 0)) for n in range(3)]
    path = t.pcap(tmp_path / "x", frames)
    [found] = decide(path)
    assert decided([found]) == [("never-filled", "possible")] and found.limits == (Limit.CARD_MAY_FILL,)
    assert found.facts == (wrong.Empty({"udp illegal-zero": 3}), wrong.IllegalZeros(3))
    [found] = decide(path, live="eth0")
    assert decided([found]) == [("never-filled", "certain")] and found.limits == ()


def test_empty_fields_that_were_filled_later(tmp_path: Path) -> None:
    packets = [
        (time, f.put16(frame, 50, 0) if n in (0, 2, 3) else frame)
        for n, (time, frame) in enumerate(t.conversation(A, SERVER, 1))
    ]
    [found] = decide(t.pcap(tmp_path / "x", packets))
    assert decided([found]) == [("offload-pending", "certain")]
    assert found.facts == (wrong.LeftToCard({"tcp never-filled": 3}), wrong.FilledLater(2))


def test_swapped_bytes(tmp_path: Path) -> None:
    frames = []
    for n in range(3):
        frame = f.raw(t.udp(A, B, 4000, 9, random.Random(n).randbytes(30)))
        frames.append((n, frame[:40] + frame[41:39:-1] + frame[42:]))
    [found] = decide(t.pcap(tmp_path / "x", frames))
    assert decided([found]) == [("wrong-arithmetic", "certain")]
    assert found.facts == (arithmetic.Miscomputed(Cause.BYTE_SWAPPED, 3), arithmetic.SentBy((A,)))


def test_super_frames(tmp_path: Path) -> None:
    big = t.tcp(A, SERVER, 40000, 80, 1001, 5001, "A", bytes(30000))
    part = t.tcp(A, SERVER, 40000, 80, 1001, 5001, "A", bytes(1448))
    joined = f.put16(f.raw(big), 50, f.get16(f.raw(part), 50))
    [found] = decide(t.pcap(tmp_path / "x", [(1, joined)]))
    assert decided([found]) == [("super-frames", "certain")]
    assert found.facts == (wrong.SuperFrames(0, 14 + 20 + 20 + 30000), wrong.SegmentSums(1))


def test_flipped_bits(tmp_path: Path) -> None:
    noise, frames = random.Random(3), []
    for n in range(30):
        frame = f.raw(t.tcp(A, B, 4000 + n % 2, 80, n * 400, 1, "A", noise.randbytes(400)))
        frames.append((n, t.damaged(frame, 60 + n, 1 << n // 10) if n % 10 == 0 else frame))
    [found] = decide(t.pcap(tmp_path / "x", frames))
    assert decided([found]) == [("bit-errors", "likely")]
    assert only(found, wrong.Unexplained, wrong.OneConversation) == [
        wrong.Unexplained(30, found.counts, 3),
        wrong.OneConversation(f"{A}:4000 > {B}:80", 1),
    ]
    assert sum(found.counts.values()) == 3 and found.bridge is None
    [few] = only(found, wrong.FewBits)
    # bits of even bytes are the upper ones of a word: 0x01 << 8, 0x02 << 8, 0x04 << 8
    assert few == wrong.FewBits(3, 3, (0x0100, 0x0200, 0x0400))


# --- rewritten ------------------------------------------------------------------------------------------------------


def test_old_sum_after_an_address_changed(tmp_path: Path) -> None:
    frames: list[t.Timed] = []
    for n in range(3):
        before = t.tcp(A, SERVER, 4000, 443, 1000 + n, 2000, "PA", bytes([n]) * 40)
        behind = t.tcp("203.0.113.9", SERVER, 4000, 443, 1000 + n, 2000, "PA", bytes([n]) * 40)
        frames += [(n, f.raw(before)), (n + 0.1, f.put16(f.raw(behind), 50, f.get16(f.raw(before), 50)))]
    [found] = decide(t.pcap(tmp_path / "x", frames))
    assert decided([found]) == [("nat-without-update", "certain")] and found.facts == (rewritten.RightElsewhere(3),)


def test_same_difference_in_every_packet(tmp_path: Path) -> None:
    """203.0.113.9 is cb00 7109, 10.7.0.1 is 0a07 0001: the old sum is too large by their difference."""
    frames = []
    for n in range(4):
        rest = (4000, 443, 1000 + n, 2000, "PA", random.Random(n).randbytes(60))
        old, new = t.tcp(A, SERVER, *rest), t.tcp("203.0.113.9", SERVER, *rest)
        frames.append((n, f.put16(f.raw(new), 50, f.get16(f.raw(old), 50))))
    [found] = decide(t.pcap(tmp_path / "x", frames))
    difference = (0xCB00 + 0x7109 - 0x0A07 - 0x0001) % 0xFFFF
    assert decided([found]) == [("nat-without-update", "likely")]
    assert found.facts == (rewritten.SameDifference(found.counts, (difference,)),)
    assert sum(found.counts.values()) == 4


def test_seed_that_was_translated(tmp_path: Path) -> None:
    frames = []
    for n in range(4):
        behind = t.udp("203.0.113.9", SERVER, 40000, 5000, random.Random(n).randbytes(64))
        change = sum(struct.unpack("!2H", bytes([203, 0, 113, 9]))) - sum(struct.unpack("!2H", bytes([10, 7, 0, 1])))
        frames.append((n, f.put16(f.raw(behind), 40, (f.seed(behind) - 2 * change) % 0xFFFF)))
    [found] = decide(t.pcap(tmp_path / "x", frames))
    assert decided([found]) == [("metadata-lost", "likely")] and found.limits == (Limit.REPAIRS_BEFORE_NAT,)
    assert found.facts == (rewritten.TranslatedSeeds(found.counts, -2 * change % 0xFFFF),)
