"""What strangers can send, name and ask: a container's interfaces, a scraper's requests, a service manager's variables.

Each is an attack that docs/security.md lists; what it has in common with others is tested beside those.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families

from line import NO_PI, TAP, TUN, VNET_HDR, Line, open_tap, open_tap_device, put
from pktmend.testbed.netns import Testbed
from running import RunningBridge
from tools import PATIENCE, PKTMEND, until
from watching import Monitor, Pair, leaked

METRICS = ("127.0.0.1", 9477)
REQUESTS = {
    "a version without headers": (b"GET /metrics\r\n\r\n", b""),
    "a thousand headers": (b"GET /healthz HTTP/1.1\r\n" + b"A: x\r\n" * 1000 + b"\r\n", b" 431 "),
    "a header of a megabyte": (b"GET /healthz HTTP/1.1\r\nA: " + b"x" * (1 << 20) + b"\r\n\r\n", b" 431 "),
    "a path of a megabyte": (b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\n\r\n", b" 414 "),
    "a second request in the body of the first": (
        b"GET /healthz HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        b"GET /metrics HTTP/1.1\r\n\r\n",
        b" 200 ",
    ),
    "a line break in the path": (b"GET /healthz%0d%0aX:y HTTP/1.1\r\n\r\n", b" 404 "),
    "another method": (b"POST /metrics HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n", b" 501 "),
    "a path that climbs": (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", b" 404 "),
    "an escape sequence": (b"\x1b[2J\x1b]0;x\x07\r\n\r\n", b""),
    "formats without end": (b"GET /metrics HTTP/1.1\r\nAccept: " + b"a/b;q=9," * 5000 + b"\r\n\r\n", b" 200 "),
}


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Testbed() as testbed:
        yield Pair(testbed)


@pytest.mark.parametrize(
    ("words", "told"),
    [("ether src 02:00:00:00:00:01 or udp", "ptun: not watched: "), ("udp", "ptun: watched from now on")],
)
def test_interface_of_another_kind_does_not_end_a_monitor_with_a_filter(pair: Pair, words: str, told: str) -> None:
    """A container names a TUN so that the pattern takes it: the filter's words may fit Ethernet only."""
    monitor = Monitor(pair.node, "-i", "p*", "--json", words)
    tun = open_tap_device(pair.node, "ptun", TUN | NO_PI)
    monitor.wait_for("interface", told)
    pair.send([leaked()])
    until(lambda: len(monitor.bad) == 1, "the leaked packet")
    os.close(tun)
    monitor.end()


def test_requests_are_answered_once_or_not_at_all(pair: Pair) -> None:
    monitor = Monitor(pair.node, "-i", "pa", "--json", "--listen", ":9477")
    pair.node.run("ip", "link", "set", "dev", "lo", "up")

    def ask(request: bytes) -> bytes:
        with pair.node.call(lambda: socket.create_connection(METRICS, timeout=PATIENCE)) as s:
            answer = b""
            with suppress(OSError):  # it may have heard enough
                s.sendall(request)
            with suppress(ConnectionResetError):
                while data := s.recv(1 << 16):
                    answer += data
            return answer

    for name, (request, status) in REQUESTS.items():
        answer = ask(request)
        first = answer.partition(b"\r\n")[0]
        assert answer.count(b"HTTP/1.") == bool(status) and status in first, (name, answer[:200])
        assert b"\x1b" not in answer, name
    assert b" 200 " in ask(b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    monitor.end()


def test_names_of_interfaces_cannot_forge_metrics_or_lines(pair: Pair) -> None:
    names = [b'p"}1\\', b"p\xff\x1b[2J", b"p{a='b',c=\"\"}", b"p\\n#"]
    monitor = Monitor(pair.node, "-i", "p*", "--json", "--listen", ":9477")
    pair.node.run("ip", "link", "set", "dev", "lo", "up")
    for number, name in enumerate(names):
        pair.node.run("ip", "link", "add", "name", os.fsdecode(name), "type", "veth", "peer", "name", f"z{number}")
        pair.node.run("ip", "link", "set", "dev", os.fsdecode(name), "up")
    until(lambda: len([t for t in monitor.told("interface") if "watched from now on" in t]) == len(names))
    time.sleep(1)  # the next snapshot has them
    url = "http://{}:{}/metrics".format(*METRICS)
    text = pair.node.call(lambda: urllib.request.urlopen(url, timeout=PATIENCE).read().decode())
    rows = [s for f in text_string_to_metric_families(text) if f.name == "pktmend_bytes" for s in f.samples]
    assert len(rows) == 1 + len(names) and all(row.labels.keys() == {"interface"} for row in rows)
    assert "\x1b" not in text
    monitor.end()  # each line fits the schema


def test_service_manager_of_somebody_else_is_of_no_use(pair: Pair) -> None:
    """Variables that are no numbers, names that are no sockets: it runs without a service manager."""
    for address, period in (("@" + "x" * 300, "1"), ("/nowhere", "\u00b2"), ("relative", "9" * 5000), ("@", "-1")):
        environment = {**os.environ, "NOTIFY_SOCKET": address, "WATCHDOG_USEC": period}
        done = subprocess.run(
            [*PKTMEND, "monitor", "-i", "lo", "--duration", "0.1", "--plain"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr


def test_signals_without_end_lose_no_frame_and_no_summary(line: Line) -> None:
    line.silence()
    with line.bridged() as bridge:
        bridge.listen()
        with open_tap(line.a, "eth0") as out:
            for number in range(200):
                bridge.process.send_signal(signal.SIGUSR1)
                put(out, b"\2" * 12 + b"\x88\xb5" + number.to_bytes(2, "big") + bytes(60))
        until(lambda: bool(bridge.snapshots) and bridge.directions[0]["sent"] == 200, "all frames")
        bridge.stop()


def hostile_frames(seed: int) -> Iterator[bytes]:
    """Frames of a virtual machine, behind its virtio-net header: lengths that lie, stacks of tags, runts, jumbos."""
    r = random.Random(seed)
    head = b"\2\0\0\0\0\2\2\0\0\0\0\1"
    for _ in range(400):
        kinds = r.choice((0, 1, 3, 255)), r.choice((0, 1, 4, 5, 0x81, 77))
        numbers = [r.choice((0, 1, 14, 34, 54, 1480, 65535)) for _ in range(4)]
        vnet = struct.pack("<BBHHHH", *kinds, *numbers) if r.random() < 0.5 else bytes(10)
        tag = struct.pack(">HH", r.choice((0x8100, 0x88A8)), r.randrange(65536))
        protocol = bytes([r.choice((1, 6, 17, 132, 47, 255))])
        ip = bytes([0x40 | r.randrange(16), 0]) + r.randbytes(2) + bytes(5) + protocol
        kind = r.choice((b"\x08\0", b"\x86\xdd", b"\x88\x47", b"\x88\x64", b"\0\5"))
        payload = r.randbytes(r.choice((0, 1, 10, 100, 1400, 9000, 60000)))
        yield vnet + head + tag * r.choice((0, 1, 9, 40)) + kind + ip + payload


def test_frames_of_a_hostile_machine_end_in_one_counter_each(line: Line) -> None:
    """And the bridge carries on: a frame of another direction passes behind them."""
    line.silence()
    tap = open_tap_device(line.node, "tap0", TAP | NO_PI | VNET_HDR)
    bridge = RunningBridge(line.node, "-i", "tap0", "-I", "pb", "--finish", "pb")
    taken = 0
    for frame in hostile_frames(14):
        try:
            os.write(tap, frame)
            taken += 1
        except OSError:
            continue  # the kernel knows better
    assert taken > 50
    plain = bytes(10) + b"\2\0\0\0\0\2\2\0\0\0\0\1\x88\xb5" + bytes(100)
    until(lambda: bool(os.write(tap, plain)) and bool(bridge.snapshots) and bridge.directions[0]["sent"] > 0, "a frame")
    bridge.stop()
    os.close(tap)


@pytest.mark.parametrize("limit", ["-n 16", "-f 0", "-s 256", "-u 3"])
def test_narrow_limits_end_it_with_a_line_or_not_at_all(pair: Pair, limit: str) -> None:
    command = f"ulimit {limit}; exec {sys.executable} -P -m pktmend monitor -i pa --plain --duration 0.3"
    process = pair.node.spawn("bash", "-c", command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, 3, 4) and b"Traceback" not in errors, errors
