"""The plain forms of `check` and `fix`, called without click: to load it takes longer than to check a small capture.

Rules of this file:
1. Here stands what most calls look like.  Any other word is click's business, and so is every mistake.
2. What is called is what click would have called, with the same arguments: tests/unit/test_start.py compares.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence

MOST_JOBS = 1024


def plain_call(words: Sequence[str]) -> Callable[[], None] | None:
    """Return what runs the command that *words* are, None if they are none of these forms."""
    match words:
        case ["check", path] if _is_value(path) and os.path.isfile(path):  # noqa: PTH113 - a NUL is answered, not raised
            return lambda: _check(path)
        case ["check", "-r", path] if _is_value(path):
            return lambda: _check(path)
        case ["check", "-r", path, "--jobs", jobs] if _is_value(path) and _is_jobs(jobs):
            return lambda: _check(path, int(jobs))
        case ["fix", "-r", path, "-w", output] if _is_value(path) and _is_value(output):
            return lambda: _fix(path, output)
        case ["fix", "--repair", ("leaked" | "all") as repair, "-r", path, "-w", output] if _is_value(
            path
        ) and _is_value(output):
            return lambda: _fix(path, output, repair)
    return None


def _is_value(word: str) -> bool:
    return not word.startswith("-")


def _is_jobs(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 4 and 1 <= int(word) <= MOST_JOBS


def _check(path: str, jobs: int = 0) -> None:
    from pktmend.commands.check import run_check

    gc.enable()
    sys.exit(run_check(path=path, interface=None, packets=0, json=False, every=False, at_wire=False, jobs=jobs))


def _fix(path: str, output: str, repair: str = "leaked") -> None:
    from pktmend.commands.fix import fix_one, job_of

    gc.enable()
    job = job_of(repair=repair, only="", at_wire=False, expression="", mode=0o600, is_dry=False)
    sys.exit(fix_one(path, output, job, json=False))
