"""A host with a monitored interface:   a(eth0) -- (pa)node, and a monitor in node whose every line is checked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from scapy.all import UDP, Ether

import frames as f
from line import open_tap, put
from pktmend.testbed.netns import Host, Testbed
from running import RunningBridge, assert_ledger
from schemas import judge
from tools import PATIENCE, until


class Monitor(RunningBridge):
    """A running `pktmend monitor --json`."""

    def __init__(self, host: Host, *argv: str) -> None:
        super().__init__(host, *argv, program=("monitor",))
        assert "watching" in self.first_line, self.first_line

    def end(self, number: int = signal.SIGTERM) -> dict[str, Any]:
        """End it; every line fits the schema, every ledger adds up; return the last snapshot."""
        self.process.send_signal(number)
        return self.last()

    def last(self) -> dict[str, Any]:
        """Wait for its own end; as end()."""
        self.ended()
        for each in self.lines:
            judge("monitor").validate(each)
        for d in self.directions:
            assert_ledger(d)
        return self.snapshots[-1]

    def await_read(self, count: int) -> None:
        """Wait until a snapshot says that it has read so many packets from its first interface."""
        until(lambda: bool(self.snapshots) and self.directions[0]["read"] >= count, f"reading {count} packets")

    @property
    def bad(self) -> list[dict[str, Any]]:
        """The bad packets that it showed."""
        return [line["bad"] for line in self.lines if "bad" in line]

    def told(self, kind: str) -> list[str]:
        """The texts of its events of one kind."""
        return [line["event"]["text"] for line in self.lines if line.get("event", {}).get("kind") == kind]

    def wait_for(self, kind: str, word: str) -> None:
        """Wait for an event."""
        until(lambda: any(word in text for text in self.told(kind)), f"{kind}: {word}")


class Pair:
    """Hosts a and node, joined."""

    def __init__(self, testbed: Testbed) -> None:
        self.testbed = testbed
        self.a, self.node = testbed.host("a"), testbed.host("node")
        testbed.veth(self.a, "eth0", self.node, "pa")
        self.a.address("eth0", "10.7.0.1/24")
        self.node.address("pa", "10.7.0.2/24")
        self.mac = self.node.run("cat", "/sys/class/net/pa/address", check=False).stdout.strip() or "02:00:00:00:00:02"

    def to_node(self, layer: Any) -> Any:
        """Return a frame from a that node's own stack takes."""
        return Ether(src="02:00:00:00:00:01", dst=self.mac) / layer

    def send(self, frames: list[bytes]) -> None:
        """Put frames on the wire at a, as they are and without metadata."""
        with open_tap(self.a, "eth0") as out:
            for frame in frames:
                put(out, frame)


def leaked(port: int = 40000) -> bytes:
    """Return a datagram whose checksum was never finished."""
    return f.leaked(f.ether / f.ip4 / UDP(sport=port, dport=5000) / f.PAYLOAD)


def corrupt() -> bytes:
    """Return a segment with a damaged payload."""
    return f.put16(f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD), 90, 0x4711)


def good(size: int = 101) -> bytes:
    """Return a datagram with a right checksum."""
    return f.raw(f.ether / f.ip4 / f.udp / bytes(size))


def run(*argv: str) -> str:
    """Run a program that must succeed; return what it says."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def load_beside_a_spinner(program: RunningBridge, seconds: float) -> float:
    """Return the processor time that *program* takes while a busy loop gets so many seconds of it, as a share of them.

    Whatever else the machine does, a program that spins comes out near 1 or above.
    """
    spinner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    stat = Path(f"/proc/{spinner.pid}/stat")
    tick = os.sysconf("SC_CLK_TCK")

    def spun() -> float:
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / tick

    try:
        before, begin = program.cpu_seconds(), spun()
        until(lambda: spun() - begin >= seconds, "the busy loop's time", 10 * PATIENCE)
        return (program.cpu_seconds() - before) / (spun() - begin)
    finally:
        spinner.kill()
        spinner.wait()


def account(last: dict[str, Any]) -> int:
    """Return all packets meant for the file, wherever they ended."""
    file = last["file"]
    return int(file["written"]) + int(file["buffered"]) + sum(file["not_written"].values())
