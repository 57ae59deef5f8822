"""Super-frames of types that packet sockets do not support: they are lost and counted, and no other frame is."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from scapy.all import Dot1Q, Raw

import frames as f
from line import NO_PI, TAP, VNET_HDR, open_tap, open_tap_device
from pktmend.testbed.netns import Host, Testbed
from running import RunningBridge
from tools import PATIENCE, until

NONE = bytes(10)
# flags, type, header, size, csum_start, csum_offset.  UFO with and without a pending sum, of a size below any MTU, in
# what looks like TCP to every filter: with a pending sum the kernel takes the sender's word for the type.
UFO = struct.pack("<BBHHHH", 1, 3, 42, 1480, 34, 6)
FRAMES = {
    "ufo": UFO + f.raw(f.ether / f.ip4 / f.udp / Raw(bytes(4000))),
    "no pending sum": struct.pack("<BBHHHH", 0, 3, 42, 1480, 0, 0) + f.raw(f.ether / f.ip4 / f.udp / Raw(bytes(4000))),
    "short": struct.pack("<BBHHHH", 1, 3, 42, 8, 34, 6) + f.raw(f.ether / f.ip4 / f.udp / Raw(bytes(50))),
    "like tcp": struct.pack("<BBHHHH", 1, 3, 54, 1400, 34, 16) + f.raw(f.ether / f.ip4 / f.tcp / Raw(bytes(4000))),
    "ipv6": struct.pack("<BBHHHH", 1, 3, 62, 1480, 54, 6) + f.raw(f.ether / f.ip6 / f.udp / Raw(bytes(4000))),
    "tagged": struct.pack("<BBHHHH", 1, 3, 46, 1480, 38, 6)
    + f.raw(f.ether / Dot1Q(vlan=5) / f.ip4 / f.udp / Raw(bytes(4000))),
}
FIRST = 25  # the numbered frame that follows the first of them
SOON = 200  # numbered frames, one each half a millisecond: a loaded machine may let the worker wait so long
HEAD = f.put16(f.raw(f.ether / f.ip4 / f.udp / bytes(12))[:-12], 40, 0)  # no UDP sum: the number changes, it need not


def numbered(number: int, size: int = 0) -> bytes:
    return HEAD + b"NUMBERED" + struct.pack("!I", number) + bytes(size)


class Numbers(threading.Thread):
    """What arrives of the numbered frames at a host's interface, and when."""

    def __init__(self, host: Host, interface: str) -> None:
        super().__init__(daemon=True)  # a test that fails may leave it behind
        self.got: list[int] = []
        self.times: list[float] = []
        self._socket = open_tap(host, interface)
        self._socket.settimeout(0.2)
        self._end = threading.Event()
        self.start()

    def run(self) -> None:
        with self._socket:
            while not self._end.is_set():
                try:
                    frame = self._socket.recv(1 << 17)
                except OSError:  # nothing for a while; at the end, its interface
                    continue
                if frame[42:50] == b"NUMBERED":
                    self.times.append(time.monotonic())
                    self.got.append(int.from_bytes(frame[50:54], "big"))

    def finish(self) -> list[int]:
        self._end.set()
        self.join()
        return self.got


Path = tuple[Host, Host, int]  # the bridge's host, the one behind it, the TAP


@pytest.fixture
def path() -> Iterator[Path]:
    with Testbed() as testbed:
        node, b = testbed.host("node"), testbed.host("b")
        testbed.veth(b, "eth0", node, "pb")
        tap = open_tap_device(node, "tap0", TAP | NO_PI | VNET_HDR)
        yield node, b, tap
        with suppress(OSError):  # a test may have closed it
            os.close(tap)


def bridged(node: Host, *options: str) -> RunningBridge:
    bridge = RunningBridge(node, "-i", "tap0", "-I", "pb", *options)
    assert "bridging" in bridge.first_line
    return bridge


MODES: dict[str, tuple[str, ...]] = {
    "v2": (),
    "a thread each": ("--no-coalesce",),
    "finish": ("--finish", "pb"),
    "three workers": ("--workers", "3"),
    "busy": ("--busy-poll", "50"),
    "another user": ("-Z", "nobody"),
    "v3": ("--ring", "v3"),
}


@pytest.mark.parametrize("mode", MODES)
def test_nothing_else_is_lost(path: Path, mode: str) -> None:
    """One every 50 frames: all others arrive, in order, once, but what came within moments of a ring's first.

    What comes while ring and queue both take frames is counted once.
    """
    node, b, tap = path
    bridge = bridged(node, *MODES[mode])
    numbers = Numbers(b, "eth0")
    total, bad = 1500, 0
    kinds = list(FRAMES.values())
    for number in range(total):
        if number % 50 == FIRST:
            os.write(tap, kinds[bad % len(kinds)])
            bad += 1
        os.write(tap, NONE + numbered(number))
        time.sleep(0.0005)
    until(lambda: numbers.got[-1:] == [total - 1], "the last frame")
    d = bridge.stop()[0]
    got = numbers.finish()
    rings = {"v3": 0, "three workers": 3}.get(mode, 1)
    missing = sorted(set(range(total)) - set(got))
    assert got == sorted(set(got)) and len(missing) <= SOON * rings
    if rings <= 1:
        assert missing == list(range(FIRST, FIRST + len(missing)))
    twice = d["kernel_seen"] - total - bad
    assert 0 <= twice <= rings and d["kernel_drops"] == bad + total - len(got) + twice
    assert d["unsupported_gso"] == bad and d["rebuilds"] <= rings
    told = [line for line in bridge.said if "packet sockets do not support" in line]
    assert len(told) == 1 and told[0].startswith("tap0: ") and "ethtool -K" in told[0], bridge.said
    assert ("socket's queue" in told[0]) == (mode != "v3")


@pytest.mark.parametrize("kind", FRAMES)
def test_what_comes_moments_later_arrives(path: Path, kind: str) -> None:
    node, b, tap = path
    bridge = bridged(node)
    numbers = Numbers(b, "eth0")
    os.write(tap, NONE + numbered(0))
    until(lambda: numbers.got == [0])
    os.write(tap, FRAMES[kind])
    time.sleep(0.1)  # some milliseconds are enough, unless the machine is loaded
    for number in range(1, 21):
        os.write(tap, NONE + numbered(number))
    until(lambda: len(numbers.got) >= 21, "the frames after it")
    d = bridge.stop()[0]
    assert numbers.finish() == list(range(21))
    assert d["unsupported_gso"] == d["kernel_drops"] == d["rebuilds"] == 1


def test_the_queue_carries_what_the_ring_did(path: Path) -> None:
    """Tags, pending sums, super-frames, frames of many sizes; and the interface made again is bound again."""
    node, b, tap = path
    bridge = bridged(node)
    os.write(tap, FRAMES["ufo"])
    until(lambda: bool(bridge.snapshots) and bridge.directions[0]["rebuilds"] == 1)
    with open_tap(b, "eth0", vnet=True) as back:
        back.settimeout(PATIENCE)

        def arrives(header: bytes, frame: bytes) -> tuple[bytes, bytes, int]:
            os.write(tap, header + frame)
            while True:
                got, control, _, _ = back.recvmsg(1 << 17, 64)
                if b"NUMBERED" in got:
                    return got[:10], got[10:], struct.unpack_from("<IIIHHH", control[0][2])[5] if control else 0

        for number, size in enumerate([0, 1, 1000, 1400]):
            assert arrives(NONE, numbered(number, size))[1] == numbered(number, size)
        pending = f.ether / f.ip4 / f.udp / Raw(b"NUMBERED")
        assert arrives(f.vnet(pending), f.leaked(pending))[0][:2] == b"\1\0"
        large = f.ether / f.ip4 / f.tcp / Raw(b"NUMBERED" * 5000)
        header, frame, _ = arrives(f.vnet(large, gso_type=1, gso_size=1448), f.leaked(large))
        assert header[:2] == b"\1\1" and frame == f.leaked(large)
        tagged = f.raw(f.ether / Dot1Q(vlan=77) / f.ip4 / f.udp / Raw(b"NUMBERED"))
        assert arrives(NONE, tagged)[2] == 77
    os.close(tap)
    bridge.await_told(2)
    again = open_tap_device(node, "tap0", TAP | NO_PI | VNET_HDR)
    try:
        numbers = Numbers(b, "eth0")
        until(lambda: any("bound again" in line for line in bridge.said))
        os.write(again, NONE + numbered(9))
        until(lambda: numbers.got == [9], "a frame of the new interface")
        numbers.finish()
        bridge.stop()
    finally:
        os.close(again)


@pytest.mark.parametrize("layout", ["v2", "v3"])
def test_flood_of_them(path: Path, layout: str) -> None:
    """As many as a sender can make between its frames: all of them are counted, none of the others is missing."""
    node, b, tap = path
    bridge = bridged(node, "--ring", layout)
    numbers = Numbers(b, "eth0")
    total, each = 300, 20
    for number in range(total):
        for _ in range(each):
            os.write(tap, FRAMES["short"])
        os.write(tap, NONE + numbered(number))
        time.sleep(0.0005)
    until(lambda: numbers.got[-1:] == [total - 1], "the last frame")
    d = bridge.stop()[0]
    got = numbers.finish()
    assert got == sorted(set(got)) and total - len(got) <= (SOON if layout == "v2" else 0)
    twice = d["kernel_seen"] - total * (each + 1)
    assert 0 <= twice <= each and d["kernel_drops"] == total * each + total - len(got) + twice
    assert d["unsupported_gso"] <= d["kernel_drops"]


@pytest.mark.parametrize("layout", ["v2", "v3"])
def test_library_goes_on_as_well(path: Path, layout: str) -> None:
    from pktmend import Pipeline, Ring, count, verify

    node, _, tap = path
    with node.call(lambda: Ring("tap0", ring=layout, outgoing=False)) as ring:
        pipeline = Pipeline(ring, [verify, count])
        pipeline.start()
        os.write(tap, FRAMES["ufo"])
        time.sleep(0.1)
        for number in range(10):
            os.write(tap, NONE + numbered(number))
        until(lambda: pipeline.counters().packets >= 10)
        pipeline.stop()
        pipeline.wait()
        d = pipeline.counters()
    assert d.kernel_seen == d.read + d.kernel_drops and d.kernel_drops == d.unsupported_gso == 1
