"""`pktmend bench monitor`, its second half: what being watched costs a TCP stream, by whoever watches.

The stream has default offloads and crosses the kernel's bridge; one port of that is watched.  In each round everybody
watches in turn, in another order than in the round before, and nobody as well.
"""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pktmend.commands.bench.environment import version_of
from pktmend.commands.bench.figures import Line, Table, spread
from pktmend.commands.bench.forwarders import FORWARDERS, KERNEL
from pktmend.commands.bench.line import BenchLine, Transfer, settle
from pktmend.commands.bench.monitor import wait_until_ready
from pktmend.errors import PktmendError
from pktmend.host.own_command import own_command
from pktmend.testbed.netns import end, require_programs

NOBODY = "nobody"
AVAILABLE = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
WANTED = ("cubic", "bbr")


def _dumps(*more: str) -> tuple[str, ...]:
    return ("tcpdump", "-i", "pa", *more, "-w", "/dev/null", "-Z", "root")


@dataclass(frozen=True)
class Watcher:
    """Somebody who watches pa.  ready: what it says when it does; program: what has to be installed."""

    name: str
    argv: tuple[str, ...] = ()
    ready: str = "listening"
    program: str = ""


WATCHERS = (
    Watcher(NOBODY),
    Watcher("pktmend monitor", tuple(own_command("monitor", "-i", "pa", "--json")), "watching"),
    Watcher(
        "pktmend monitor --headers-only off",
        tuple(own_command("monitor", "-i", "pa", "--json", "--headers-only", "off")),
        "watching",
    ),
    Watcher("tcpdump -s 128", _dumps("-s", "128"), program="tcpdump"),
    Watcher("tcpdump", _dumps(), program="tcpdump"),
)


@dataclass(frozen=True)
class WatchedBench:
    """seconds: of each transfer; only: watchers whose name holds one of these words, beside nobody."""

    rounds: int = 5
    seconds: int = 2
    only: Sequence[str] = ()
    name: str = "watched"
    programs: tuple[str, ...] = ("iperf3", "tcpdump")

    def measure(self) -> Iterator[Line]:
        """Yield a line for each congestion control that there is and each watcher."""
        require_programs(["iperf3"])
        chosen = [w for w in WATCHERS if w.name == NOBODY or not self.only or any(word in w.name for word in self.only)]
        there = AVAILABLE.read_text().split()
        for congestion in [each for each in WANTED if each in there]:
            yield from self._stream(congestion, chosen)

    def _stream(self, congestion: str, chosen: Sequence[Watcher]) -> Iterator[Line]:
        fails = {w.name: "not installed" for w in chosen if w.program and not version_of(w.program)}
        found: dict[str, list[Transfer]] = {w.name: [] for w in chosen}
        for number in range(self.rounds):
            turn = number % len(chosen)
            for watcher in (*chosen[turn:], *chosen[:turn]):
                if watcher.name not in fails:
                    found[watcher.name].append(_measure(watcher, self.seconds, congestion))
        alone = found[NOBODY]
        for watcher in chosen:
            line: Line = {"bench": "watched", "watcher": watcher.name, "congestion": congestion}
            if watcher.name in fails:
                yield {**line, "fails": fails[watcher.name]}
                continue
            own = found[watcher.name]
            yield {
                **line,
                **spread([each.rate for each in own], "rate", 2),
                "ratio": round(statistics.median(a.rate / b.rate for a, b in zip(own, alone, strict=True)), 2),
                "cpu_s_per_gb": round(statistics.median(each.cpu_per_gigabyte for each in own), 3),
            }

    def tables(self, lines: Sequence[Line]) -> list[Table]:
        """Return a table for each congestion control."""
        return [
            Table(
                f"a TCP stream over the kernel's bridge while a port of that is watched, {congestion}",
                ("watched by", "Gbit/s", "spread", "x nobody", "CPU s/GB"),
                [_row(line) for line in lines if line["congestion"] == congestion],
                "CPU: all processors, hosts and watcher",
            )
            for congestion in dict.fromkeys(line["congestion"] for line in lines)
        ]


def _row(line: Line) -> tuple[str, ...]:
    if line.get("fails"):
        return line["watcher"], f"fails: {line['fails']}"
    return (
        line["watcher"],
        f"{line['rate']:.1f}",
        f"{line['low']:.1f} - {line['high']:.1f}",
        f"{line['ratio']:.2f}",
        f"{line['cpu_s_per_gb']:.2f}",
    )


def _measure(watcher: Watcher, seconds: int, congestion: str) -> Transfer:
    bridge = next(each for each in FORWARDERS if each.name == KERNEL)
    with BenchLine() as line:
        running = bridge.start(line.node)
        line.transfer("default", 1, congestion)  # the first in a new namespace is slower
        if not watcher.argv:
            settle()
            return line.transfer("default", seconds, congestion)
        program = line.node.spawn(*watcher.argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            wait_until_ready(program, watcher.ready)
            moved = line.transfer("default", seconds, congestion)
            if running.obituary() or program.poll() is not None:
                raise PktmendError(f"{watcher.name} ended while it watched")
            return moved
        finally:
            end(program)
