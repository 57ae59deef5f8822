"""Remedies: the exact command, with the right interface and namespace, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote
from typing import Final

from pktmend.commands.diagnose.finding import Remedy
from pktmend.commands.diagnose.host_context import Hop, HostContext, named
from pktmend.host.model import Interface

TX_COST: Final = "switches segmentation offload (TSO) off too: more CPU time and less throughput on that interface"
SENDER: Final = "IFACE"
OVS: Final = "ovs-vswitchd"
XDP_WORDS: Final = {"generic": "xdpgeneric", "offloaded": "xdpoffload"}  # ip link: `xdp off` is for the driver's mode
ZERO_REMEDIES: Final = [
    Remedy(
        "ethtool -K VXLAN tx off",
        "run it for the tunnel's device (flannel.1, vxlan.calico, ...) on the nodes: the "
        "packets in it are finished before they are wrapped",
        "switches TSO off for the tunnel",
    ),
    Remedy("uname -r", "Linux 5.7 and later (ea64d8d6c675) leave a zero alone: update the kernel", "a reboot"),
]
NAT_REMEDIES: Final = [
    Remedy(
        "tc filter show dev IFACE ingress; nft list ruleset",
        "look for pedit, bpf or a program that rewrites "
        "headers: in tc, `action csum` goes after `action pedit`; in BPF, bpf_l4_csum_replace() with each change",
    ),
]


def finish_in_software(interface: Interface, why: str) -> Remedy:
    """Let the stack complete checksums before they leave *interface*."""
    return Remedy(interface.command(f"ethtool -K {quote(interface.name)} tx off"), f"{named(interface)} {why}", TX_COST)


def finish_at(address: str) -> Remedy:
    """The same where the interface is not known: on the host of *address*, in its namespace."""
    return Remedy(
        f"ethtool -K {SENDER} tx off",
        f"run it on the sending end, in the namespace of {address}, with its interface for {SENDER}: it "
        "sends finished checksums from then on",
        TX_COST,
    )


def for_leak(ends: Iterable[tuple[str, Interface | None, bool]], hops: list[Hop]) -> list[Remedy]:
    """Return the cures of a hop that loses the note.

    ends: (address, its interface if known, whether it was seen to leak): both ends of the conversations, for the
          answers take the same way.
    """
    remedies = []
    for address, interface, leaks in ends:
        why = (
            "sends finished checksums from then on"
            if leaks
            else "does the same for the answers, which come back through the same hop"
        )
        if interface is None:
            remedies.append(finish_at(address))
        elif leaks or interface.leaves_checksums:
            remedies.append(finish_in_software(interface, why))
    if any(hop.program == OVS for hop in hops):
        remedies.append(
            Remedy(
                "ovs-vsctl set Open_vSwitch . other_config:userspace-tso-enable=true",
                "Open vSwitch keeps the note across its userspace datapath, after a restart of ovs-vswitchd",
                "the restart interrupts all its traffic",
            )
        )
    for hop in hops:
        if hop.kind == "program":
            remedies += [
                Remedy(
                    i.command(f"ip link set dev {quote(i.name)} {XDP_WORDS.get(i.xdp, 'xdp')} off"),
                    f"frames that come in at {named(i)} go through the kernel, note and all",
                    "what the XDP program does is not done any more",
                )
                for i in hop.interfaces
            ]
    return _unique(remedies)


def bridge_command(template: str, around: HostContext | None, target: Interface | None, *, incoming: bool) -> str:
    """Fill in `pktmend bridge`: A the side of the hop, B that of the receiver, whose interface is *target*.

    incoming: the packets arrived at the tapped interface from the hop (else they leave there, or the hop lies behind).
    What is not known here is said in capitals: TO-HOP, a port that the hop is given instead of the receiver's;
    TO-RECEIVER.
    """
    a, b, prefix = "TO-HOP", "TO-RECEIVER", ""
    if around is not None and around.tapped is not None:
        port = around.machine.peer_of(target) if target else None
        if port is None and not incoming:
            port = around.tapped
        if port is not None:
            b, prefix = port.name, port.namespace.prefix
        if (
            incoming
            and around.tapped != target
            and (port is None or (port.namespace.inode == around.tapped.namespace.inode and port != around.tapped))
        ):
            a = around.tapped.name
    command = template.format(a=quote(a), b=quote(b))
    return f"{prefix} {command}" if prefix else command


def _unique(remedies: list[Remedy]) -> list[Remedy]:
    return list({(remedy.command, remedy.effect): remedy for remedy in remedies}.values())
