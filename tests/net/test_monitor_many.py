"""The monitor on hundreds of interfaces: few threads, bounded memory, a quick start and end, exact counts."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pktmend.testbed.netns import Host, Testbed
from tools import PATIENCE, until
from watching import Monitor, Pair, corrupt, good, leaked

PAIRS = 150  # 300 interfaces


def make_pairs(host: Host, pairs: int, first: int = 0) -> None:
    """Join va<n> and vb<n>, for so many n."""
    quiet = "for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; done"
    host.run("sh", "-c", quiet)
    numbers = range(first, first + pairs)
    batch(host, [f"link add va{n} up type veth peer name vb{n}" for n in numbers])
    batch(host, [f"link set dev vb{n} up" for n in numbers])


def batch(host: Host, lines: list[str]) -> None:
    """Run lines of ip(8)."""
    process = host.spawn("ip", "-batch", "-", stdin=subprocess.PIPE)
    process.communicate("\n".join(lines).encode(), timeout=PATIENCE)
    assert process.returncode == 0


def send(host: Host, interface: str, frames: list[bytes]) -> None:
    """Send frames out of *interface* as they are, complete."""

    def put() -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
            s.bind((interface, 0))
            for frame in frames:
                s.send(frame)

    host.call(put)


def by_interface(snapshot: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {d["from"]: d for d in snapshot["directions"]}


def threads_of(monitor: Monitor) -> list[str]:
    return [path.read_text().strip() for path in Path(f"/proc/{monitor.process.pid}/task").glob("*/comm")]


def mapped_rings(monitor: Monitor) -> int:
    """Return the bytes of packet rings that the program has mapped."""
    size = 0
    for line in Path(f"/proc/{monitor.process.pid}/maps").read_text().splitlines():
        if "socket:" in line:
            begin, end = (int(each, 16) for each in re.split(r"[- ]", line)[:2])
            size += end - begin
    return size


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Testbed() as testbed:
        host = testbed.host("many")
        make_pairs(host, PAIRS)
        yield host


def test_counts_of_hundreds_of_interfaces_are_exact(host: Host) -> None:
    """Each interface's own frames, and no other's; a frame is seen going out of one end and coming in at the other."""
    monitor = Monitor(host, "-i", "v*", "--bad-limit", "1")
    assert mapped_rings(monitor) <= 256 << 20
    workers = [name for name in threads_of(monitor) if name == "pktmend"]
    assert len(workers) <= len(os.sched_getaffinity(0)) + 3, "the main thread, and what prints, beside the workers"
    for n in range(PAIRS):
        send(host, f"va{n}", [good()] * (n + 1) + [leaked()] * 2 + [corrupt()] * (n % 3))
    begin = time.monotonic()
    last = by_interface(monitor.end())
    assert time.monotonic() - begin < PATIENCE
    assert len(last) == 2 * PAIRS
    for n in range(PAIRS):
        for name in (f"va{n}", f"vb{n}"):
            d = last[name]
            assert d["packets"] == d["read"] == d["kernel_seen"] == n + 3 + n % 3, name
            assert d["kernel_drops"] == 0
            assert d["checks"]["udp"] == {"good": n + 1, "leaked": 2}, name
            assert d["checks"].get("tcp", {}) == ({"corrupt": n % 3} if n % 3 else {}), name


def test_interfaces_come_and_go_while_others_are_read(host: Host) -> None:
    monitor = Monitor(host, "-i", "v*")
    make_pairs(host, 20, first=1000)
    until(lambda: len([t for t in monitor.told("interface") if "from now on" in t]) == 40, "40 that came")
    for n in range(1000, 1020):
        send(host, f"va{n}", [good()] * 7)
    until(
        lambda: bool(monitor.snapshots) and sum(d["packets"] for d in monitor.directions) == 20 * 2 * 7,
        "the frames of those that came",
    )
    batch(host, [f"link del va{n}" for n in range(1000, 1020)])
    until(lambda: len([t for t in monitor.told("interface") if "is gone" in t]) == 40, "40 that went")
    send(host, "va3", [good()] * 5)
    last = by_interface(monitor.end())
    assert last["(gone)"]["packets"] == 20 * 2 * 7 and last["va3"]["packets"] == last["vb3"]["packets"] == 5
    assert len(last) == 2 * PAIRS + 1


def test_busy_ring_grows_between_two_frames(host: Host) -> None:
    """None is counted twice or not at all while a larger ring takes over."""
    monitor = Monitor(host, "-i", "v*")
    before = mapped_rings(monitor)
    frames = [good(1400)] * 5000
    sent = 0
    deadline = time.monotonic() + PATIENCE
    while mapped_rings(monitor) < before + 2 * (4 << 20):  # both ends
        assert time.monotonic() < deadline
        send(host, "va0", frames)
        sent += len(frames)
    for n in range(1, 50):
        send(host, f"va{n}", [good()] * 3)
    send(host, "va0", frames)
    sent += len(frames)
    assert mapped_rings(monitor) <= 256 << 20
    last = by_interface(monitor.end())
    for name in ("va0", "vb0"):
        assert last[name]["kernel_seen"] == sent == last[name]["read"] + last[name]["kernel_drops"]
    assert all(last[f"va{n}"]["packets"] == last[f"vb{n}"]["packets"] == 3 for n in range(1, 50)), "nobody starves"


def test_super_frames_that_a_small_ring_cuts_are_judged_all_the_same() -> None:
    with Testbed() as testbed:
        pair = Pair(testbed)
        monitor = Monitor(pair.node, "-i", "pa", "-B", "128", "tcp")
        listener = pair.node.call(lambda: socket.create_server(("10.7.0.2", 5000)))
        sender = pair.a.call(lambda: socket.create_connection(("10.7.0.2", 5000)))
        receiver, _ = listener.accept()
        for _ in range(50):
            sender.sendall(bytes(100_000))
            left = 100_000
            while left:  # at the ring's own pace
                left -= len(receiver.recv(left))
            time.sleep(0.03)
        for each in (sender, receiver, listener):
            each.close()
        (d,) = monitor.end()["directions"]
        assert d["truncated"] > 0 and d["super_frames"] >= d["truncated"]
        assert d["checks"]["tcp"] == {"pending": d["packets"]}


def test_term_ends_hundreds_of_rings_at_once(host: Host) -> None:
    """One after the other their sockets take 27 ms each to close: 8 s."""
    monitor = Monitor(host, "-i", "v*")
    begin = time.monotonic()
    monitor.end(signal.SIGTERM)
    assert time.monotonic() - begin < 4, "2 s are promised; this machine may be busy"


def test_written_packets_name_their_interface(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    monitor = Monitor(host, "-i", "v*", "-w", str(path))
    for n in (0, 77, PAIRS - 1):
        send(host, f"va{n}", [good()] * (n + 1))
    monitor.end()
    found = subprocess.run(
        ["tshark", "-r", str(path), "-T", "fields", "-e", "frame.interface_name"], capture_output=True, text=True
    ).stdout.split()
    assert {name: found.count(name) for name in set(found)} == {
        f"v{side}{n}": n + 1 for side in "ab" for n in (0, 77, PAIRS - 1)
    }
