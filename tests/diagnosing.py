"""How a test has a capture diagnosed, and reads the findings."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import tapes
from pktmend import Capture, Pipeline
from pktmend.commands.diagnose import rules
from pktmend.commands.diagnose.decision import Decision, Fact
from pktmend.commands.diagnose.evidence import Tap
from pktmend.commands.diagnose.finding import in_words
from pktmend.commands.diagnose.host_context import HostContext
from tools import PKTMEND, ROOT

A, B = tapes.A, tapes.B
SERVER = "198.51.100.7"
Findings = list[dict[str, Any]]


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PKTMEND, "diagnose", *argv],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def tap_of(path: Path, *, at_wire: bool = False, live: str = "") -> Tap:
    """Return what a tap saw that was shown a capture.  live: the name of the interface that it is said to be."""
    tap = Tap(live or str(path), is_live=bool(live), at_wire=at_wire)
    with Capture(path) as source:
        pipeline = Pipeline(source, tap.stages())
        pipeline.run()
        tap.close(pipeline.counters())
    return tap


def decide(path: Path, *, at_wire: bool = False, live: str = "", host: HostContext | None = None) -> list[Decision]:
    """Return the decisions on a capture, as data."""
    return rules.decide(tap_of(path, at_wire=at_wire, live=live), host)


def diagnose(path: Path, *, at_wire: bool = False) -> Findings:
    """Return the findings on a capture, as `--json` prints them."""
    return [in_words(decision).as_json()["diagnosis"] for decision in decide(path, at_wire=at_wire)]


def decided(decisions: list[Decision]) -> list[tuple[str, str]]:
    """Return the causes and confidences."""
    return [(str(one.cause), str(one.confidence)) for one in decisions]


def only(decision: Decision, *kinds: type) -> list[Fact]:
    """Return the facts of these kinds, in their order."""
    return [fact for fact in decision.facts if isinstance(fact, kinds)]


def named(findings: Findings) -> list[tuple[str, str]]:
    return [(one["cause"], one["confidence"]) for one in findings]


def evidence(finding: dict[str, Any]) -> str:
    return "\n".join(finding["evidence"])
