"""`pktmend bench monitor`: what a monitor costs the processor, a packet, beside an empty walker of the same ring.

Numbered frames leave one end of a veth pair as fast as they go, on one processor; a reader on another watches the other
end.  Each reader must see every frame or count it as dropped.
"""

from __future__ import annotations

import json
import os
import re
import select
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pktmend.commands.bench.environment import version_of
from pktmend.commands.bench.figures import Line, Table, spread
from pktmend.commands.bench.frames import TCP, UDP
from pktmend.commands.bench.line import cpu_seconds
from pktmend.commands.bench.sender import GenerateOptions, Sender
from pktmend.errors import PktmendError
from pktmend.host.own_command import own_command, own_module
from pktmend.testbed.netns import Host, Testbed, end

LOADS = {
    "64": GenerateOptions(mix="64", flows=64),
    "imix": GenerateOptions(mix="imix", versions=(4, 6), protocols=(UDP, TCP), flows=64),
    "super-frames": GenerateOptions(mix="32000", protocols=(TCP,), offload=True, rate=40_000),  # 10 Gbit/s
}
WALKER = "empty walker"
PATIENCE = 10.0
Counts = Callable[[str], tuple[int, int]]
STRANGERS = 50  # frames of the hosts' own (IPv6 multicast) that a reader may have seen beside


def _objects(said: str) -> list[Any]:
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


def _walker_counts(said: str) -> tuple[int, int]:
    answer = _objects(said)[-1]
    return answer["packets"], answer["drops"]


def _monitor_counts(said: str) -> tuple[int, int]:
    directions = [line["snapshot"] for line in _objects(said) if "snapshot" in line][-1]["directions"]
    return sum(d["read"] for d in directions), sum(d["kernel_drops"] for d in directions)


def _numbers(pattern: str) -> Counts:
    def counts(said: str) -> tuple[int, int]:
        found = re.search(pattern, said, re.DOTALL)
        if found is None:
            raise PktmendError(f"says nothing of what it saw: {said.strip()[-100:]}")
        return int(found[1]), int(found[2])

    return counts


@dataclass(frozen=True)
class MonitorProgram:
    """Something that reads eth0.

    ready:  what it says when it does.              counts: (seen, dropped) of what it said.
    settle_time: seconds that a frame may wait to be read.
    """

    name: str
    argv: tuple[str, ...]
    ready: str
    counts: Counts
    program: str = ""
    settle_time: float = 0.05


READERS = (
    MonitorProgram(WALKER, tuple(own_module("pktmend.commands.bench.walk", "eth0")), "walking", _walker_counts),
    MonitorProgram(
        "pktmend monitor", tuple(own_command("monitor", "-i", "eth0", "--json")), "watching", _monitor_counts
    ),
    MonitorProgram(
        "tcpdump -w /dev/null",
        ("tcpdump", "-i", "eth0", "-w", "/dev/null", "-B", "32768", "-Z", "root"),
        "listening",
        _numbers(r"(\d+) packets? captured.*?(\d+) packets? dropped by kernel"),
        "tcpdump",
        1.2,
    ),
    MonitorProgram(
        "netsniff-ng, nothing written",
        ("netsniff-ng", "--in", "eth0", "--silent", "--ring-size", "32MiB", "--no-sock-mem"),
        "Running",
        _numbers(r"(\d+)\s+packets incoming.*?(\d+)\s+packets failed filter"),
        "netsniff-ng",
        0.5,
    ),
)


@dataclass(frozen=True)
class MonitorBench:
    """frames: of each measurement; only: readers whose name holds one of these words, beside the walker."""

    rounds: int = 3
    frames: int = 1_000_000
    loads: Sequence[str] = tuple(LOADS)
    only: Sequence[str] = ()
    name: str = "monitor"
    programs: tuple[str, ...] = field(default=("tcpdump", "netsniff-ng"))

    def measure(self) -> Iterator[Line]:
        """Yield a line for each load and reader."""
        readers = [r for r in READERS if r.name == WALKER or not self.only or any(word in r.name for word in self.only)]
        for load in self.loads:
            frames = max(1, self.frames // (20 if load == "super-frames" else 1))
            yield from self._load(load, frames, readers)

    def _load(self, load: str, frames: int, readers: Sequence[MonitorProgram]) -> Iterator[Line]:
        measurements: dict[str, list[Measurement]] = {r.name: [] for r in readers}
        fails = {r.name: "not installed" for r in readers if r.program and not version_of(r.program)}
        for _ in range(self.rounds):
            for reader in readers:
                if reader.name in fails:
                    continue
                try:
                    measurements[reader.name].append(_measure(reader, LOADS[load], frames))
                except (PktmendError, subprocess.TimeoutExpired) as error:
                    if reader.name == WALKER or not reader.program:
                        raise
                    fails[reader.name] = str(error).splitlines()[0]
        base = [sample.ns for sample in measurements[WALKER]]
        for reader in readers:
            line: Line = {"bench": "monitor", "reader": reader.name, "load": load}
            if reader.name in fails:
                yield {**line, "fails": fails[reader.name]}
                continue
            own = measurements[reader.name]
            yield {
                **line,
                **spread([sample.ns for sample in own], "cpu_ns_per_packet", 1),
                "ratio": round(statistics.median(s.ns / b for s, b in zip(own, base, strict=True)), 2),
                "mpps": round(statistics.median(s.mpps for s in own), 3),
                "sent": frames * len(own),
                "seen": sum(s.seen for s in own),
                "drops": sum(s.drops for s in own),
            }

    def tables(self, lines: Sequence[Line]) -> list[Table]:
        """Return a table for each load."""
        made = []
        for load in dict.fromkeys(line["load"] for line in lines):
            rows: list[tuple[str, ...]] = []
            for line in lines:
                if line["load"] != load:
                    continue
                if line.get("fails"):
                    rows.append((line["reader"], f"fails: {line['fails']}"))
                else:
                    rows.append(
                        (
                            line["reader"],
                            f"{line['cpu_ns_per_packet']:.0f}",
                            f"{line['low']:.0f} - {line['high']:.0f}",
                            f"{line['ratio']:.2f}",
                            f"{line['mpps']:.2f}",
                            str(line["drops"]),
                        )
                    )
            header = ("reader", "ns CPU a packet", "spread", "x walker", "Mpps sent", "dropped")
            made.append(
                Table(
                    f"reading {load} at the highest rate of the generator",
                    header,
                    rows,
                    "drops are of all rounds together; every frame was seen or counted as dropped",
                )
            )
        return made


@dataclass(frozen=True)
class Measurement:
    """One measurement of one reader."""

    ns: float
    mpps: float
    seen: int
    drops: int


def _measure(reader: MonitorProgram, options: GenerateOptions, frames: int) -> Measurement:
    processors = sorted(os.sched_getaffinity(0))
    with Testbed() as testbed:
        a, b = testbed.host("a"), testbed.host("b")
        testbed.veth(a, "eth0", b, "eth0")
        pinned = ("taskset", "-c", str(processors[-1]))
        program = b.spawn(*pinned, *reader.argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = wait_until_ready(program, reader.ready)
        before = cpu_seconds(program.pid)
        took = _send(a, options, frames, processors[0])
        time.sleep(reader.settle_time)
        busy = cpu_seconds(program.pid) - before
        program.terminate()
        said += program.communicate(timeout=10)[0].decode(errors="replace")
        seen, drops = reader.counts(said)
        end(program)
    if not frames <= seen + drops <= frames + STRANGERS:
        raise PktmendError(f"{reader.name} saw {seen} and dropped {drops} of {frames} frames")
    return Measurement(busy * 1e9 / frames, frames / took / 1e6, seen, drops)


def wait_until_ready(program: subprocess.Popen[bytes], word: str) -> str:
    """Return what it said up to and with the word that it is ready with."""
    assert program.stdout is not None
    said = ""
    deadline = time.monotonic() + PATIENCE
    while word not in said:
        if not select.select([program.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise PktmendError(f"does not say that it is ready; said {said.strip()[-100:]!r}")
        more = os.read(program.stdout.fileno(), 4096).decode(errors="replace")
        if not more:
            raise PktmendError(f"ended at once: {said.strip()[-200:]}")
        said += more
    time.sleep(0.3)
    return said


def _send(host: Host, options: GenerateOptions, frames: int, processor: int) -> float:
    """Send *frames* on one processor; return the seconds that took."""

    def inside() -> float:
        os.sched_setaffinity(0, {processor})  # of this thread only
        with Sender("eth0", options) as sender:
            began = time.monotonic()
            if sender.send(frames, 60_000) != frames:
                raise PktmendError(f"{frames} frames do not leave within a minute")
            return time.monotonic() - began

    return host.call(inside)
