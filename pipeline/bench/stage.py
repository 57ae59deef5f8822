"""`pktmend bench stage`: what a stage that does nothing costs the bridge, in Python and in C.

In each round the bridge carries the same traffic without a stage, with a Python one and with a native one; the order
changes from round to round.  Figures are ratios to the one without of the same round.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.bench.figures import Line, Table, spread
from pipeline.bench.line import SCENARIOS, UNITS, BenchLine, cpu_seconds, settle
from pipeline.errors import PipelineError
from pipeline.lab.world import end

STAGES = ("none", "python", "native")
GOALS = {"python": 0.97, "native": 0.99}


@dataclass(frozen=True)
class Sample:
    """rate: Gbit/s or Mpps; cpu: the bridge's own processor seconds for a gigabyte or a million packets."""

    rate: float
    cpu: float


@dataclass(frozen=True)
class StageBench:
    """seconds: of each transfer."""

    rounds: int = 6
    seconds: int = 1
    scenarios: Sequence[str] = ("default", "udp-64")
    name: str = "stage"
    programs: tuple[str, ...] = ("iperf3",)

    def measure(self) -> Iterator[Line]:
        """Yield a line for each scenario and stage."""
        for scenario in self.scenarios:
            with BenchLine() as line:
                line.set_offloads(scenario, wire_sums=False)
                self._sample(line, scenario, "none")  # warm-up
                rounds = []
                for number in range(self.rounds):
                    order = [STAGES[(number + i) % len(STAGES)] for i in range(len(STAGES))]
                    rounds.append({kind: self._sample(line, scenario, kind) for kind in order})
            for kind in STAGES[1:]:
                ratios = [each[kind].rate / each["none"].rate for each in rounds]
                yield {
                    "bench": "stage", "stage": kind, "load": scenario, **spread(ratios, "ratio", 4),
                    "cpu_ratio": round(statistics.median(each[kind].cpu / each["none"].cpu for each in rounds), 4),
                    "rate_without": round(statistics.median(each["none"].rate for each in rounds), 3),
                }

    def _sample(self, line: BenchLine, scenario: str, kind: str) -> Sample:
        program = line.node.spawn(sys.executable, "-m", "pipeline.bench.carry", "pa", "pb", f"stage={kind}",
                                  stderr=subprocess.PIPE)
        assert program.stderr is not None
        try:
            if b"carrying" not in (said := program.stderr.readline()):
                raise PipelineError(f"the bridge did not start: {said.decode().strip()}")
            settle()
            before = cpu_seconds(program.pid)
            moved = line.transfer(scenario, self.seconds)
            busy = cpu_seconds(program.pid) - before
            return Sample(moved.rate, busy / (moved.packets / 1e6 if scenario == "udp-64" else moved.octets / 1e9))
        finally:
            end(program)

    def tables(self, lines: Sequence[Line]) -> list[Table]:
        """Return a row for each scenario and stage."""
        rows = []
        for line in lines:
            cost, low, high = ((1 - line[key]) * 100 for key in ("ratio", "high", "low"))
            rows.append((line["stage"], SCENARIOS[line["load"]], f"{line['rate_without']:.2f} {UNITS[line['load']]}",
                         f"{cost:+.1f} %", f"{low:+.1f} - {high:+.1f} %", f"{(line['cpu_ratio'] - 1) * 100:+.1f} %"))
        header = ("stage", "traffic", "without", "costs of the rate", "spread", "more CPU of the bridge")
        return [Table("a stage that does nothing, in the bridge", header, rows,
                      "pairs of one round; a cost within its spread around 0 is not distinguishable from none")]
