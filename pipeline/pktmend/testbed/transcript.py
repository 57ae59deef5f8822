"""What a run in a testbed shows, and what it found: text for readers or NDJSON for programs."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pktmend.errors import OSFailure
from pktmend.host.own_command import own_command
from pktmend.testbed.netns import LONGEST, Host

SECONDS = 2  # that `diagnose` looks on
SEARCHED = 10  # that it waits for a drop, where it is told of no interface
UNDROPPED = ("offload-pending", "vouched-for-bad")  # causes by which the kernel drops nothing


@dataclass
class Transcript:
    """Says what happens and keeps the verdicts.

    json:  verdicts as NDJSON instead of text.
    show:  prints text of a kind: "heading", "command", "good", "bad", or "" for the rest.
    width: columns of the terminal, 0 if there is none; what is shown of a command stands four columns in.
    """

    json: bool = False
    show: Callable[[str, str], None] = lambda text, kind: print(text, flush=True)
    width: int = 0
    symptoms: list[tuple[str, bool]] = field(default_factory=list)
    cures: list[tuple[str, bool]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    searched: list[dict[str, Any]] = field(default_factory=list)

    def say(self, text: str = "", kind: str = "") -> None:
        """Print text at once, unless a program reads."""
        if not self.json:
            self.show(text, kind)

    def step(self, text: str) -> None:
        """Begin a part: a line at the margin."""
        self.say(f"\n{text}\n", "heading")

    def command(self, host: Host, *argv: str) -> None:
        """Show a command and where it runs."""
        self.say(f"  {host.name}$ {shlex.join(argv)}", "command")

    def answer(self, text: str) -> None:
        """Show what a command said."""
        for line in text.strip().splitlines():
            self.say(f"    {line}".rstrip())

    def run(
        self, host: Host, *argv: str, timeout: float = LONGEST, check: bool = False, pick: str = ""
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
            print(json.dumps({"type": "step", "step": {"kind": kind, "what": what, "holds": holds}}), flush=True)

    def diagnose(self, host: Host, *options: str) -> list[dict[str, Any]]:
        """Run `pktmend diagnose` live in *host*; show it, keep and return its findings."""
        argv = ["diagnose", *options, "--duration", f"{SECONDS}"]
        program = host.spawn(*own_command(*argv), "--json", "--explain", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if not self.json:
            self.command(host, "pktmend", *argv)
            narrower = ("env", f"_PKTMEND_COLUMNS={self.width - 4}") if self.width else ()
            self.answer(host.run(*narrower, *own_command(*argv), check=False).stdout)
            self.say()
        search = self._search(host) if self.json else None
        out, error = program.communicate(timeout=LONGEST)
        if program.returncode not in (0, 1):
            raise OSFailure(f"diagnose ended with {program.returncode}: {error.decode(errors='replace').strip()}")
        lines = [json.loads(line) for line in out.splitlines()]
        self.findings = [line["diagnosis"] for line in lines if "diagnosis" in line]
        self.rejected = [each["cause"] for each in lines[-1]["summary"]["rejected"]]
        if search is not None:
            if self.findings and self.findings[0]["cause"] in UNDROPPED:
                search.send_signal(signal.SIGINT)  # it says what it has seen until now
            found, _ = search.communicate(timeout=LONGEST)
            self.searched = [json.loads(line) for line in found.splitlines()]
        return self.findings

    @staticmethod
    def _search(host: Host) -> subprocess.Popen[bytes]:
        """Start bare `pktmend diagnose` beside it, narrowed to this testbed as others may be running."""
        target = host.testbed.hosts[0].namespace
        argv = own_command("diagnose", target, "--json", "--duration", f"{SEARCHED}")
        return host.spawn(*argv, stdout=subprocess.PIPE)

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
                        "type": "lab",
                        "lab": {
                            "name": name,
                            "symptom_seen": seen,
                            "expected_cause": expected_cause,
                            "diagnosis": diagnosis,
                            "findings": [
                                {"cause": one["cause"], "confidence": one["confidence"]} for one in self.findings
                            ],
                            "rejected": self.rejected,
                            "search": self._search_result(),
                            "cured": cured,
                        },
                    }
                ),
                flush=True,
            )
        self.verdicts((*self.symptoms, (f"diagnosed: {expected_cause}", named), *self.cures))
        return seen and named and cured

    def _search_result(self) -> dict[str, Any] | None:
        """What bare `pktmend diagnose` found; None if it was not run."""
        if not self.searched:
            return None
        *findings, last = self.searched
        found = last["summary"]["search"]
        hop = found.get("hop")
        return {
            "causes": [{name: one["diagnosis"][name] for name in ("cause", "confidence")} for one in findings],
            "hop": [hop["before"]["interface"], hop["behind"]["interface"]] if hop else None,
            "program": hop["program"] if hop else "",
            "dropped": found["drops"]["total"],
            "seconds": found["first"]["answered_after"] if "first" in found else None,
        }

    def verdicts(self, verdicts: Iterable[tuple[str, bool]]) -> None:
        """Show each on a line: yes or no, and what."""
        for what, holds in verdicts:
            self.say(f"  {'yes' if holds else 'NO '}  {what}", "good" if holds else "bad")
