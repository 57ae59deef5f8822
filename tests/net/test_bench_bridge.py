"""The benches that need namespaces: they measure what they say, show who cannot, draw, and leave nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import pytest

from tools import PATIENCE, PKTMEND, need, until

BENCH = [*PKTMEND, "bench"]


def measured(*argv: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run a bench; return its environment and lines."""
    done = subprocess.run([*BENCH, *argv, "--json"], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    first, *rest = map(json.loads, done.stdout.splitlines())
    return first["environment"], rest


def namespaces() -> set[str]:
    """Return those that exist."""
    folder = Path("/run/netns")
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_all_in_one_page(tmp_path: Path) -> None:
    need("iperf3", "ping")
    page, picture = tmp_path / "r.md", tmp_path / "b.svg"
    environment, rest = measured("all", "--quick", "--markdown", str(page), "--picture", str(picture))
    assert environment["cpu"] and environment["system"] and "iperf3" in environment["programs"]
    names = list(dict.fromkeys(line["bench"] for line in rest))
    assert names == ["sum", "verify", "read", "monitor", "stage", "watched", "bridge"]
    for line in rest:
        if line["bench"] == "monitor":
            assert line.get("fails") or line["sent"] == 20_000 <= line["seen"] + line["drops"], line
        if line["bench"] in ("stage", "bridge"):
            assert line.get("rate") or line.get("ratio"), line
    assert {line["reader"] for line in rest if line["bench"] == "monitor"} >= {"empty walker", "pktmend monitor"}
    assert {line["stage"] for line in rest if line["bench"] == "stage"} == {"python", "native"}
    watched = [line for line in rest if line["bench"] == "watched"]
    assert {line["watcher"] for line in watched} == {"nobody", "pktmend monitor", "pktmend monitor --headers-only off"}
    assert all(line["rate"] > 0 and line["cpu_s_per_gb"] > 0 for line in watched), watched
    assert all(line["ratio"] == 1 for line in watched if line["watcher"] == "nobody")
    bridges = [line for line in rest if line["bench"] == "bridge"]
    assert {line["scenario"] for line in bridges} == {"default", "tso-off", "udp-64", "leaked", "tx-off"}
    assert not any(line["fails"] for line in bridges), bridges
    assert all(line["ratio"] == 1 for line in bridges if line["forwarder"] == "kernel bridge")
    assert all(line["cpu_s_per_gb"] > 0 and line["cpu_s_per_mpacket"] > 0 and line["rtt_us"] > 0 for line in bridges)
    text = page.read_text()
    assert environment["cpu"] in text and "pktmend --no-coalesce" in text and "### monitor:" in text
    xml.etree.ElementTree.parse(picture)


def test_peers_on_af_xdp_and_one_that_cannot() -> None:
    need("iperf3", "ping", "dpdk-testpmd")
    _, rest = measured("bridge", "--quick", "--only", "csum, af_")
    by = {(line["forwarder"], line["scenario"]): line for line in rest}
    assert by["testpmd csum, af_xdp", "tso-off"]["rate"] > 0, by
    assert by["testpmd csum, af_packet", "tso-off"]["rate"] > 0, by
    assert "pass" in by["testpmd csum, af_packet", "default"]["fails"]
    assert all(line.get("ratio") is None for line in rest)  # no kernel bridge to compare with


def test_ring_sweep_marks_the_best() -> None:
    need("iperf3", "ping")
    _, rest = measured("ring", "--quick", "--scenario", "tso-off")
    assert [line["ring"] for line in rest] == ["v2 2 KiB x 8192", "v3 1024 KiB x 32"]
    best = [line for line in rest if line["best"]]
    assert len(best) == 1 and best[0]["rate"] == max(line["rate"] for line in rest)


def test_word_that_names_no_forwarder_is_refused() -> None:
    done = subprocess.run([*BENCH, "bridge", "--only", "abacus"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "abacus" in done.stderr and "kernel bridge" in done.stderr


@pytest.mark.parametrize("later", [0, 1], ids=["while it makes its first hosts", "after a second"])
def test_ended_by_a_signal_it_leaves_nothing_behind(later: float) -> None:
    need("iperf3", "ping")
    before = namespaces()
    program = subprocess.Popen([*BENCH, "bridge", "--quick"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    mine = f"pktmend-{program.pid}-"
    until(lambda: any(name.startswith(mine) for name in namespaces() - before))
    time.sleep(later)
    program.send_signal(signal.SIGTERM)
    program.communicate(timeout=2 * PATIENCE)
    assert program.returncode == 128 + signal.SIGTERM
    assert not any(name.startswith(mine) for name in namespaces())
