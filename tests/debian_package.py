"""Build the Debian package as Debian does, and try it:  python3 tests/debian_package.py FOLDER   (make deb)

In throw-away roots of Debian 13, made by mmdebstrap; this machine gets nothing but FOLDER/pktmend_*.deb.  Needs root,
mmdebstrap and Debian's packages, about 400 MB of them.  With PKTMEND_PACKAGES=1 it is a test.

Steps: a root; build in a copy of it (dpkg-buildpackage, lintian); install in another, use, remove, look what is left.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITE = "trixie"  # the first Debian whose Cython, cffi, msgspec and setuptools are new enough
NEEDED = ("mmdebstrap", "unshare", "chroot")
INSTALLED = (
    "usr/bin/pktmend",
    "usr/share/man/man1/pktmend.1.gz",
    "usr/share/bash-completion/completions/pktmend.bash",
    "usr/share/zsh/vendor-completions/_pktmend",
    "usr/share/fish/vendor_completions.d/pktmend.fish",
    "usr/lib/systemd/system/pktmend-bridge@.service",
    "usr/lib/systemd/system/pktmend-monitor@.service",
    "usr/lib/systemd/system/pktmend-offload.service",
    "usr/share/doc/pktmend/README.md.gz",
    "usr/share/doc/pktmend/examples/demo.py",
)
ENVIRONMENT = (
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LC_ALL=C.UTF-8",
    "DEBIAN_FRONTEND=noninteractive",
)
SHELL = ("sh", "-euc")
BUILD_TOOLS = "apt-get update -qq && apt-get install -y -qq build-essential lintian"
LINTIAN = "lintian --allow-root --info --fail-on error,warning /build/*.changes"
ELSEWHERE = r"-path /proc -prune -o -path /trial -prune -o -path '/var/*/apt' -prune -o -name '*pktmend*' -print"


def mirror() -> list[str]:
    """Return where this machine has its Debian packages from; nothing where it is no Debian: mmdebstrap knows one."""
    if "ID=debian" not in Path("/etc/os-release").read_text().splitlines():
        return []
    for path in filter(Path.is_file, sorted(Path("/etc/apt").rglob("*"))):
        if path.suffix in (".list", ".sources"):
            found = re.search(r"^(?:URIs:|deb(?: \[.*?\])?) *(\S+/debian/?)(?=\s)", path.read_text(), re.MULTILINE)
            if found:
                return [found[1]]
    return []


def within(root: Path, command: str) -> str:
    """Run a line of shell in *root*, with a /proc that goes when it ends; return what it says."""
    script = 'mount -t proc proc "$1/proc" && shift && exec chroot "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-euc", script, "sh", root, root, "env", "-i", *ENVIRONMENT, *SHELL, command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout[-8000:]}\nended with {done.returncode}")
    return done.stdout


def copy_source(target: Path) -> None:
    """Copy what git has, or all of an unpacked source archive."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    if not names:
        shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(".venv*", "build", "dist", "*.so", "__pycache__"))
        return
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def make_root(folder: Path) -> Path:
    """Make a root that has apt, and this machine's way to other machines."""
    made = folder / "base"
    argv = ["mmdebstrap", "--quiet", "--mode=root", "--variant=apt", "--aptopt=APT::Install-Recommends false"]
    subprocess.run([*argv, SUITE, made, *mirror()], check=True, stdin=subprocess.DEVNULL)
    for name in ("hosts", "resolv.conf"):
        shutil.copyfile(f"/etc/{name}", made / "etc" / name)
    (made / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (made / "usr/sbin/policy-rc.d").chmod(0o755)
    return made


def build(root: Path) -> Path:
    """Build in *root*, hold the result against lintian, and return the package."""
    copy_source(root / "build" / "pktmend")
    within(root, f"{BUILD_TOOLS} && apt-get build-dep -y -qq /build/pktmend")
    within(root, "cd /build/pktmend && dpkg-buildpackage -us -uc")
    print(within(root, LINTIAN), end="")
    (package,) = (path for path in (root / "build").glob("pktmend_*.deb"))
    return package


def attempt(root: Path, package: Path) -> None:
    """Install it in *root*, use it, remove it; SystemExit that says what is wrong."""
    (root / "trial").mkdir()
    shutil.copy(package, root / "trial")
    shutil.copy(ROOT / "tests" / "wheel_smoke.sh", root / "trial")
    within(root, f"apt-get update -qq && apt-get install -y -qq /trial/{package.name}")
    missing = [name for name in INSTALLED if not (root / name).exists()]
    if missing:
        raise SystemExit(f"the package does not install {', '.join(missing)}")
    print(within(root, "PYTHON=python3 sh /trial/wheel_smoke.sh"), end="")
    within(root, "apt-get purge -y -qq pktmend")
    left = within(root, f"find / {ELSEWHERE}").split()
    if left:
        raise SystemExit(f"left behind: {', '.join(left)}")


def main(folder: str) -> None:
    """Do it all, and leave the package in *folder*."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="pktmend-debian-") as made:
        base = make_root(Path(made))
        clean = Path(made, "clean")
        subprocess.run(["cp", "-a", base, clean], check=True)
        package = build(base)
        attempt(clean, package)
        Path(folder).mkdir(parents=True, exist_ok=True)
        print(shutil.copy(package, folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
