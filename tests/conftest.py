"""What all tests share: the SIMD kernels, the public captures, and reasons to skip."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import pktmend
from installed import build_wheel, make_environment
from tools import CAPTURES, ROOT, need

# Commands that are printed for people are run as they stand, and begin with `pktmend`.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

# As in a shell of one's own; pytest-xdist's workers have both, and programs believe them before their terminal.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)

# A run that is ended ends its tests: their namespaces and programs go.  SIGINT does that by itself.
signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 143))

# An example takes as long as the machine makes it take.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(params=[name for name, _, _ in pktmend.kernels()])
def kernel(request: pytest.FixtureRequest) -> Iterator[str]:
    """Force each SIMD kernel in turn."""
    name = str(request.param)
    if not {n: supported for n, supported, _ in pktmend.kernels()}[name]:
        pytest.skip(f"this machine has no {name}")
    pktmend.use_kernel(name)
    try:
        yield name
    finally:
        pktmend.use_kernel(None)


@pytest.fixture(scope="session")
def captures() -> Path:
    """The folder of public captures with independent verdicts."""
    if not (CAPTURES / "verdicts.jsonl.xz").exists():
        pytest.skip(f"no public captures at {CAPTURES} (set PKTMEND_CAPTURES)")
    return CAPTURES


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built once for all that install it."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment with the wheel and what it depends on, and nothing else."""
    return make_environment(tmp_path_factory.mktemp("bare") / "environment", wheel)


@pytest.fixture(scope="session")
def stage_examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of examples/stages, the Cython one built, and the package installed into its folder `site`."""
    need("cc")
    folder = tmp_path_factory.mktemp("examples") / "stages"
    shutil.copytree(ROOT / "examples" / "stages", folder)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for directory, command in (
        ("cython", ["setup.py", "-q", "build_ext", "--inplace"]),
        (
            "package",
            [
                "-m",
                "pip",
                "install",
                "-q",
                "--no-build-isolation",
                "--no-deps",
                "--no-index",
                "--target",
                str(folder / "site"),
                ".",
            ],
        ),
    ):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=folder / directory,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
    return folder
