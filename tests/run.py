"""Run all tests: those with traffic (tests/net), in two processes, and beside them, at a lower priority, the others.

    .venv/bin/python tests/run.py [OPTION OF PYTEST]...

Each is a pytest of its own.  What the second one says is printed when it has ended.  Exit code 1 if one of them fails.
`python -m pytest` runs the same tests one after the other.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
KINDS = ("net", "unit")
PYTEST_FOUND_NONE = 5
# They mostly wait.  The tests of a file stay together: many share what a file sets up.
TWO_PROCESSES = ("--numprocesses=2", "--dist=loadfile")


def main(options: list[str]) -> int:
    """Return the exit code."""
    missing = {path.parent.name for path in TESTS.rglob("test_*.py")} - set(KINDS) - {"tests"}
    if missing:
        sys.exit(f"{Path(__file__).name} runs no tests of {', '.join(sorted(missing))}")
    pytest = [sys.executable, "-m", "pytest", *options]
    with tempfile.TemporaryFile() as said:
        beside = subprocess.Popen(
            [*pytest, "-p", "no:cacheprovider", TESTS / "unit"],
            stdout=said,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.nice(10),
        )
        try:
            codes = [subprocess.run([*pytest, *TWO_PROCESSES, TESTS / "net"], check=False).returncode]
            codes.append(beside.wait())
        finally:
            beside.terminate()
            beside.wait()
        said.seek(0)
        sys.stdout.write(said.read().decode(errors="replace"))
    return int(any(code not in (0, PYTEST_FOUND_NONE) for code in codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
