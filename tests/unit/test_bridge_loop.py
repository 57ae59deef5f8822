"""What a worker sees of a loop, and what the bridge makes of it.  Time and wires are the test's own."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pktmend import Batch, Capture, Frames, Pipeline, Verdict, verify
from pktmend._core import BridgeLoop, NativeStage
from pktmend.commands.bridge.loop_guard import LoopGuard, Suspicion
from pktmend.records import LoopSigns
from tapes import pcap

MAC = bytes.fromhex("020000000b01")
BROADCAST = b"\xff" * 6


def batch_of(stage: NativeStage, *frames: bytes, tag: bytes = b"") -> Batch:
    """Run verify and the stage over frames; the tag goes between addresses and type."""
    batch = Frames([each[:12] + tag + each[12:] for each in frames]).batch()
    verify(batch)
    stage(batch)
    return batch


def passes(stage: NativeStage, frame: bytes, *, tag: bytes = b"") -> bool:
    return int(batch_of(stage, frame, tag=tag).verdict[0]) == Verdict.PASS


def probe_of(loop: BridgeLoop, port: int, number: int = 77, *, stops: bool = False, blocks: bool = False) -> bytes:
    return loop.make_probe(port, number, MAC, stops=stops, blocks=blocks)


def test_probe_is_a_configuration_test_reply_as_scapy_and_the_standard_have_it() -> None:
    frame = probe_of(BridgeLoop(1), 0)
    assert len(frame) == 60 and frame[:14] == BROADCAST + MAC + b"\x90\x00"
    assert struct.unpack_from("<HHH", frame, 14) == (0, 1, 0)  # skip count, reply, receipt number: little-endian
    assert not any(frame[14 + 32 :])


@pytest.mark.parametrize(
    "tag", [b"", b"\x81\x00\x00\x07", b"\x88\xa8\x00\x02\x81\x00\x00\x07"], ids=["plain", "q", "qinq"]
)
def test_own_probe_at_the_other_port_is_the_proof_and_goes_no_further(tag: bytes) -> None:
    loop = BridgeLoop(1)
    other = loop.stage(1)
    assert not passes(other, probe_of(loop, 0), tag=tag)
    signs = loop.read()
    assert signs.proved == (1, 0) and signs.back == (0, 0)
    assert signs.tag == {0: 0, 4: 0x81000007 << 32, 8: 0x88A80002_81000007}[len(tag)]


def test_own_probe_at_its_own_port_goes_on_once() -> None:
    loop = BridgeLoop(1)
    same, other = loop.stage(0), loop.stage(1)
    frame = probe_of(loop, 0)
    assert [passes(same, frame) for _ in range(4)] == [True, False, False, False]
    assert loop.read().back == (4, 0) and loop.read().proved == (0, 0)
    assert not passes(other, frame)  # which the first of them may come to


def test_numbers_are_good_for_two_probes() -> None:
    loop = BridgeLoop(1)
    other = loop.stage(1)
    old, last, new = (probe_of(loop, 0, number) for number in (5, 6, 7))
    assert [passes(other, each) for each in (old, last, new)] == [False] * 3
    assert loop.read().proved == (2, 0), "of long ago, or made up: proves nothing"
    forged = bytearray(new)
    forged[14 + 29] ^= 0x80
    assert not passes(other, bytes(forged)) and loop.read().proved == (2, 0)


def test_other_bridges_probes_pass_and_say_what_they_do() -> None:
    loop = BridgeLoop(5)
    stage = loop.stage(0)
    assert passes(stage, probe_of(BridgeLoop(9), 0))
    assert (loop.read().other_stops, loop.read().other_blocks) == (0, 0)
    assert passes(stage, probe_of(BridgeLoop(9), 0, stops=True, blocks=True))
    assert passes(stage, probe_of(BridgeLoop(8), 0, stops=True))
    signs = loop.read()
    assert (signs.other_stops, signs.other_blocks, signs.proved) == (9, 9, (0, 0))
    assert loop.read().other_stops == 0, "of late"


@pytest.mark.parametrize("length", range(14, 60))
def test_short_frames_are_no_probes(length: int) -> None:
    loop = BridgeLoop(1)
    frame = probe_of(loop, 0)[:length]
    assert passes(loop.stage(1), frame) == (length < 14 + 32)


def test_blocked_bridge_drops_everything_and_still_counts_probes() -> None:
    loop = BridgeLoop(1)
    stage = loop.stage(1)
    ip = BROADCAST + MAC + b"\x88\xb6" + bytes(46)
    loop.block(True)
    assert [int(v) for v in batch_of(stage, ip, probe_of(loop, 0), ip).verdict] == [Verdict.DROP] * 3
    assert loop.read().proved == (1, 0)
    loop.block(False)
    assert passes(stage, ip)


def test_repeats_are_counted_and_tags_are_kept(tmp_path: Path) -> None:
    loop = BridgeLoop(1)
    stage = loop.stage(0)
    frames = [BROADCAST + MAC + b"\x88\xb6" + struct.pack("!I", n) + bytes(42) for n in range(4)]

    def see(*some: bytes, at: float, tag: bytes = b"") -> LoopSigns:
        tape = pcap(tmp_path / "tape", [(at, each[:12] + tag + each[12:]) for each in some])
        with Capture(tape) as source:
            Pipeline(source, [verify, stage]).run()
        return loop.read()

    assert see(*frames, at=100.0).repeats == 0
    assert see(*frames[:3], at=100.2).repeats == 3
    assert see(*frames, at=100.9).repeats == 3
    signs = see(*frames[:1], at=101.0, tag=b"\x81\x00\x00\x09")
    assert signs.repeats == 3, "another VLAN's is another frame"
    assert signs.tags == {0x81000009 << 32}
    assert see(*[frames[0]] * 1000, at=102.0).repeats == 3, "a burst of equal frames"
    signs = see(*[frames[0]] * 1000, at=102.15)
    assert signs.repeats == 3 + 128, "so many in a tenth of a second are looked at"
    assert signs.frames == 4 + 3 + 4 + 1 + 2000


def test_suspicion_of_repeats() -> None:
    s = Suspicion()
    assert [s.interval(n, 0, 50 + n / 20) for n in range(16)] == [None] * 16, "fifteen within a second"
    assert s.interval(16 + 4, 0, 50.8) == 0.2
    assert s.interval(40, 0, 51.7) == 0.2
    assert s.interval(60, 0, 52.3) == 0.5, "for long: less often"
    assert s.interval(60, 0, 54.0) is None


def test_suspicion_of_many_frames_that_the_kernel_carries() -> None:
    s = Suspicion()
    assert s.interval(0, 10**9, 50.0) is None
    assert s.interval(0, 10**9 + 400, 50.1) is None, "4,000 a second"
    assert s.interval(0, 10**9 + 1100, 50.2) == 0.2
    assert s.interval(0, 10**9 + 1200, 50.3) is None


class Wire:
    """A port; what is sent goes to the stages that path() names."""

    def __init__(self, name: str, mac: bytes = MAC) -> None:
        self.name, self.hardware_address = name, mac
        self.to: list[NativeStage] = []
        self.sent: list[bytes] = []

    def send(self, frame: bytes) -> bool:
        self.sent.append(frame)
        for stage in self.to:
            passes(stage, frame)
        return True


class World:
    """A guard, its clock, and what it tells; storm() makes it suspicious."""

    def __init__(self, mode: str) -> None:
        self.now = 1000.0
        self.guard = LoopGuard(mode, clock=lambda: self.now)  # type: ignore[arg-type]
        self.a, self.b = Wire("va"), Wire("vb")
        self.guard.ports = [self.a, self.b]
        self.stages = [self.guard.stage(0), self.guard.stage(1)]
        self.said: list[str] = []
        self.carried = 0

    def loop(self, *, there: bool) -> None:
        self.a.to, self.b.to = ([self.stages[1]], [self.stages[0]]) if there else ([], [])

    def pass_time(self, seconds: float, *, frames: int = 0) -> None:
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.carried += frames // 10
            self.guard.poll(self.said.append, self.carried)


def test_warn_tells_once_and_says_when_it_is_gone() -> None:
    w = World("warn")
    w.pass_time(5, frames=100_000)
    assert w.said == [] and 2 * 8 <= w.guard.probes <= 2 * 15, "a suspicion alone is nothing"
    w.loop(there=True)
    w.pass_time(1.1, frames=100_000)
    assert len(w.said) == 1 and "va and vb" in w.said[0] and w.guard.state == "found"
    w.pass_time(10)
    assert len(w.said) == 1
    w.loop(there=False)
    w.pass_time(7)
    assert len(w.said) == 2 and "gone" in w.said[1] and w.guard.state == "none" and w.guard.found == 1
    probes = w.guard.probes
    w.pass_time(20)
    assert w.guard.probes == probes, "and silence where nothing is suspicious"


def test_stop_blocks_until_the_loop_is_gone() -> None:
    w = World("stop")
    w.loop(there=True)
    w.pass_time(1, frames=100_000)
    assert w.guard.is_blocking and not passes(w.stages[0], BROADCAST + MAC + b"\x88\xb6" + bytes(46))
    w.pass_time(60)
    assert w.guard.is_blocking and w.guard.blocked == 1
    w.loop(there=False)
    w.pass_time(6)
    assert not w.guard.is_blocking and passes(w.stages[0], BROADCAST + MAC + b"\x88\xb6" + bytes(46))


@pytest.mark.parametrize("it_blocks", [True, False])
def test_the_bridge_with_the_lower_id_lets_the_other_one_block(it_blocks: bool) -> None:
    w = World("stop")
    other = BridgeLoop(2**64 - 1)
    w.loop(there=True)
    passes(w.stages[0], probe_of(other, 0, stops=True))
    w.pass_time(0.5, frames=100_000)
    assert w.guard.state == "found" and "another pktmend" in w.said[-1]
    w.loop(there=not it_blocks)
    w.pass_time(3, frames=100_000)
    assert w.guard.is_blocking == (not it_blocks), "it said so and does not: never for ever"


def test_of_two_that_block_the_one_with_the_lower_id_forwards_again() -> None:
    w = World("stop")
    w.loop(there=True)
    w.pass_time(1, frames=100_000)
    assert w.guard.is_blocking
    passes(w.stages[0], probe_of(BridgeLoop(0), 0, stops=True, blocks=True))
    w.pass_time(0.2)
    assert w.guard.is_blocking, "the lower one's word does not count"
    high = probe_of(BridgeLoop(2**64 - 1), 0, stops=True, blocks=True)
    w.loop(there=False)
    passes(w.stages[0], high)
    w.pass_time(0.2)
    assert not w.guard.is_blocking
    w.loop(there=True)
    w.pass_time(1, frames=100_000)
    passes(w.stages[0], high)
    w.pass_time(0.5)
    assert w.guard.is_blocking, "who says so and still lets the loop be is not believed again soon"


def test_unidirectional_bridge_probes_one_way() -> None:
    w = World("warn")
    w.guard.ports = [None, w.b]
    w.b.to = [w.stages[0]]
    w.pass_time(1, frames=100_000)
    assert "(vb)" in w.said[0] and w.a.sent == []
