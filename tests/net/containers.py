"""Real containers: run by runc, their control groups and state files laid as containerd and the kubelet lay them.

The root file system is one program of this machine and its libraries; the network namespace is a host of the testbed,
as a CNI plug-in has it made before.
"""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pktmend.testbed.netns import Host, Testbed
from tools import need

NAMESPACES = ("pid", "mount", "uts", "ipc")


@dataclass(frozen=True)
class Pod:
    """One container of a pod: pid of its process, id of the container."""

    pid: int
    id: str


class Node:
    """A node's containers; their state files are below *root*, where a machine has them below /."""

    def __init__(self, testbed: Testbed) -> None:
        need("runc", "ldd")
        self._testbed = testbed
        self.root = testbed.folder()
        self._rootfs = testbed.folder() / "rootfs"
        listed = subprocess.run(["ldd", "/bin/sleep"], capture_output=True, text=True, check=True).stdout.split()
        for file in ("/bin/sleep", *(word for word in listed if word.startswith("/"))):
            target = self._rootfs / file.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
        (self._rootfs / "proc").mkdir()

    def run(self, host: Host, pod: str, container: str = "nginx", namespace: str = "default") -> Pod:
        """Start a container of *pod* in the network namespace of *host*; it ends with the testbed."""
        ident = secrets.token_hex(32)
        parent = f"kubepods-test-{ident[:8]}"
        bundle = self.root / "run/containerd/io.containerd.runtime.v2.task/k8s.io" / ident
        bundle.mkdir(parents=True)
        annotations = {
            "io.kubernetes.cri.container-name": container,
            "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.sandbox-name": pod,
            "io.kubernetes.cri.sandbox-namespace": namespace,
        }
        config = {
            "ociVersion": "1.0.2",
            "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/sleep", "600"], "cwd": "/"},
            "root": {"path": str(self._rootfs), "readonly": True},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
            "annotations": annotations,
            "linux": {
                "namespaces": [
                    *({"type": kind} for kind in NAMESPACES),
                    {"type": "network", "path": f"/run/netns/{host.namespace}"},
                ],
                "cgroupsPath": f"/{parent}/pod005f082b-5fd9-4650-8ef4-473e63bc2d13/{ident}",
            },
        }
        (bundle / "config.json").write_text(json.dumps(config))
        runc = ["runc", "--root", str(self.root / "runc")]
        self._testbed.on_exit(lambda: _remove(runc, ident, parent))
        with (bundle / "log").open("w") as log:  # a pipe would stay open as long as the container runs
            done = subprocess.run(
                [*runc, "run", "--detach", "--bundle", str(bundle), "--pid-file", str(bundle / "init.pid"), ident],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                timeout=60,
            )
        if done.returncode:
            pytest.skip(f"runc cannot run a container here: {(bundle / 'log').read_text().strip()[-200:]}")
        return Pod(int((bundle / "init.pid").read_text()), ident)


def _remove(runc: list[str], ident: str, parent: str) -> None:
    subprocess.run([*runc, "delete", "--force", ident], capture_output=True, check=False, timeout=60)
    for top in Path("/sys/fs/cgroup").glob(f"*/{parent}"), Path("/sys/fs/cgroup").glob(parent):
        for folder in top:
            for each in sorted((folder, *(p for p in folder.rglob("*") if p.is_dir())), reverse=True):
                each.rmdir()
