"""All checks, and what of their findings concerns the path that was asked for."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from pktmend.commands.doctor import datapaths, devices, hops, kernel_log, kernels, links, system
from pktmend.commands.doctor.finding import HostFinding
from pktmend.commands.doctor.view import View
from pktmend.errors import OSFailure, PrivilegeError
from pktmend.host.model import Interface
from pktmend.host.namespaces import Namespace

CHECKS: Final[tuple[Callable[[View], Iterator[HostFinding]], ...]] = (
    hops.lost_metadata,
    devices.taps,
    devices.xdp,
    datapaths.ovs_datapaths,
    links.arp_flux,
    links.addresses_on_ports,
    links.same_network,
    links.super_frames,
    links.tunnels,
    links.link_errors,
    kernel_log.log_lines,
    kernels.kernel_bugs,
    system.counters,
    system.capabilities,
    system.cut_through,
    system.memory,
    system.simd,
)


def examine(view: View) -> list[HostFinding]:
    """Return what all checks find, the worst first."""
    return sorted((f for check in CHECKS for f in check(view)), key=lambda f: f.severity)


def path_of(view: View, names: Sequence[str], namespace: Namespace | None) -> list[Interface]:
    """Return the interfaces that are named, and what shares a path with them: peers, co-ports, what they run over.

    No names: everything in *namespace* and on its paths; with neither, everything.
    """
    machine = view.machine
    if not names and namespace is None:
        return list(machine.interfaces())
    here = machine.facts_of(namespace) if namespace else machine.namespaces[0]
    if here is None:
        raise PrivilegeError(
            f"{namespace.label if namespace else 'the namespace'} could not be read", "needs CAP_SYS_ADMIN"
        )
    found: dict[tuple[int, int], Interface] = {}
    todo = [_named(here.interfaces, name, here.namespace) for name in names] or list(here.interfaces)
    while todo:
        interface = todo.pop()
        if (interface.namespace.inode, interface.index) not in found:
            found[interface.namespace.inode, interface.index] = interface
            todo += _neighbours(view, interface)
    return list(found.values())


def _named(interfaces: Sequence[Interface], name: str, namespace: Namespace) -> Interface:
    for interface in interfaces:
        if interface.name == name:
            return interface
    where = "" if namespace.is_own else f" in {namespace.label}"
    raise OSFailure(f"there is no interface {name!r}{where}", "`ip link` lists them", errno.ENODEV, name)


def _neighbours(view: View, interface: Interface) -> list[Interface]:
    machine = view.machine
    near = [machine.peer_of(interface)]
    near += [
        other
        for other in machine.interfaces()
        if other.namespace.inode == interface.namespace.inode
        and (other.name in (interface.master, interface.lower) or interface.name in (other.master, other.lower))
    ]
    for hop in view.hops:
        if any(p.index == interface.index and p.namespace.inode == interface.namespace.inode for p in hop.ports):
            near += hop.ports
    return [i for i in near if i is not None]


def concerns(finding: HostFinding, path: Sequence[Interface]) -> bool:
    """Is it about one of these interfaces, their namespaces, or the whole machine?"""
    on_path = {(i.namespace.inode, i.index) for i in path}
    if finding.interfaces:
        return any((i.namespace.inode, i.index) in on_path for i in finding.interfaces)
    return not finding.namespaces or any(n.inode in {i.namespace.inode for i in path} for n in finding.namespaces)
