"""Run tests on another kernel: Debian's own, in a virtual machine by emulation, with this machine's files as its root.

    python tests/kernel/boot.py [ARGUMENTS OF PYTEST]      (`make test-kernel`)

The kernel's package is fetched by apt-get, taken apart, and booted by qemu-system-x86_64 with a busybox initramfs that
mounts this machine's root read-only (9p), a tmpfs over it, and runs pytest there.  Nothing is installed and nothing is
written here but below build/.  Exit code: pytest's.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "kernel"
PACKAGE = "linux-image-amd64"
PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox", "depmod": "kmod"}
# To find the root, and what the tests need that is no part of the kernel itself.
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "veth", "tun", "sch_ingress", "cls_bpf", "af_packet_diag")
TESTS = [f"tests/net/test_kernel_judge{part}.py" for part in ("_order", "", "_fuzz")]
TESTS.append("tests/net/test_cut_through.py::test_known_traffic_is_counted_exactly")
SAYS = "pktmend: pytest's exit code is "
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev
for each in {modules}; do insmod /modules/$each || echo "no module $each"; done
mkdir -p /below /over /root
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 machine /below
mount -t tmpfs none /over; mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/below,upperdir=/over/upper,workdir=/over/work none /root
for each in proc sys dev; do mount --move /$each /root/$each; done
mkdir -p /root/run /root/tmp
for each in run tmp; do mount -t tmpfs none /root/$each; done
mount -t bpf none /root/sys/fs/bpf
ip link set lo up
cat > /root/run/tests <<'END'
cd {tree}
export HOME=/root PATH={path} PYTHONDONTWRITEBYTECODE=1 HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis
uname -a
{command}
echo "{says}$?"
END
chroot /root /bin/sh /run/tests
poweroff -f
"""


def unpack_kernel() -> Path:
    """Return the folder of the unpacked package."""
    BUILD.mkdir(parents=True, exist_ok=True)
    root = BUILD / "root"
    if not root.exists():
        depends = subprocess.check_output(["apt-cache", "depends", PACKAGE], text=True)
        name = re.findall(r"Depends: (\S+)", depends)[0]
        subprocess.run(["apt-get", "download", "-qq", name], cwd=BUILD, check=True)
        subprocess.run(["dpkg-deb", "-x", next(BUILD.glob(f"{name}_*.deb")), root], check=True)
    return root


def modules_of(root: Path) -> list[Path]:
    """Return MODULES and what they need, in the order to load them."""
    release = next((root / "lib" / "modules").iterdir())
    subprocess.run(["depmod", "-b", root, release.name], check=True)
    needs: dict[str, list[str]] = {}
    for line in (release / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        needs[Path(path).stem.removesuffix(".ko")] = [*reversed(others.split()), path]
    wanted = dict.fromkeys(path for name in MODULES for path in needs.get(name, []))
    return [release / path for path in wanted]


def make_initramfs(root: Path, argv: list[str]) -> Path:
    """Return the file: busybox, the modules, and what to do."""
    folder = BUILD / "initramfs"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("bin", "modules", "proc", "sys", "dev"):
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
        shutil.copy2(module, folder / "modules")
    command = " ".join(
        [f"'{sys.executable}' -m pytest -p no:cacheprovider -q --color=no --timeout=1200", *(argv or TESTS)]
    )
    names = " ".join(module.name for module in modules)
    init = INIT.format(modules=names, tree=ROOT, path=os.environ["PATH"], command=command, says=SAYS)
    (folder / "init").write_text(init)
    (folder / "init").chmod(0o755)
    files = "\n".join(str(path.relative_to(folder)) for path in sorted(folder.rglob("*")))
    archive = subprocess.run(
        ["busybox", "cpio", "-o", "-H", "newc"], cwd=folder, input=files.encode(), capture_output=True, check=True
    )
    image = BUILD / "initramfs.gz"
    image.write_bytes(gzip.compress(archive.stdout, 1))
    return image


def boot(kernel: Path, image: Path) -> int:
    """Run the machine until it ends, show what it says, and return pytest's exit code."""
    command = ["qemu-system-x86_64", "-m", "2048", "-smp", "2", "-nographic", "-no-reboot", "-kernel", str(kernel)]
    command += ["-initrd", str(image), "-append", "console=ttyS0 quiet panic=-1", "-cpu", "max", "-nic", "none"]
    command += ["-virtfs", "local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap"]
    code = 1
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace") as vm:
        assert vm.stdout is not None
        for line in vm.stdout:
            print(line, end="", flush=True)
            if line.startswith(SAYS):
                code = int(line.removeprefix(SAYS))
    return code


def main(argv: list[str]) -> int:
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        print(f"not installed: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 4
    root = unpack_kernel()
    return boot(next((root / "boot").glob("vmlinuz-*")), make_initramfs(root, argv))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
