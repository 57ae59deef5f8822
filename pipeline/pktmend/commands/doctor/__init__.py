"""`pktmend doctor`: look at the set-up of this machine before any packet is bad.

Rules of this package:
1. A check is a small function from a View to findings; CHECKS is all of them.  None changes anything.
2. A finding has a reason and a command that can be typed as it is, its namespace included.
3. A healthy default machine gets one line.
"""

from __future__ import annotations

import itertools
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from pktmend.commands.doctor import hops, kernels, links, system
from pktmend.commands.doctor.counter_rise import look_again
from pktmend.commands.doctor.finding import Finding, Severity, place
from pktmend.commands.doctor.ovs import find_switches
from pktmend.console.plural import quantity
from pktmend.console.report import print_json
from pktmend.errors import OSFailure, PktmendError, PrivilegeError
from pktmend.host.machine import read_machine
from pktmend.host.model import Interface, Machine, Unread
from pktmend.host.namespaces import Namespace, find_namespace

CHECKS: Final[tuple[Callable[[hops.View], Iterator[Finding]], ...]] = (
    hops.lost_notes,
    hops.taps,
    hops.xdp,
    hops.ovs_datapaths,
    links.arp_flux,
    links.addresses_on_ports,
    links.same_network,
    links.super_frames,
    links.tunnels,
    links.link_errors,
    kernels.kernel_bugs,
    system.counters,
    system.capabilities,
    system.memory,
    system.simd,
)
WIDTH: Final = 110


def look() -> hops.View:
    """Read the machine, and after a moment its counters once more."""
    began = time.monotonic()
    machine, switches = read_machine(), find_switches()
    return hops.View(machine, hops.find_hops(machine, switches), switches, look_again(machine, began))


def examine(view: hops.View) -> list[Finding]:
    """Return what all checks find, the worst first."""
    return sorted((f for check in CHECKS for f in check(view)), key=lambda f: f.severity)


def path_of(view: hops.View, names: Sequence[str], namespace: Namespace | None) -> list[Interface]:
    """Return the interfaces that are named, and what shares a path with them: peers, co-ports, what they run over.

    No names: everything in *namespace* and on its paths; with neither, everything.
    """
    machine = view.machine
    if not names and namespace is None:
        return list(machine.interfaces())
    spot = machine.place_of(namespace) if namespace else machine.places[0]
    if spot is None:
        raise PrivilegeError(
            f"{namespace.label if namespace else 'the namespace'} could not be read", "needs CAP_SYS_ADMIN"
        )
    found: dict[tuple[int, int], Interface] = {}
    todo = [_named(spot.interfaces, name, spot.namespace) for name in names] or list(spot.interfaces)
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
    raise OSFailure(f"there is no interface {name!r}{where}", "`ip link` lists them", subject=name)


def _neighbours(view: hops.View, interface: Interface) -> list[Interface]:
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


def concerns(finding: Finding, path: Sequence[Interface]) -> bool:
    """Is it about one of these interfaces, their namespaces, or the whole machine?"""
    on_path = {(i.namespace.inode, i.index) for i in path}
    if finding.interfaces:
        return any((i.namespace.inode, i.index) in on_path for i in finding.interfaces)
    return not finding.namespaces or any(n.inode in {i.namespace.inode for i in path} for n in finding.namespaces)


def run_doctor(*, names: Sequence[str], netns: str | None, watch: float, json: bool) -> int:
    """Print the findings; return 1 if one of them is a problem."""
    namespace = find_namespace(netns) if netns else None
    began = time.monotonic()
    view = look()
    path = path_of(view, names, namespace)
    unread = [_unread_text(each) for each in view.machine.unread]
    dropped = _watched(watch, unread) if watch else []
    if watch:
        view = replace(view, rise=look_again(view.machine, began, everywhere=True))
    findings = sorted([f for f in examine(view) if concerns(f, path)] + dropped, key=lambda f: f.severity)
    machine = _machine_json(view.machine, unread)
    if json:
        for finding in findings:
            print_json({"finding": finding.as_json()})
        counts = {f"{s}s": sum(f.severity is s for f in findings) for s in Severity}
        print_json({"summary": {**counts, **machine, "interfaces": [_facts(view.machine, i) for i in path]}})
    else:
        if names or namespace:
            print("\n".join(_fact_line(view.machine, i) for i in path), end="\n\n")
        for finding in findings:
            print("\n".join(_lines(finding)), end="\n\n")
        print(_last_line(findings, path, machine))
        for what in unread:
            print(f"pktmend: not looked at: {what}", file=sys.stderr)
    return int(any(f.severity is Severity.PROBLEM for f in findings))


def _unread_text(each: Unread) -> str:
    subject = f"{each.subject} {quantity(each.processes, 'process')}" if each.processes else each.subject
    return f"{subject} ({each.reason})"


def _watched(seconds: float, unread: list[str]) -> list[Finding]:
    """Let *seconds* pass and return what the kernel said it dropped; where it cannot say, the counters must do."""
    from pktmend.commands.doctor.drops import watch_drops
    from pktmend.console.signals import Signals

    stop = Signals().stop
    try:
        return watch_drops(seconds, stop.wait)
    except PktmendError as error:
        unread.append(f"drop reasons: {error}")
        print(
            f"pktmend: {error}; watching each namespace's counters instead, which do not tell where",
            file=sys.stderr,
            flush=True,
        )
        stop.wait(seconds)
        return []


def _machine_json(machine: Machine, unread: Sequence[str]) -> dict[str, Any]:
    from pktmend._core import kernels as sums

    active = next(name for name, _, is_active in sums() if is_active)
    return {"kernel": machine.release, "namespaces": len(machine.places), "sum": active, "unread": list(unread)}


def _facts(machine: Machine, i: Interface) -> dict[str, Any]:
    """What --json tells of one interface."""
    peer = machine.peer_of(i)
    return {
        "name": i.name,
        "namespace": i.namespace.word,
        "kind": i.kind,
        "up": i.is_up,
        "mtu": i.mtu,
        "master": i.master,
        "addresses": list(i.addresses),
        "xdp": i.xdp,
        "tunnel": i.tunnel,
        "tx": i.leaves_checksums,
        "rx": i.has("rx-checksum"),
        "tso": i.makes_super_frames,
        "gro": i.has("rx-gro"),
        "vnet_hdr": i.tun.vnet_hdr if i.tun else None,
        "sizes": i.sizes,
        "peer": {"name": peer.name, "namespace": peer.namespace.word} if peer else None,
        "readers": [
            {"program": r.program, "pid": r.pid, "kind": r.kind, "keeps_note": r.keeps_note}
            for r in i.readers
            if r.receives
        ],
    }


def _fact_line(machine: Machine, i: Interface) -> str:
    """`pa (netns node): veth, mtu 1500, tx on, tso on, gro off; other end eth0 in netns a; read by ...`."""

    def word(on: bool) -> str:
        return "on" if on else "off"

    head = f"{place(i)}: {i.kind}{'' if i.is_up else ', down'}, mtu {i.mtu}"
    if i.features is not None:
        head += f", tx {word(i.leaves_checksums)}, rx {word(i.has('rx-checksum'))}, tso {word(i.makes_super_frames)}"
        head += f", gro {word(i.has('rx-gro'))}"
    parts = [head]
    peer = machine.peer_of(i)
    if peer is not None:
        parts.append(f"other end {place(peer)}")
    elif i.peer_is_elsewhere:
        parts.append("other end in a namespace that could not be read")
    if i.master:
        parts.append(f"port of {i.master} ({i.master_kind})")
    if i.tunnel is not None:
        parts.append(", ".join(f"{word_} {value}" for word_, value in i.tunnel.items()))
    if i.tun is not None:
        parts.append(f"{'TAP' if i.tun.is_tap else 'TUN'} {'with' if i.tun.vnet_hdr else 'without'} virtio-net header")
    if i.xdp:
        parts.append(f"XDP {i.xdp}")
    parts += [
        f"read by {r.program or '?'} (pid {r.pid})" + ("" if r.keeps_note else ", without the note on checksums")
        for r in i.readers
        if r.receives and not r.any_interface
    ]
    return "; ".join(parts)


def _lines(finding: Finding) -> list[str]:
    lines = _wrapped(f"{finding.severity}: {finding.title}", "", "  ")
    lines += _wrapped(finding.why, "  ", "  ")
    for each in finding.evidence:
        lines += _wrapped(each, "  - ", "    ")
    for (effect, side_effect), group in itertools.groupby(finding.remedies, key=lambda r: (r.effect, r.side_effect)):
        commands = [line for remedy in group for line in remedy.command.splitlines()]
        lines += [f"  $ {line}" for line in commands]
        cost = f" Cost: {side_effect}." if side_effect else ""
        lines += _wrapped(f"{effect}.{cost}", "      " if commands else "  * ", "      " if commands else "    ")
    return [*lines, *([f"  see {finding.reference}"] if finding.reference else [])]


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _last_line(findings: Sequence[Finding], path: Sequence[Interface], machine: dict[str, Any]) -> str:
    counts = [sum(f.severity is s for f in findings) for s in Severity]
    spoken = ", ".join(quantity(n, word) for n, word in zip(counts, ("problem", "warning", "note"), strict=True) if n)
    where = quantity(len({i.namespace.inode for i in path}), "namespace")
    return (
        f"{spoken or 'nothing found'}: {quantity(len(path), 'interface')} in {where}, Linux {machine['kernel']}, "
        f"sums by {machine['sum']}"
    )
