"""Run all tests: those with traffic (tests/net), in two processes, and beside them, at a lower priority, the others.

    .venv/bin/python tests/run.py [OPTION OF PYTEST]...

Each is a pytest of its own.  What the second one says is printed when it has ended.  The few that failed run again, one
after the other on a machine that is quiet then; which of them pass is said, and each of those is a fault to be found.
Exit code 1 if one fails again.  `python -m pytest` runs the same tests one after the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
KINDS = ("net", "unit")
PYTEST_FAILED, PYTEST_FOUND_NONE = 1, 5
# They mostly wait.  The tests of a file stay together: many share what a file sets up.
TWO_PROCESSES = ("--numprocesses=2", "--dist=loadfile")
PATIENTLY = "--timeout=900"  # at a lower priority a build takes three times as long
FEW = 5  # more than so many do not fail by chance


def main(options: list[str]) -> int:
    """Return the exit code."""
    missing = {path.parent.name for path in TESTS.rglob("test_*.py")} - set(KINDS) - {"tests"}
    if missing:
        sys.exit(f"{Path(__file__).name} runs no tests of {', '.join(sorted(missing))}")
    with tempfile.TemporaryDirectory() as memory:
        memories = [Path(memory, kind) for kind in KINDS]
        net, unit = ([sys.executable, "-m", "pytest", *options, "-o", f"cache_dir={path}"] for path in memories)
        codes = side_by_side([*net, *TWO_PROCESSES, str(TESTS / "net")], [*unit, PATIENTLY, str(TESTS / "unit")])
        red = [is_red(*run) for run in zip((net, unit), codes, memories, strict=True)]
    return int(any(red))


def side_by_side(net: list[str], unit: list[str]) -> tuple[int, int]:
    """Run both; return their exit codes."""
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen(unit, stdout=said, stderr=subprocess.STDOUT, preexec_fn=lambda: os.nice(10))
        try:
            codes = subprocess.run(net, check=False).returncode, beside.wait()
        finally:
            beside.terminate()
            beside.wait()
        said.seek(0)
        sys.stdout.write(said.read().decode(errors="replace"))
        sys.stdout.flush()
    return codes


def is_red(command: list[str], code: int, memory: Path) -> bool:
    """Has a run with that exit code failed, also after a second look at the few that did?"""
    failed = failures(memory)
    if code != PYTEST_FAILED or not 0 < len(failed) <= FEW:
        return code not in (0, PYTEST_FOUND_NONE)
    print(f"again, alone: {' '.join(failed)}", flush=True)
    code = subprocess.run([*command, *failed], check=False).returncode
    passed = sorted(set(failed) - set(failures(memory)))
    print(f"FLAKY, to be found: {' '.join(passed) or 'none'}", flush=True)
    return code != 0


def failures(memory: Path) -> list[str]:
    """Return what pytest remembers as failed."""
    path = memory / "v" / "cache" / "lastfailed"
    return sorted(json.loads(path.read_text())) if path.exists() else []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
