"""Which container a control group belongs to, by the words that container runtimes put into its path.

Rules of this file:
1. Text in, an Id out: nothing is read here.
2. The innermost container comes first; who runs containers in a container is in both.
3. A path is the word of who may make control groups.  Below user@UID.service that is the user, so such an Id says whose
   it is, and only that user's runtimes are asked about it.

Both versions of control groups and both drivers of each runtime:

    /docker/ID   /system.slice/docker-ID.scope   /kubepods.slice/kubepods-podUID.slice/cri-containerd-ID.scope
    /kubepods/burstable/podUID/ID   .../crio-ID.scope   /machine.slice/libpod-ID.scope/container   /lxc.payload.NAME

Source: cgroups(7); the cgroup drivers of Docker, containerd, CRI-O, Podman, runc and the kubelet; machinectl(1).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

LONGEST: Final = 128  # characters of an id: those of Docker, containerd and CRI-O have 64
MOST: Final = 8  # containers in containers

_HEX: Final = "[0-9a-f]{64}"
_NAME: Final = r"[A-Za-z0-9][\w.+-]*"
_PREFIXES: Final = {  # {what a runtime puts before an id: the runtime}
    "docker": "docker",
    "cri-containerd": "containerd",
    "nerdctl": "containerd",
    "crio": "cri-o",
    "libpod": "podman",
}
_PREFIXED: Final = re.compile(rf"(?:.*:)?({'|'.join(_PREFIXES)})[-:]({_HEX})(?:\.scope)?")
_PLAIN_RUNTIME: Final = re.compile(rf"(?:.*:)?(runc|crun)[-:]({_NAME}?)(?:\.scope)?", re.ASCII)
_BARE: Final = re.compile(_HEX)
_LXC: Final = re.compile(r"lxc\.payload\.(.+)")
_NSPAWN: Final = re.compile(r"systemd-nspawn@(.+)\.service")
_MACHINE: Final = re.compile(r"machine-(.+)\.scope")
_VIRTUAL: Final = re.compile(r"(qemu|lxc)-\d+-(.+)")
_POD: Final = re.compile(r".*pod((?:[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})|[0-9a-f]{32})(?:\.slice)?")
_USER: Final = re.compile(r"user@(\d{1,10})\.service")
_OTHERS: Final = re.compile(rf"(?!.*\.(?:slice|scope|service|mount|socket|swap)$){_NAME}", re.ASCII)


class Id(NamedTuple):
    """A container, as a control group names it.

    runtime: docker, containerd, cri-o, podman, runc, crun, lxc, nspawn, qemu; "" where the path does not say.
    id:      of the runtime; its name for those that have no other.
    pod_uid: of Kubernetes, in its own spelling; "" where it is not in the path.
    user:    whose runtime it is, where it runs below a user's own service manager; None else.
    is_sure: the path has the mark of a container; else this may be anything, such as a folder that runc was given.
    """

    runtime: str
    id: str
    pod_uid: str = ""
    user: int | None = None
    is_sure: bool = True


def ids_of(text: str) -> tuple[Id, ...]:
    """Return the containers that *text*, of /proc/PID/cgroup, is in, innermost first.

    Those that are sure, else what may be one.  Hierarchies of one process may differ; the one that is deepest in
    containers counts.
    """
    paths = dict.fromkeys(line.split(":", 2)[2] for line in text.splitlines() if line.count(":") >= 2)
    found = [_of_path(path) for path in paths]
    sure = max((tuple(i for i in each if i.is_sure) for each in found), key=len, default=())
    others = dict.fromkeys(i for each in found for i in each if not i.is_sure)
    return (sure or tuple(others))[:MOST]


def _of_path(path: str) -> list[Id]:
    """Return the containers of one path, innermost first."""
    found: list[Id] = []
    before, pod, user = "", "", None
    for part in path.split("/"):
        if match := _USER.fullmatch(part):
            user = int(match[1])
        if match := _POD.fullmatch(part):
            pod = match[1].replace("_", "-")
        each = _of_part(part, before, pod, user)
        if each is not None and len(each.id) <= LONGEST:
            found.insert(0, each)
            pod = pod if not each.is_sure else ""
        before = part
    return found


def _of_part(part: str, before: str, pod: str, user: int | None) -> Id | None:
    if match := _PREFIXED.fullmatch(part):
        return Id(_PREFIXES[match[1]], match[2], pod, user)
    if match := _PLAIN_RUNTIME.fullmatch(part):
        return Id(match[1], match[2], pod, user)
    if _BARE.fullmatch(part):
        return Id("docker" if before == "docker" else "", part, pod, user)
    if match := _LXC.fullmatch(part):
        return Id("lxc", match[1], "", user)
    if before in ("lxc", "lxc.payload") and part:
        return Id("lxc", part, "", user)
    if match := _NSPAWN.fullmatch(part) or _MACHINE.fullmatch(part):
        name = _unescaped(match[1])
        virtual = _VIRTUAL.fullmatch(name)
        return Id(virtual[1], virtual[2], "", user) if virtual else Id("nspawn", name, "", user)
    if _OTHERS.fullmatch(part):
        return Id("", part, pod, user, is_sure=False)
    return None


def _unescaped(text: str) -> str:
    r"""Return a name as it was before systemd put it into a unit's: `\x2d` is a dash."""
    return re.sub(r"\\x([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), text)
