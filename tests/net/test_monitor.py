"""The monitor's counts: each packet once, pending told from bad, nothing lost; what it shows of bad packets adds up."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.all import UDP

import frames as f
from line import open_tap
from pktmend.testbed.netns import Testbed
from tools import PATIENCE, PKTMEND, until
from watching import Monitor, Pair, corrupt, good, leaked


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Testbed() as testbed:
        yield Pair(testbed)


def test_each_packet_is_counted_once_in_each_direction(pair: Pair) -> None:
    monitors = {
        direction: Monitor(pair.node, "-i", "pa", "-Q", direction, "icmp") for direction in ("in", "out", "inout")
    }
    pair.a.run("ping", "-c", "5", "-i", "0.05", "10.7.0.2")
    seen = {direction: monitor.end()["directions"][0]["packets"] for direction, monitor in monitors.items()}
    assert seen == {"in": 5, "out": 5, "inout": 10}


def test_loopback_shows_each_packet_once(pair: Pair) -> None:
    """It passes a loopback interface twice, out and in."""
    monitor = Monitor(pair.node, "-i", "lo", "icmp")
    pair.node.run("ping", "-c", "4", "-i", "0.05", "127.0.0.1")
    assert monitor.end()["directions"][0]["packets"] == 8  # requests and replies


@pytest.mark.parametrize("direction", ["in", "inout"])
def test_workers_share_the_packets_and_count_each_once(pair: Pair, direction: str) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "--workers", "3", "-Q", direction, "udp")
    flows = [f.raw(f.ether / f.ip4 / UDP(sport=1000 + i, dport=53) / b"x") for i in range(50)]
    pair.send(flows * 40)
    (d,) = monitor.end()["directions"]
    assert d["packets"] == d["kernel_seen"] == 2000 and d["checks"]["udp"] == {"good": 2000}


def test_what_this_host_sends_is_pending_and_not_bad(pair: Pair) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "-Q", "out", "udp")

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for size in (10, 500, 1400):
                s.sendto(bytes(size), ("10.7.0.1", 5000))

    pair.node.call(send)
    (d,) = monitor.end()["directions"]
    assert d["status"] == {"pending": 3} and d["checks"]["udp"] == {"pending": 3} and monitor.bad == []


def test_number_of_packets_ends_it(pair: Pair) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "-c", "10", "udp")
    pair.send([good()] * 25)
    monitor.ended()
    assert monitor.directions[0]["packets"] == 10


def test_bad_packets_shown_and_not_shown_add_up(pair: Pair) -> None:
    """A flood of one cause does not hide another, and the flows are counted to the last packet."""
    monitor = Monitor(pair.node, "-i", "pa", "--bad-limit", "3", "ip")
    ports = [40000 + i % 7 for i in range(3000)]
    frames = {port: leaked(port) for port in set(ports)}
    flood = [frames[port] for port in ports]
    pair.send([*flood[:1500], corrupt(), *flood[1500:], corrupt()])
    last = monitor.end()
    shown = Counter(bad["cause"] for bad in monitor.bad)
    assert shown["corrupt"] == 2 and 3 <= shown["leaked"] < 100
    assert last["bad"]["packets"] == 3002
    assert last["bad"]["shown"] == len(monitor.bad) and last["bad"]["not_shown"] == 3002 - len(monitor.bad)
    assert sum(bad["not_shown"] for bad in monitor.bad) <= last["bad"]["not_shown"]
    flows = {flow["flow"]: (flow["packets"], flow["over"], flow["cause"]) for flow in last["flows"]}
    assert flows == {
        **{f"10.7.0.1:{port} > 10.7.0.2:5000": (n, 0, "leaked") for port, n in Counter(ports).items()},
        "10.7.0.1:40000 > 10.7.0.2:80": (2, 0, "corrupt"),
    }
    udp = next(bad for bad in monitor.bad if bad["cause"] == "leaked")["checks"][-1]
    packet = f.ether / f.ip4 / UDP(sport=40000, dport=5000) / f.PAYLOAD
    assert udp["stored"] == f"{f.seed(packet):04x}"


def test_flood_of_bad_packets_costs_no_packet(pair: Pair) -> None:
    """The ring holds all of them, however slow this machine is: what is lost would be lost by us."""
    monitor = Monitor(pair.node, "-i", "pa", "udp")
    pair.send([leaked()] * 60_000)
    (d,) = monitor.end()["directions"]
    assert d["kernel_drops"] == 0 and d["checks"]["udp"] == {"leaked": 60_000}


def test_overflowing_ring_is_told_and_counted(pair: Pair) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "-B", "512", "udp")
    monitor.pause()
    pair.send([good(1200)] * 2000)
    monitor.process.send_signal(signal.SIGCONT)
    monitor.wait_for("drops", "the kernel dropped")
    (d,) = monitor.end()["directions"]
    assert d["kernel_drops"] > 0 and d["kernel_seen"] == 2000


def test_errors_of_the_kernel_stand_beside_ours(pair: Pair) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "udp")
    pair.send([f.leaked(pair.to_node(f.ip4 / f.udp / f.PAYLOAD))] * 11)
    last = monitor.end()
    assert last["kernel"]["UdpInCsumErrors"] == last["directions"][0]["checks"]["udp"]["leaked"] == 11


def test_interfaces_that_fit_a_pattern_come_and_go(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    monitor = Monitor(pair.node, "-i", "new*", "-w", str(path), "udp")
    for told in (1, 3):
        pair.testbed.veth(pair.a, "far", pair.node, "new0")
        until(lambda n=told: len(monitor.told("interface")) == n, "joining")
        with open_tap(pair.a, "far") as out:
            for _ in range(5):
                out.send(good())
        pair.a.run("ip", "link", "delete", "dev", "far")
        until(lambda n=told: len(monitor.told("interface")) == n + 1, "leaving")
    last = monitor.end()
    (gone,) = last["directions"]
    assert last["file"]["written"] == 10 and last["file"]["not_written"] == {} and path.stat().st_size > 1000
    assert monitor.told("interface") == ["new0: watched from now on", "new0: the interface is gone"] * 2
    assert gone["from"] == "(gone)" and gone["packets"] == 10


def test_interface_made_again_is_bound_again(pair: Pair) -> None:
    pair.testbed.veth(pair.a, "far", pair.node, "again0")
    monitor = Monitor(pair.node, "-i", "again0", "udp")
    pair.a.run("ip", "link", "delete", "dev", "far")
    monitor.wait_for("interface", "gone")
    pair.testbed.veth(pair.a, "far", pair.node, "again0")
    monitor.wait_for("interface", "back")
    with open_tap(pair.a, "far") as out:
        out.send(good())
    (d,) = monitor.end()["directions"]
    assert d["packets"] == 1
    pair.a.run("ip", "link", "delete", "dev", "far")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_prints_the_summary_with_kernel_drops(pair: Pair, number: int) -> None:
    process = pair.node.spawn(
        *PKTMEND,
        "monitor",
        "-i",
        "pa",
        "udp",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None and b"watching pa" in process.stderr.readline()
    pair.send([leaked(), good()])
    process.send_signal(signal.SIGUSR1)
    assert b"pa: " in process.stderr.readline()
    process.send_signal(number)
    out, _ = process.communicate(timeout=PATIENCE)
    text = out.decode()
    assert process.returncode == 0
    assert "pa: 2 packets" in text and "kernel saw 2, dropped 0" in text and "leaked 1" in text
    assert "10.7.0.1:40000 > 10.7.0.2:5000" in text and "a hop before here lost the metadata" in text


def test_usr1_prints_a_snapshot_and_goes_on(pair: Pair) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "udp")
    pair.send([good()] * 3)
    began, before = time.monotonic(), len(monitor.snapshots)
    for asked in range(10):
        monitor.process.send_signal(signal.SIGUSR1)
        until(lambda n=asked: len(monitor.snapshots) > before + n, "a snapshot")
    # by itself it prints one a second
    assert len(monitor.snapshots) - before > time.monotonic() - began + 2
    assert monitor.end()["directions"][0]["packets"] == 3
