"""What the machine says about the tapped interface: whose packets these are, which hop has them, what rose meanwhile.

Rules of this file:
1. Two readings of the machine, before and after; the packets are between them.
2. An owner is named only if one interface of this machine fits: namespaces may use equal addresses.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from pktmend.host.bpf_info import read_program
from pktmend.host.model import Interface, Machine, Reader
from pktmend.host.namespaces import Namespace

RISING: Final = "CsumErrors"


@dataclass(frozen=True)
class Hop:
    """Who passes frames on between interfaces past the kernel.

    kind: "packet" (sockets without the virtio-net header), "xdp" (AF_XDP sockets), "program" (XDP programs), "tap".
    is_sure: it takes frames off the kernel's way for certain; an XDP program may also let them pass.
    """

    kind: str
    program: str
    pid: int
    interfaces: tuple[Interface, ...]
    is_sure: bool = True

    @property
    def text(self) -> str:
        """Name it for people."""
        names = " and ".join(map(named, self.interfaces))
        who = f"{self.program or 'a process'} (pid {self.pid})" if self.pid else "an unknown process"
        return {
            "packet": f"{who} carries frames of {names} through packet sockets that do not keep the note",
            "xdp": f"{who} reads {names} through AF_XDP sockets, which have no place for the note",
            "program": f"an XDP program is attached to {names}, where these frames pass",
            "tap": f"{names} is a TAP with checksum offload (TUN_F_CSUM) and without the virtio-net header",
        }[self.kind]


class HostContext:
    """The machine around a tapped interface."""

    def __init__(self, before: Machine, after: Machine, interface: str) -> None:
        self.machine = after
        self.tapped = after.find(interface)
        self.peer = after.peer_of(self.tapped) if self.tapped else None
        self._before = before

    def owner(self, address: str, mac: str = "") -> Interface | None:
        """Return the interface that has *address*; among several the one of that MAC address, else None."""
        found = [i for i in self.machine.interfaces() if any(each.partition("/")[0] == address for each in i.addresses)]
        if len(found) > 1:
            found = [i for i in found if mac and i.mac == mac] or [i for i in found if i in self._near()]
        if not found and mac:
            found = [i for i in self.machine.interfaces() if i.mac == mac and i.addresses]
        return found[0] if len(found) == 1 else None

    def _near(self) -> list[Interface]:
        """All interfaces of the tapped one's and its peer's namespaces, and the other ends of their veth pairs."""
        places = [i.namespace.inode for i in (self.tapped, self.peer) if i]
        ports = [i for i in self.machine.interfaces() if i.namespace.inode in places]
        peers = [peer for i in ports if (peer := self.machine.peer_of(i))]
        return [*ports, *peers]

    def hops(self, ends: Iterable[Interface]) -> list[Hop]:
        """Return what may have lost the note on the way between *ends* and the tap, the surest first."""
        ends = list(ends)
        path = list({(i.namespace.inode, i.index): i for i in self._path(ends)}.values())
        places = {i.namespace.inode for i in path}
        near = [i for i in self.machine.interfaces() if i.namespace.inode in places]
        sockets = [hop for hop in _sockets(near) if any(i in path for i in hop.interfaces)]
        taps = [Hop("tap", "", 0, (i,)) for i in path if is_blind_tap(i)]
        return [*sockets, *_programs([i for i in path if i not in ends]), *taps]

    def set_up(self, ends: Iterable[Interface]) -> list[str]:
        """Say which switches and tunnels the way between *ends* and the tap goes through."""
        ends = list(ends)
        path = {(i.namespace.inode, i.index): i for i in self._path(ends)}.values()
        lines = [f"{named(i)} is a port of {i.master} ({i.master_kind})" for i in path if i.master]
        homes = {end.namespace.inode for end in ends}
        return lines + [
            f"{named(i)} is a {i.kind} device, its UDP checksums {'on' if i.tunnel['udpcsum'] else 'off'} (udpcsum)"
            for i in self.machine.interfaces()
            if i.namespace.inode in homes and i.tunnel and "udpcsum" in i.tunnel
        ]

    def _path(self, ends: Iterable[Interface]) -> Iterator[Interface]:
        """The tapped interface, the ends, and the other ends of their veth pairs."""
        for end in filter(None, [self.tapped, *ends]):
            yield end
            peer = self.machine.peer_of(end)
            if peer is not None:
                yield peer

    def rising(self) -> list[str]:
        """Say which checksum error counters rose while watching, per namespace."""
        lines = []
        before = {place.namespace.inode: place.counters for place in self._before.namespaces}
        for place in self.machine.namespaces:
            earlier = before.get(place.namespace.inode)
            if earlier is None:
                continue
            rose = {
                name: n - earlier.get(name, 0)
                for name, n in place.counters.items()
                if name.endswith(RISING) and n > earlier.get(name, 0)
            }
            if rose and self._is_near(place.namespace):
                words = ", ".join(f"{name} +{n}" for name, n in rose.items())
                lines.append(f"the kernel counted {words} meanwhile ({space(place.namespace)})")
        return lines

    def _is_near(self, namespace: Namespace) -> bool:
        return any(i.namespace.inode == namespace.inode for i in self._near())


def space(namespace: Namespace) -> str:
    """`this namespace`, `netns a`, `pid 4711 (nginx)`."""
    return "this namespace" if namespace.is_own else namespace.label


def named(i: Interface) -> str:
    """`eth0 (netns a)`."""
    return f"{i.name} ({space(i.namespace)})"


def is_blind_tap(i: Interface) -> bool:
    """A TAP or TUN that is handed unfinished checksums by the stack and cannot say so to its program."""
    return i.tun is not None and i.tun.vnet_hdr is False and i.leaves_checksums


def _programs(path: list[Interface]) -> list[Hop]:
    """Interfaces between the ends with an XDP program."""
    found = tuple(i for i in path if i.xdp)
    redirect = [known for i in found if (known := read_program(i.xdp_program)) and known.redirects_by]
    return [Hop("program", "", 0, found, bool(redirect))] if found else []


def _sockets(near: list[Interface]) -> list[Hop]:
    """Processes that read several interfaces past the kernel; one that reads a single one is a sniffer or a client."""
    held: dict[tuple[str, int], list[tuple[Interface, Reader]]] = defaultdict(list)
    for i in near:
        for reader in i.readers:
            if (
                reader.receives
                and reader.keeps_metadata is not True
                and not reader.any_interface
                and (reader.pid != os.getpid())
            ):
                held[reader.kind, reader.pid].append((i, reader))
    found = []
    for (kind, pid), rows in held.items():
        interfaces = {(i.namespace.inode, i.index): i for i, _ in rows}
        if len(interfaces) > 1 or kind == "xdp":
            found.append(Hop(kind, rows[0][1].program, pid, tuple(interfaces.values())))
    return found
