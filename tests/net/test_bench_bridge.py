"""`pktmend bench bridge`: it measures what it says, shows who cannot, and draws."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

from tools import need


def test_bridge_bench_compares_with_the_kernel(tmp_path: Path) -> None:
    need("iperf3", "ping")
    picture = tmp_path / "b.svg"
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "bench", "bridge", "--json", "--rounds", "1", "--seconds", "1",
         "--only", "kernel", "--only", "no-coalesce", "--only", "tcpbridge", "--picture", str(picture)],
        capture_output=True, text=True, timeout=120, check=True)
    first, *rest = map(json.loads, done.stdout.splitlines())
    assert first["environment"]["cpu"] and first["environment"]["system"]
    for result in rest:
        assert result["bench"] == "bridge" and (result["fails"] or result["rate"] > 0), result
    ours = [r for r in rest if r["forwarder"].startswith("pktmend")]
    assert {r["scenario"] for r in ours} == {"default", "tso-off", "udp-64"} and not any(r["fails"] for r in ours), ours
    assert all(r["ratio"] == 1 for r in rest if r["forwarder"] == "kernel bridge")
    xml.etree.ElementTree.parse(picture)
