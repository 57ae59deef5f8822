"""Run `pktmend bridge` for long at half its best rate, and fail if anything grows or a frame is unaccounted for.

    .venv/bin/python bench/soak.py --minutes 60
    .venv/bin/python bench/soak.py --minutes 60 -- --workers 2 --finish pb      # options of the bridge

Root; in namespaces of its own.  Both directions carry numbered UDP and TCP over IPv4 and IPv6, of all sizes and
20,000 flows: one with the kernel's mark of partial checksums, one with complete ones, some leaked or damaged.

Every ten seconds: resident memory, descriptors and threads of the bridge and the programs that it started, and its
ledger.  It fails, exit code 1, if
- the median of the last quarter is above that of the second by more than --growth MiB, or by a descriptor or thread;
- read is not sent + dropped + truncated + send errors + held, of any snapshot;
- at the end a port's received packets, as the kernel counts them, are not what the bridge has seen of them;
- the bridge ends by itself, or says something that it did not expect.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pktmend.commands.bench.forwarders import Running, start_ours
from pktmend.commands.bench.frames import TCP, UDP
from pktmend.commands.bench.line import BenchLine, cpu_seconds, received_by
from pktmend.commands.bench.sender import GenerateOptions, Sender
from pktmend.testbed.netns import Host

EVERY = 10.0  # seconds between two samples
TRIAL = 3.0  # seconds at full rate, for the best one
PORTS = {"pa": "a", "pb": "b"}
TRAFFIC: dict[str, dict[str, Any]] = {
    "a": {"offload": True},
    "b": {"damage": {"leaked": 0.01, "corrupt": 0.001, "bit-flip": 0.001}},
}


@dataclass(frozen=True)
class Sample:
    """Of the bridge and its children.  memory: resident bytes."""

    seconds: float
    memory: int
    descriptors: int
    threads: int
    read: int
    lost: int

    def __str__(self) -> str:
        return (
            f"{self.seconds:7.0f} s  {self.memory / 2**20:8.2f} MiB  {self.descriptors:3} descriptors "
            f" {self.threads:3} threads  {self.read:>13,} read  {self.lost:>9,} lost in the ring"
        )


class Bridge:
    """The bridge under test: its process, those that it started, and its last snapshot."""

    def __init__(self, node: Host, options: list[str]) -> None:
        self.running: Running = start_ours(node, *options, "--json", stdout=subprocess.PIPE)
        self._program = self.running.programs[0]
        self.directions: list[dict[str, Any]] = []
        self.said: list[str] = []
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._listen, self._hear)]
        for thread in self._threads:
            thread.start()
        self.pid = self._program.pid

    def _listen(self) -> None:
        assert self._program.stdout is not None
        for line in self._program.stdout:
            self.directions = json.loads(line)["snapshot"]["directions"]
            for d in self.directions:
                require_identity(d)

    def _hear(self) -> None:
        assert self._program.stderr is not None
        self.said += [line.decode().strip() for line in self._program.stderr]

    def _family(self) -> list[Path]:
        found, parents = [Path(f"/proc/{self.pid}")], {self.pid}
        for path in sorted(Path("/proc").glob("[0-9]*"), key=lambda p: int(p.name)):
            try:
                parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has ended
                continue
            if parent in parents:
                found.append(path)
                parents.add(int(path.name))
        return found

    def sample(self, began: float) -> Sample:
        """Look at it now."""
        family = self._family()
        pages = sum(int((p / "statm").read_text().split()[1]) for p in family)
        return Sample(
            time.monotonic() - began,
            pages * os.sysconf("SC_PAGE_SIZE"),
            sum(len(list((p / "fd").iterdir())) for p in family),
            sum(len(list((p / "task").iterdir())) for p in family),
            sum(d["read"] for d in self.directions),
            sum(d["kernel_drops"] for d in self.directions),
        )

    def end(self) -> int:
        """Stop it, let it drain, and wait for its last snapshot; return its exit code."""
        self._program.send_signal(signal.SIGTERM)
        code = self._program.wait(30)
        for thread in self._threads:
            thread.join(10)
        return code


FAULTS: list[str] = []


def require_identity(d: dict[str, Any]) -> None:
    """Every frame that was read ends in one counter."""
    ends = d["sent"] + sum(d["dropped"].values()) + d["truncated"] + sum(d["tx_error"].values()) + d["held"]
    if d["read"] != ends:
        FAULTS.append(f"{d['from']}: read {d['read']}, accounted for {ends}")


class Load:
    """A thread that sends from one host."""

    def __init__(self, host: Host, to: Host, rate: float) -> None:
        self.sent, self._is_over = 0, threading.Event()
        mac = bytes.fromhex(to.hardware_address("eth0").replace(":", ""))
        self._options = GenerateOptions(
            mix="90,128,577,1300,1514",
            versions=(4, 6),
            protocols=(UDP, TCP),
            flows=20000,
            rate=rate,
            target_mac=mac,
            **TRAFFIC[host.name],
        )
        self._thread = threading.Thread(target=lambda: host.call(self._send), daemon=True)
        self._thread.start()

    def _send(self) -> None:
        with Sender("eth0", self._options) as sender:
            while not self._is_over.is_set():
                self.sent += sender.send(1 << 30, 200)

    def end(self) -> int:
        """Stop sending; return how many frames that were."""
        self._is_over.set()
        self._thread.join()
        return self.sent


def best_rate(line: BenchLine) -> float:
    """Return the frames a second, both directions together, that arrive when as many are sent as can be."""
    before = sum(host.call(lambda: received_by("eth0")) for host in (line.a, line.b))
    loads = [Load(line.a, line.b, 0), Load(line.b, line.a, 0)]
    time.sleep(TRIAL)
    for load in loads:
        load.end()
    time.sleep(1)
    return (sum(host.call(lambda: received_by("eth0")) for host in (line.a, line.b)) - before) / TRIAL


def judge(samples: list[Sample], growth: float) -> None:
    """Compare the last quarter of the run with the second."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    if not early:
        FAULTS.append("too short to be judged: four samples at least")
        return
    for name, allowed in (("memory", growth * 2**20), ("descriptors", 0), ("threads", 0)):
        was, now = (statistics.median(getattr(s, name) for s in part) for part in (early, late))
        print(f"{name}: median {was:,.0f} in the second quarter, {now:,.0f} in the last")
        if now - was > allowed:
            FAULTS.append(f"{name} grows: {was:,.0f}, then {now:,.0f}")


def judge_end(line: BenchLine, bridge: Bridge, before: dict[str, int]) -> None:
    """Compare the ledger with the kernel's counters of the ports."""
    for d in bridge.directions:
        port = d["from"]
        arrived = line.node.call(lambda port=port: received_by(port)) - before[port]  # type: ignore[misc]
        cut = d.get("cut_through") or {}
        seen = d["kernel_seen"] + cut.get("frames", 0) + cut.get("lost", 0)
        print(
            f"{port}: {arrived:,} arrived, {seen:,} seen ({cut.get('frames', 0):,} of them by the kernel), read"
            f" {d['read']:,}, sent {d['sent']:,}, kernel drops {d['kernel_drops']:,}, dropped {d['dropped']},"
            f" send errors {d['tx_error']}, repaired {d['repaired']}"
        )
        if d["kernel_seen"] != d["read"] + d["kernel_drops"] or d["held"]:
            FAULTS.append(f"{port}: not drained, or lost without a word: {d}")
        if seen != arrived:
            FAULTS.append(f"{port}: {arrived} frames arrived, {seen} were seen")


def soak(minutes: float, rate: float, growth: float, options: list[str]) -> None:
    """Run it; what is wrong goes to FAULTS."""
    with BenchLine() as line:
        for host in (line.a, line.b, line.node):
            host.call(lambda: Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1"))
        before = {port: line.node.call(lambda port=port: received_by(port)) for port in PORTS}  # type: ignore[misc]
        bridge = Bridge(line.node, options)
        try:
            rate = rate or best_rate(line) / 2
            print(f"half of the best rate: {rate:,.0f} frames/s, both directions together", flush=True)
            loads = [Load(line.a, line.b, rate / 2), Load(line.b, line.a, rate / 2)]
            began, busy, samples = time.monotonic(), cpu_seconds(bridge.pid), []
            while time.monotonic() - began < minutes * 60 and not bridge.running.obituary():
                time.sleep(EVERY)
                samples.append(bridge.sample(began))
                print(samples[-1], flush=True)
            took, busy = time.monotonic() - began, cpu_seconds(bridge.pid) - busy
            sent = sum(load.end() for load in loads)
            time.sleep(1)
            code = bridge.end()
            if code:
                FAULTS.append(f"the bridge ended with exit code {code}")
            print(f"{sent:,} frames sent in {took:.0f} s, {sent / took:,.0f}/s; {busy / took:.2f} CPUs of the bridge")
            judge(samples, growth)
            judge_end(line, bridge, before)
            FAULTS.extend(f"it said: {words}" for words in bridge.said)
        finally:
            bridge.running.stop()


def main() -> None:
    """Parse, run, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=0, help="frames a second instead of half of the best")
    parser.add_argument("--growth", type=float, default=1.0, help="MiB of memory that it may grow by")
    parser.add_argument("options", nargs="*", help="of pktmend bridge, behind --")
    asked = parser.parse_args()
    soak(asked.minutes, asked.rate, asked.growth, asked.options)
    for fault in FAULTS:
        print(f"FAILED: {fault}")
    if not FAULTS:
        print("nothing grew, every frame is accounted for")
    sys.exit(bool(FAULTS))


if __name__ == "__main__":
    main()
