"""`pipx install` and `uv tool install`, each into a home of its own, and how root reaches what lies there.

The wheel; with PKTMEND_PACKAGES=1 a checkout too.  What it depends on is fetched first; the installers are offline
then, so that what fails is ours.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from debian_package import copy_source
from tools import ROOT, need

OURS = Path(sys.executable).parent
INSTALLERS = {"pipx": "pipx install", "uv": "uv tool install"}
NEEDED = ("cffi", "click", "msgspec")
TO_BUILD = ("Cython>=3.1,<4", "cffi", "setuptools>=77", "wheel", "pip")
README = (ROOT / "README.md").read_text()


def run(*argv: object, cwd: Path = ROOT, home: Path | None = None, **environment: str) -> tuple[int, str]:
    """Run it with that home, what is installed there first on PATH; return its code and its words."""
    if home is not None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PYTHON", "PIPX_"))}
        environment = {**kept, "HOME": str(home), "PATH": f"{home}/.local/bin:/usr/sbin:/usr/bin:/bin", **environment}
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        env=environment or None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=900,
    )
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What has the installers take all they need from a folder."""
    folder = tmp_path_factory.mktemp("fetched")
    code, said = run(
        *(sys.executable, "-m", "pip", "-q", "download", "--only-binary=:all:", "-d", folder, *NEEDED, *TO_BUILD)
    )
    if code:
        pytest.skip(f"pip cannot fetch {', '.join(NEEDED)}: {said[-300:]}")
    return {
        f"{program}_{word}": value
        for program in ("PIP", "UV")
        for word, value in (("NO_INDEX", "1"), ("FIND_LINKS", str(folder)))
    }


@pytest.fixture(scope="module", params=INSTALLERS)
def home(
    request: pytest.FixtureRequest, wheel: Path, fetched: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A home where the wheel is installed."""
    return install(request.param, tmp_path_factory.mktemp("home"), wheel, fetched)


def install(name: str, home: Path, what: object, fetched: dict[str, str], cwd: Path = ROOT) -> Path:
    program, *words = INSTALLERS[name].split()
    if not (OURS / program).exists():
        pytest.skip(f"not installed: {program} (the extra test-wheel)")
    code, said = run(OURS / program, *words, "--python", sys.executable, what, cwd=cwd, home=home, **fetched)
    assert code == 0, said
    return home


def use(home: Path, folder: Path) -> None:
    """Use it as somebody new does."""
    (python,) = home.glob(".local/share/*/*/pktmend/bin/python")
    code, said = run("sh", ROOT / "tests" / "wheel_smoke.sh", cwd=folder, home=home, PYTHON=str(python))
    assert code == 0 and "pktmend works here" in said, said


def test_readme_names_both() -> None:
    assert all(f"`{words} .`" in README or f"    {words} . " in README for words in INSTALLERS.values())


def test_what_they_install_works(home: Path, tmp_path: Path) -> None:
    use(home, tmp_path)


def test_root_reaches_it_as_the_readme_says(home: Path, tmp_path: Path) -> None:
    need("sudo")
    (words,) = re.findall(r'`(sudo "\$\(command -v pktmend\)") diagnose`', README)
    if os.geteuid():
        pytest.skip("only root is sure to be let in by sudo without a password")
    code, said = run("sh", "-c", f"{words} --version", cwd=tmp_path, home=home)
    assert code == 0 and said.startswith("pktmend, version "), said


@pytest.mark.parametrize("name", INSTALLERS)
@pytest.mark.timeout(1000)
def test_checkout_is_installed(name: str, fetched: dict[str, str], tmp_path: Path) -> None:
    if not os.environ.get("PKTMEND_PACKAGES"):
        pytest.skip("compiles for a minute: with PKTMEND_PACKAGES=1")
    checkout = tmp_path / "checkout"
    copy_source(checkout)
    use(install(name, tmp_path / "home", ".", fetched, checkout), tmp_path)
    assert not list((checkout / "pipeline" / "pktmend").glob("*.so"))
