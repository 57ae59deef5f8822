"""`pktmend bench stage`: what a stage that does nothing costs the bridge, in Python and in C.

Three bridges stand side by side, without a stage, with a Python one and with a native one, all on one processor;
numbered frames from another processor go through each in turn.  The figure is the bridge's own processor time for a
frame, as a ratio to that of the one without in the same round: where the processor is the limit, the rate falls by as
much.  Every set of rounds begins with new programs, because where a program lies in memory makes a difference, too.

| load         | frames                                          | batches                             |
|--------------|-------------------------------------------------|-------------------------------------|
| 64           | 64-byte UDP, as many as the sender can          | full: what decides the highest rate |
| super-frames | TCP of 32,000 bytes, as many as the sender can  | of a few                            |
| 64 paced     | 64-byte UDP, 20,000 a second                    | of one or two: the worst case       |
"""

from __future__ import annotations

import json
import os
import select
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pktmend.commands.bench.figures import Line, Table, spread
from pktmend.commands.bench.frames import TCP
from pktmend.commands.bench.line import cpu_seconds
from pktmend.commands.bench.sender import GenerateOptions, Sender
from pktmend.errors import PktmendError
from pktmend.host.own_command import own_module
from pktmend.testbed.netns import Host, Testbed

STAGES = {
    "none": (),
    "python": ("stage=pktmend.commands.bench.nothing:in_python",),
    "native": ("stage=pktmend.commands.bench.nothing:in_c",),
}
KINDS = tuple(STAGES)
LOADS = {
    "64": GenerateOptions(mix="64", flows=64),
    "super-frames": GenerateOptions(mix="32000", protocols=(TCP,), flows=4, offload=True),
    "64 paced": GenerateOptions(mix="64", flows=64, rate=20_000),
}
PUBLISHED = 0.25  # seconds after which a bridge's counters hold all that it has read


class MeasuredBridge:
    """A bridge on a line of its own, on one processor."""

    def __init__(self, testbed: Testbed, kind: str, processor: int) -> None:
        self.a, b, node = (testbed.host(f"{kind}-{name}") for name in ("a", "b", "node"))
        testbed.veth(self.a, "eth0", node, "pa")
        testbed.veth(b, "eth0", node, "pb")
        argv = ["taskset", "-c", str(processor), *own_module("pktmend.commands.bench.carry", "pa", "pb")]
        self._program = node.spawn(*argv, *STAGES[kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self._program.stderr is not None
        if b"carrying" not in (said := self._program.stderr.readline()):
            raise PktmendError(f"the bridge does not start: {said.decode().strip()}")

    def read(self) -> int:
        """Return how many frames it has read, all directions together."""
        assert self._program.stdout is not None
        self._program.send_signal(signal.SIGUSR1)
        if not select.select([self._program.stdout], [], [], 5)[0]:
            raise PktmendError("the bridge does not answer")
        return int(json.loads(self._program.stdout.readline())["read"])

    def ns_per_frame(self, options: GenerateOptions, milliseconds: int, processor: int) -> tuple[float, float]:
        """Return (the bridge's processor ns for a frame that it read, frames a second that it read)."""
        frames, busy = self.read(), cpu_seconds(self._program.pid)
        took = _send(self.a, options, milliseconds, processor)
        time.sleep(PUBLISHED)
        busy = cpu_seconds(self._program.pid) - busy
        frames = self.read() - frames
        if not frames:
            raise PktmendError("the bridge has read nothing")
        return busy * 1e9 / frames, frames / took


def _send(host: Host, options: GenerateOptions, milliseconds: int, processor: int) -> float:
    """Send for so long, on one processor; return the seconds that took."""

    def inside() -> float:
        os.sched_setaffinity(0, {processor})  # of this thread only
        with Sender("eth0", options) as sender:
            began = time.monotonic()
            sender.send(1 << 40, milliseconds)
            return time.monotonic() - began

    return host.call(inside)


@dataclass(frozen=True)
class StageBench:
    """sets of new programs, rounds in each; milliseconds: of traffic in each measurement."""

    sets: int = 2
    rounds: int = 5
    milliseconds: int = 200
    loads: Sequence[str] = tuple(LOADS)
    name: str = "stage"
    programs: tuple[str, ...] = ()

    def measure(self) -> Iterator[Line]:
        """Yield a line for each load and stage."""
        taken: dict[str, list[dict[str, tuple[float, float]]]] = {load: [] for load in self.loads}
        processors = sorted(os.sched_getaffinity(0))
        for _ in range(self.sets):
            with Testbed() as testbed:
                bridges = {kind: MeasuredBridge(testbed, kind, processors[-1]) for kind in KINDS}
                bridges["none"].ns_per_frame(LOADS[self.loads[0]], self.milliseconds, processors[0])  # warm-up
                for number in range(self.rounds):
                    order = [KINDS[(number + i) % len(KINDS)] for i in range(len(KINDS))]
                    for load in self.loads:
                        taken[load].append(
                            {
                                kind: bridges[kind].ns_per_frame(LOADS[load], self.milliseconds, processors[0])
                                for kind in order
                            }
                        )
        for load in self.loads:
            yield from (self._line(load, kind, taken[load]) for kind in KINDS[1:])

    def _line(self, load: str, kind: str, rounds: Sequence[dict[str, tuple[float, float]]]) -> Line:
        ratios = [each[kind][0] / each["none"][0] for each in rounds]
        middle = {name: statistics.median(each[name][0] for each in rounds) for name in ("none", kind)}
        return {
            "bench": "stage",
            "stage": kind,
            "load": load,
            **spread(ratios, "ratio", 4),
            "ns_per_frame": round(middle[kind], 1),
            "ns_per_frame_without": round(middle["none"], 1),
            "mpps_without": round(statistics.median(each["none"][1] for each in rounds) / 1e6, 3),
            "mpps": round(statistics.median(each[kind][1] for each in rounds) / 1e6, 3),
        }

    def tables(self, lines: Sequence[Line]) -> list[Table]:
        """Return a row for each load and stage."""
        rows: list[tuple[str, ...]] = []
        for line in lines:
            cost, low, high = ((line[key] - 1) * 100 for key in ("ratio", "low", "high"))
            rows.append(
                (
                    line["stage"],
                    line["load"],
                    f"{line['ns_per_frame_without']:.0f}",
                    f"{line['ns_per_frame']:.0f}",
                    f"{cost:+.1f} %",
                    f"{low:+.1f} to {high:+.1f} %",
                    f"{line['mpps_without']:.3f}",
                    f"{line['mpps']:.3f}",
                )
            )
        header = ("stage", "frames", "ns CPU a frame without", "with", "costs", "spread", "Mpps without", "with")
        return [
            Table(
                "a stage that does nothing, in the bridge",
                header,
                rows,
                "costs: of the bridge's processor time, in pairs of one round; 64 paced: 20,000 frames a second,"
                " where a batch is one or two",
            )
        ]
