"""Whose the interfaces and network namespaces of this machine are, and what their kernels count: as found at one time.

    {"namespaces": {"4026532999": {"labels": ["shop", "web-1", "nginx"], "errors": {"TcpInCsumErrors": 0, ...}}},
     "interfaces": {"veth12ab": "4026532999"}, "left_out": 0}

Rules of this file:
1. Namespaces are looked at from outside: their counters through /proc/PID/net, the other end of a veth by the number
   that our own namespace has for its.  Nothing is entered.
2. What is answered is bounded, whatever runs here: so many namespaces, labels of so many characters.

Not here: the process that does it, and what it is allowed (surveyor).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from pktmend.host.namespaces import Listing, Namespace, list_namespaces
from pktmend.host.rtnetlink import read_links, read_nsid
from pktmend.host.snmp import read_counters
from pktmend.host.workloads import Workload, workloads

MOST: Final = 1024  # namespaces that get series of their own
LONGEST: Final = 253  # characters of a label: of a name in Kubernetes
SHORT: Final = 12  # characters of an id
TRIES: Final = 3  # processes of a namespace that are asked, in case the first ones have just ended


class Labels(NamedTuple):
    """Whose something is; "" for what is not known, or not the same for all that share it."""

    namespace: str = ""
    pod: str = ""
    container: str = ""

    def __str__(self) -> str:
        pod = "/".join(word for word in (self.namespace, self.pod) if word)
        return f"{pod} ({self.container})" if pod and self.container else pod or self.container


NOBODY: Final = Labels()


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found.

    labels, errors: of each network namespace, by its inode; errors as nstat names them.
    interfaces:     of our own namespace: the inode of the namespace where the other end is.
    left_out:       namespaces beyond MOST.
    """

    labels: Mapping[str, Labels] = field(default_factory=dict)
    errors: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    interfaces: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0

    def of(self, interface: str) -> Labels:
        """Return whose the other end of an interface is."""
        return self.labels.get(self.interfaces.get(interface, ""), NOBODY)

    def owners(self, interfaces: Iterable[str]) -> dict[str, Workload]:
        """Return {interface: whose it is}, of those that are somebody's who has a name."""
        found = {name: self.of(name) for name in interfaces}
        return {
            name: Workload("", "", labels.container, labels.pod, labels.namespace)
            for name, labels in found.items()
            if labels.pod or labels.container
        }

    @classmethod
    def from_json(cls, found: Any) -> Survey:
        """Return what survey() has said."""
        rows = found["namespaces"]
        return cls(
            {inode: Labels(*map(str, row["labels"])) for inode, row in rows.items()},
            {inode: {str(name): int(n) for name, n in row["errors"].items()} for inode, row in rows.items()},
            found["interfaces"],
            int(found["left_out"]),
        )


def survey() -> dict[str, Any]:
    """Look at the machine; return what Survey.from_json() takes."""
    listing = list_namespaces()
    owners = workloads(listing)
    rows: dict[str, Any] = {}
    left_out = 0
    for namespace in sorted(listing.found, key=lambda n: (not n.is_own, n.inode not in owners, n.inode)):
        errors = errors_in(namespace)
        if errors is None:
            continue
        if len(rows) >= MOST:
            left_out += 1
            continue
        labels = labels_of(owners.get(namespace.inode, ()))
        rows[str(namespace.inode)] = {"labels": list(labels), "errors": errors}
    return {"namespaces": rows, "interfaces": _peers(listing), "left_out": left_out}


def labels_of(found: Iterable[Workload]) -> Labels:
    """Return the labels of what shares a namespace: of each what is the same for all.

    A container without a name that is in no pod goes by its id; in a pod it only holds the namespaces.
    """
    found = list(found)
    names = [each.container or each.id[:SHORT] for each in found if each.container or not each.pod]
    return Labels(_common(each.pod_namespace for each in found), _common(each.pod for each in found), _common(names))


def _common(words: Iterable[str]) -> str:
    found = set(words)
    return found.pop()[:LONGEST] if len(found) == 1 else ""


def errors_in(namespace: Namespace) -> dict[str, int] | None:
    """Return the checksum errors that the kernel has counted in a namespace; None if no process there tells."""
    for pid in namespace.pids[:TRIES]:
        try:
            counters = read_counters(Path(f"/proc/{pid}/net"))
        except (OSError, ValueError):  # it has ended, perhaps while it was read
            continue
        return {name: n for name, n in counters.items() if name.endswith("InCsumErrors")}
    return None


def _peers(listing: Listing) -> dict[str, str]:
    """Return where the other end of each interface of ours is, by name: the inode of its namespace."""
    links = [link for link in read_links() if link.link_nsid >= 0]
    wanted = {link.link_nsid for link in links}
    inodes: dict[int, str] = {}
    for namespace in listing.found:
        if len(inodes) == len(wanted):
            break
        try:
            number = read_nsid(namespace.path)
        except OSError:  # gone, or not ours to open
            continue
        if number in wanted:
            inodes[number] = str(namespace.inode)
    return {link.name: inodes[link.link_nsid] for link in links if link.link_nsid in inodes}
