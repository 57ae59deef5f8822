"""A root file system of Debian's packages with our wheel in it, as the Containerfile has it: an image, and a machine.

The packages are fetched once (mmdebstrap) and kept as an archive in build/; the wheel is of this tree, and what it
depends on is copied from the environment of the tests.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from installed import DEPENDENCIES, START, build_wheel, copy_distribution, unpack_wheel
from tools import ROOT, need

CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"
EXTRAS = ("prometheus_client",)  # of the extra [monitor], which the image has
MACHINE = ("systemd", "python3")
UNNEEDED = ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/lib/apt/lists", "var/cache/apt")
PROFILE_PACKAGE = "golang-github-containers-common"
SECONDS = 540  # for the packages, on a slow line


@dataclass(frozen=True)
class Recipe:
    """What the last stage of the Containerfile says, as far as an image is its files and how it is started."""

    packages: tuple[str, ...]
    folder: str
    environment: tuple[str, ...]
    entrypoint: tuple[str, ...]


def recipe() -> Recipe:
    """Read the Containerfile."""
    text = CONTAINERFILE.read_text().replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text[text.rindex("\nFROM ") :].splitlines() if line.strip()]
    said = {word: rest for word, rest in lines if word.isupper()}
    (packages,) = re.findall(r"apt-get install -y --no-install-recommends ([\w. -]+?) *&&", said["RUN"])
    copied = said["COPY"].split()
    assert copied[0] == "--from=build" and copied[1] == copied[2]
    environment = [word.replace("$PATH", "/usr/local/bin:/usr/bin:/bin") for word in said["ENV"].split()]
    entrypoint = re.findall(r'"([^"]+)"', said["ENTRYPOINT"])
    return Recipe(tuple(packages.split()), copied[2], tuple(environment), tuple(entrypoint))


def _archive() -> Path:
    """Return the archive of the packages; make it where it is not there."""
    need("mmdebstrap", "tar")
    release = platform.freedesktop_os_release()
    if release.get("ID") != "debian" or "VERSION_CODENAME" not in release:
        pytest.skip("the root file system is of this machine's Debian, and it has none")
    suite = release["VERSION_CODENAME"]
    packages = sorted({*recipe().packages, *MACHINE})
    number = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    archive = ROOT / "build" / f"debian-{suite}-{number}.tar"
    archive.parent.mkdir(exist_ok=True)
    with archive.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process of the tests may be at it
        if archive.exists():
            return archive
        partial = archive.with_name(f"partial-{archive.name}")
        argv = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", suite, str(partial)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode:
            partial.unlink(missing_ok=True)
            pytest.skip(f"mmdebstrap makes no root file system here: {shlex.join(argv)}: {done.stderr.strip()[-300:]}")
        return partial.rename(archive)


def seccomp_profile() -> Path:
    """Return containers-common's seccomp.json, the default of Podman and CRI-O; its package alone is fetched."""
    installed = Path("/usr/share/containers/seccomp.json")
    kept = ROOT / "build" / installed.name
    if installed.exists() or kept.exists():
        return installed if installed.exists() else kept
    need("apt-get", "dpkg-deb")
    with tempfile.TemporaryDirectory() as folder:
        argv = ["sh", "-ec", f"apt-get -qq download {PROFILE_PACKAGE}; dpkg-deb -x ./*.deb ."]
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode:
            pytest.skip(f"cannot be fetched: {PROFILE_PACKAGE} (the default seccomp profile): {done.stderr[-200:]}")
        kept.parent.mkdir(exist_ok=True)
        shutil.copy(f"{folder}{installed}", kept)
    return kept


@contextmanager
def root_file_system() -> Iterator[Path]:
    """Unpack the packages into memory and put our wheel in; it goes with the block."""
    archive = _archive()
    folder = Path(tempfile.mkdtemp(prefix="pktmend-root-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700m,mode=755", "pktmend", str(folder)], check=True)
    try:
        root = folder / "root"
        root.mkdir()
        unneeded = [f"--exclude=./{each}" for each in UNNEEDED]
        subprocess.run(["tar", "-xpf", str(archive), "-C", str(root), *unneeded], check=True, timeout=120)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        theirs = str((root / "usr" / "bin" / "python3").readlink())
        if theirs != version:
            pytest.skip(
                f"Debian here has {theirs}, and this environment is of {version}: its modules do not load there"
            )
        _install(root, recipe().folder, version, build_wheel(folder))
        yield root
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def _install(root: Path, where: str, version: str, wheel: Path) -> None:
    """Make the environment that `python -m venv` and `pip install WHEEL[monitor]` make at *where* in there."""
    folder = root / where.lstrip("/")
    site = folder / "lib" / version / "site-packages"
    site.mkdir(parents=True)
    unpack_wheel(wheel, site)
    for name in (*DEPENDENCIES, *EXTRAS):
        copy_distribution(name, site)
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to("/usr/bin/python3")
    command = folder / "bin" / "pktmend"
    command.write_text(f"#!{where}/bin/python\n{START}")
    command.chmod(0o755)
