"""The source archive has what git has: it builds, passes its own tests, and can be released again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tools import ROOT, need

OBJECTS = Path("build", str(sys.implementation.cache_tag))  # where setup.py keeps what is compiled
# Of the tests those that are quick and read most of the tree; all of them pass, one by one.
TRIED = ("c_library", "deploy", "documents", "help", "layers", "names", "sum", "wording")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    steps = ["egg_info", "--egg-base", str(folder), "sdist", "--formats", "tar", "--dist-dir", str(folder)]
    subprocess.run([sys.executable, "setup.py", "-q", *steps], cwd=ROOT, capture_output=True, check=True, timeout=600)
    (found,) = folder.glob("*.tar")
    return found


def test_source_archive_holds_every_file_of_the_repository(archive: Path) -> None:
    need("git")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not in a repository")
    wanted = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    with tarfile.open(archive) as file:
        found = {member.name.partition("/")[2] for member in file if member.isfile()}
    assert not wanted - found
    made = {"PKG-INFO", "setup.cfg"}  # by setuptools
    unwanted = [name for name in found - wanted - made if name.endswith((".so", ".pyc", ".o", ".pc"))]
    assert not unwanted


def test_source_archive_builds_and_passes_its_own_tests(archive: Path, tmp_path: Path) -> None:
    """Outside of a repository.  What is compiled already is not compiled again: the archive keeps the files' times."""
    if not (ROOT / OBJECTS).is_dir():
        pytest.skip("nothing was built in this tree")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    shutil.copytree(ROOT / OBJECTS, source / OBJECTS)
    environment = {**os.environ, "PYTHONPATH": str(source / "pipeline"), "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    tests = [f"tests/unit/test_{name}.py" for name in TRIED]
    for argv in (
        ("setup.py", "-q", "build_ext", "--inplace"),
        ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", *tests),
    ):
        done = subprocess.run(
            [sys.executable, *argv],
            cwd=source,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=500,
        )
        assert done.returncode == 0, done.stdout[-6000:]
    assert (
        str(source)
        in subprocess.run(
            [sys.executable, "-c", "import pktmend._core; print(pktmend._core.__file__)"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )
