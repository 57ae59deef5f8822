"""docs/python.md and the examples of the library: each piece of code is run, and prints what stands below it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pktmend
from tools import ROOT

PAGE = (ROOT / "docs" / "python.md").read_text()
BLOCK = re.compile(r"^(<!-- live -->\n)?```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
OFFLINE = [(code, output) for live, code, output in BLOCK.findall(PAGE) if not live]
STRICT = (sys.executable, "-X", "dev", "-W", "error::ResourceWarning")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "examples" / "leaked.pcap", tmp_path)
    return tmp_path


def run(folder: Path, *argv: str) -> str:
    """Run Python there; nothing on stderr, not even a file that was never closed."""
    done = subprocess.run([*STRICT, *argv], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_all_code_of_the_page_was_found() -> None:
    assert len(OFFLINE) >= 8 and PAGE.count("```python") == len(BLOCK.findall(PAGE)) and all(o for _, o in OFFLINE)


@pytest.mark.parametrize("number", range(len(OFFLINE)))
def test_code_of_the_page_prints_what_stands_below_it(folder: Path, number: int) -> None:
    code, output = OFFLINE[number]
    if "numpy" in code:
        pytest.importorskip("numpy")
    assert run(folder, "-c", code) == output


def test_page_names_only_what_there_is() -> None:
    named = set(re.findall(r"\bpm\.(\w+)", PAGE))
    assert named and named <= set(pktmend.__all__)


def test_page_lists_all_errors_with_their_exit_codes() -> None:
    rows = dict(re.findall(r"^\| `(\w+(?:Error|Failure))` \|.*\| (\d) \|$", PAGE, re.MULTILINE))
    errors = [name for name in pktmend.__all__ if name.endswith(("Error", "Failure")) and name != "OnError"]
    assert rows == {name: str(getattr(pktmend, name).exit_code) for name in errors}


def test_ten_lines_name_the_leaked_packets(folder: Path) -> None:
    script = ROOT / "examples" / "ten_lines.py"
    assert len(script.read_text().splitlines()) <= 10
    said = run(folder, str(script), "leaked.pcap").splitlines()
    assert [line.partition(":")[0] for line in said] == ["7", "9", "10", "11"]  # tcpdump -vv: incorrect in these
    assert said[0] == "7: 10.7.0.1 port 57028 > 10.7.0.2 port 8080, 74 bytes, leaked"


def test_notebook_counts_by_status_flow_and_size(folder: Path) -> None:
    pytest.importorskip("numpy")
    said = run(folder, str(ROOT / "examples" / "notebook_style.py"), "leaked.pcap")
    assert re.search(r"^11 packets in 3\.360 s$", said, re.MULTILINE)
    assert re.search(r"^  bad +4 +36\.4%$", said, re.MULTILINE) and re.search(r"^    leaked +4$", said, re.MULTILINE)
    assert "4 bad  10.7.0.1 port 57028 > 10.7.0.2 port 8080" in said
    assert re.search(r"^ +64 to +127 bytes +10, 4 bad  #{40}$", said, re.MULTILINE)
