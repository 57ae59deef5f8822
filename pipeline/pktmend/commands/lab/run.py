"""`pktmend lab`: list the cases, or run one in a throw-away testbed."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from types import FrameType

from pktmend.advice.text import wrapped
from pktmend.commands.lab import cases
from pktmend.commands.lab.case import LabCase
from pktmend.console.styled import BOLD, CYAN, GREEN, RED, show, styled, terminal_width
from pktmend.errors import EXIT_MISSING, EXIT_PROBLEMS, OSFailure
from pktmend.testbed.netns import Testbed, require_programs, require_root
from pktmend.testbed.transcript import Transcript

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not everybody's PATH has them (su)
_STYLES = {"heading": BOLD, "command": CYAN, "good": GREEN, "bad": RED}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def list_cases(*, as_json: bool) -> None:
    """Print a line for each case."""
    for case in cases.every():
        if as_json:
            about = {"name": case.name, "title": case.title, "cause": case.cause, "needs": case.needs}
            print(json.dumps({"type": "case", **about}))
        else:
            show(wrapped(f"{case.name:19} {case.title}", "", " " * 20))


def run_cases(name: str, *, keep: bool, as_json: bool) -> int:
    """Run a case, or all; return the exit code: 0 as it should be, 1 not, 4 something is not installed."""
    chosen = list(cases.every()) if name == "all" else [cases.find(name)]
    require_root()
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS])
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    code = 0
    for case in chosen:
        try:
            require_programs(case.needs)
            if not run_case(case, keep=keep, as_json=as_json):
                code = EXIT_PROBLEMS
        except OSFailure as error:
            if len(chosen) == 1:
                raise
            print(f"pktmend: {case.name}: {error}", file=sys.stderr)
            if error.errno != errno.EOPNOTSUPP:  # what this kernel does not have nobody can install
                code = code or EXIT_MISSING
    return code


def run_case(case: LabCase, *, keep: bool, as_json: bool) -> bool:
    """Run one case and take its testbed down, or keep it; is everything as it should be?"""
    transcript = Transcript(json=as_json, show=_show, width=terminal_width())
    transcript.say(f"{case.name}: {case.title}", "heading")
    with Testbed(keep=keep) as testbed:
        case.run(testbed, transcript)
        transcript.say()
        good = transcript.outcome(case.name, case.cause)
    if keep:
        print(testbed.how_to_remove(), file=sys.stderr)
    else:
        transcript.say("\nEverything made for it is taken down again.")
    return good


def _show(text: str, kind: str) -> None:
    show(styled(text.split("\n"), _STYLES.get(kind, "")))


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End by the first signal; the clean-up that follows is not to be interrupted."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)
