"""What container runtimes write down of their containers: names, pods and the namespaces of Kubernetes.

Rules of this file:
1. Files only: no daemon is asked, no program is run.
2. They may be anybody's: a regular file of bounded size, decoded against a type, or nothing; no fault leaves here.
3. Names are as they were found, at most LONGEST_NAME characters of them: who prints them makes them printable.

Where each runtime keeps what (below the root of the machine's files; see roots()):

    docker      var/lib/docker/containers/ID/config.v2.json
    containerd  run/containerd/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json, an OCI bundle
    cri-o       run/containers/storage/overlay-containers/ID/userdata/config.json, an OCI bundle
    podman      var/lib/containers/storage/overlay-containers/containers.json
    runc        run/runc/ID/state.json
    kubelet     var/log/containers/POD_NAMESPACE_CONTAINER-ID.log, var/log/pods/NAMESPACE_POD_UID/
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from pktmend.host.container_ids import Id

T = TypeVar("T")
HOST_ROOT: Final = "PKTMEND_HOST_ROOT"  # where the machine's own root is mounted, in a container
LARGEST: Final = 16 << 20  # bytes of a file: lists of containers grow to some
LONGEST_NAME: Final = 253  # characters, as Kubernetes has it
MOST_FOLDERS: Final = 32  # namespaces of containerd
DOCKER: Final = ("var/lib/docker", "var/snap/docker/common/var-lib-docker")
CONTAINERD: Final = (
    "run/containerd",
    "run/k3s/containerd",
    "run/k0s/containerd",
    "var/snap/microk8s/common/run/containerd",
    "run/docker/containerd/daemon",
)
TASKS: Final = ("io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux")
RUNC: Final = ("run/runc", "run/containerd/runc/*", "run/docker/runtime-runc/*", "run/crio", "run/crun")
STORED: Final = ("overlay-containers", "vfs-containers", "btrfs-containers", "zfs-containers")
LISTS: Final = ("containers.json", "volatile-containers.json")  # the latter of `podman run --rm`
SANDBOX: Final = "POD"  # the name that Kubernetes gives to the container that only holds a pod's namespaces


class Names(NamedTuple):
    """What a container is called; "" where that is not known."""

    runtime: str = ""
    container: str = ""
    pod: str = ""
    pod_namespace: str = ""


NONE: Final = Names()


class _Bundle(msgspec.Struct):
    """config.json of an OCI bundle."""

    annotations: dict[str, str] | None = None


class _DockerConfig(msgspec.Struct):
    Labels: dict[str, str] | None = None


class _Docker(msgspec.Struct):
    """config.v2.json."""

    Name: str = ""
    Config: _DockerConfig | None = None


class _Stored(msgspec.Struct):
    """A row of containers.json."""

    id: str
    names: list[str] | None = None


class _RuncConfig(msgspec.Struct):
    labels: list[str] | None = None


class _Runc(msgspec.Struct):
    """state.json: labels are the bundle's annotations, KEY=VALUE, and bundle=PATH."""

    config: _RuncConfig | None = None


def roots() -> tuple[Path, ...]:
    """Return where the machine's files may be: below $PKTMEND_HOST_ROOT, our root, and process 1's if it is another.

    In a container with the host's processes the last is the host's.
    """
    own, first = Path("/"), Path("/proc/1/root")
    found = [Path(mounted), own] if (mounted := os.environ.get(HOST_ROOT, "")).startswith("/") else [own]
    try:
        return (*found, *([] if first.samefile(own) else [first]))
    except OSError:
        return tuple(found)


@dataclass
class States:
    """The runtimes' files below *folders*, each of which is looked at in turn.  Lists are read once: make a new one to
    see what has come since.
    """

    folders: Sequence[Path] = field(default_factory=roots)
    _lists: dict[Path, dict[str, str]] = field(default_factory=dict)
    _logs: dict[Path, dict[str, str]] = field(default_factory=dict)

    def names_of(self, wanted: Id) -> Names:
        """Return what *wanted* is called, NONE if nothing lies here about it."""
        if wanted.runtime in ("lxc", "nspawn", "qemu"):
            return Names(wanted.runtime, wanted.id[:LONGEST_NAME])
        nameless = NONE
        for root in self.folders:
            found = self._found(root, wanted)
            if not (found.pod or found.container):
                found = self._logged(root, wanted)._replace(runtime=found.runtime or wanted.runtime)
            if found.pod or found.container:
                return Names(found.runtime, _short(found.container), _short(found.pod), _short(found.pod_namespace))
            nameless = nameless if nameless.runtime else found
        return nameless

    def _found(self, root: Path, wanted: Id) -> Names:
        if wanted.user is not None:
            home = _home(root, wanted.user)
            if home is None:
                return NONE
            stores = (root / f"run/user/{wanted.user}/containers", home / ".local/share/containers/storage")
            docker = (home / ".local/share/docker",)
            runc = (root / f"run/user/{wanted.user}/runc", root / f"run/user/{wanted.user}/crun")
            return _docker(docker, wanted) or self._stored(stores, wanted) or _runc(runc, wanted) or NONE
        stores = (root / "run/containers/storage", root / "var/lib/containers/storage")
        return (
            _docker([root / folder for folder in DOCKER], wanted)
            or _containerd(root, wanted.id)
            or self._stored(stores, wanted)
            or _runc([each for folder in RUNC for each in _matching(root, folder)], wanted)
            or NONE
        )

    def _stored(self, stores: Iterable[Path], wanted: Id) -> Names | None:
        """Look at what CRI-O and Podman share: a folder for each container, and lists with their names."""
        for folder in (store / kind for store in stores for kind in STORED) if wanted.is_sure else ():
            bundle = _decode(folder / wanted.id / "userdata/config.json", _Bundle)
            if bundle is not None and (named := _annotated(bundle.annotations or {}, "cri-o")) is not None:
                return named
            for path in (folder / word for word in LISTS):
                if path not in self._lists:
                    rows = _decode(path, list[_Stored]) or ()
                    self._lists[path] = {each.id: each.names[0] for each in rows if each.names}
                if wanted.id in self._lists[path]:
                    return Names("podman", self._lists[path][wanted.id])
        return None

    def _logged(self, root: Path, wanted: Id) -> Names:
        """Look at what the kubelet keeps of any runtime's containers: links to their logs, and a folder for a pod."""
        if wanted.user is not None or not wanted.is_sure:
            return NONE
        name = self._listed(root / "var/log/containers", "-").get(wanted.id, "").split("_")
        if len(name) == 3:
            return Names(wanted.runtime, name[2], name[0], name[1])
        name = self._listed(root / "var/log/pods", "_").get(wanted.pod_uid or "-", "").split("_")
        return Names(wanted.runtime, "", name[1], name[0]) if len(name) == 2 else NONE

    def _listed(self, folder: Path, separator: str) -> dict[str, str]:
        """Return {what follows the last separator: what comes before it} of the names in *folder*."""
        if folder not in self._logs:
            rows = [name.removesuffix(".log").rpartition(separator) for name in _entries(folder)]
            self._logs[folder] = {row[2]: row[0] for row in rows}
        return self._logs[folder]


def _docker(folders: Iterable[Path], wanted: Id) -> Names | None:
    for folder in folders if wanted.is_sure else ():
        found = _decode(folder / "containers" / wanted.id / "config.v2.json", _Docker)
        if found is not None:
            labels = (found.Config.Labels if found.Config else None) or {}
            return _annotated(labels, "docker") or Names("docker", found.Name.removeprefix("/"))
    return None


def _containerd(root: Path, container: str) -> Names | None:
    for tasks in (root / folder / kind for folder in CONTAINERD for kind in TASKS):
        for space in sorted(_entries(tasks))[:MOST_FOLDERS]:
            bundle = _decode(tasks / space / container / "config.json", _Bundle)
            if bundle is None:
                continue
            named = _annotated(bundle.annotations or {}, "containerd")
            if named is not None or space != "moby":  # Docker's own, by another name than Docker's if it was not found
                return named or Names("containerd", container if len(container) < 64 else "")
            return Names("docker")
    return None


def _runc(folders: Iterable[Path], wanted: Id) -> Names | None:
    for folder in folders:
        found = _decode(folder / wanted.id / "state.json", _Runc)
        if found is None:
            continue
        labels = dict(label.partition("=")[::2] for label in (found.config.labels if found.config else None) or ())
        name = wanted.id if len(wanted.id) < 64 else ""
        return _annotated(labels, wanted.runtime or "runc") or Names(wanted.runtime or "runc", name)
    return None


def _annotated(labels: Mapping[str, str], runtime: str) -> Names | None:
    """Return what annotations or labels say; None if they name nothing."""
    pod = labels.get("io.kubernetes.cri.sandbox-name") or labels.get("io.kubernetes.pod.name")
    space = labels.get("io.kubernetes.cri.sandbox-namespace") or labels.get("io.kubernetes.pod.namespace")
    name = (
        labels.get("io.kubernetes.cri.container-name")
        or labels.get("io.kubernetes.container.name")
        or labels.get("nerdctl/name")
        or ""
    )
    if not pod and not name:
        return None
    return Names(runtime, "" if pod and name == SANDBOX else name, pod or "", space or "")


def _home(root: Path, user: int) -> Path | None:
    """Return the home of *user*, by the passwd file of *root*."""
    data = _read(root / "etc/passwd") or b""
    for line in data.decode(errors="surrogateescape").splitlines():
        fields = line.split(":")
        if len(fields) == 7 and fields[2] == str(user) and fields[5].startswith("/"):
            return root / fields[5].lstrip("/")
    return None


def _matching(root: Path, folder: str) -> list[Path]:
    if not folder.endswith("/*"):
        return [root / folder]
    above = root / folder.removesuffix("/*")
    return [above / name for name in sorted(_entries(above))[:MOST_FOLDERS]]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _entries(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:
        return []


def _read(path: Path) -> bytes | None:
    """Return what is in a regular file of bounded size; None if it is anything else, or not for us to read.

    It is looked at before it is opened: a device or a pipe would act or wait.
    """
    try:
        at = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            status = os.fstat(at)
            if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
                return None
            with Path(f"/proc/self/fd/{at}").open("rb") as file:
                data = file.read(LARGEST + 1)
        finally:
            os.close(at)
    except (OSError, ValueError):  # ValueError: a zero byte in a name
        return None
    return data if len(data) <= LARGEST else None


def _decode(path: Path, kind: type[T]) -> T | None:
    data = _read(path)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
