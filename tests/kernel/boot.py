"""Run tests on another kernel: Debian's own, in a virtual machine by emulation, with this machine's files as its root.

    KERNEL=6.12 python tests/kernel/boot.py [ARGUMENTS OF PYTEST]      (`make test-kernel KERNEL=6.12`)

KERNEL: nothing for the one of linux-image-amd64; a version, or a package; `running` for this machine's own, without a
virtual machine, and with the tests for other Pythons, processors and libcs.  ONLY: a pattern of groups' names.

The package is fetched by apt-get, taken apart, and booted by qemu-system-x86_64 with a busybox initramfs that mounts
this machine's root read-only (9p), over it a tmpfs and the package's modules, and runs pytest there.  Nothing is
installed and nothing is written here but below build/, and, where the tests are those of chosen.py,
docs/compatibility-runs.json and the tables made of it.  Exit code: pytest's.
"""

from __future__ import annotations

import gzip
import lzma
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import chosen
import results
from pktmend import __version__

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "kernel"
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox", "depmod": "kmod"}
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")  # to find the root; there modprobe finds the others
LATER = ("tun", "fou")  # what the kernel does not load by itself when it is asked for it
BOOT = "console=ttyS0 quiet panic=-1 mitigations=off no5lvl"  # the last two: emulation is slow
SAYS = "pktmend: pytest's exit code is "
RUNNING = "running"
PATIENCE = 900  # seconds for a test
HOURS = 3.0  # until the machine is switched off
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
for each in {modules}; do insmod /modules/$each || echo "no module $each"; done
mkdir -p /below /over /root
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 machine /below
mount -t tmpfs none /over; mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/below,upperdir=/over/upper,workdir=/over/work none /root
for each in proc sys dev; do mount --move /$each /root/$each; done
mkdir -p /root/run /root/tmp /root/lib/modules
for each in run tmp; do mount -t tmpfs none /root/$each; done
mount --bind /root{found} /root/lib/modules
mount -t bpf none /root/sys/fs/bpf
mount -t tracefs none /root/sys/kernel/tracing
for each in {later}; do chroot /root modprobe $each; done
ip link set lo up
cat > /root/run/tests <<'END'
cd {tree}
export HOME=/root PATH={path} PKTMEND_TEST_PATIENCE=200 HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
uname -a
{command}
END
chroot /root /bin/sh /run/tests
poweroff -f
"""
# The kernel calls it for what it has not loaded yet, and knows of the initramfs alone.
MODPROBE = '#!/bin/busybox sh\nexec /bin/busybox chroot /root /sbin/modprobe "$@"\n'


def package_of(kernel: str) -> str:
    """Return the package's name of what the user calls the kernel."""
    if not kernel:
        return "linux-image-amd64"
    return f"linux-image-{kernel}-amd64" if kernel[0].isdigit() else kernel


def unpack_kernel(package: str) -> Path:
    """Return the folder of the unpacked package."""
    root = BUILD / package
    if not root.exists():
        depends = subprocess.check_output(["apt-cache", "depends", package], text=True)
        found = re.findall(r"Depends: (linux-image-\S+)", depends)
        root.parent.mkdir(parents=True, exist_ok=True)
        name = found[0] if found else package
        subprocess.run(["apt-get", "download", "-qq", name], cwd=BUILD, check=True)
        subprocess.run(["dpkg-deb", "-x", next(BUILD.glob(f"{name}_*.deb")), root], check=True)
        subprocess.run(["depmod", "-b", root, release_of(root)], check=True)
    return root


def release_of(root: Path) -> str:
    """Return what the kernel calls itself."""
    return next((root / "lib" / "modules").iterdir()).name


def modules_of(root: Path) -> list[Path]:
    """Return MODULES and what they need, in the order to load them."""
    release = root / "lib" / "modules" / release_of(root)
    needs: dict[str, list[str]] = {}
    for line in (release / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[Path(path).name.partition(".")[0]] = [*reversed(others.split()), path]
    wanted = dict.fromkeys(path for name in MODULES for path in needs.get(name, []))
    return [release / path for path in wanted]


def make_initramfs(root: Path, command: str) -> Path:
    """Return the file: busybox, the modules, and what to do."""
    folder = root / "initramfs"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("bin", "sbin", "modules", "proc", "sys", "dev"):
        (folder / name).mkdir(parents=True)
    busybox = shutil.which("busybox") or "busybox"
    shutil.copy2(busybox, folder / "bin" / "busybox")
    said = subprocess.run(["ldd", busybox], capture_output=True, text=True, check=False).stdout  # "": it is static
    for library in re.findall(r"(/\S+) \(0x", said):
        target = folder / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library, target)
    modules = modules_of(root)
    for module in modules:
        content = module.read_bytes()
        plain = lzma.decompress(content) if module.suffix == ".xz" else content
        (folder / "modules" / module.name.removesuffix(".xz")).write_bytes(plain)
    names = " ".join(module.name.removesuffix(".xz") for module in modules)
    words = {
        "modules": names,
        "later": " ".join(LATER),
        "found": root / "lib" / "modules",
        "tree": ROOT,
        "path": os.environ["PATH"],
    }
    for name, text in (("init", INIT.format(**words, command=command)), ("sbin/modprobe", MODPROBE)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    files = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    archive = subprocess.run(
        ["busybox", "cpio", "-o", "-H", "newc"], cwd=folder, input=files.encode(), capture_output=True, check=True
    )
    image = root / "initramfs.gz"
    image.write_bytes(gzip.compress(archive.stdout, 1))
    return image


def follow(command: list[str], seconds: float) -> tuple[int, list[str]]:
    """Run a program, at most so long, and show what it says; return pytest's exit code and the lines."""
    said: list[str] = []
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
    ) as program:
        assert program.stdout is not None
        limit = threading.Timer(seconds, program.kill)
        limit.start()
        for line in program.stdout:
            print(line, end="", flush=True)
            said.append(line)
        limit.cancel()
    codes = [int(line.removeprefix(SAYS)) for line in said if line.startswith(SAYS)]
    return codes[0] if codes else 1, said


def machine(kernel: Path, image: Path) -> list[str]:
    """Return the command that runs the virtual machine."""
    command = ["qemu-system-x86_64", "-m", "3072", "-smp", "2", "-accel", "tcg,thread=multi,tb-size=512"]
    command += ["-nographic", "-no-reboot", "-kernel", str(kernel), "-initrd", str(image), "-append", BOOT]
    command += ["-cpu", "max", "-nic", "none", "-virtfs"]
    return [*command, "local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap"]


def main(argv: list[str]) -> int:
    """Run it; return the exit code."""
    kernel, only = os.environ.get("KERNEL", ""), os.environ.get("ONLY", "")
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing and kernel != RUNNING:
        print(f"not installed: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 4
    groups = {**chosen.KERNELS, **(chosen.OTHERS if kernel == RUNNING else {})}
    tests = argv or chosen.arguments({name: words for name, words in groups.items() if re.search(only, name, re.I)})
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "telling", "-v", "--color=no"]
    words = shlex.join([*pytest, f"--timeout={PATIENCE}", *tests])
    command = f'PYTHONPATH=tests/kernel {words}; echo "{SAYS}$?"'
    if kernel == RUNNING:
        release = platform.release()
        code, said = follow(["env", "PKTMEND_PACKAGES=1", "sh", "-c", command], HOURS * 3600)
    else:
        root = unpack_kernel(package_of(kernel))
        release = release_of(root)
        image = make_initramfs(root, command)
        code, said = follow(machine(next((root / "boot").glob("vmlinuz-*")), image), HOURS * 3600)
    found = results.read_said(said)
    if found and not argv:
        seen = {"kernel": release, "machine": platform.machine(), "pktmend": __version__}
        seen |= {"python": platform.python_version(), "how": f"make test-kernel{f' KERNEL={kernel}' if kernel else ''}"}
        results.keep({**seen, "groups": found})
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
