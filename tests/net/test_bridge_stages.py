"""Users' stages in a running bridge: the examples on real traffic, and what becomes of it when a stage fails."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import frames as f
from line import Line, open_tap, seen, transfer
from running import RunningBridge
from tools import PATIENCE, PKTMEND

STAGES = '''
import time
from pktmend import Status, Verdict

def raises(batch):
    """Fail with its hands full."""
    view = batch.frame(0)
    view[-1] ^= 0xff
    raise ValueError("no")

def raises_on_udp(batch):
    if batch.where(protocol=17):
        raise ValueError("udp")

def drop_bad(batch):
    batch.mark(Verdict.DROP, status=Status.BAD)

def spoil_udp(batch):
    """Change the last byte of UDP and leave the checksum as it is."""
    for i in batch.where(protocol=17):
        batch.frame(i)[-1] ^= 0xff

class Slow:
    """Take that long for a batch."""
    def __init__(self, seconds):
        self.seconds = seconds
    def __call__(self, batch):
        time.sleep(self.seconds)

kept = []
def keeps(batch):
    kept.append(batch.frame(0))
'''


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(STAGES)
    return path


def stages_of(directions: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [stage for d in directions for stage in d["stages"] if stage["name"] == name]


@pytest.mark.parametrize("ring", ["v2", "v3"])
def test_failing_stage_is_passed_by(line: Line, mine: Path, ring: str) -> None:
    with line.bridged(
        "--ring", ring, "--on-error", "pass", "--stage", f"{mine}:raises", "--stage", f"{mine}:drop_bad"
    ) as bridge:
        transfer(line.a, line.b, 20 << 20)
        directions = bridge.stop()
        line.assert_no_checksum_error()
    for raising, following in zip(stages_of(directions, "raises"), stages_of(directions, "drop_bad"), strict=True):
        assert raising["errors"] == raising["calls"] == following["calls"] > 0 == following["errors"]
        assert raising["fault"] == "ValueError: no (mine.py:9)"
    assert all(d["sent"] == d["read"] for d in directions), directions
    there, back = (d["read"] for d in directions)
    assert there > (20 << 20) // 65536 and back > 2  # no frame holds more; answers may be few, but not fewer


def test_failing_stage_drops_with_a_reason_of_its_own_and_is_told_once(line: Line, mine: Path) -> None:
    bridge = RunningBridge(line.node, "-i", "pa", "-I", "pb", "--on-error", "drop", "--stage", f"{mine}:raises")
    done = line.a.run("ping", "-c5", "-i0.2", "-W1", "10.7.0.2", check=False)
    assert done.returncode == 1
    bridge.await_told(1)
    time.sleep(1.1)  # it looks once a second
    said = bridge.told()
    for d in bridge.directions:
        assert d["dropped"].get("stage-error", 0) == d["read"] and len(d["dropped"]) <= 1 and d["sent"] == 0
    assert bridge.directions[0]["read"] > 0
    words = "stage raises failed on packets from pa: ValueError: no (mine.py:9); those are dropped"
    assert sum(words in each for each in said) == 1


def test_without_a_policy_the_first_failure_ends_the_bridge(line: Line, mine: Path) -> None:
    bridge = RunningBridge(line.node, "-i", "pa", "-I", "pb", "--cut-through", "off", "--stage", f"{mine}:raises")
    line.a.run("ping", "-c1", "-W1", "10.7.0.2", check=False)
    assert bridge.ended(1) == ["stage raises: ValueError: no (mine.py:9)"]


def test_one_direction_that_fails_ends_the_bridge(line: Line, mine: Path) -> None:
    """Both may be served by one thread, which goes on with the other: that must not hide it."""
    bridge = RunningBridge(line.node, "-i", "pa", "-I", "pb", "--stage", f"{mine}:raises_on_udp")
    line.a.run("ping", "-c1", "-W9", "10.7.0.2")
    with open_tap(line.a, "eth0") as out:
        out.send(f.raw(f.ether / f.ip4 / f.udp / b"x"))
    assert any("stage raises_on_udp: ValueError: udp" in each for each in bridge.ended(1))


def test_stage_that_keeps_views_ends_the_bridge_without_a_policy(line: Line, mine: Path) -> None:
    bridge = RunningBridge(line.node, "-i", "pa", "-I", "pb", "--stage", f"{mine}:keeps")
    line.a.run("ping", "-c1", "-W1", "10.7.0.2", check=False)
    said = "\n".join(bridge.ended(1))
    assert "Traceback" not in said
    assert "stage keeps: BufferError: 1 view(s) of the batch are still alive; copy what is to be kept" in said


def test_what_a_stage_spoils_is_never_signed(line: Line, mine: Path) -> None:
    """Coalescing gives joined datagrams a new sum: only where the old one is right when it leaves."""
    frames = [f.raw(f.ether / f.ip4 / f.udp / bytes([n] * 100)) for n in range(50)]
    with line.bridged("--unidir", "--stage", f"{mine}:spoil_udp") as bridge, open_tap(line.b, "eth0") as back:
        with open_tap(line.a, "eth0") as out:
            for frame in frames:
                out.send(frame)
        for frame in frames:
            spoilt = frame[:-1] + bytes([frame[-1] ^ 0xFF])
            assert seen(back, lambda got: got[:14] == frame[:14]) == spoilt  # noqa: B023 - called at once
        bridge.stop()
    with line.bridged("--unidir", "--corrupt", "drop", "--stage", f"{mine}:spoil_udp") as bridge:
        with open_tap(line.a, "eth0") as out:
            out.send(frames[0])
        (there,) = bridge.stop()
    assert there["dropped"] == {"corrupt": 1}


def lossy(bridge: RunningBridge) -> list[dict[str, Any]]:
    return [s for s in bridge.snapshots if s["directions"][0]["kernel_drops"]]


def test_slow_stage_is_named_when_packets_are_lost(line: Line, mine: Path) -> None:
    bridge = RunningBridge(line.node, "-i", "pa", "-I", "pb", "--unidir", "--stage", f"{mine}:Slow,seconds=0.3")
    frame = f.raw(f.ether / f.ip4 / f.udp / b"x")
    deadline = time.monotonic() + 2 * PATIENCE
    with open_tap(line.a, "eth0") as out:
        out.setblocking(False)
        while time.monotonic() < deadline and len(lossy(bridge)) < 3:
            for _ in range(2000):
                try:
                    out.send(frame)
                except OSError:
                    break
    said = bridge.told(1)
    assert sum("stage Slow takes" in each for each in said) == 1, said


def test_stage_that_keeps_views_is_counted_and_the_bridge_ends_well(line: Line, mine: Path) -> None:
    with line.bridged("--on-error", "pass", "--stage", f"{mine}:keeps") as bridge:
        line.a.run("ping", "-c3", "-i0.2", "10.7.0.2")
        directions = bridge.stop()
    for stage in stages_of(directions, "keeps"):
        assert stage["errors"] == stage["calls"] > 0 and "BufferError" in stage["fault"]


def test_examples_run_in_the_bridge(line: Line, stage_examples: Path, tmp_path: Path) -> None:
    """All of them at once, each on traffic that it acts on; hosts judge what arrives."""
    pytest.importorskip("numba")
    (wash,) = stage_examples.glob("cython/wash.*.so")
    argv = ["-i", "pa", "-I", "pb"]
    for text in (
        "numpy_stage.py:DropLong,limit=70000",
        "cffi_stage.py:drop_port,port=5000",
        "numba_stage.py:drop_last_hop",
        f"cython/{wash.name}:wash_dscp",
    ):
        argv += ["--stage", f"{stage_examples}/{text}"]
    path = f"{Path(__file__).parents[2]}:{stage_examples / 'site'}"
    environment = ["env", f"PYTHONPATH={path}", f"XDG_CACHE_HOME={tmp_path}"]
    argv += ["--stage", "drop-multicast"]
    process = line.node.spawn(
        *environment,
        *PKTMEND,
        "bridge",
        *argv,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stderr is not None and b"bridging" in process.stderr.readline()
    transfer(line.a, line.b, 20 << 20)
    line.a.run("ping", "-c1", "-W9", "-Q", "0xb8", "10.7.0.2")
    assert line.a.run("ping", "-c1", "-W1", "-t1", "10.7.0.2", check=False).returncode == 1
    with open_tap(line.a, "eth0") as out, open_tap(line.b, "eth0") as back:
        marked = f.ether / f.IP(src="10.7.0.1", dst="10.7.0.2", tos=0xB9) / f.tcp
        for frame in (f.ether / f.ip4 / f.udp, f.Ether(dst="01:00:5e:00:00:fb") / f.ip4 / f.tcp, marked):
            out.send(f.raw(frame))
        marked[f.IP].tos = 0x01  # the third is the first that arrives
        assert seen(back, lambda got: got[26:34] == bytes([10, 7, 0, 1, 10, 7, 0, 2])) == f.raw(marked)
    line.assert_no_checksum_error()
    process.terminate()
    out_text = process.communicate(timeout=PATIENCE)[0].decode()
    assert all(
        f"stage {name}: " in out_text
        for name in ("drop-long", "drop_port", "drop_last_hop", "wash_dscp", "drop-multicast")
    )
    assert "failed" not in out_text
