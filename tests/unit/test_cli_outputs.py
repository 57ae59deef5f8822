"""Output that cannot be written, from the command line: one line, the right exit code, and first where it can be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools import ROOT, need, run_pktmend

LEAKED = ROOT / "examples" / "leaked.pcap"
COMMAND = Path(sys.executable).with_name("pktmend")


def shell(line: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["bash", "-c", line], capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "argv",
    [
        f"check -r {LEAKED} --all",
        f"check -r {LEAKED} --all --json",
        f"check -r {LEAKED}",
        f"diagnose -r {LEAKED}",
        f"fix -r {LEAKED} -w -",
        "kernels",
        "stages --json",
        "schema monitor",
        "--help",
    ],
)
def test_reader_that_goes_away_is_no_problem_found(argv: str) -> None:
    nobody, out = os.pipe()
    os.close(nobody)  # gone before it writes, however slow the machine
    with os.fdopen(out, "wb") as pipe:
        done = subprocess.run([COMMAND, *argv.split()], stdout=pipe, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("more", ["--all", "--all --json", "--at wire"])
def test_full_disk_behind_check_is_no_fault_of_a_stage(more: str) -> None:
    done = shell(f"{COMMAND} check -r {LEAKED} {more} >/dev/full")
    assert (done.returncode, done.stderr) == (4, b"pktmend: writing standard output: No space left on device\n")


@pytest.mark.parametrize("line", [f"check -r {LEAKED}", f"check --json -r {LEAKED}", "kernels", "kernels --json"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_output_that_is_closed_changes_no_exit_code(line: str, closed: str) -> None:
    done = shell(f"{COMMAND} {line} {closed}")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("check -r - <&-", "cannot read -: standard input is closed"),
        (f"fix -r {LEAKED} -w - >&-", "cannot write -: standard output is closed"),
        (f"fix -r {LEAKED} -w ''", "cannot write '': No such file or directory"),
    ],
)
def test_stream_or_name_that_is_not_there_is_exit_4(line: str, words: str) -> None:
    done = shell(f"{COMMAND} {line}")
    assert (done.returncode, done.stderr) == (4, f"pktmend: {words}\n".encode())


def test_output_in_a_folder_that_may_not_be_searched_is_exit_4(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    argv = [str(COMMAND), "fix", "-r", str(LEAKED), "-w", str(closed / "x")]
    if os.geteuid() == 0:
        need("setpriv")
        argv = [
            "setpriv",
            "--bounding-set=-dac_override,-dac_read_search",
            "--inh-caps=-dac_override,-dac_read_search",
            *argv,
        ]
        os.chown(closed, 65534, 65534)
    else:
        closed.chmod(0)
    done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (4, f"pktmend: cannot write {closed}/x: Permission denied\n".encode())


@pytest.mark.parametrize("option", ["--save", "--markdown", "--picture"])
def test_bench_looks_where_it_will_write_before_it_measures(tmp_path: Path, option: str) -> None:
    for path, words in ((tmp_path, "Is a directory"), (tmp_path / "no" / "x.svg", "No such file or directory")):
        done = run_pktmend("bench", "sum", "--quick", option, str(path))
        assert (done.returncode, done.stdout) == (4, b"")
        assert done.stderr == f"pktmend: cannot write {path}: {words}\n".encode()


def test_monitor_looks_where_it_will_draw_before_it_watches(tmp_path: Path) -> None:
    pytest.importorskip("rich")
    done = run_pktmend("monitor", "-i", "lo", "--duration", "3600", "--picture", str(tmp_path / "no" / "x.svg"))
    assert done.returncode == 4
    assert done.stderr == f"pktmend: cannot write {tmp_path}/no/x.svg: No such file or directory\n".encode()
