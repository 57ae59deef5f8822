"""How a test has a capture diagnosed, and reads the findings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import tapes
from pktmend import Capture, Pipeline
from pktmend.commands.diagnose import rules
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.finding import in_words
from tools import ROOT

A, B = tapes.A, tapes.B
SERVER = "198.51.100.7"
Findings = list[dict[str, Any]]


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "pktmend", "diagnose", *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def diagnose(path: Path, *, at_wire: bool = False) -> Findings:
    """Return the findings on a capture, as `--json` prints them."""
    tap = Tap(str(path), is_live=False, at_wire=at_wire)
    with Capture(path) as source:
        pipeline = Pipeline(source, tap.stages())
        pipeline.run()
        tap.close(pipeline.counters())
    return [in_words(decision).as_json()["diagnosis"] for decision in rules.decide(tap)]


def named(findings: Findings) -> list[tuple[str, str]]:
    return [(one["cause"], one["confidence"]) for one in findings]


def evidence(finding: dict[str, Any]) -> str:
    return "\n".join(finding["evidence"])
