"""Read the facts: namespace by namespace on threads, then joined across them."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from pktmend._kernel import lib
from pktmend.errors import OSFailure, PktmendError, PrivilegeError
from pktmend.host.ethtool import features_of
from pktmend.host.model import ETH_P_ALL, Interface, Machine, NamespaceFacts, Reader, Tun, Unread, UnreadKind
from pktmend.host.namespaces import Listing, Namespace, call
from pktmend.host.netlink import number
from pktmend.host.packet_sockets import Holders, PacketSocket, holders, packet_sockets, xdp_sockets
from pktmend.host.processes import program_of
from pktmend.host.rtnetlink import PAIRS, Link, read_addresses, read_links, read_nsid
from pktmend.host.snmp import read_counters
from pktmend.host.workloads import named_listing

GRE_CSUM: Final = socket.ntohs(lib.GRE_CSUM)
PER_INTERFACE: Final = ("arp_ignore", "arp_filter", "rp_filter", "forwarding", "proxy_arp")
TUNNELS: Final = {  # kind: {our word, as iproute2 has it: attribute}
    "vxlan": {
        "udpcsum": lib.IFLA_VXLAN_UDP_CSUM,
        "udp6zerocsumtx": lib.IFLA_VXLAN_UDP_ZERO_CSUM6_TX,
        "udp6zerocsumrx": lib.IFLA_VXLAN_UDP_ZERO_CSUM6_RX,
        "remcsumtx": lib.IFLA_VXLAN_REMCSUM_TX,
        "remcsumrx": lib.IFLA_VXLAN_REMCSUM_RX,
    },
    "geneve": {
        "udpcsum": lib.IFLA_GENEVE_UDP_CSUM,
        "udp6zerocsumtx": lib.IFLA_GENEVE_UDP_ZERO_CSUM6_TX,
        "udp6zerocsumrx": lib.IFLA_GENEVE_UDP_ZERO_CSUM6_RX,
    },
}
GRE_KINDS: Final = ("gre", "gretap", "ip6gre", "ip6gretap", "erspan")


def read_machine() -> Machine:
    """Read every namespace that can be reached."""
    listing = named_listing()
    unread: list[Unread] = []
    if listing.unreadable:
        unread.append(Unread(UnreadKind.NAMESPACES_OF_PROCESSES, processes=listing.unreadable))
    raw: list[_Raw] = []
    closed = []
    for namespace in listing.found:
        try:
            raw.append(call(namespace, partial(_read_namespace, namespace, listing)))
        except PrivilegeError:
            closed.append(namespace.label)
        except PktmendError as error:
            unread.append(Unread(UnreadKind.FAILED, (namespace.label,), error=str(error)))
        except OSError as error:
            unread.append(Unread(UnreadKind.FAILED, (namespace.label,), error=error.strerror or str(error)))
    if closed:
        unread.append(Unread(UnreadKind.CLOSED, tuple(closed)))
    inodes = [row.inode for each in raw for row in each.packet] + [row[0] for each in raw for row in each.xdp]
    held = holders(inodes, taps=any(i.tun for each in raw for i in each.interfaces))
    if held.unreadable and inodes:
        unread.append(Unread(UnreadKind.SOCKETS_OF_PROCESSES, processes=held.unreadable))
    return Machine(os.uname().release, tuple(_join(each, raw, held) for each in raw), tuple(unread))


@dataclass(frozen=True)
class _Raw:
    """What one namespace said, before it is linked with the others'."""

    namespace: Namespace
    interfaces: list[Interface]
    links: list[Link]
    targets: dict[int, Namespace]
    packet: list[PacketSocket]
    xdp: list[tuple[int, int]]
    hidden_xdp: int
    counters: dict[str, int]
    settings: dict[str, int]


def _read_namespace(namespace: Namespace, listing: Listing) -> _Raw:
    """Runs inside the namespace."""
    links, addresses = read_links(), read_addresses()
    names = {link.index: link.name for link in links}
    kinds = {link.index: link.kind for link in links}
    wanted = {link.link_nsid for link in links if link.link_nsid >= 0}
    targets: dict[int, Namespace] = {}
    for other in listing.found:
        if not wanted - targets.keys():
            break
        try:
            number_there = read_nsid(other.path)
        except OSError:
            continue  # gone, or not ours to open
        if number_there in wanted:
            targets[number_there] = other
    interfaces = [_interface(namespace, link, names, kinds, addresses) for link in links]
    xdp, hidden = xdp_sockets()
    return _Raw(namespace, interfaces, links, targets, packet_sockets(), xdp, hidden, read_counters(), _settings())


def _interface(
    namespace: Namespace, link: Link, names: dict[int, str], kinds: dict[int, str], addresses: dict[int, list[str]]
) -> Interface:
    return Interface(
        namespace=namespace,
        index=link.index,
        name=link.name,
        kind=link.kind or "physical",
        is_up=link.is_up,
        mtu=link.mtu,
        mac=link.mac,
        addresses=tuple(addresses.get(link.index, ())),
        master=names.get(link.master, ""),
        master_kind=link.master_kind or kinds.get(link.master, ""),
        lower=_lower(link, names),
        device=link.device,
        xdp=link.xdp,
        xdp_program=link.xdp_program,
        features=_features(link.name),
        sizes=link.sizes,
        statistics=link.statistics,
        settings=_interface_settings(link.name),
        peer_is_elsewhere=link.kind in PAIRS and link.link_nsid >= 0,
        tun=_tun(link),
        tunnel=_tunnel(link),
    )


def _lower(link: Link, names: dict[int, str]) -> str:
    if link.kind in PAIRS:
        return ""
    over = (
        number(link.data.get(lib.IFLA_VXLAN_LINK)) if link.kind == "vxlan" else link.link if link.link_nsid < 0 else 0
    )
    return names.get(over, "") if over != link.index else ""


def _features(name: str) -> dict[str, bool] | None:
    try:
        return features_of(name)
    except OSFailure:
        return None


def _tun(link: Link) -> Tun | None:
    if link.kind != "tun":
        return None
    header = link.data.get(lib.IFLA_TUN_VNET_HDR)
    kind = link.data.get(lib.IFLA_TUN_TYPE)
    is_tap = number(kind) == lib.IFF_TAP if kind is not None else bool(link.mac)
    return Tun(is_tap, None if header is None else bool(header[0]), bool(number(link.data.get(lib.IFLA_TUN_PI))))


def _tunnel(link: Link) -> dict[str, int] | None:
    data = link.data
    if link.kind in GRE_KINDS:
        flags = [int.from_bytes(data.get(kind, b"\0\0"), "big") for kind in (lib.IFLA_GRE_OFLAGS, lib.IFLA_GRE_IFLAGS)]
        return {"ocsum": int(bool(flags[0] & GRE_CSUM)), "icsum": int(bool(flags[1] & GRE_CSUM))}
    if link.kind not in TUNNELS:
        return None
    # A flag that is absent is off; udpcsum is a number of one byte.
    found = {
        word: int(kind in data and (data[kind] == b"" or data[kind] != b"\0"))
        for word, kind in TUNNELS[link.kind].items()
    }
    identity, port = (
        (lib.IFLA_VXLAN_ID, lib.IFLA_VXLAN_PORT) if link.kind == "vxlan" else (lib.IFLA_GENEVE_ID, lib.IFLA_GENEVE_PORT)
    )
    return found | {"id": number(data.get(identity)), "port": int.from_bytes(data.get(port, b""), "big")}


def _join(each: _Raw, raw: list[_Raw], held: Holders) -> NamespaceFacts:
    """Add what needs several namespaces: veth peers, verified from both sides, and the holders of sockets and TAPs."""
    links = {other.namespace.inode: {link.index: link for link in other.links} for other in raw}
    interfaces = []
    for interface, link in zip(each.interfaces, each.links, strict=True):
        peer, tun = None, interface.tun
        if link.kind in PAIRS:
            where = each.targets.get(link.link_nsid) if link.link_nsid >= 0 else each.namespace
            back = links.get(where.inode, {}).get(link.link) if where else None
            if where is not None and back is not None and back.kind == link.kind and back.link == link.index:
                peer = (where, back.index)
        if tun is not None:
            # The kernel tells a process's TAPs by name alone: in doubt, the process that is in its namespace.
            pids = held.taps.get(link.name, [])
            tun = replace(tun, pids=tuple([pid for pid in pids if pid in each.namespace.pids] or pids))
        interfaces.append(replace(interface, peer=peer, tun=tun, readers=_readers(each, link.index, held.sockets)))
    return NamespaceFacts(each.namespace, tuple(interfaces), each.counters, each.settings, each.hidden_xdp)


def _readers(each: _Raw, index: int, pids: dict[int, int]) -> tuple[Reader, ...]:
    found = []
    for row in each.packet:
        if row.interface in (0, index):
            pid = pids.get(row.inode, 0)
            found.append(
                Reader(
                    "packet",
                    row.inode,
                    pid,
                    program_of(pid),
                    row.keeps_metadata,
                    row.protocol,
                    row.has_filter,
                    row.interface == 0,
                )
            )
    for inode, bound in each.xdp:
        if bound == index:
            pid = pids.get(inode, 0)
            found.append(Reader("xdp", inode, pid, program_of(pid), False, ETH_P_ALL, False, False))
    return tuple(found)


def _read_number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _interface_settings(name: str) -> dict[str, int]:
    conf = Path("/proc/sys/net/ipv4/conf") / name
    found = {word: _read_number(conf / word) for word in PER_INTERFACE}
    found["forwarding6"] = _read_number(Path("/proc/sys/net/ipv6/conf") / name / "forwarding")
    return {word: value for word, value in found.items() if value is not None}


def _settings() -> dict[str, int]:
    """The settings of the calling thread's namespace, by their sysctl names; what it does not have is left out."""
    names = [
        "net.ipv4.ip_forward",
        "net.ipv6.conf.all.forwarding",
        "net.core.rmem_max",
        "net.core.wmem_max",
        "net.netfilter.nf_conntrack_checksum",
        "net.bridge.bridge-nf-call-iptables",
        "net.core.bpf_jit_enable",
    ]
    names += [f"net.ipv4.conf.all.{word}" for word in PER_INTERFACE]
    found = {name: _read_number(Path("/proc/sys", *name.split("."))) for name in names}
    return {name: value for name, value in found.items() if value is not None}
