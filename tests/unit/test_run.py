"""tests/run.py: a second look at the few that failed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from run import FEW, PYTEST_FOUND_NONE, is_red

COUNTED = """
import pathlib, pytest
@pytest.mark.parametrize("n", range({number}))
def test_it(n):
    seen = pathlib.Path("seen" + str(n))
    times = len(seen.read_text()) if seen.exists() else 0
    seen.write_text("x" * (times + 1))
    assert times >= {needed}
"""


@pytest.mark.parametrize(
    ("number", "needed", "red", "said"),
    [
        (3, 0, False, ""),
        (2, 1, False, "FLAKY, to be found: test_it.py::test_it[0] test_it.py::test_it[1]\n"),
        (2, 2, True, "FLAKY, to be found: none\n"),
        (FEW + 1, 1, True, ""),
    ],
)
def test_few_failures_run_again(
    number: int,
    needed: int,
    red: bool,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # it starts sooner
    monkeypatch.chdir(tmp_path)
    Path("test_it.py").write_text(COUNTED.format(number=number, needed=needed))
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={tmp_path}/memory"]
    code = subprocess.run(command, check=False).returncode
    capfd.readouterr()
    assert is_red(command, code, tmp_path / "memory") is red
    out = capfd.readouterr().out
    assert "".join(line for line in out.splitlines(keepends=True) if line.startswith("FLAKY")) == said


def test_what_ended_otherwise_is_red(tmp_path: Path) -> None:
    """No tests found is none failed; an interrupted run is one that says nothing."""
    assert not is_red([], PYTEST_FOUND_NONE, tmp_path)
    assert is_red([], 2, tmp_path)
