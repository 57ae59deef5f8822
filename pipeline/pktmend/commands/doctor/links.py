"""Interfaces on their own: addresses and ARP on forwarded ports, frame sizes, tunnels, link errors."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from shlex import quote
from typing import Final

from pktmend.advice.finding import Remedy
from pktmend.advice.place import names, place
from pktmend.advice.remedies import offload
from pktmend.commands.doctor.finding import HostFinding, Severity
from pktmend.commands.doctor.view import View
from pktmend.host.model import Interface, NamespaceFacts

BIG: Final = 65536
SIZES: Final = ("gso_max_size", "gro_max_size", "gso_ipv4_max_size", "gro_ipv4_max_size")
DAMAGE: Final = ("rx_crc_errors", "rx_frame_errors")


def _setting(here: NamespaceFacts | None, interface: Interface, word: str) -> int:
    """The kernel takes the greater of the interface's and conf/all."""
    everywhere = here.settings.get(f"net.ipv4.conf.all.{word}", 0) if here else 0
    return max(everywhere, interface.settings.get(word, 0))


def _sysctl(interface: Interface, word: str, value: int) -> str:
    """With slashes, for names that have a dot."""
    return interface.command(f"sysctl -w {quote(f'net/ipv4/conf/{interface.name}/{word}={value}')}")


def arp_flux(view: View) -> Iterator[HostFinding]:
    """Ports of a userspace hop on which the host answers ARP for addresses it has elsewhere."""
    for hop in view.hops:
        loose, addresses = [], []
        for port in hop.ports:
            here = view.machine.facts_of(port.namespace)
            if port.master or not here or _setting(here, port, "arp_ignore"):
                continue
            others = [a for i in here.interfaces if i.index != port.index and i.is_up for a in i.own_addresses(4)]
            if others:
                loose.append(port)
                addresses += [a for a in others if a not in addresses]
        if loose:
            yield HostFinding(
                name="arp-flux",
                severity=Severity.WARNING,
                title=f"beside {hop.title} the host answers ARP on {names(loose)} for addresses that it has elsewhere",
                meaning="A packet socket copies frames, it does not take them: the host's stack sees them too, and "
                "Linux answers for any of its addresses on any interface. Traffic then goes round the hop, sometimes.",
                evidence=(f"arp_ignore is 0 there; addresses in that namespace: {', '.join(addresses[:4])}",),
                remedies=tuple(
                    Remedy(_sysctl(port, "arp_ignore", 1), "it answers only for addresses of that interface")
                    for port in loose
                ),
                interfaces=tuple(loose),
                reference="Linux Documentation/networking/ip-sysctl.rst, arp_ignore",
            )


def same_network(view: View) -> Iterator[HostFinding]:
    """Two interfaces of one namespace in the same IPv4 network, and ARP answered on both for both."""
    for here in view.machine.namespaces:
        networks: dict[str, list[Interface]] = {}
        for interface in here.interfaces:
            ours = {str(ipaddress.ip_interface(a).network) for a in interface.own_addresses(4)}
            for network in ours:
                if interface.is_up and not network.endswith("/32"):
                    networks.setdefault(network, []).append(interface)
        for network, members in networks.items():
            loose = [i for i in members if not _setting(here, i, "arp_ignore") and not _setting(here, i, "arp_filter")]
            if len(members) > 1 and loose:
                yield HostFinding(
                    name="same-network",
                    severity=Severity.WARNING,
                    title=f"{names(members)} are all in {network}"
                    + ("" if here.namespace.is_own else f" ({here.namespace.label})"),
                    meaning="Each answers ARP for the others' addresses (ARP flux): which one a packet takes is "
                    "chance, and a test of one path may have used another.",
                    evidence=tuple(f"{i.name}: {', '.join(i.own_addresses(4))}" for i in members),
                    remedies=tuple(
                        Remedy(_sysctl(i, "arp_ignore", 1), "answers only for its own addresses") for i in loose
                    ),
                    interfaces=tuple(members),
                    reference="Linux Documentation/networking/ip-sysctl.rst, arp_filter",
                )


def addresses_on_ports(view: View) -> Iterator[HostFinding]:
    """Addresses on an interface that is forwarded by a hop or is a port of a kernel bridge."""
    hops = {(p.namespace.inode, p.index): h for h in view.hops for p in h.ports}
    for interface in view.machine.interfaces():
        hop = hops.get((interface.namespace.inode, interface.index))
        addresses = interface.own_addresses()
        if not addresses or (hop is None and interface.master_kind not in ("bridge", "openvswitch")):
            continue
        forwards = interface.settings.get("forwarding", 0) or interface.settings.get("forwarding6", 0)
        if hop is not None:
            why = (
                "A packet socket copies frames: the host's stack gets them as well and answers"
                + (", and it forwards: " if forwards else ": ")
                + "duplicates, resets, packets that bypass the hop."
            )
            where = hop.title
        else:
            why = (
                "The bridge takes the frames before the stack sees them on this port: the address is dead or works "
                "by chance. It belongs on the bridge."
            )
            where = f"the {interface.master_kind} {interface.master}"
        remedies = [
            Remedy(
                interface.command(f"ip address del {a} dev {quote(interface.name)}"),
                "the host keeps out",
                "the host loses that address",
            )
            for a in addresses
        ]
        yield HostFinding(
            name="address-on-port",
            severity=Severity.WARNING,
            title=f"{place(interface)} is a port of {where} and has addresses of its own",
            meaning=why,
            evidence=(f"addresses: {', '.join(addresses)}", *(["forwarding is on"] if forwards else [])),
            remedies=tuple(remedies),
            interfaces=(interface,),
        )


def super_frames(view: View) -> Iterator[HostFinding]:
    """GRO and LRO on ports of a hop that knows no super-frames; sizes beyond 64 KiB (BIG TCP)."""
    ports = {(p.namespace.inode, p.index) for h in view.hops for p in h.ports}
    for hop in view.hops:
        for port in hop.ports if not hop.keeps_metadata else ():
            coalesced = [word for word, feature in (("gro", "rx-gro"), ("lro", "rx-lro")) if port.has(feature)]
            if coalesced:
                yield HostFinding(
                    name="super-frames-into-hop",
                    severity=Severity.WARNING,
                    title=f"{' and '.join(coalesced)} on {place(port)} makes frames above the MTU for {hop.title}",
                    meaning="The kernel coalesces segments before the hop reads them; without the virtio-net header it "
                    "can neither send them (message too long) nor split them.",
                    evidence=(f"{', '.join(coalesced)} on, MTU {port.mtu}",),
                    remedies=(
                        offload(
                            port,
                            " ".join(f"{word} off" for word in coalesced),
                            "frames arrive as they were on the wire",
                            "more CPU for TCP received on that interface",
                        ),
                    ),
                    interfaces=(port,),
                )
    for interface in view.machine.interfaces():
        sizes = {word: interface.sizes[word] for word in SIZES if interface.sizes.get(word, 0) > BIG}
        if sizes:
            near = (interface.namespace.inode, interface.index) in ports or (
                interface.peer is not None and (interface.peer[0].inode, interface.peer[1]) in ports
            )
            yield HostFinding(
                name="big-tcp",
                severity=Severity.WARNING if near else Severity.INFO,
                title=f"{place(interface)} takes frames above 64 KiB (BIG TCP)",
                meaning="Packet sockets and the virtio-net header were made for 64 KiB: a hop in user space loses or "
                "cuts such frames, and captures show an IP length of 0.",
                evidence=tuple(f"{word} {size}" for word, size in sizes.items()),
                remedies=(
                    Remedy(
                        interface.command(
                            f"ip link set dev {quote(interface.name)} " + " ".join(f"{word} {BIG}" for word in sizes)
                        ),
                        "back to 64 KiB",
                    ),
                ),
                interfaces=(interface,),
                reference="ip-link(8), gso_max_size and gro_max_size",
            )


def tunnels(view: View) -> Iterator[HostFinding]:
    """Checksum settings of tunnels that only work if the other end has the matching one."""
    for interface in view.machine.interfaces():
        t = interface.tunnel
        if t is None:
            continue
        if t.get("remcsumtx"):
            yield HostFinding(
                name="tunnel-remcsum",
                severity=Severity.WARNING,
                title=f"{place(interface)} sends with remote checksum offload",
                meaning="Inner checksums go out partial, and the receiver is to complete them; one that does not "
                "know this VXLAN extension drops the packets.",
                evidence=("remcsumtx is on",),
                remedies=(_recreate(interface, "noremcsumtx", "inner checksums are completed here"),),
                interfaces=(interface,),
                reference="draft-herbert-vxlan-rco; ip-link(8) remcsumtx",
            )
        if t.get("udp6zerocsumtx") and not t.get("udp6zerocsumrx"):
            yield HostFinding(
                name="tunnel-zero-v6",
                severity=Severity.WARNING,
                title=f"{place(interface)} sends UDP over IPv6 without checksum, and refuses to receive it so",
                meaning="Zero is legal over IPv6 only if both ends of the tunnel allow it; an equal set-up at the "
                "other end drops everything.",
                evidence=("udp6zerocsumtx on, udp6zerocsumrx off",),
                remedies=(_recreate(interface, "udp6zerocsumrx", "both directions agree"),),
                interfaces=(interface,),
                reference="RFC 6935, RFC 6936; ip-link(8)",
            )


def _recreate(interface: Interface, word: str, effect: str) -> Remedy:
    """The kernel does not change this setting of a tunnel that exists, and how it was made its owner knows best."""
    return Remedy(
        interface.command(f"ip -d link show dev {quote(interface.name)}"),
        f"shows how it was made; make it anew with the same words and `{word}`: {effect}",
        "the tunnel is interrupted",
    )


def link_errors(view: View) -> Iterator[HostFinding]:
    """Frames that a NIC found damaged: the cause of bad checksums may be a cable, not an offload."""
    for interface in view.machine.interfaces():
        damage = {word: interface.statistics.get(word, 0) for word in DAMAGE}
        damage = {word: n for word, n in damage.items() if n}
        if damage:
            yield HostFinding(
                name="link-errors",
                severity=Severity.WARNING,
                title=f"{place(interface)} has received damaged frames",
                meaning="Cable, transceiver, duplex or a switch port: such a link may also pass damage that no CRC "
                "catches.",
                evidence=tuple(
                    f"{word} {n} of {interface.statistics.get('rx_packets', 0)} received" for word, n in damage.items()
                ),
                remedies=(
                    Remedy(interface.command(f"ethtool -S {quote(interface.name)}"), "the driver's own counters"),
                ),
                interfaces=(interface,),
            )
