"""Two hosts joined through a node, and what is measured there:   a(eth0) -- (pa) node (pb) -- (eth0)b"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pktmend.errors import PktmendError
from pktmend.host.own_command import own_command, own_module
from pktmend.testbed.netns import Testbed, end

SCENARIOS = {
    "default": "TCP, default offloads (super-frames)",
    "tso-off": "TCP, TSO off, checksums offloaded (MTU frames)",
    "udp-64": "UDP, 64-byte frames delivered",
    "leaked": "UDP, MTU frames delivered, every checksum leaked",
    "tx-off": "TCP, finished sums (tx off at the hosts)",
}
UNITS = {"default": "Gbit/s", "tso-off": "Gbit/s", "udp-64": "Mpps", "leaked": "Gbit/s", "tx-off": "Gbit/s"}
LONGEST = 1514  # bytes of a frame
ADDRESSES = {"a": "10.7.0.1", "b": "10.7.0.2"}
TARGET = ADDRESSES["b"]
PATIENCE = 3
MINIMUM = 1_250_000  # bytes a second: what moves less does not work


@dataclass(frozen=True)
class Transfer:
    """What iperf3 moved.  rate: Gbit/s or Mpps; busy: seconds that all processors together were not idle."""

    rate: float
    transferred: float
    packets: float
    busy: float

    @property
    def cpu_per_gigabyte(self) -> float:
        """Seconds of all processors."""
        return self.busy / (self.transferred / 1e9)

    @property
    def cpu_per_mega_packet(self) -> float:
        """Seconds of all processors; packets as the receiving interface counts them, super-frames once."""
        return self.busy / (self.packets / 1e6)


def usual_congestion_control() -> str:
    """Return the congestion control of this machine's TCP, which namespaces made here inherit."""
    return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()


class BenchLine:
    """The hosts, with neighbours known beforehand; a context manager.

    direct: one veth pair from host to host and no node between them: what the hosts can do.
    """

    def __init__(self, *, direct: bool = False) -> None:
        self._testbed = Testbed()
        self._direct = direct

    def __enter__(self) -> BenchLine:
        try:
            self._make()
        except BaseException:
            self._testbed.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._testbed.__exit__(kind, value, trace)

    def _make(self) -> None:
        self.a, self.b, self.node = (self._testbed.host(name) for name in ("a", "b", "node"))
        if self._direct:
            self._testbed.veth(self.a, "eth0", self.b, "eth0")
        for host, port in ((self.a, "pa"), (self.b, "pb")):
            if not self._direct:
                self._testbed.veth(host, "eth0", self.node, port)
            host.address("eth0", f"{ADDRESSES[host.name]}/24")
            host.call(lambda: Path("/proc/sys/net/ipv4/tcp_no_metrics_save").write_text("1"))
        for host, other in ((self.a, self.b), (self.b, self.a)):
            mac = json.loads(other.run("ip", "-j", "link", "show", "dev", "eth0").stdout)[0]["address"]
            host.run("ip", "neigh", "replace", ADDRESSES[other.name], "lladdr", mac, "dev", "eth0")

    def set_offloads(self, scenario: str, *, wire_sums: bool) -> None:
        """Switch off what a scenario does without; wire_sums: the hosts sum and segment themselves."""
        for host in (self.a, self.b):
            if wire_sums or scenario == "tx-off":
                host.offload("eth0", tx=False)
            elif scenario != "default":
                host.offload("eth0", tso=False)

    def round_trip_us(self) -> float:
        """Return the mean of a ping on an idle path; PktmendError if it does not pass."""
        self.a.run("ping", "-c", "3", "-i", "0.05", "-W", "1", TARGET, check=False)
        done = self.a.run("ping", "-c", "200", "-i", "0.002", "-q", "-W", "1", TARGET, check=False)
        if done.returncode:
            raise PktmendError("ping does not pass")
        return float(done.stdout.rpartition("=")[2].split("/")[1]) * 1000

    def transfer(self, scenario: str, seconds: int, congestion: str = "") -> Transfer:
        """Move bytes or packets from a to b; PktmendError if that fails or a checksum arrives wrong.

        congestion: TCP's congestion control instead of the host's own.
        """
        if scenario == "leaked":
            return self._deliver_leaked(seconds)
        server = self.b.spawn("iperf3", "-s", "-1", "--forceflush", stdout=subprocess.PIPE)
        assert server.stdout is not None
        server.stdout.readline()
        server.stdout.readline()  # "Server listening"
        options = ["-u", "-b", "0", "-l", "22"] if scenario == "udp-64" else ["-C", congestion] if congestion else []
        errors = self._checksum_errors()
        seen, before = self._received(), busy_seconds()
        try:
            done = self.a.run(
                "iperf3",
                "-c",
                TARGET,
                "-t",
                str(seconds),
                "-J",
                "--connect-timeout",
                "2000",
                *options,
                check=False,
                timeout=seconds + PATIENCE,
            )
        except subprocess.TimeoutExpired:
            raise PktmendError("the transfer does not end") from None
        busy, packets = busy_seconds() - before, self._received() - seen
        answer = json.loads(done.stdout or "{}")
        if "error" in answer or "end" not in answer:
            raise PktmendError(f"iperf3: {answer.get('error', 'no answer')}")
        if (now := self._checksum_errors()) != errors:
            raise PktmendError(f"checksum errors at the receiver: {now}")
        if scenario == "udp-64":
            total = answer["end"]["sum"]
            delivered = total["packets"] - total["lost_packets"]
            if not delivered:
                raise PktmendError("nothing is delivered")
            return Transfer(delivered / 1e6 / total["seconds"], delivered * 64, delivered, busy)
        received = answer["end"]["sum_received"]
        if received["bytes"] < MINIMUM * seconds:
            raise PktmendError(f"only {received['bytes'] * 8 / 1e6 / seconds:.1f} Mbit/s pass")
        return Transfer(received["bytes"] * 8 / 1e9 / received["seconds"], received["bytes"], packets, busy)

    def tcp_round_trip_us(self, count: int = 400) -> float:
        """Return the median of a byte there and back over TCP; PktmendError if it does not pass."""
        server = self.b.call(lambda: socket.create_server((TARGET, 0)))
        taken: list[float] = []
        with server:
            server.settimeout(PATIENCE)
            try:
                client = self.a.call(lambda: socket.create_connection(server.getsockname(), PATIENCE))
                answerer, _ = server.accept()
                with client, answerer:
                    for each in (client, answerer):
                        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for _ in range(count):
                        began = time.perf_counter()
                        client.send(b"?")
                        answerer.recv(1)
                        answerer.send(b"!")
                        client.recv(1)
                        taken.append(time.perf_counter() - began)
            except OSError as error:
                raise PktmendError(f"TCP does not pass: {error}") from error
        return statistics.median(taken) * 1e6

    def _deliver_leaked(self, seconds: int) -> Transfer:
        """Send leaked frames from a as fast as one socket can; what arrives at b counts, and is right if it can be."""
        options = ("--mix", str(LONGEST), "--rate", "max", "--duration", str(seconds), "--damage", "leaked=100%")
        seen, before, began = self._received(), busy_seconds(), time.monotonic()
        self.a.run(*own_command("bench", "gen", "-i", "eth0", *options), timeout=seconds + 2 * PATIENCE)
        taken = time.monotonic() - began
        busy, packets = busy_seconds() - before, self._received() - seen
        if packets < MINIMUM * seconds / LONGEST:
            raise PktmendError("next to nothing is delivered")
        return Transfer(packets * LONGEST * 8 / 1e9 / taken, packets * LONGEST, packets, busy)

    @contextmanager
    def carrying(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run `pktmend.commands.bench.carry` with *words* between pa and pb."""
        argv = own_module("pktmend.commands.bench.carry", "pa", "pb", *words)
        program = self.node.spawn(*argv, stderr=subprocess.PIPE)
        assert program.stderr is not None
        try:
            if b"carrying" not in (said := program.stderr.readline()):
                raise PktmendError(f"the bridge does not start with {' '.join(words)}: {said.decode().strip()}")
            settle()
            yield program
        finally:
            end(program)

    def _checksum_errors(self) -> dict[str, int]:
        return {**self.a.checksum_errors(), **self.b.checksum_errors()}

    def _received(self) -> int:
        return self.b.call(lambda: received_by("eth0"))


def received_by(interface: str) -> int:
    """Return how many packets *interface* of the calling thread's namespace has received."""
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
        name, _, fields = line.partition(":")
        if name.strip() == interface:
            return int(fields.split()[1])
    return 0


def busy_seconds() -> float:
    """Return the seconds that all processors together were not idle since boot."""
    fields = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields[:8]) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a program's threads, in the scheduler's precision."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def settle() -> None:
    """Let what was just ended be gone."""
    time.sleep(0.1)
