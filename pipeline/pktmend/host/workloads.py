"""Whose a process or a network namespace is: the container and the pod, by what lies on this machine.

Rules of this file:
1. A process belongs to the innermost container that anything is known about, else to the innermost that its control
   group names.
2. The namespace of the machine itself is nobody's, though containers of the host network are in it.
3. What is not known is "".  Nothing here raises for what a runtime wrote, or for a process that has ended.

Reading other processes' control groups needs no privilege, the runtimes' files mostly need root.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pktmend.host.container_ids import Id, ids_of
from pktmend.host.container_state import States
from pktmend.host.namespaces import Listing, Namespace, list_namespaces, shell_namespace

MOST_PROCESSES: Final = 512  # of one namespace that are asked whose they are
SHORT: Final = 12  # characters of an id, as docker and crictl show it


@dataclass(frozen=True)
class Workload:
    """A container, and the pod that it is in.

    runtime:   docker, containerd, cri-o, podman, runc, crun, lxc, nspawn, qemu (a virtual machine); "" if not known.
    id:        what the runtime calls it.
    container: its name; "" for the one that only holds a pod's namespaces.
    pod, pod_namespace: of Kubernetes (or of whoever sets its annotations).
    "" where not known.  Names are other people's: make them printable before a terminal sees them.
    """

    runtime: str
    id: str
    container: str
    pod: str
    pod_namespace: str

    @property
    def pod_label(self) -> str:
        """`pod default/web-0`; "" if it is in none."""
        if not self.pod:
            return ""
        return f"pod {self.pod_namespace}/{self.pod}" if self.pod_namespace else f"pod {self.pod}"

    @property
    def label(self) -> str:
        """`pod default/web-0 (nginx)`, `container web`."""
        if self.pod:
            return f"{self.pod_label} ({self.container})" if self.container else self.pod_label
        return f"container {self.container or self.id[:SHORT]}"


NOBODY: Final = Workload("", "", "", "", "")


def workload_of(pid: int, states: States | None = None) -> Workload | None:
    """Return the container that a process runs in; None if it runs in none, or has ended.

    states: the runtimes' files, to ask for many processes or to look below another root; else this machine's.
    """
    return _named(_ids(pid), states)


def workload_in(groups: str, states: States | None = None) -> Workload | None:
    """Return the container that *groups* names, the text of a /proc/PID/cgroup."""
    return _named(ids_of(groups), states)


def workloads(listing: Listing | None = None, folders: Sequence[Path] | None = None) -> dict[int, tuple[Workload, ...]]:
    """Return {inode of a network namespace: the containers in it}, those in a pod first.

    listing: the namespaces to look at, else all that can be found.   folders: roots of the runtimes' files.
    Namespaces without a container are left out, and so is the machine's own (that of process 1).
    """
    listing = listing or list_namespaces()
    found = everywhere(listing, folders)
    found.pop(machine_namespace(listing), None)
    return found


def everywhere(listing: Listing, folders: Sequence[Path] | None = None) -> dict[int, tuple[Workload, ...]]:
    """Return workloads(), and those in the machine's own namespace too: containers of the host network."""
    states = States(folders) if folders is not None else States()
    known: dict[tuple[Id, ...], Workload | None] = {}
    found: dict[int, tuple[Workload, ...]] = {}
    for namespace in listing.found:
        here: dict[str, Workload] = {}
        for pid in namespace.pids[:MOST_PROCESSES]:
            ids = _ids(pid)
            if ids and ids not in known:
                known[ids] = _named(ids, states)
            workload = known.get(ids)
            if workload is not None:
                here.setdefault(workload.id, workload)
        if here:
            found[namespace.inode] = tuple(sorted(here.values(), key=_order))
    return found


def named_listing() -> Listing:
    """Return list_namespaces() with the containers of each namespace."""
    listing = list_namespaces()
    found = workloads(listing)
    return replace(listing, found=tuple(replace(n, workloads=found.get(n.inode, ())) for n in listing.found))


def named_namespace(namespace: Namespace) -> Namespace:
    """Return *namespace* with the containers in it."""
    return namespace if namespace.workloads else replace(namespace, workloads=workloads().get(namespace.inode, ()))


def words_of(namespace: Namespace) -> dict[str, str]:
    """Return what JSON says of whose a namespace is: pod, pod_namespace and container, "" where not known.

    container: of a pod the first of its containers by name, if there are several.
    """
    return words_of_workload(namespace.workloads[0] if namespace.workloads else NOBODY)


def words_of_workload(workload: Workload) -> dict[str, str]:
    """Return the same of one container."""
    return {"pod": workload.pod, "pod_namespace": workload.pod_namespace, "container": workload.container}


def label_of(found: Iterable[Workload]) -> str:
    """Return who is in one namespace, for people: its pod, else its container (`container web and 2 more`); else ""."""
    rows = list(found)
    if not rows:
        return ""
    first = rows[0].pod_label or rows[0].label
    others = {row.pod_label or row.label for row in rows} - {first, ""}
    return f"{first} and {len(others)} more" if others else first


def _order(workload: Workload) -> tuple[bool, bool, str, str, str, str]:
    names = (workload.pod_namespace, workload.pod, workload.container, workload.id)
    return (not workload.pod, not workload.container, *names)


def machine_namespace(listing: Listing) -> int:
    """Return the namespace of process 1, ours if that is hidden: 0 where process 1 is a container's own."""
    first = next((n.inode for n in listing.found if 1 in n.pids), shell_namespace().inode)
    return 0 if any(each.is_sure for each in _ids(1)) else first


def _ids(pid: int) -> tuple[Id, ...]:
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text(errors="surrogateescape")
    except OSError:
        return ()
    return ids_of(text)


def _named(ids: tuple[Id, ...], states: States | None) -> Workload | None:
    """Return the first that has a name; else the innermost that is one for sure."""
    if not ids:
        return None
    states = states or States()
    for each in ids:
        names = states.names_of(each)
        if names.container or names.pod:
            return Workload(names.runtime or each.runtime, each.id, names.container, names.pod, names.pod_namespace)
    sure = next((each for each in ids if each.is_sure), None)
    return None if sure is None else Workload(sure.runtime, sure.id, "", "", "")
