"""The wheel for aarch64, compiled on this processor and tried by emulation (qemu-user); with PKTMEND_PACKAGES=1.

Its library in a program; its modules in a Python of Debian's arm64, which mmdebstrap unpacks, with what pip fetches for
it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from test_c_library import PROGRAM, SAID

from debian_package import mirror
from installed import build_wheel
from tools import ROOT, need

COMPILER, QEMU = "aarch64-linux-gnu-gcc", "qemu-aarch64"
LIBRARIES = "/usr/aarch64-linux-gnu"  # Debian's libc6-dev-arm64-cross
pytestmark = pytest.mark.timeout(1800)  # a minute's compiling is many where others work too
EM_AARCH64 = 183  # elf(5)
DEBIAN, ITS_PYTHON = "bookworm", "3.11"
USE = """
import platform, sys
import pktmend as pm
found = pm.check(sys.argv[1], at_wire=True)
kernels = [name for name, _, active in pm.kernels() if active]
print(platform.machine(), found.packets, found.bad, *kernels)
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need(COMPILER, QEMU, "mmdebstrap")
    if not os.environ.get("PKTMEND_PACKAGES"):
        pytest.skip("compiles for a minute: with PKTMEND_PACKAGES=1")
    if os.uname().machine == "aarch64":
        pytest.skip("this machine is one")
    folder = tmp_path_factory.mktemp("aarch64")
    options = ("build_ext", "--build-temp", str(folder / "objects"))
    crossing = {"CC": COMPILER, "LDSHARED": f"{COMPILER} -shared", "_PYTHON_HOST_PLATFORM": "linux-aarch64"}
    wheel = build_wheel(folder, *options, environment=crossing, seconds=1500)
    assert wheel.name.endswith("-cp311-abi3-linux_aarch64.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_all_of_it_is_for_aarch64(unpacked: Path) -> None:
    libraries = list(unpacked.rglob("*.so"))
    assert len(libraries) > 15
    for path in libraries:
        assert int.from_bytes(path.read_bytes()[18:20], "little") == EM_AARCH64, path


def test_library_works_by_emulation(unpacked: Path, tmp_path: Path) -> None:
    package = unpacked / "pktmend"
    (tmp_path / "program.c").write_text(PROGRAM)
    argv = [COMPILER, "-std=c11", f"-I{package / 'include'}", tmp_path / "program.c", package / "libpktmend.so"]
    subprocess.run([*argv, f"-Wl,-rpath,{package}", "-o", tmp_path / "program"], check=True)
    done = subprocess.run([QEMU, "-L", LIBRARIES, tmp_path / "program"], capture_output=True, text=True, check=True)
    assert done.stdout == SAID


def test_modules_work_in_a_python_for_arm64(unpacked: Path, tmp_path: Path) -> None:
    root, site = tmp_path / "root", tmp_path / "site"
    argv = ["mmdebstrap", "--quiet", "--arch=arm64", "--variant=extract", f"--include=python{ITS_PYTHON}", DEBIAN]
    done = subprocess.run([*argv, str(root), *mirror()], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no packages for arm64: {done.stderr.strip()[-300:]}")
    pip = [sys.executable, "-m", "pip", "-q", "install", "--target", str(site), "--python-version", ITS_PYTHON]
    for platform in ("manylinux2014_aarch64", "manylinux_2_17_aarch64", "manylinux_2_28_aarch64"):
        pip += ["--platform", platform]
    done = subprocess.run(
        [*pip, "--only-binary=:all:", "cffi", "click", "msgspec"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"pip cannot fetch what it depends on: {done.stderr.strip()[-300:]}")
    environment = {"PYTHONHOME": f"{root}/usr", "PYTHONPATH": f"{unpacked}:{site}", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [QEMU, "-L", root, root / "usr" / "bin" / f"python{ITS_PYTHON}", "-c", USE, ROOT / "examples" / "leaked.pcap"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout == "aarch64 11 4 neon\n", done.stderr
