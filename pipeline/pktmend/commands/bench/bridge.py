"""`pktmend bench bridge`: forwarders beside each other, on veth pairs in namespaces made for it.

In each round every forwarder is started on a line of its own, pinged, and carries each scenario's traffic; medians are
shown, and the ratio to the kernel's bridge of the same round.  One that cannot do a scenario is shown with the reason.
"""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pktmend.commands.bench.figures import Line, Table, spread
from pktmend.commands.bench.forwarders import FORWARDERS, KERNEL, Forwarder, installed
from pktmend.commands.bench.line import SCENARIOS, UNITS, BenchLine, Transfer, settle, usual_congestion_control
from pktmend.errors import ConfigError, PktmendError, PrivilegeError
from pktmend.testbed.netns import require_programs

NOTE = (
    "CPU: all processors, sender and receiver included; rtt: ping alone; added: to that of the kernel bridge, by ping"
    " and by a byte there and back over TCP"
)


@dataclass
class Rounds:
    """What one forwarder did: transfers and round trips, a round each; or why it cannot."""

    transfers: dict[str, dict[int, Transfer]]
    round_trips: dict[int, float] = field(default_factory=dict)
    tcp_round_trips: dict[int, float] = field(default_factory=dict)
    fails: dict[str, str] = field(default_factory=dict)

    def fail(self, scenarios: Sequence[str], error: Exception) -> None:
        """Record why *scenarios* cannot be measured."""
        why = str(error).splitlines()[0]
        for scenario in scenarios:
            self.fails.setdefault(scenario, why)


@dataclass(frozen=True)
class BridgeBench:
    """seconds: of each transfer; only: forwarders whose name holds one of these words.

    congestion: TCP's congestion control; "" the machine's own.
    """

    rounds: int = 3
    seconds: int = 2
    only: Sequence[str] = ()
    congestion: str = ""
    name: str = "bridge"
    programs: tuple[str, ...] = ("iperf3", "tcpbridge", "dpdk-testpmd", "netsniff-ng")

    def measure(self) -> Iterator[Line]:
        """Yield a line for each scenario and forwarder."""
        require_programs(["iperf3", "ping"])
        chosen = [f for f in FORWARDERS if not self.only or any(word in f.name for word in self.only)]
        if not chosen:
            raise ConfigError(
                f"no forwarder's name holds {' or '.join(self.only)}",
                f"there are: {', '.join(f.name for f in FORWARDERS)}",
            )
        results = {f.name: Rounds({scenario: {} for scenario in SCENARIOS}) for f in chosen}
        for number in range(self.rounds):
            for forwarder in chosen:
                rounds = results[forwarder.name]
                wanted = [scenario for scenario in forwarder.scenarios if scenario not in rounds.fails]
                if not installed(forwarder):
                    rounds.fail(wanted, PktmendError("not installed"))
                elif wanted:
                    self._round(forwarder, number, wanted, rounds)
        for scenario in SCENARIOS:
            for forwarder in chosen:
                if scenario in forwarder.scenarios:
                    yield {
                        **_line(scenario, forwarder, results[forwarder.name], results.get(KERNEL)),
                        "congestion": self.congestion or usual_congestion_control(),
                    }

    def _round(self, forwarder: Forwarder, number: int, scenarios: Sequence[str], into: Rounds) -> None:
        """Measure *scenarios* with one start; after one that fails the others get a fresh one."""
        reached = 0
        try:
            with BenchLine(direct=forwarder.is_direct) as line:
                line.set_offloads(scenarios[0], wire_sums=forwarder.wire_sums)
                running = forwarder.start(line.node)
                try:
                    into.round_trips[number] = line.round_trip_us()
                    into.tcp_round_trips[number] = line.tcp_round_trip_us()
                    for scenario in scenarios:
                        reached += 1
                        line.set_offloads(scenario, wire_sums=forwarder.wire_sums)
                        settle()
                        into.transfers[scenario][number] = line.transfer(scenario, self.seconds, self.congestion)
                except PktmendError as error:
                    why = running.obituary() or str(error).splitlines()[0]
                    raise PktmendError(why) from error
                finally:
                    running.stop()
        except PrivilegeError:  # none of the others would get further
            raise
        except (PktmendError, OSError, ValueError, subprocess.TimeoutExpired) as error:
            if not reached:
                into.fail(scenarios, error)
                return
            into.fail([scenarios[reached - 1]], error)
            if scenarios[reached:]:
                self._round(forwarder, number, scenarios[reached:], into)

    def tables(self, lines: Sequence[Line]) -> list[Table]:
        """Return a table for each scenario."""
        made = []
        for scenario in dict.fromkeys(line["scenario"] for line in lines):
            rows: list[tuple[str, ...]] = []
            for line in lines:
                if line["scenario"] != scenario:
                    continue
                if line["fails"]:
                    rows.append((line["forwarder"], f"fails: {line['fails']}"))
                    continue
                ratio = "-" if line["ratio"] is None else f"{line['ratio']:.2f}"
                rows.append(
                    (
                        line["forwarder"],
                        f"{line['rate']:.2f}",
                        f"{line['low']:.2f} - {line['high']:.2f}",
                        ratio,
                        f"{line['cpu_s_per_gb']:.2f}",
                        f"{line['cpu_s_per_mpacket']:.2f}",
                        f"{line['rtt_us']:.0f}",
                        "-" if line["rtt_added_us"] is None else f"{line['rtt_added_us']:+.0f}",
                        "-" if line.get("tcp_rtt_added_us") is None else f"{line['tcp_rtt_added_us']:+.0f}",
                    )
                )
            header = (
                "forwarder",
                UNITS[scenario],
                "spread",
                "x kernel",
                "CPU s/GB",
                "CPU s/M packets",
                "rtt us",
                "added us",
                "added, TCP",
            )
            tcp = "" if scenario == "udp-64" else f"; congestion control: {lines[0].get('congestion', 'not recorded')}"
            made.append(Table(SCENARIOS[scenario], header, rows, NOTE + tcp))
        return made


def _line(scenario: str, forwarder: Forwarder, rounds: Rounds, kernel: Rounds | None) -> Line:
    line: Line = {
        "bench": "bridge",
        "scenario": scenario,
        "forwarder": forwarder.name,
        "fails": rounds.fails.get(scenario, ""),
    }
    taken = rounds.transfers[scenario]
    if line["fails"] or not taken:
        return {**line, "fails": line["fails"] or "no sample"}
    rtt = statistics.median(rounds.round_trips.values())
    tcp_added: list[float] = []
    ratios: list[float] = []
    added: list[float] = []
    if kernel is not None:
        base = kernel.transfers[scenario]
        ratios = [moved.rate / base[number].rate for number, moved in taken.items() if number in base]
        both = [number for number in taken if number in kernel.round_trips]
        added = [rounds.round_trips[number] - kernel.round_trips[number] for number in both]
        both = [number for number in taken if number in kernel.tcp_round_trips and number in rounds.tcp_round_trips]
        tcp_added = [rounds.tcp_round_trips[number] - kernel.tcp_round_trips[number] for number in both]
    return {
        **line,
        **spread([moved.rate for moved in taken.values()], "rate"),
        "ratio": round(statistics.median(ratios), 2) if ratios else None,
        "cpu_s_per_gb": round(statistics.median(moved.cpu_per_gigabyte for moved in taken.values()), 3),
        "cpu_s_per_mpacket": round(statistics.median(moved.cpu_per_mega_packet for moved in taken.values()), 3),
        "rtt_us": round(rtt, 1),
        "rtt_added_us": round(statistics.median(added), 1) if added else None,
        "tcp_rtt_added_us": round(statistics.median(tcp_added), 1) if tcp_added else None,
    }
