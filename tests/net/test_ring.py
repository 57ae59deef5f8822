"""The ring itself: frames it must survive, order and content kept, memory given back once."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Iterator

import pytest
from scapy.all import UDP, IPv6, Raw

import frames as f
from line import NO_PI, TAP, TUN, VNET_HDR, Line, open_tap, open_tap_device
from pktmend import Batch, ConfigError, Pipeline, Ring, StageError, count, verify
from pktmend.testbed.netns import Host, Testbed
from tools import PATIENCE, until

PLAIN = f.raw(f.ether / f.ip4 / f.udp / Raw(b"z" * 100))
UFO = struct.pack("<BBHHHH", 1, 3, 42, 1480, 34, 6)  # a GSO type that packet sockets cannot express


@pytest.fixture
def host() -> Iterator[Host]:
    with Testbed() as testbed:
        yield testbed.host("h")


@pytest.mark.parametrize("layout", ["v2", "v3"])
def test_frame_the_header_cannot_express_does_not_stop_the_reader(host: Host, layout: str) -> None:
    """V2: the kernel keeps its slot reserved and drops all that follows; V3: it counts a packet that is not there."""
    tap = open_tap_device(host, "tap0", TAP | NO_PI | VNET_HDR)
    big = f.raw(f.ether / f.ip4 / f.udp / Raw(b"z" * 4000))
    with host.call(lambda: Ring("tap0", ring=layout, outgoing=False)) as ring:
        pipeline = Pipeline(ring, [verify, count])
        pipeline.start()
        os.write(tap, bytes(10) + PLAIN)
        os.write(tap, UFO + big)
        until(lambda: pipeline.counters().packets >= 1)
        before = pipeline.counters().packets
        deadline = time.monotonic() + PATIENCE
        while pipeline.counters().packets < before + 20 and time.monotonic() < deadline:
            os.write(tap, bytes(10) + PLAIN)
            time.sleep(0.02)
        pipeline.stop()
        pipeline.wait()
        d = pipeline.counters()
    os.close(tap)
    assert d.packets >= before + 20, d
    assert d.kernel_seen == d.read + d.kernel_drops and d.kernel_drops >= 1


def test_large_frames_keep_their_content_across_a_link_event(line: Line) -> None:
    """The error that a link event leaves on the socket must not cost the queue of large frames its step."""
    ring = line.node.call(lambda: Ring("pb", ring="v2", outgoing=False))
    line.node.link("pb", mtu=9000)
    line.b.link("eth0", mtu=9000)
    letters = b"ABCDEF"
    got: list[bytes] = []

    def keep(batch: Batch) -> None:
        got.extend(bytes(batch.frame(i)[60:61]) for i in range(len(batch)) if batch.wirelen[i] > 3000)

    with ring, open_tap(line.b, "eth0") as out:
        for at, letter in enumerate(letters):
            if at == 3:
                line.node.link("pb", state="down")
                line.node.link("pb", state="up")
                until(lambda: line.b.run("cat", "/sys/class/net/eth0/operstate").stdout == "up\n", "the link")
            out.send(f.raw(f.ether / f.ip4 / f.udp / Raw(bytes([letter]) * 4000)))
        pipeline = Pipeline(ring, [verify, keep, count])
        pipeline.start()
        pipeline.stop()
        pipeline.wait()
    assert b"".join(got) == letters


def test_tun_has_no_ethernet_header(host: Host) -> None:
    tun = open_tap_device(host, "tun0", TUN | NO_PI)
    with host.call(lambda: Ring("tun0")) as ring:
        with pytest.raises(ConfigError, match="no Ethernet"):
            ring.require_ethernet()
        pipeline = Pipeline(ring, [verify, count])
        pipeline.start()
        wrong = f.raw(f.ip4 / f.udp / Raw(b"x" * 50))
        os.write(tun, wrong[:26] + b"\x12\x34" + wrong[28:])
        os.write(tun, f.raw(IPv6(src="fd07::1", dst="fd07::2") / UDP(sport=1, dport=2) / Raw(b"x")))
        until(lambda: pipeline.counters().packets >= 2)
        pipeline.stop()
        pipeline.wait()
    os.close(tun)
    udp = pipeline.counters().checks["udp"]
    assert udp["good"] == 1 and sum(udp.values()) == 2


@pytest.mark.parametrize("layout", ["v2", "v3"])
def test_batches_go_back_even_when_the_loop_is_left(line: Line, layout: str) -> None:
    with line.node.call(lambda: Ring("pb", ring=layout, outgoing=False)) as ring, open_tap(line.b, "eth0") as out:
        ours = 0

        def mine(batch: Batch) -> int:
            return sum(bytes(batch.frame(i)) == PLAIN for i in range(len(batch)))

        for _ in range(3):
            out.send(PLAIN)
            for batch in ring.batches(timeout=PATIENCE):
                ours += mine(batch)
                break
        for batch in ring.batches(timeout=PATIENCE) if ours < 3 else ():  # a batch may have held others' frames
            ours += mine(batch)
            if ours == 3:
                break
        ours += sum(mine(batch) for batch in ring.batches(timeout=0.3))  # ends: nothing is held
        assert ours == 3


def test_view_alive_at_release_is_a_buffererror(line: Line) -> None:
    with line.node.call(lambda: Ring("pb", outgoing=False)) as ring, open_tap(line.b, "eth0") as out:
        out.send(PLAIN)
        batches = ring.batches(timeout=PATIENCE)
        kept = next(batches).frame(0)
        with pytest.raises(BufferError, match="1 view"):
            next(batches)
        with pytest.raises(BufferError):
            ring.open().close()
        kept.release()


def test_closing_under_a_running_pipeline_is_refused(line: Line) -> None:
    ring = line.node.call(lambda: Ring("pb", outgoing=False))
    pipeline = Pipeline(ring, [verify])
    pipeline.start()
    with pytest.raises(ConfigError, match="still runs"):
        ring.close()
    pipeline.stop()
    pipeline.wait()
    ring.close()
    late = Pipeline(ring, [verify])
    with pytest.raises(OSError, match="Bad file descriptor"):
        late.run(duration=1)


def test_batch_kept_by_a_failing_stage_is_empty_afterwards(line: Line) -> None:
    kept: list[Batch] = []

    def fails(batch: Batch) -> None:
        kept.append(batch)
        raise RuntimeError

    with line.node.call(lambda: Ring("pb", outgoing=False)) as ring, open_tap(line.b, "eth0") as out:
        pipeline = Pipeline(ring, [fails])
        sender = threading.Timer(0.2, out.send, [PLAIN])
        sender.start()
        with pytest.raises(StageError):
            pipeline.run(duration=PATIENCE)
        sender.join()
    assert len(kept[0]) == 0
    with pytest.raises(IndexError):
        kept[0].frame(0)
