"""A container as a kubelet has its runtime start it: config.json made of a manifest's own words, run by runc.

Source: the OCI runtime specification 1.0.2; containerd's pkg/cri for what RuntimeDefault, a read-only root and the
host's namespaces come to; containers-common's seccomp.json, the default profile of Podman and CRI-O, which is Docker's
with its conditions spelt out.
"""

from __future__ import annotations

import json
import platform
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from debian import recipe, seccomp_profile
from pktmend.testbed.netns import Host
from tools import PATIENCE, need, until

ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}
MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
QUIET = ["nosuid", "noexec", "nodev"]
BASE: list[dict[str, Any]] = [
    {"destination": "/proc", "type": "proc", "source": "proc", "options": QUIET},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [*QUIET, "mode=1777", "size=65536k"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*QUIET, "ro"]},
]


def default_profile(capabilities: list[str]) -> dict[str, Any]:
    """Return the runtimes' default seccomp profile as it is with *capabilities* on this machine."""
    profile = json.loads(seccomp_profile().read_text())
    arch = ARCHES.get(platform.machine(), platform.machine())
    release = tuple(int(n) for n in platform.release().split("-")[0].split(".")[:2])

    def holds(rule: Mapping[str, Any]) -> bool:
        wanted, unwanted = rule.get("includes") or {}, rule.get("excludes") or {}
        kernel = tuple(int(n) for n in wanted.get("minKernel", "0.0").split("."))
        return (
            all(each in capabilities for each in wanted.get("caps") or ())
            and not any(each in capabilities for each in unwanted.get("caps") or ())
            and arch in (wanted.get("arches") or [arch])
            and arch not in (unwanted.get("arches") or ())
            and release >= kernel
        )

    kept = ("names", "action", "args", "errnoRet")
    rules = [{k: rule[k] for k in kept if rule.get(k)} for rule in profile["syscalls"] if holds(rule)]
    result = {k: profile[k] for k in ("defaultAction", "defaultErrnoRet") if k in profile}
    return {**result, "architectures": [profile["archMap"][0]["architecture"]], "syscalls": rules}


@dataclass
class Spec:
    """What a pod asks for: one container of it.

    files:  what a ConfigMap's volume has, by the volume's name: {"monitor.toml": "..."}.
    hosts:  where a hostPath lies in a test, by the volume's name.
    values: of fieldRefs, by the name of the variable.
    """

    pod: dict[str, Any]
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    hosts: Mapping[str, Path] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def container(self) -> dict[str, Any]:
        """The one of it."""
        (one,) = self.pod["containers"]
        return dict(one)

    def argv(self) -> list[str]:
        """What is started: the image's entry point unless the manifest has a command; $(NAME) is a variable."""
        words = [*self.container.get("command", recipe().entrypoint), *self.container.get("args", ())]
        for name, value in self.values.items():
            words = [word.replace(f"$({name})", value) for word in words]
        return words

    def mounts(self, folder: Path) -> list[dict[str, Any]]:
        """Lay the volumes below *folder*; a ConfigMap's folder is open to everybody, as a kubelet makes it."""
        volumes = {each["name"]: each for each in self.pod.get("volumes", ())}
        found = []
        for mount in self.container.get("volumeMounts", ()):
            volume = volumes[mount["name"]]
            entry = {"destination": mount["mountPath"], "type": "bind"}
            if "emptyDir" in volume:
                size = volume["emptyDir"]["sizeLimit"].replace("Mi", "m")
                found.append(
                    entry | {"type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=777", f"size={size}"]}
                )
                continue
            if "configMap" in volume:
                source = folder / mount["name"]
                source.mkdir()
                source.chmod(0o777)
                for name, text in self.files[mount["name"]].items():
                    (source / name).write_text(text)
                    (source / name).chmod(volume["configMap"].get("defaultMode", 0o644))
            else:
                source = self.hosts[mount["name"]]
            source = source / mount.get("subPath", "")
            options = ["rbind", "rprivate", "ro" if mount.get("readOnly") else "rw"]
            found.append(entry | {"source": str(source), "options": options})
        return found


def configuration(spec: Spec, root: Path, host: Host, folder: Path) -> dict[str, Any]:
    """Return config.json for *spec*: what its securityContext says, in the network namespace of *host*."""
    security = spec.container["securityContext"]
    assert security["capabilities"]["drop"] == ["ALL"] and not security["privileged"] and spec.pod["hostNetwork"]
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    capabilities = [f"CAP_{name}" for name in security["capabilities"].get("add", ())]
    user = security["runAsUser"]
    own = ("mount", "uts", "ipc") if spec.pod.get("hostPID") else ("pid", "mount", "uts", "ipc")
    memory = spec.container.get("resources", {}).get("limits", {}).get("memory", "512Mi")
    environment = ["HOME=/root", *recipe().environment, *(f"{name}={value}" for name, value in spec.values.items())]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": user, "gid": user},
            "args": spec.argv(),
            "env": environment,
            "cwd": "/",
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
            "noNewPrivileges": not security["allowPrivilegeEscalation"],
        },
        "root": {"path": str(root), "readonly": security["readOnlyRootFilesystem"]},
        "mounts": [*BASE, *spec.mounts(folder)],
        "linux": {
            "namespaces": [
                *({"type": kind} for kind in own),
                {"type": "network", "path": f"/run/netns/{host.namespace}"},
            ],
            "resources": {"memory": {"limit": int(memory.removesuffix("Mi")) << 20}},
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
            "seccomp": default_profile(capabilities),
        },
    }


class Container:
    """A running container; it ends with the testbed of *host*."""

    def __init__(self, spec: Spec, root: Path, host: Host) -> None:
        need("runc")
        self._folder = host.testbed.folder()
        self._runc = ["runc", "--root", str(self._folder / "runc")]
        self.id = f"pktmend-{secrets.token_hex(6)}"
        config = configuration(spec, root, host, self._folder)
        (self._folder / "config.json").write_text(json.dumps(config))
        self._out, self._err = self._folder / "out", self._folder / "err"
        host.testbed.on_exit(self._remove)
        with self._out.open("w") as out, self._err.open("w") as err:
            argv = [*self._runc, "run", "--bundle", str(self._folder), "--pid-file", str(self._folder / "pid"), self.id]
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        until(lambda: (self._folder / "pid").exists() or self._process.poll() is not None, "the container")
        if not (self._folder / "pid").exists():
            pytest.skip(f"runc runs no container here: {self.said[-300:]}")
        self.pid = int((self._folder / "pid").read_text())

    def _remove(self) -> None:
        subprocess.run([*self._runc, "delete", "--force", self.id], capture_output=True, check=False, timeout=60)
        self._process.wait(PATIENCE)

    @property
    def said(self) -> str:
        """What it has said on stderr so far."""
        return self._err.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The whole lines of NDJSON on stdout so far."""
        return [json.loads(line) for line in self._out.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program in there, as a probe or `kubectl exec` does."""
        return subprocess.run(
            [*self._runc, "exec", self.id, *argv], capture_output=True, text=True, check=False, timeout=60
        )

    def bounds(self) -> dict[str, str]:
        """What the kernel says of a program that does nothing for its confinement itself."""
        text = self.run("cat", "/proc/self/status").stdout
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def stop(self) -> int:
        """End it as a runtime does; return its exit code."""
        subprocess.run([*self._runc, "kill", self.id, "TERM"], capture_output=True, check=True, timeout=60)
        return self._process.wait(PATIENCE)
