"""Findings and facts of interfaces, as text and for --json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pktmend._core import kernels
from pktmend.advice.place import holders_text, place
from pktmend.advice.text import effect_with_cost, remedy_lines, wrapped
from pktmend.commands.doctor.finding import HostFinding, Severity
from pktmend.console.plural import quantity
from pktmend.console.styled import BOLD, RED, YELLOW, styled
from pktmend.host.model import Interface, Machine
from pktmend.host.workloads import words_of


def machine_json(machine: Machine, unread: Sequence[str]) -> dict[str, Any]:
    """What --json tells of the machine."""
    active = next(name for name, _, is_active in kernels() if is_active)
    return {"kernel": machine.release, "namespaces": len(machine.namespaces), "sum": active, "unread": list(unread)}


def interface_json(machine: Machine, i: Interface) -> dict[str, Any]:
    """What --json tells of one interface."""
    peer = machine.peer_of(i)
    return {
        "name": i.name,
        "namespace": i.namespace.word,
        **words_of(i.namespace),
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
        "peer": {"name": peer.name, "namespace": peer.namespace.word, **words_of(peer.namespace)} if peer else None,
        "readers": [
            {"program": r.program, "pid": r.pid, "kind": r.kind, "keeps_note": r.keeps_metadata}
            for r in i.readers
            if r.receives
        ],
    }


def interface_line(machine: Machine, i: Interface) -> str:
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
        held = f", held by {holders_text(i.tun)}" if i.tun.pids else ""
        header = "with" if i.tun.vnet_hdr else "without"
        parts.append(f"{'TAP' if i.tun.is_tap else 'TUN'} {header} virtio-net header{held}")
    if i.xdp:
        parts.append(f"XDP {i.xdp}")
    parts += [
        f"read by {r.program or '?'} (pid {r.pid})"
        + ("" if r.keeps_metadata else ", without the mark of partial checksums")
        for r in i.readers
        if r.receives and not r.any_interface
    ]
    return "; ".join(parts)


def finding_lines(finding: HostFinding) -> list[str]:
    """Return a finding as text."""
    colour = {Severity.PROBLEM: RED, Severity.WARNING: YELLOW}.get(finding.severity, BOLD)
    lines = styled(wrapped(f"{finding.severity}: {finding.title}", "", "  "), colour)
    lines += wrapped(finding.meaning, "  ")
    for each in finding.evidence:
        lines += wrapped(each, "  - ", "    ")
    lines += remedy_lines(finding.remedies, "  ", effect_with_cost)
    return [*lines, *([f"  see {finding.reference}"] if finding.reference else [])]


def last_line(findings: Sequence[HostFinding], path: Sequence[Interface], machine: dict[str, Any]) -> str:
    counts = [sum(f.severity is s for f in findings) for s in Severity]
    spoken = ", ".join(quantity(n, word) for n, word in zip(counts, ("problem", "warning", "note"), strict=True) if n)
    where = quantity(len({i.namespace.inode for i in path}), "namespace")
    return (
        f"{spoken or 'nothing found'}: {quantity(len(path), 'interface')} in {where}, Linux {machine['kernel']}, "
        f"sums by {machine['sum']}"
    )
