"""The commands under a service manager: this test stands in for systemd, with its socket, watchdog and signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from line import Line
from pktmend.console.systemd import Service
from pktmend.testbed.netns import end
from tools import PATIENCE, PKTMEND

HANGS = """
import time
def hangs(batch):
    time.sleep(600)
"""


class Manager:
    """The receiving end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.all: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def wait_for(self, line: str, seconds: float = PATIENCE) -> float:
        """Read until a line begins with *line*; when that was."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                lines = self._socket.recv(4096).decode().split("\n")
            except TimeoutError:
                break
            self.all += lines
            if any(each.startswith(line) for each in lines):
                return time.monotonic()
        raise AssertionError(f"no {line} in {seconds} s; got {self.all}")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.close()


@contextmanager
def service(line: Line, manager: Manager, *argv: str, watchdog_s: float = 0) -> Iterator[subprocess.Popen[bytes]]:
    words = ["env", f"NOTIFY_SOCKET={manager.address}"]
    if watchdog_s:
        words.append(f"WATCHDOG_USEC={int(watchdog_s * 1e6)}")
    process = line.node.spawn(*words, *PKTMEND, *argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        end(process)


@pytest.mark.parametrize("argv", [("bridge", "-i", "pa", "-I", "pb"), ("monitor", "-i", "pa")])
def test_life_of_a_service(line: Line, manager: Manager, argv: tuple[str, ...]) -> None:
    with service(line, manager, *argv, watchdog_s=2) as process:
        manager.wait_for("READY=1")
        assert "STATUS=" in "\n".join(manager.all) and "pa" in manager.all[-1]
        if argv[0] == "bridge":  # ready means that it carries
            line.a.run("ping", "-c1", "-W9", "10.7.0.2")
        beats = [manager.wait_for("WATCHDOG=1") for _ in range(3)]
        assert all(later - earlier > 0.5 for earlier, later in pairwise(beats))
        manager.wait_for("STATUS=read")
        process.send_signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert process.wait(PATIENCE) == 0


def test_worker_that_hangs_gets_no_watchdog(line: Line, manager: Manager, tmp_path: Path) -> None:
    """The main thread lives on and must not feed for it."""
    stage = tmp_path / "mine.py"
    stage.write_text(HANGS)
    with service(line, manager, "bridge", "-i", "pa", "-I", "pb", "--stage", f"{stage}:hangs", watchdog_s=1) as process:
        manager.wait_for("READY=1")
        line.a.run("ping", "-c1", "-W1", "10.7.0.2", check=False)
        with pytest.raises(AssertionError, match="no WATCHDOG"):
            for _ in range(4):
                manager.wait_for("WATCHDOG=1", 2.5)
        assert process.poll() is None
        process.kill()


def test_without_a_watchdog_none_is_fed(line: Line) -> None:
    """An abstract socket this time; its name belongs to a network namespace."""
    manager = line.node.call(lambda: Manager(f"@pktmend-test-{os.getpid()}"))
    with service(line, manager, "bridge", "-i", "pa", "-I", "pb", "--duration", "1.5") as process:
        manager.wait_for("STOPPING=1")
        assert process.wait(PATIENCE) == 0
    assert not any(each.startswith("WATCHDOG") for each in manager.all)
    manager.close()


def test_failed_start_says_nothing_to_the_manager(line: Line, manager: Manager) -> None:
    with service(line, manager, "bridge", "-i", "pa", "-I", "nosuch0") as process:
        assert process.wait(PATIENCE) == 4
    with pytest.raises(AssertionError, match=r"got \[\]"):
        manager.wait_for("READY=1", 0.2)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "/nonexistent/socket"},
        {"NOTIFY_SOCKET": "vsock:2:1"},
    ],
)
def test_without_a_manager_nothing_happens(environment: dict[str, str]) -> None:
    quiet = Service({**environment, "WATCHDOG_USEC": "2000"})
    quiet.ready("x")
    time.sleep(0.01)
    quiet.feed([1])
    quiet.stopping()
    assert not quiet.is_status_due()


def test_watchdog_of_another_process_is_not_ours(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    ours = Service({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "2000", "WATCHDOG_PID": "1"})
    time.sleep(0.01)
    ours.feed([1])
    ours.status("two\nlines")
    manager.wait_for("STATUS=two lines")
    assert manager.all == ["STATUS=two lines"]
    ours.close()
    manager.close()


def test_manager_that_does_not_read_does_not_hold_us_up(tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    ours = Service({"NOTIFY_SOCKET": manager.address})

    def send() -> None:
        for _ in range(1000):  # more than the socket holds
            ours.status("x" * 200)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    sender.join(PATIENCE)
    assert not sender.is_alive()
    ours.close()
    manager.close()
