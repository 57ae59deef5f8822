"""What the kernel's part carries, frame by frame: never more than verify calls healthy, and what it must.

What a header promises, and what a socket can say of a frame, come before it by a veth pair, from a packet socket.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

import pytest
from scapy.all import UDP

import frames as f
from carriers import CARRIERS, ETHERNET
from kernel_frames import MUST, MUST_NOT, NOT_EVERYWHERE, over4, payload
from kernel_judging import Wire, by_verify, dry_bench, run_program, wire_bench
from kinds import control_plane, tiny
from pktmend.testbed.netns import Testbed


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Testbed() as testbed, wire_bench(testbed) as bench:
        yield bench


@pytest.mark.parametrize("name", MUST)
def test_healthy_frame_is_carried_and_counted(wire: Wire, name: str) -> None:
    (frame, vnet), checks = MUST[name]
    kernel = wire.opinion(frame, vnet)
    if kernel is None and name in NOT_EVERYWHERE:
        pytest.skip("this kernel does not take the frame")
    assert kernel is not None and kernel.is_healthy
    assert kernel.checks == checks
    assert by_verify(frame, vnet).checks == checks


@pytest.mark.parametrize("name", MUST_NOT)
def test_suspect_is_left_to_user_space(wire: Wire, name: str) -> None:
    frame, vnet = MUST_NOT[name]
    kernel = wire.opinion(frame, vnet)
    assert kernel is not None or name in NOT_EVERYWHERE, "this kernel does not take the frame"
    assert kernel is None or not kernel.is_healthy


def test_super_frame_that_is_finished_is_left_to_user_space() -> None:
    """As GRO by lists of segments makes it; a socket cannot send one."""
    frame = f.raw(over4 / f.tcp / payload(900))
    with dry_bench() as bench:
        assert bench.opinion(frame).is_healthy
        before = bench.judge.counts()
        assert run_program(bench.judge.cut, frame, gso_size=300)
        assert bench.judge.counts().issued == before.issued + 1


@pytest.mark.parametrize("size", [9728, 9729])
def test_longest_that_is_summed(wire: Wire, size: int) -> None:
    """A jumbo frame of any card; beyond it user space sums."""
    frame = f.raw(over4 / UDP(sport=1, dport=2) / payload(size - 8))
    assert wire.opinion(frame).is_healthy == (size == 9728)
    assert by_verify(frame).is_healthy


@pytest.mark.parametrize("size", [1, 64, 200, 1300])
@pytest.mark.parametrize("name", [name for name, (link, _, _) in CARRIERS.items() if link == ETHERNET])
def test_carrier_is_judged_as_by_verify(wire: Wire, name: str, size: int) -> None:
    """As it is, with each of its bytes damaged in turn (a sample of them), and with metadata that names any place."""
    if name == "IPv6 jumbogram" and size < 64:
        pytest.skip("is none with so little in it")
    frame = bytes(CARRIERS[name][2]((bytes(range(256)) * 6)[:size]))
    rng = random.Random(name + str(size))
    wire.compare(frame)
    for at in rng.sample(range(12, min(len(frame), 200)), 20):
        damaged = frame[:at] + bytes([frame[at] ^ 1 << rng.randrange(8)]) + frame[at + 1 :]
        wire.compare(damaged)
        wire.compare(damaged, struct.pack("=BBHHHH", 1, 0, 0, 0, *rng.choice(((34, 16), (34, 6), (54, 16), (at, 6)))))


@pytest.mark.parametrize("name", [*control_plane(), *tiny()])
def test_other_frame_is_judged_as_by_verify(wire: Wire, name: str) -> None:
    wire.compare((control_plane() | tiny())[name])
