"""Bridges that make a loop: told within a second, ended by `--loop stop`; and nothing told where there is none.

    hosts a - LAN (a kernel bridge) == two bridges beside each other == LAN - b

The judge is this file's own eye on the wire: a packet socket on a host's interface, and the kernel's counters.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from line import Line, open_tap
from pktmend._kernel import lib
from pktmend.testbed.netns import Host, Testbed, end
from running import RunningBridge, assert_ledger
from tools import until

TP_STATUS_VLAN_VALID = 0x10  # linux/if_packet.h
BROADCAST = b"\xff" * 6
VLAN_7 = b"\x81\x00\x00\x07"
SOURCE = bytes.fromhex("020000000a01")
FOUND = "another path joins both sides of this bridge"
SECONDS = 1.5 + 0.5  # from a tick, and what a busy machine may add; the promise is 1


def ring(testbed: Testbed, count: int) -> list[tuple[Host, str, str]]:
    """Return nodes whose ports are joined to a ring: (host, name of one port, name of the other)."""
    hosts = [testbed.host(f"n{i}") for i in range(count)]
    for i, host in enumerate(hosts):
        testbed.veth(host, f"r{i}", hosts[(i + 1) % count], f"l{(i + 1) % count}")
    for host in hosts:
        host.call(lambda: Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1"))
    return [(host, f"l{i}", f"r{i}") for i, host in enumerate(hosts)]


def kernel_bridge(host: Host, name: str, *ports: str) -> None:
    host.run("ip", "link", "add", name, "type", "bridge", "forward_delay", "0", "stp_state", "0")
    for port in ports:
        host.run("ip", "link", "set", "dev", port, "master", name)
    host.run("ip", "link", "set", "dev", name, "up")


@contextmanager
def bridges(nodes: list[tuple[Host, str, str]], *argv: str) -> Iterator[list[RunningBridge]]:
    with ExitStack() as stack:
        made = []
        for host, left, right in nodes:
            bridge = RunningBridge(host, "-i", left, "-I", right, *argv)
            assert "bridging" in bridge.first_line, bridge.first_line
            bridge.listen()
            stack.callback(end, bridge.process)
            made.append(bridge)
        yield made


def frame(number: int = 0, *, tag: bytes = b"") -> bytes:
    return BROADCAST + SOURCE + tag + struct.pack("!HI", 0x88B6, number) + bytes(46)


def inject(host: Host, interface: str, *frames: bytes) -> None:
    """Send frames out of a port, which come in at the other end of its link."""
    with open_tap(host, interface) as tap:
        for each in frames:
            tap.send(each)


def rate(host: Host, interface: str, seconds: float = 0.5) -> float:
    """Return frames that come in on an interface in a second, as the kernel counts them."""

    before = received(host, interface)
    time.sleep(seconds)
    return (received(host, interface) - before) / seconds


def received(host: Host, interface: str) -> int:
    answer = host.run("ip", "-j", "-s", "link", "show", "dev", interface).stdout
    return int(json.loads(answer)[0]["stats64"]["rx"]["packets"])


@contextmanager
def relay(
    host: Host, ports: Sequence[str], carries: Callable[[bytes], bool] = lambda _: True, *, delay: float = 0.0
) -> Iterator[None]:
    """Carry frames between two ports, both ways, in this process."""
    is_over = threading.Event()

    def carry(source: socket.socket, target: socket.socket) -> None:
        while not is_over.is_set():
            try:
                data, notes, *_ = source.recvmsg(2000, 200)
            except TimeoutError:
                continue
            for level, kind, note in notes:
                if (level, kind) == (lib.SOL_PACKET, lib.PACKET_AUXDATA):
                    status, tci, tpid = struct.unpack("=I12xHH", note)
                    if status & TP_STATUS_VLAN_VALID:
                        data = data[:12] + struct.pack("!HH", tpid, tci) + data[12:]
            if carries(data):
                time.sleep(delay)
                target.send(data)

    with ExitStack() as stack:
        a, b = (stack.enter_context(open_tap(host, port)) for port in ports)
        threads = [threading.Thread(target=carry, args=ends) for ends in ((a, b), (b, a))]
        for each in (a, b):
            each.settimeout(0.1)
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            is_over.set()
            for thread in threads:
                thread.join()


def told(bridge: RunningBridge, words: str) -> bool:
    return any(words in line for line in bridge.said)


@pytest.mark.parametrize(
    "options", [(), ("--workers", "2"), ("--ring", "v3"), ("--finish", "l0"), ("--no-coalesce",)], ids="-".join
)
def test_two_bridges_in_a_loop_tell_within_a_second(testbed: Testbed, options: tuple[str, ...]) -> None:
    nodes = ring(testbed, 2)
    with bridges(nodes[:1], *options) as ours, bridges(nodes[1:]) as others:
        pair = ours + others
        inject(nodes[0][0], nodes[0][1], frame())
        begun = time.monotonic()
        until(lambda: any(told(b, FOUND) for b in pair), "telling of the loop")
        assert time.monotonic() - begun < SECONDS
        assert "--loop stop" in next(s for b in pair for s in b.said if FOUND in s)
        assert rate(nodes[0][0], nodes[0][2]) > 100, "it only tells"
        for b in pair:
            for d in b.stop():
                assert_ledger(d)


def test_loop_in_one_vlan_only(testbed: Testbed) -> None:
    """What stands beside ours joins one VLAN: an untagged probe does not come back."""
    (node, left, right), (other, *ports) = ring(testbed, 2)
    with (
        relay(other, ports, lambda each: each[12:16] == VLAN_7),
        bridges([(node, left, right)], "--loop", "stop") as (bridge,),
    ):
        inject(node, left, frame(), frame(tag=VLAN_7))
        until(lambda: told(bridge, "in VLAN 7: blocked"), "blocking")
        bridge.stop()


def test_slow_loop_of_one_frame(testbed: Testbed) -> None:
    """Fifty frames a second are no rate to be suspicious of; that it is the same one again and again is."""
    (node, left, right), (other, *ports) = ring(testbed, 2)
    with relay(other, ports, delay=0.02), bridges([(node, left, right)]) as (bridge,):
        inject(node, left, frame())
        begun = time.monotonic()
        until(lambda: told(bridge, FOUND), "telling of the loop")
        assert time.monotonic() - begun < SECONDS
        assert rate(node, right) < 500


def test_storm_that_fills_every_ring(testbed: Testbed) -> None:
    """Where most frames are lost, probes are too: some come back."""
    nodes = ring(testbed, 2)
    host, left, right = nodes[0]
    with bridges(nodes, "--loop", "stop") as pair:
        for port in (left, right):
            inject(host, port, *(frame(n) for n in range(20000)))
        until(lambda: any(told(b, "blocked; frames are dropped") for b in pair), "blocking")
        until(lambda: rate(host, left) + rate(host, right) < 50, "the end of the storm")
        for b in pair:
            b.stop()


@pytest.mark.parametrize("count", [2, 3])
def test_stop_ends_the_storm_and_leaves_one_path(testbed: Testbed, count: int) -> None:
    nodes = ring(testbed, count)
    with bridges(nodes, "--loop", "stop") as all_of_them:
        host, left, right = nodes[0]
        for port in (left, right):  # one storm each way round
            inject(host, port, *(frame(n) for n in range(50)))
        until(lambda: any(told(b, "blocked; frames are dropped") for b in all_of_them), "blocking")
        until(lambda: rate(host, left) + rate(host, right) < 50, "the end of the storm")
        time.sleep(7)  # longer than a blocked bridge waits for probes: it is still a loop
        states = [b.snapshots[-1]["loop"]["state"] for b in all_of_them]
        assert sorted(states) == sorted(["blocked"] + ["none"] * (count - 1)), [b.said for b in all_of_them]
        blocked = all_of_them[states.index("blocked")]
        assert sum(d["dropped"].get("loop", 0) for d in blocked.directions) > 0
        for b in all_of_them:
            b.stop()


def test_a_kernel_bridge_beside_ours(testbed: Testbed) -> None:
    node, outside = testbed.host("node"), testbed.host("outside")
    testbed.veth(node, "pa", outside, "qa")
    testbed.veth(node, "pb", outside, "qb")
    for host in (node, outside):
        host.call(lambda: Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1"))
    with bridges([(node, "pa", "pb")], "--loop", "stop") as (bridge,):
        kernel_bridge(outside, "br0", "qa", "qb")
        inject(node, "pa", frame())
        until(lambda: told(bridge, "blocked; frames are dropped"), "blocking")
        until(lambda: rate(node, "pa") < 50, "the end of the storm")
        outside.run("ip", "link", "set", "dev", "qb", "nomaster")
        until(lambda: told(bridge, "gone, no probe has come back"), "the end of the loop")
        assert bridge.stop()


def test_repeats_are_no_loop(line: Line) -> None:
    """A flood of one frame, and a storm beyond one side: suspicious, and not told as a loop through this bridge."""
    line.silence()
    with line.bridged("--loop", "stop") as bridge:
        bridge.listen()
        with open_tap(line.a, "eth0") as tap:
            until_time = time.monotonic() + 3
            while time.monotonic() < until_time:
                tap.send(frame())
        until(lambda: bridge.snapshots[-1]["loop"]["probes"] > 0, "a suspicion")
        assert bridge.snapshots[-1]["loop"]["returned"] == 0
        for d in bridge.stop():
            assert not d["dropped"], d
        assert bridge.said == []


def test_frames_that_differ_send_no_probe_however_many(line: Line) -> None:
    """And so what the receiver's kernel counts is what the bridge has sent."""
    line.silence()
    count = 20_000
    with line.bridged() as bridge, open_tap(line.b, "eth0") as tap:
        before = received(line.b, "eth0")
        inject(line.a, "eth0", *(frame(n) for n in range(count)))
        there = bridge.stop()[0]
        assert there["read"] + there["kernel_drops"] == count
        assert received(line.b, "eth0") - before == there["sent_frames"] == there["sent"]
        assert bridge.snapshots[-1]["loop"] == {"state": "none", "found": 0, "blocked": 0, "probes": 0, "returned": 0}
        tap.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                assert tap.recv(2000)[12:14] != b"\x90\x00"


def test_a_reflector_is_no_loop_and_a_storm_beyond_one_side_is_told(line: Line) -> None:
    """What leaves by pb comes back in there: once, then a hundred times."""
    line.silence()
    with line.bridged("--loop", "stop") as bridge, open_tap(line.b, "eth0") as reflector:
        bridge.listen()
        reflector.settimeout(0.05)

        def reflect(copies: int, condition: Callable[[], bool]) -> None:
            deadline = time.monotonic() + 20
            with open_tap(line.a, "eth0") as sender:
                while not condition() and time.monotonic() < deadline:
                    sender.send(frame())
                    try:
                        got = reflector.recv(2000)
                    except TimeoutError:
                        continue
                    if got[12:14] == b"\x90\x00":
                        for _ in range(copies):
                            reflector.send(got)

        reflect(1, lambda: bool(bridge.snapshots) and bridge.snapshots[-1]["loop"]["probes"] > 6)
        assert bridge.said == []
        reflect(100, lambda: told(bridge, "beyond pb"))
        assert told(bridge, "beyond pb") and not told(bridge, "blocked")
        bridge.stop()


def test_off_sends_nothing(testbed: Testbed) -> None:
    nodes = ring(testbed, 2)
    with bridges(nodes, "--loop", "off") as pair:
        inject(nodes[0][0], nodes[0][1], frame())
        time.sleep(2)
        assert all(b.said == [] and "loop" not in b.snapshots[-1] for b in pair)
