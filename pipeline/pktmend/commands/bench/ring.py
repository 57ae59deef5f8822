"""`pktmend bench ring`: the bridge over slot sizes and counts (V2) and block sizes and counts (V3)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pktmend.commands.bench.figures import Line, Table, spread
from pktmend.commands.bench.line import SCENARIOS, UNITS, BenchLine, Transfer

KIB = 1 << 10
GEOMETRIES: tuple[dict[str, int], ...] = (
    *(
        {"version": 2, "slot_size": size * KIB, "slots": slots}
        for size, counts in ((2, (512, 1024, 2048, 4096, 8192)), (8, (1024, 2048)), (128, (256,)))
        for slots in counts
    ),
    *(
        {"version": 3, "block_size": size * KIB, "blocks": blocks}
        for size, counts in ((128, (32, 128, 256)), (256, (64,)), (512, (32,)), (1024, (32,)), (4096, (8,)))
        for blocks in counts
    ),
)


def ring_name(geometry: dict[str, int]) -> str:
    """Return `v2 2 KiB x 8192`."""
    size = geometry.get("slot_size") or geometry["block_size"]
    return f"v{geometry['version']} {size // KIB} KiB x {geometry.get('slots') or geometry['blocks']}"


@dataclass(frozen=True)
class RingBench:
    """seconds: of each transfer."""

    rounds: int = 3
    seconds: int = 1
    scenarios: Sequence[str] = ("default", "tso-off", "udp-64")
    geometries: Sequence[dict[str, int]] = GEOMETRIES
    name: str = "ring"
    programs: tuple[str, ...] = ("iperf3",)

    def measure(self) -> Iterator[Line]:
        """Yield a line for each scenario and geometry, the best of a scenario marked."""
        for scenario in self.scenarios:
            samples: list[list[Transfer]] = [[] for _ in self.geometries]
            with BenchLine() as line:
                line.set_offloads(scenario, wire_sums=False)
                for _ in range(self.rounds):
                    for geometry, taken in zip(self.geometries, samples, strict=True):
                        with line.carrying(*(f"{name}={value}" for name, value in geometry.items())):
                            taken.append(line.transfer(scenario, self.seconds))
            lines = [
                {
                    "bench": "ring",
                    "scenario": scenario,
                    "ring": ring_name(geometry),
                    **spread([moved.rate for moved in taken], "rate"),
                    "cpu_s_per_gb": round(statistics.median(moved.cpu_per_gigabyte for moved in taken), 3),
                    "cpu_s_per_mpacket": round(statistics.median(moved.cpu_per_mega_packet for moved in taken), 3),
                }
                for geometry, taken in zip(self.geometries, samples, strict=True)
            ]
            top = max(lines, key=lambda each: float(each["rate"]))
            yield from ({**each, "best": each is top} for each in lines)

    def tables(self, lines: Sequence[Line]) -> list[Table]:
        """Return a table for each scenario, the best first."""
        made = []
        for scenario in dict.fromkeys(line["scenario"] for line in lines):
            ranked = sorted((line for line in lines if line["scenario"] == scenario), key=lambda line: -line["rate"])
            rows: list[tuple[str, ...]] = [
                (
                    line["ring"],
                    f"{line['rate']:.2f}",
                    f"{line['low']:.2f} - {line['high']:.2f}",
                    f"{line['rate'] / ranked[0]['rate']:.2f}",
                    f"{line['cpu_s_per_gb']:.2f}",
                    f"{line['cpu_s_per_mpacket']:.2f}",
                )
                for line in ranked
            ]
            header = ("ring", UNITS[scenario], "spread", "of the best", "CPU s/GB", "CPU s/M packets")
            made.append(Table(f"the bridge's ring, {SCENARIOS[scenario]}", header, rows))
        return made
