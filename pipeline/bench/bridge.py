"""`pktmend bench bridge`: forwarders beside each other, on veth pairs in namespaces made for it.

    a(eth0) -- (pa) node (pb) -- (eth0)b

Each round measures every forwarder in turn; medians are shown, and the ratio to the kernel's bridge of the same round.
A forwarder that cannot do a scenario is shown with the reason.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.bench.environment import environment, environment_line
from pipeline.bench.forwarders import FORWARDERS, Forwarder, installed
from pipeline.errors import PipelineError
from pipeline.lab.world import Host, World, require_programs
from pipeline.report import print_json

SCENARIOS = {
    "default": "TCP, default offloads (super-frames), Gbit/s",
    "tso-off": "TCP, TSO off, checksums offloaded (MTU frames), Gbit/s",
    "udp-64": "64-octet UDP frames delivered, Mpps",
}
TARGET = "10.7.0.2"


@dataclass
class Result:
    """One forwarder in one scenario; medians over the rounds."""

    scenario: str
    forwarder: str
    rate: float = 0.0  # Gbit/s or Mpps, see SCENARIOS
    ratio: float = 0.0  # to the kernel bridge, median of the rounds' ratios
    cpu: float = 0.0  # seconds of all processors per gigabyte, or per million packets
    rtt_us: float = 0.0  # mean of ping on an idle path
    fails: str = ""


@contextmanager
def line(forwarder: Forwarder, scenario: str) -> Iterator[tuple[Host, Host, Host]]:
    """Make the hosts with the scenario's offloads."""
    with World() as world:
        a, b, node = world.host("a"), world.host("b"), world.host("node")
        for host, port in ((a, "pa"), (b, "pb")):
            world.veth(host, "eth0", node, port)
            if scenario == "tso-off":
                host.offload("eth0", tso=False)
            if forwarder.wire_sums:
                host.offload("eth0", tx=False)
        a.address("eth0", "10.7.0.1/24")
        b.address("eth0", f"{TARGET}/24")
        yield a, b, node


def _busy_seconds() -> float:
    """Seconds that all processors together were not idle since boot."""
    fields = [int(x) for x in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def measure(forwarder: Forwarder, scenario: str, seconds: int) -> tuple[float, float, float]:
    """Return (rate, CPU seconds per GB or per million packets, mean round trip in us); raises what went wrong."""
    with line(forwarder, scenario) as (a, b, node):
        b.spawn("iperf3", "-s", "-1")
        stop = forwarder.start(node)
        try:
            a.run("ping", "-c", "3", "-i", "0.05", "-W", "1", TARGET, check=False)
            done = a.run("ping", "-c", "200", "-i", "0.002", "-q", "-W", "1", TARGET, check=False)
            if done.returncode:
                raise PipelineError("ping does not pass")
            rtt = float(done.stdout.rpartition("=")[2].split("/")[1]) * 1000
            options = ["-u", "-b", "0", "-l", "22"] if scenario == "udp-64" else []
            before = _busy_seconds()
            done = a.run("iperf3", "-c", TARGET, "-t", str(seconds), "-J", "--connect-timeout", "3000", *options,
                         check=False, timeout=seconds + 20)
            busy = _busy_seconds() - before
            answer = json.loads(done.stdout or "{}")
            if "error" in answer or "end" not in answer:
                raise PipelineError(f"iperf3: {answer.get('error', 'no answer')}")
            if errors := {**a.checksum_errors(), **b.checksum_errors()}:
                raise PipelineError(f"checksum errors at the receiver: {errors}")
            if scenario == "udp-64":
                total = answer["end"]["sum"]
                packets = (total["packets"] - total["lost_packets"]) / 1e6
                return packets / total["seconds"], busy / packets, rtt
            octets = answer["end"]["sum_received"]["bytes"]
            return octets * 8 / 1e9 / answer["end"]["sum_received"]["seconds"], busy / (octets / 1e9), rtt
        finally:
            stop()


def run_bridge_bench(
    *, json: bool, rounds: int = 3, seconds: int = 3, only: Sequence[str] = (), picture: str = ""
) -> list[Result]:
    """Measure, print a table or NDJSON, and draw *picture* (SVG) if a file is named."""
    require_programs(["iperf3", "ping"])
    chosen = [f for f in FORWARDERS if not only or any(word in f.name for word in only)]
    results = []
    if json:
        print_json({"environment": environment()})
    else:
        print(environment_line())
    for scenario, title in SCENARIOS.items():
        table = _scenario(scenario, [f for f in chosen if scenario in f.scenarios], rounds, seconds)
        results += table
        for result in table:
            if json:
                print_json({"bench": "bridge", **asdict(result)})
        if not json:
            _print_table(title, table)
    if picture:
        from pipeline.bench.picture import draw

        Path(picture).write_text(draw({title: [r for r in results if r.scenario == key and not r.fails]
                                       for key, title in SCENARIOS.items()}))
    return results


def _scenario(scenario: str, forwarders: list[Forwarder], rounds: int, seconds: int) -> list[Result]:
    samples: dict[str, list[tuple[float, float, float]]] = {f.name: [] for f in forwarders}
    ratios: dict[str, list[float]] = {f.name: [] for f in forwarders}
    fails = {f.name: "not installed" for f in forwarders if not installed(f)}
    for _ in range(rounds):
        base = 0.0
        for forwarder in forwarders:
            if forwarder.name in fails:
                continue
            try:
                sample = measure(forwarder, scenario, seconds)
            except subprocess.TimeoutExpired:
                fails[forwarder.name] = "the transfer does not end"
                continue
            except (PipelineError, OSError, ValueError) as error:
                fails[forwarder.name] = str(error).splitlines()[0]
                continue
            samples[forwarder.name].append(sample)
            base = base or sample[0]  # the kernel bridge comes first
            ratios[forwarder.name].append(sample[0] / base if base else 0.0)
            time.sleep(0.2)
    results = []
    for forwarder in forwarders:
        got = samples[forwarder.name]
        if forwarder.name in fails or not got:
            results.append(Result(scenario, forwarder.name, fails=fails.get(forwarder.name, "no sample")))
            continue
        rate, cpu, rtt = (statistics.median(values) for values in zip(*got, strict=True))
        ratio = statistics.median(ratios[forwarder.name])
        results.append(Result(scenario, forwarder.name, round(rate, 3), round(ratio, 2), round(cpu, 3), round(rtt, 1)))
    return results


def _print_table(title: str, table: list[Result]) -> None:
    print(f"\n{title}\n  {'forwarder':26}{'rate':>8}{'x kernel':>10}{'CPU s/GB or Mp':>16}{'rtt us':>9}")
    for r in table:
        if r.fails:
            print(f"  {r.forwarder:26}fails: {r.fails}")
        else:
            print(f"  {r.forwarder:26}{r.rate:8.2f}{r.ratio:10.2f}{r.cpu:16.2f}{r.rtt_us:9.0f}")
    sys.stdout.flush()
