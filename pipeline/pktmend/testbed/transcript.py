"""What a run in a testbed shows, and what it found: text for readers or NDJSON for programs."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pktmend.errors import OSFailure
from pktmend.host.own_command import own_command
from pktmend.testbed.netns import Host

SECONDS = 2  # that `diagnose` looks on


@dataclass
class Transcript:
    """Says what happens and keeps the verdicts.

    json: verdicts as NDJSON instead of text.
    """

    json: bool = False
    symptoms: list[tuple[str, bool]] = field(default_factory=list)
    cures: list[tuple[str, bool]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)

    def say(self, text: str = "") -> None:
        """Print text at once, unless a program reads."""
        if not self.json:
            print(text, flush=True)

    def step(self, text: str) -> None:
        """Begin a part: a line at the margin."""
        self.say(f"\n{text}\n")

    def command(self, host: Host, *argv: str) -> None:
        """Show a command and where it runs."""
        self.say(f"  {host.name}$ {shlex.join(argv)}")

    def answer(self, text: str) -> None:
        """Show what a command said."""
        for line in text.strip().splitlines():
            self.say(f"    {line}".rstrip())

    def run(
        self, host: Host, *argv: str, timeout: float = 60, check: bool = False, pick: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Show a command, run it, show what it said (the lines with *pick* in them), and return it."""
        self.command(host, *argv)
        done = host.run(*argv, timeout=timeout, check=check)
        text = done.stdout.strip() or done.stderr.strip()
        self.answer("\n".join(line for line in text.splitlines() if pick in line))
        return done

    def symptom(self, what: str, holds: bool) -> None:
        """Record whether a part of the symptom was seen."""
        self._verdict("symptom", self.symptoms, what, holds)

    def cure(self, what: str, holds: bool) -> None:
        """Record whether something cured it."""
        self._verdict("cure", self.cures, what, holds)

    def _verdict(self, kind: str, kept: list[tuple[str, bool]], what: str, holds: bool) -> None:
        kept.append((what, holds))
        if self.json:
            print(json.dumps({"step": {"kind": kind, "what": what, "holds": holds}}), flush=True)

    def diagnose(self, host: Host, *options: str) -> list[dict[str, Any]]:
        """Run `pktmend diagnose` live in *host*; show it, keep and return its findings."""
        argv = ["diagnose", *options, "--duration", f"{SECONDS}"]
        program = host.spawn(*own_command(*argv), "--json", "--explain", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if not self.json:
            self.command(host, "pktmend", *argv)
            self.answer(host.run(*own_command(*argv), check=False).stdout)
            self.say()
        out, error = program.communicate(timeout=60)
        if program.returncode not in (0, 1):
            raise OSFailure(f"diagnose ended with {program.returncode}: {error.decode(errors='replace').strip()}")
        lines = [json.loads(line) for line in out.splitlines()]
        self.findings = [line["diagnosis"] for line in lines if "diagnosis" in line]
        self.rejected = [each["cause"] for each in lines[-1]["summary"]["rejected"]]
        return self.findings

    def outcome(self, name: str, expected_cause: str) -> bool:
        """Show the verdicts; True if the symptom was seen, the diagnosis is as expected, and everything cured it."""
        first = self.findings[0] if self.findings else {}
        seen = bool(self.symptoms) and all(holds for _, holds in self.symptoms)
        cured = bool(self.cures) and all(holds for _, holds in self.cures)
        named = first.get("cause") == expected_cause
        if self.json:
            diagnosis = {
                "cause": first.get("cause"),
                "confidence": first.get("confidence"),
                "remedy": [each["command"] for each in first.get("remedy", [])],
            }
            print(
                json.dumps(
                    {
                        "lab": {
                            "name": name,
                            "symptom_seen": seen,
                            "expected_cause": expected_cause,
                            "diagnosis": diagnosis,
                            "findings": [
                                {"cause": one["cause"], "confidence": one["confidence"]} for one in self.findings
                            ],
                            "rejected": self.rejected,
                            "cured": cured,
                        }
                    }
                ),
                flush=True,
            )
        self.verdicts((*self.symptoms, (f"diagnosed: {expected_cause}", named), *self.cures))
        return seen and named and cured

    def verdicts(self, verdicts: Iterable[tuple[str, bool]]) -> None:
        """Show each on a line: yes or no, and what."""
        for what, holds in verdicts:
            self.say(f"  {'yes' if holds else 'NO '}  {what}")
