"""Contents that were damaged are called damaged, whatever the damage is; headers that were rewritten are not.

Frames and sums are made by tests/damage.py, and damaged or rewritten here: what was done is known.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import damage as d
import tapes as t
from diagnosing import decide, decided, only
from pktmend.commands.diagnose import companions
from pktmend.commands.diagnose.facts import rewritten, wrong
from pktmend.commands.diagnose.facts.rewritten_capture import AcknowledgedWrong, BothWays, OldSeeds

DAMAGED = {"bit-errors", "corruption"}
HEALTHY = {"nothing-wrong", "offload-pending"}
ROUNDS = 25
Frames = list[bytearray]


def put(frame: bytearray, at: int, value: int) -> None:
    frame[at : at + 2] = value.to_bytes(2, "big")


def get(frame: bytearray, at: int) -> int:
    return int.from_bytes(frame[at : at + 2], "big")


def with_right_header(frame: bytearray) -> None:
    put(frame, 24, 0)
    put(frame, 24, d.rfc1071(frame[14:34]))


def field_of(frame: bytearray) -> int:
    return 50 if frame[23] == 6 else 40


def seed_of(frame: bytearray) -> int:
    pseudo = bytes(frame[26:34]) + bytes([0, frame[23]]) + (len(frame) - 34).to_bytes(2, "big")
    return d.rfc1071(pseudo) ^ 0xFFFF


def flows(rng: random.Random, n: int, count: int, make: Callable[..., bytes]) -> Frames:
    """Return n packets in *count* flows to two hosts."""
    return [bytearray(make(rng, 1, 2 + i % count % 2, 4000 + i % count, 1000 + i * 64, 64 + i % 7)) for i in range(n)]


def shown(path: Path, frames: Frames) -> list[tuple[str, str]]:
    return decided(decide(t.pcap(path, [(n / 100, bytes(frame)) for n, frame in enumerate(frames)])))


@pytest.mark.parametrize("damage", d.DAMAGES, ids=lambda each: each.__name__)
def test_damage_is_called_damage(tmp_path: Path, damage: d.Damage) -> None:
    rng, wrong_ones, judged = random.Random(damage.__name__), 0, 0
    for _ in range(ROUNDS):
        n, make = rng.choice((3, 5, 12, 40, 120)), rng.choice((d.segment, d.datagram))
        count, share = rng.choice((1, 1, 2, n)), rng.choice((0.05, 0.2, 0.5, 1.0))
        frames = flows(rng, n, count, make)
        for frame in frames:
            if rng.random() < share:
                damage(rng, frame)
        for cause, confidence in shown(tmp_path / "x", frames):
            judged += cause not in HEALTHY
            if cause not in DAMAGED | HEALTHY:
                assert confidence != "certain", (cause, n, count, share)
                wrong_ones += confidence == "likely"
    assert judged > ROUNDS // 2 and wrong_ones <= 1, (wrong_ones, judged)


def test_words_that_changed_places_are_not_seen(tmp_path: Path) -> None:
    rng = random.Random(1)
    frames = flows(rng, 20, 2, d.segment)
    for frame in frames:
        d.swapped_words(rng, frame)
    assert shown(tmp_path / "x", frames) == [("nothing-wrong", "certain")]


def new_address(rng: random.Random, frame: bytearray) -> None:
    frame[26:30] = bytes([203, 0, 113, 9])
    with_right_header(frame)


def new_address_alone(rng: random.Random, frame: bytearray) -> None:
    frame[26:30] = bytes([203, 0, 113, 9])


def new_port(rng: random.Random, frame: bytearray) -> None:
    put(frame, 34, get(frame, 34) + 1717)


def port_less_one(rng: random.Random, frame: bytearray) -> None:
    put(frame, 36, get(frame, 36) - 1)


def ttl_less_one(rng: random.Random, frame: bytearray) -> None:
    frame[22] -= 1


@pytest.mark.parametrize("count", [1, 2, 12], ids="{} flows".format)
@pytest.mark.parametrize("make", [d.segment, d.datagram], ids=["tcp", "udp"])
@pytest.mark.parametrize(
    "rewrite", [new_address, new_address_alone, new_port, port_less_one, ttl_less_one], ids=lambda each: each.__name__
)
def test_headers_rewritten_in_every_packet(tmp_path: Path, rewrite: d.Damage, make: d.Damage, count: int) -> None:
    rng = random.Random(count)
    frames = flows(rng, 12, count, make)  # type: ignore[arg-type]
    for frame in frames:
        rewrite(rng, frame)
    found = shown(tmp_path / "x", frames)
    if rewrite is port_less_one and count == 12:  # one bit, and each flow alone: a stuck one would do it as well
        assert found[0][0] in ("nat-without-update", "bit-errors")
    else:
        assert found[0] == ("nat-without-update", "likely")
    assert "certain" not in dict(found).values() and not {"corruption", "bit-errors"} & {c for c, _ in found[:-1]}


def test_a_clamp_that_spoils_syns_only(tmp_path: Path) -> None:
    """Segments with a payload are good, and between the SYNs: another kind says nothing of theirs."""
    rng, frames = random.Random(4), []
    for n in range(6):
        frame = bytearray(d.segment(rng, 1, 2, 4000, 1000 * n, 30))
        frames.append(frame)
        if n % 2 == 0:
            syn = bytearray(d.segment(rng, 1, 2, 5000 + n, 1000 * n, 0))
            head = syn[34:54]
            head[12:14], head[16:18] = b"\x60\x02", b"\0\0"
            syn = bytearray(
                d.frame(d.address(1), d.address(2), 6, bytes(head) + bytes([2, 4, 1460 >> 8, 1460 & 255]), 16, n)
            )
            put(syn, 56, 1280)
            frames.append(syn)
    path = t.pcap(tmp_path / "x", [(n / 100, bytes(frame)) for n, frame in enumerate(frames)])
    [found] = decide(path)
    assert decided([found]) == [("nat-without-update", "likely")]
    assert only(found, rewritten.SameDifference) == [rewritten.SameDifference({"tcp corrupt": 3}, (0xFFFF - 180,))]


@pytest.mark.parametrize("bit", range(1, 8))
def test_a_stuck_bit_leaves_others_good(tmp_path: Path, bit: int) -> None:
    rng = random.Random(bit)
    frames = flows(rng, 40, 1, d.segment)
    for frame in frames:
        frame[90] |= 1 << bit
    found = shown(tmp_path / "x", frames)
    assert found == [("bit-errors", "likely")]


def test_an_engine_with_few_differences(tmp_path: Path) -> None:
    rng = random.Random(5)
    frames = flows(rng, 100, 1, d.segment)
    for n in range(0, 100, 4):
        put(frames[n], 50, (get(frames[n], 50) + (0x50E3, 0x50E4, 0x4EE3, 0x4EE4)[n % 16 // 4]) % 0xFFFF)
    [found] = decide(t.pcap(tmp_path / "x", [(n / 100, bytes(frame)) for n, frame in enumerate(frames)]))
    assert decided([found]) == [("wrong-arithmetic", "likely")]
    assert only(found, wrong.FewDifferences) == [wrong.FewDifferences(25, (0x4EE3, 0x4EE4, 0x50E3, 0x50E4))]


def test_a_little_wrong_in_all_that_a_host_sends(tmp_path: Path) -> None:
    """The sum was made over a length of 40, always; the other host's are good."""
    rng = random.Random(6)
    frames = [bytearray(d.segment(rng, 1, 2, 4000, n * 100, 10 + 7 * n)) for n in range(8)]
    for frame in frames:
        put(frame, 50, (get(frame, 50) + len(frame) - 34 - 40) % 0xFFFF)
    frames += [bytearray(d.segment(rng, 2, 1, 80, n * 100, 10 + 7 * n)) for n in range(8)]
    assert shown(tmp_path / "x", frames) == [("length-fault", "certain")]


def leaked_and_translated(frames: Frames) -> None:
    for frame in frames:
        put(frame, field_of(frame), seed_of(frame))
        new_address(random.Random(), frame)


@pytest.mark.parametrize("make", [d.segment, d.datagram], ids=["tcp", "udp"])
@pytest.mark.parametrize(("n", "count"), [(2, 1), (4, 1), (6, 2), (6, 6)])
def test_seeds_of_another_address(tmp_path: Path, make: Callable[..., bytes], n: int, count: int) -> None:
    frames = flows(random.Random(7), n, count, make)
    leaked_and_translated(frames)
    assert shown(tmp_path / "x", frames) == [("metadata-lost", "likely")]


# --- rewritten in the file --------------------------------------------------------------------------------------------


def talk(n: int, *, is_partial: bool = False) -> Frames:
    """A connection of host 1 with host 2, each segment acknowledged; is_partial: host 1's sums are left to its card."""
    rng, frames = random.Random(8), []
    for i in range(n):
        there = bytearray(d.segment(rng, 1, 2, 4000, 1000 + 64 * i, 64))
        if is_partial:
            put(there, 50, seed_of(there))
        back = bytearray(d.segment(rng, 2, 1, 80, 9000 + 50 * i, 50))
        put(back, 36, 4000)
        back[42:46] = (1064 + 64 * i).to_bytes(4, "big")
        put(back, 50, 0)
        put(back, 50, d.rfc1071(seed_of(back).to_bytes(2, "big") + bytes(back[34:])))
        frames += [there, back]
    return frames


def anonymise(frames: Frames, *, fix_headers: bool) -> None:
    names = {d.address(1): bytes([172, 16, 5, 9]), d.address(2): bytes([192, 168, 77, 200])}
    for frame in frames:
        frame[26:30], frame[30:34] = names[bytes(frame[26:30])], names[bytes(frame[30:34])]
        if fix_headers:
            with_right_header(frame)


SHIFT = (0xAC10 + 0x0509 + 0xC0A8 + 0x4DC8 - 2 * 0x0A07 - 1 - 2) % 0xFFFF  # of both addresses, new less old


@pytest.mark.parametrize("fix_headers", [True, False])
@pytest.mark.parametrize("is_partial", [True, False])
def test_a_capture_that_was_rewritten(tmp_path: Path, *, fix_headers: bool, is_partial: bool) -> None:
    frames = talk(4, is_partial=is_partial)
    anonymise(frames, fix_headers=fix_headers)
    [found] = decide(t.pcap(tmp_path / "x", [(n / 100, bytes(frame)) for n, frame in enumerate(frames)]))
    assert decided([found]) == [("rewritten-capture", "likely")] and found.cause.is_healthy
    assert only(found, BothWays, AcknowledgedWrong, OldSeeds) == [
        BothWays("172.16.5.9", "192.168.77.200", SHIFT),
        AcknowledgedWrong(4),
        *([OldSeeds(4)] if is_partial else []),
    ]


def test_translated_there_and_back_on_the_way_is_no_rewritten_file(tmp_path: Path) -> None:
    """A stateless NAT seen from both sides: what goes is off by the difference, what comes by its opposite."""
    rng, frames = random.Random(9), []
    for n in range(4):
        there, back = (bytearray(d.segment(rng, *ends, 4000 + n, n * 64, 20)) for ends in ((1, 2), (9, 1)))
        there[30:34] = d.address(300)  # 10.7.0.2 becomes 10.7.1.44
        back[26:30] = d.address(2)
        for frame in (there, back):
            with_right_header(frame)
        frames += [there, back]
    found = shown(tmp_path / "x", frames)
    assert [cause for cause, _ in found] == ["nat-without-update"]


def test_what_an_interface_shows_was_not_rewritten(tmp_path: Path) -> None:
    frames = talk(4)
    anonymise(frames, fix_headers=True)
    path = t.pcap(tmp_path / "x", [(n / 100, bytes(frame)) for n, frame in enumerate(frames)])
    assert [cause for cause, _ in decided(decide(path, live="eth0"))] == ["nat-without-update"]


def test_one_direction_of_a_rewritten_sender_capture(tmp_path: Path) -> None:
    """Headers are off by d and partial sums by -d: nothing updated either."""
    frames = talk(4, is_partial=True)
    anonymise(frames, fix_headers=False)
    found = shown(tmp_path / "x", frames[::2])
    assert found == [("rewritten-capture", "possible")]


def test_contents_that_were_scrubbed(tmp_path: Path) -> None:
    frames = talk(5)
    for frame in frames:
        frame[54:] = bytes(len(frame) - 54)
    assert shown(tmp_path / "x", frames) == [("rewritten-capture", "possible")]


def test_sums_over_what_is_summed_already(tmp_path: Path) -> None:
    frames = flows(random.Random(21), 6, 1, d.segment)
    for frame in frames:
        put(frame, 24, 0xFFFF)
        put(frame, 50, 0xFFFF)
    assert shown(tmp_path / "x", frames) == [("wrong-arithmetic", "likely")]


def test_one_value_over_contents_and_lengths(tmp_path: Path) -> None:
    frames = flows(random.Random(22), 5, 1, d.segment)
    for frame in frames:
        put(frame, 50, 0x5596)
    assert shown(tmp_path / "x", frames) == [("nat-on-zero", "likely")]


def test_a_segment_that_loses_a_bit_each_time(tmp_path: Path) -> None:
    """Sent again and again with other time stamps; what was sent before is good.  Shifted sequence numbers differ."""
    rng = random.Random(23)
    frames = flows(rng, 10, 1, d.segment)
    shifted = [bytearray(frame) for frame in frames]
    for _ in range(5):
        again = bytearray(d.segment(rng, 1, 2, 4000, 5000, 100))  # new contents stand for other time stamps
        again[100] ^= 4
        frames.append(again)
    found = shown(tmp_path / "x", frames)
    assert [cause for cause, _ in found] == ["bit-errors"]
    for n in range(8):
        later = bytearray(d.segment(rng, 1, 2, 4000, 9000 + 64 * n, 64))
        put(later, 40, get(later, 40) + 4)
        shifted.append(later)
    assert shown(tmp_path / "y", shifted) == [("nat-without-update", "likely")]


def test_good_packets_count_beyond_those_that_are_looked_at(tmp_path: Path) -> None:
    """What follows so many others is known by the conversations' counts: a bit is stuck, nothing was rewritten."""
    rng = random.Random(24)
    noise = bytearray(d.segment(rng, 1, 2, 9000, 1, 20))
    first = bytearray(noise)
    d.flip_bit(rng, first)
    frames = [first, *[noise] * (companions.LOOKS + 10)]
    later = flows(rng, 40, 1, d.segment)
    for frame in later:
        frame[90] |= 0x20
    assert shown(tmp_path / "x", frames + later) == [("bit-errors", "likely")]
