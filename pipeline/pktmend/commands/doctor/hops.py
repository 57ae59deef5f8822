"""Userspace hops that lose the kernel's mark of partial checksums, and what cures that."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote
from typing import Final

from pktmend.advice.finding import Remedy
from pktmend.advice.place import names, place
from pktmend.advice.remedies import TX_COST, ovs_tso, tx_off, vsctl
from pktmend.advice.userspace_hops import UserspaceHop
from pktmend.commands.doctor.finding import HostFinding, Severity
from pktmend.commands.doctor.view import View
from pktmend.host.model import Interface
from pktmend.host.ovs import OVS
from pktmend.host.rtnetlink import PAIRS

SENDERS_FINISH: Final = "the sender's CPU completes the checksum before the frame reaches the hop"


def lost_metadata(view: View) -> Iterator[HostFinding]:
    """Hops that lose the mark while a sender behind them leaves checksums partial."""
    for hop in view.hops:
        if hop.keeps_metadata:
            continue
        ends = [(port, view.machine.peer_of(port)) for port in hop.ports]
        senders = [end for _, end in ends if end is not None and end.leaves_checksums]
        guests = [port for port, _ in ends if _has_guest(port, hop)]
        hidden = [port for port, end in ends if port.kind in PAIRS and end is None]
        if senders or guests:
            is_sure = hop.is_sure and hop.keeps_metadata is False
            yield _loses(view, hop, senders, guests, Severity.PROBLEM if is_sure else Severity.WARNING)
        elif hidden:
            yield HostFinding(
                name="userspace-hop-unseen",
                severity=Severity.WARNING,
                title=f"{hop.title} forwards {names(hop.ports)}; what sends through it could not be looked at",
                meaning="If the other ends leave checksums to offload, their TCP and UDP dies here.",
                evidence=tuple(
                    f"the other end of {place(port)} is in a namespace that could not be read" for port in hidden
                ),
                remedies=(Remedy("sudo pktmend doctor", "looks into every namespace"),),
                interfaces=hop.ports,
            )
        else:
            yield HostFinding(
                name="userspace-hop-finished",
                severity=Severity.INFO,
                title=f"{hop.title} forwards {names(hop.ports)}; what sends through it completes checksums itself",
                meaning="It loses the kernel's mark of partial checksums, and there is none to lose.",
                interfaces=hop.ports,
            )


def _has_guest(port: Interface, hop: UserspaceHop) -> bool:
    """A TAP with the header, held by another process: a guest may leave checksums partial."""
    return bool(port.tun and port.tun.is_tap and port.tun.vnet_hdr and hop.pid not in port.tun.pids)


def _loses(
    view: View, hop: UserspaceHop, senders: list[Interface], guests: list[Interface], severity: Severity
) -> HostFinding:
    return HostFinding(
        name="userspace-hop",
        severity=severity,
        title=f"{hop.title} {'forwards' if hop.is_sure else 'may forward'} {names(hop.ports)} and loses the kernel's "
        "mark of partial checksums",
        meaning="What is sent through it arrives with a checksum that nothing will complete: the receiver drops TCP "
        "and UDP and counts InCsumErrors, while ping works.",
        evidence=tuple(_evidence(view, hop, senders, guests)),
        remedies=tuple(_remedies(view, hop, senders, guests)),
        interfaces=(*hop.ports, *senders),
        reference="pktmend help findings; Open vSwitch: Documentation/topics/userspace-tso.rst",
    )


def _evidence(view: View, hop: UserspaceHop, senders: list[Interface], guests: list[Interface]) -> Iterator[str]:
    if hop.keeps_metadata is False:
        yield f"its sockets lack PACKET_VNET_HDR on {names(hop.ports)}"
    else:
        yield f"it reads {names(hop.ports)}; this kernel does not tell whether it keeps the mark"
    for end in senders:
        segments = ", tso on: frames of up to 64 KiB" if end.makes_super_frames else ""
        yield f"{place(end)} sends through it: tx checksum offload on{segments}"
    for end in senders:
        for t in view.machine.interfaces():
            if t.tunnel is not None and t.lower == end.name and t.namespace.inode == end.namespace.inode:
                yield f"{place(t)} is a tunnel over {t.lower}: its inner checksums leak too"
    for port in guests:
        yield f"{place(port)} is a TAP with the virtio-net header: its guest may leave checksums"
    for port in hop.ports:
        for i in (port, view.machine.peer_of(port)):
            if i and i.kind in PAIRS and not i.has("rx-checksum"):
                yield f"rx is off on {place(i)}: that does not help, the sender decides"


def _remedies(view: View, hop: UserspaceHop, senders: list[Interface], guests: list[Interface]) -> Iterator[Remedy]:
    for end in senders:
        yield tx_off(end, SENDERS_FINISH)
    for port in guests:
        yield Remedy(
            "",
            f"in the guest behind {port.name}, `ethtool -K eth0 tx off` with its interface's name, or "
            f"for good in its definition <driver><host csum='off' .../></driver>: {SENDERS_FINISH}",
            TX_COST,
        )
    if hop.program == OVS:
        yield ovs_tso(hop.database)
    leaky = [port for port in hop.ports if view.machine.peer_of(port) in senders or port in guests]
    yield from _bridges(view, hop, leaky)


def _bridges(view: View, hop: UserspaceHop, ports: list[Interface]) -> Iterator[Remedy]:
    """Put `pktmend bridge` between the hop and each of *ports*, by veth pairs that take the ports' places.

    One bridge completes what leaves the hop leaked, wherever it came from.  But what is above the MTU has to be split
    before the hop, which would drop it, so each end that leaves such frames needs one of its own.
    """
    taken: dict[int, set[str]] = {}
    for port in ports:
        here = view.machine.facts_of(port.namespace)
        used = taken.setdefault(port.namespace.inode, {i.name for i in here.interfaces} if here else set())
        number = next(n for n in ("", *map(str, range(2, len(used) + 3))) if not {f"to-hop{n}", f"at-hop{n}"} & used)
        ours, its, name = f"to-hop{number}", f"at-hop{number}", quote(port.name)
        used |= {ours, its}
        lines = [
            port.command(words)
            for words in (
                f"ip link add {ours} mtu {port.mtu} type veth peer name {its} mtu {port.mtu}",
                f"ip link set dev {ours} up",
                f"ip link set dev {its} up",
            )
        ]
        then = f"Then give {its} to {hop.program or 'the process'} in {port.name}'s place, as its port: the bridge"
        if hop.switch is not None:
            ask = vsctl(hop.switch.database)
            lines.append(f'{ask} add-port "$({ask} port-to-br {name})" {its} -- del-port {name}')
            then = "The bridge"
        lines.append(port.command(f"pktmend bridge -i {ours} -I {name} --finish {ours}"))
        scope = f". This one is for {port.name}: each of these ports needs its own" if len(ports) > 1 else ""
        yield Remedy(
            "\n".join(lines),
            f"{then} completes and splits what goes to the hop and completes what comes "
            f"leaked, offloads stay as they are{scope}",
            "pktmend must keep running",
        )
