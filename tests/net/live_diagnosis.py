"""How a test has live traffic diagnosed, and reads the findings."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from typing import Any

from pktmend.testbed.netns import Host
from tools import PATIENCE, PKTMEND

Findings = list[dict[str, Any]]


class Diagnosis:
    """A running `pktmend diagnose --json`; stop() ends it, results() waits for it."""

    def __init__(self, host: Host, *argv: str) -> None:
        self.process = host.spawn(
            *PKTMEND,
            "diagnose",
            *argv,
            "--json",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stderr is not None
        self.first_line = self.process.stderr.readline().decode()
        assert "watching" in self.first_line, self.first_line

    def stop(self) -> Findings:
        """End it by SIGINT; as results()."""
        self.process.send_signal(signal.SIGINT)
        return self.results()

    def results(self) -> Findings:
        """Return the findings; the exit code fits them."""
        out, _ = self.process.communicate(timeout=PATIENCE)
        *found, self.summary = [json.loads(line) for line in out.splitlines()]
        findings = [one["diagnosis"] for one in found]
        assert self.process.returncode == (0 if all(one["healthy"] for one in findings) else 1), findings
        return findings


def during(traffic: Callable[[], object], *taps: tuple[Host, tuple[str, ...]]) -> list[Findings]:
    """Let several diagnoses look on while *traffic* happens."""
    running = [Diagnosis(host, *argv) for host, argv in taps]
    traffic()
    return [each.stop() for each in running]


def names(findings: Findings) -> list[str]:
    return [one["cause"] for one in findings]


def evidence(finding: dict[str, Any]) -> str:
    return "\n".join(finding["evidence"])
