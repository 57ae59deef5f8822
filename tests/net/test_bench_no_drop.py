"""The bench of the rate without loss: a queue of tc's that lets a known rate pass is the judge."""

from __future__ import annotations

import json
import subprocess

import pytest

from pktmend.commands.bench.forwarders import FORWARDERS, KERNEL, Forwarder, Running
from pktmend.commands.bench.no_drop import MeasuredLine
from pktmend.commands.bench.rate_search import search
from pktmend.testbed.netns import Host
from tools import PKTMEND, need

pytestmark = pytest.mark.alone  # it measures a rate

SIZE = 1518
RATE_BITS = 20_000_000
BEST = RATE_BITS / 8 / (SIZE - 4)  # frames a second: tc counts a frame without its FCS


def limited(node: Host) -> Running:
    """Start the kernel's bridge behind a token bucket, with room for three frames."""
    kernel = next(f for f in FORWARDERS if f.name == KERNEL).start(node)
    bucket = ("rate", f"{RATE_BITS}bit", "burst", "4600", "limit", "4600")
    node.run("tc", "qdisc", "add", "dev", "pb", "root", "tbf", *bucket)
    return kernel


def test_search_finds_the_rate_of_a_token_bucket() -> None:
    need("tc", "ping")
    with MeasuredLine(Forwarder("limited", limited), 0.5) as line:
        found = search(lambda rate: line.trial(SIZE, rate), resolution=0.02, highest=2 * BEST)
    assert found.above is not None and found.above.lost > 0 and not found.is_sender
    assert found.rate <= 1.05 * BEST, (found, BEST)  # below it only as far as a busy machine sends in bursts


def test_quick_bench_prints_a_line_for_each_size_and_forwarder() -> None:
    need("ping")
    argv = [*PKTMEND, "bench", "no-drop", "--quick", "--json", "--size", "64"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    _, *lines = map(json.loads, done.stdout.splitlines())
    assert [(line["forwarder"], line["bytes"]) for line in lines] == [
        (name, 64) for name in ("kernel bridge", "pktmend", "pktmend --no-coalesce")
    ]
    for line in lines:
        assert line["fails"] is None and line["trials"] >= 1 and line["low"] <= line["rate"] <= line["high"], line
        assert line["rate"] or line["lost_above"] or line["forwarder"] == "kernel bridge", line
