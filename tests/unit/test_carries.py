"""Sums that lack carries, and sums that come to zero: what diagnose makes of them.

Each mistake is made here by a few lines of Python over scapy's frames.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import pytest

import frames as f
import tapes as t
from diagnosing import SERVER, A, decide, decided, only
from judging import LIVE
from miscomputed import capture, tcp4, udp4, udp6
from pktmend import Cause, Frames, classify, verify
from pktmend.commands.diagnose.facts.arithmetic import ComputedZero, LostCarry, Mistake, SmallDifferences, Summed


def folded_once(data: bytes, order: str) -> int:
    """The sum of 16-bit words with its carries added once, and the carry that this makes lost."""
    value = sum(struct.unpack(f"{order}{len(data) // 2}H", data))
    return int.from_bytes(struct.pack(f"{order}H", ~((value & 0xFFFF) + (value >> 16)) & 0xFFFF))


@pytest.mark.parametrize("order", ["!", "<"])
def test_a_lost_carry(order: str, tmp_path: Path) -> None:
    noise, frames, good = random.Random(7), [], 0
    while len(frames) - good < 4:
        p = udp4(0, noise.randbytes(1400))
        value = folded_once(p.pseudo() + p.body, order) or 0xFFFF
        is_right = value == f.get16(p.frame, p.offset)
        good += is_right
        if not is_right or good <= 30:
            frames.append(f.put16(p.frame, p.offset, value))
        else:
            good -= 1
    [found] = decide(capture(tmp_path, frames))
    assert decided([found]) == [("wrong-arithmetic", "certain")]
    assert only(found, Mistake) == [Mistake(Summed.CARRY_ONCE, int(order == "<"), 4, 4, 1, 30)]


def test_a_carry_lost_in_an_update(tmp_path: Path) -> None:
    """Where the sum is not made anew but updated, what is lost shows in few packets, and always as the same one."""
    frames = [udp4(0, random.Random(n).randbytes(60)).frame for n in range(20)]
    for n in (3, 9, 16):
        frames[n] = f.put16(frames[n], 40, f.get16(frames[n], 40) + 1)
    [found] = decide(capture(tmp_path, frames))
    assert decided([found]) == [("wrong-arithmetic", "likely")]
    assert only(found, LostCarry) == [LostCarry(3, 20, 1, False)]
    frames[5] = f.put16(frames[5], 40, f.get16(frames[5], 40) + 8)  # another bit too: damage
    assert all(found.cause != "wrong-arithmetic" for found in decide(capture(tmp_path, frames)))


@pytest.mark.parametrize("order", ["big", "little"])
def test_a_carry_lost_in_an_update_by_one_amount(order: Any, tmp_path: Path) -> None:
    """RFC 1624's sum of old sum and change, cut to 16 bits: bad are exactly those that overflow, however many."""
    frames, bad, change = [], 0, 0x6000
    for n in range(30):
        frame = udp4(0, random.Random(n).randbytes(60)).frame
        total = int.from_bytes((~f.get16(frame, 40) & 0xFFFF).to_bytes(2), order)  # of the packet as it is now
        before = (total - change) % 0xFFFF
        value = ~(before + change) & 0xFFFF
        bad += before + change > 0xFFFF
        frames.append(f.put16(frame, 40, int.from_bytes(value.to_bytes(2, order))))
    assert 5 < bad < 20
    [found] = decide(capture(tmp_path, frames))
    assert decided([found]) == [("wrong-arithmetic", "certain")]
    assert only(found, LostCarry) == [LostCarry(bad, 30, 1 if order == "big" else 0x100, True)]


def test_carries_that_are_never_added(tmp_path: Path) -> None:
    frames = []
    for n in range(6):
        p = tcp4(n, random.Random(n).randbytes(200 + 40 * n))
        words = p.pseudo() + p.body
        frames.append(f.put16(p.frame, p.offset, ~sum(struct.unpack(f"!{len(words) // 2}H", words)) & 0xFFFF))
    [found] = decide(capture(tmp_path, frames))
    assert found.cause == "wrong-arithmetic"
    assert only(found, Mistake, SmallDifferences)


def test_one_bit_that_sticks_is_no_lost_carry(tmp_path: Path) -> None:
    frames = []
    for n in range(40):
        frame = f.raw(t.udp(A, SERVER, 4000, 9, random.Random(n).randbytes(60)))
        frames.append(frame[:61] + bytes([frame[61] | 1]) + frame[62:])
    assert all(found.cause != "wrong-arithmetic" for found in decide(capture(tmp_path, frames)))


def test_a_computed_zero(tmp_path: Path) -> None:
    """The payload's first word is made what takes the sum to ffff, whose complement is 0."""
    frames = []
    for n in range(12):
        rest = random.Random(n).randbytes(38)
        if n % 4 == 0:
            p = udp6(0, b"\0\0" + rest)
            word = ~f.total(p.pseudo() + p.body) & 0xFFFF
            p = udp6(0, struct.pack("!H", word) + rest)
            assert f.get16(p.frame, p.offset) == 0xFFFF  # scapy's
            frames.append(f.put16(p.frame, p.offset, 0))
        else:
            frames.append(udp6(0, b"\1\2" + rest).frame)
    path = capture(tmp_path, frames)
    [found] = decide(path)
    assert decided([found]) == [("wrong-arithmetic", "certain")]
    assert only(found, ComputedZero) == [ComputedZero(3, 9)]
    [other] = decide(capture(tmp_path, [*frames, f.put16(frames[1], 60, 0)]))  # one that is not ffff: left empty
    assert other.cause == "never-filled"


def test_a_lost_carry_that_looks_like_an_updated_zero() -> None:
    """The sum that overflows to 0 leaves ffff, where fffe is right: again and again, over differing contents."""
    frames = []
    for n in range(4):
        rest = random.Random(n).randbytes(38)
        p = udp6(0, b"\0\0" + rest)
        word = (1 - f.total(p.pseudo() + p.body)) % 0xFFFF
        p = udp6(0, struct.pack("!H", word) + rest)
        assert f.get16(p.frame, p.offset) == 0xFFFE  # scapy's
        frames.append(f.put16(p.frame, p.offset, 0xFFFF))
    batch = Frames(frames, flags=LIVE).batch()
    verify(batch)
    classify(batch)
    assert {batch.checks_of(i)[-1].cause for i in range(4)} == {Cause.BIT_FLIP}
