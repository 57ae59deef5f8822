"""`pktmend stages new`: each skeleton passes its own tests, and those see it broken; it loads as it says."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pktmend.cli.stages import LANGUAGES
from pktmend.commands.new_stage import FILES
from tools import PKTMEND, ROOT, need

LEAKED = ROOT / "examples" / "leaked.pcap"


def run(folder: Path, *argv: object, umask: int = 0o022) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(
        [str(word) for word in argv],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        umask=umask,
    )


def new(folder: Path, *words: str, umask: int = 0o022) -> subprocess.CompletedProcess[str]:
    return run(folder, *PKTMEND, "stages", "new", *words, umask=umask)


def test_every_language_is_offered() -> None:
    assert tuple(FILES) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_skeleton_passes_its_tests_loads_as_it_says_and_is_seen_broken(language: str, tmp_path: Path) -> None:
    if language in ("c", "cython"):
        need("cc")
    if language in ("cython", "numba"):
        pytest.importorskip(language.capitalize() if language == "cython" else language)
    done = new(tmp_path, "mine", "--lang", language, umask=0)
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "mine"
    assert all(stat.S_IMODE(path.stat().st_mode) & 0o022 == 0 for path in (folder, *folder.iterdir()))
    assert "@" not in "".join(path.read_text() for path in folder.iterdir()).replace("@cfunc", "")

    # what it says to do next, as it says it
    tried, loaded = re.findall(r"^  (?:cd mine && )?(.*)$", done.stdout, re.MULTILINE)
    tried = re.sub(r"\bpython\b", sys.executable, tried)
    done = run(folder, "sh", "-c", tried)
    assert done.returncode == 0 and done.stdout.endswith("3 tests passed\n"), done.stderr
    stage = loaded.partition("--stage ")[2]
    done = run(folder, "sh", "-c", f"{' '.join(PKTMEND)} check -r {LEAKED} --at wire --stage {stage}")
    assert done.returncode == 1 and "stage mine: 1 call" in done.stdout, done.stderr

    for path in folder.glob("mine.py*"):
        text = path.read_text()
        broken = re.sub(r"\bPORT( = | )9\b|\bPORT = 17, 9\b|(?<=UDP, PORT = 17, )9", lambda m: m[0][:-1] + "7", text)
        assert broken != text
        path.write_text(broken)
    for path in (*folder.glob("*.so"), *folder.glob("*.c")):
        path.unlink()
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    done = run(folder, "sh", "-c", tried)
    assert done.returncode == 1 and "AssertionError" in done.stderr, done.stderr


def test_skeletons_in_python_are_well_laid_out(tmp_path: Path) -> None:
    for language in LANGUAGES:
        new(tmp_path, f"a_{language}", "--lang", language)
    for words in (("check", "--select=E,F,W,I,B,UP,SIM,C4"), ("format", "--check")):
        done = run(tmp_path, sys.executable, "-m", "ruff", *words, "--isolated", "--line-length=120", ".")
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    done = new(tmp_path, "mine")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "pktmend: mine: File exists (choose another name, or remove it)\n"
    assert not any((tmp_path / "mine").iterdir())


@pytest.mark.parametrize("name", ["Mine", "../mine", "1st", "class", "socket", "pktmend", "a-b", "", "ä"])
def test_name_that_would_not_do_is_refused(name: str, tmp_path: Path) -> None:
    done = new(tmp_path, name)
    assert done.returncode == 2 and "drop_echo" in done.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nw mine", "did you mean 'new'?"),
        ("new", "takes one name"),
        ("new a b", "takes one name"),
        ("new mine --json", "--json lists stages"),
        ("--lang c", "--lang goes with"),
        ("new mine --lang rust", "rust"),
    ],
)
def test_misuse_is_told(words: str, said: str, tmp_path: Path) -> None:
    done = run(tmp_path, *PKTMEND, "stages", *words.split())
    assert done.returncode == 2 and said in done.stderr
