"""What this machine's set-up is: interfaces of every namespace, their peers, offloads, who reads them, counters.

Rules of this file:
1. Facts only, frozen; what they mean is for diagnose and doctor.
2. What could not be read is None or missing and named in Machine.unread, never guessed.
3. Nothing needs to be installed: netlink, ioctl and /proc.  Without privilege our own namespace is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

from pipeline.errors import CaptureError, PipelineError
from pipeline.features import features_of
from pipeline.machine.counters import read_counters
from pipeline.machine.links import Link, read_addresses, read_links, read_nsid
from pipeline.machine.netlink import number
from pipeline.machine.sockets import Holders, PacketSocket, holders, packet_sockets, xdp_sockets
from pipeline.namespaces import Listing, Namespace, call, list_namespaces, program_of

TUN_TYPE, TUN_PI, TUN_VNET_HDR = 3, 4, 5  # IFLA_TUN_*
IFF_TAP: Final = 2
GRE_CSUM: Final = 0x8000
ETH_P_ALL: Final = 3
PER_INTERFACE: Final = ("arp_ignore", "arp_filter", "rp_filter", "forwarding", "proxy_arp")
CHECKSUM: Final = ("tx-checksum-ip-generic", "tx-checksum-ipv4", "tx-checksum-ipv6")
SEGMENTATION: Final = ("tx-tcp-segmentation", "tx-tcp6-segmentation")
TUNNELS: Final = {  # kind: {our word: (attribute, how to read it)}
    "vxlan": {"udpcsum": 18, "udp6zerocsumtx": 19, "udp6zerocsumrx": 20, "remcsumtx": 21, "remcsumrx": 22},
    "geneve": {"udpcsum": 8, "udp6zerocsumtx": 9, "udp6zerocsumrx": 10},
}
GRE_KINDS: Final = ("gre", "gretap", "ip6gre", "ip6gretap", "erspan")
VXLAN_ID, VXLAN_LINK, VXLAN_PORT, GENEVE_ID, GENEVE_PORT, GRE_OFLAGS, GRE_IFLAGS = 1, 3, 15, 1, 5, 3, 2


@dataclass(frozen=True)
class Tun:
    """How a TUN or TAP device was opened.

    is_tap:      Ethernet frames (else IP packets).
    vnet_hdr:    IFF_VNET_HDR: each frame carries the virtio-net header, and with it the note on its checksum;
                 None where the kernel does not tell (before 4.20).
    packet_info: the four octets of IFF_PI are there.
    pids:        processes that have it open; empty if none was found.
    TUN_F_CSUM and TUN_F_TSO* are visible as the features of the interface.
    """

    is_tap: bool
    vnet_hdr: bool | None
    packet_info: bool
    pids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reader:
    """A socket that gets frames of an interface past the host stack.

    kind:       "packet" or "xdp".
    inode:      of the socket.      pid: a process that holds it, 0 if not found.      program: its name.
    keeps_note: PACKET_VNET_HDR is set: the kernel's note on unfinished checksums travels; None if unknown.
    protocol:   the EtherType it asks for; 3 is all of them, 0 none: it only sends.
    has_filter: a classic BPF filter picks its frames; None if unknown.
    any_interface: bound to none, so it sees all of its namespace.
    """

    kind: str
    inode: int
    pid: int
    program: str
    keeps_note: bool | None
    protocol: int
    has_filter: bool | None
    any_interface: bool

    @property
    def receives(self) -> bool:
        """It asks for frames; a socket with protocol 0 only sends."""
        return self.protocol != 0

    @property
    def receives_all(self) -> bool:
        """It asks for every frame, whatever its EtherType."""
        return self.protocol == ETH_P_ALL


@dataclass(frozen=True)
class Interface:
    """One interface.

    namespace:   where it is.                        index: its number there.
    kind:        veth, tun, vxlan, geneve, gre, bridge, ... as `ip -d link` says; "physical" for a driver's own.
    mtu, mac, addresses ("10.0.0.1/24"), is_up.
    master:      name of the bridge, bond or switch it is a port of; master_kind: bridge, openvswitch, bond, ...
    lower:       name of the interface it runs over (VLAN, VXLAN with a device, macvlan), empty if none is set.
    device:      of the bus it sits on, empty if none.
    xdp:         "" | native | generic | offloaded | several; xdp_program: its id.
    features:    {name: active} as `ethtool -k` has them from the kernel; None if they could not be read.
    sizes:       gso_max_size, gso_max_segs, gro_max_size, gso_ipv4_max_size, gro_ipv4_max_size, as far as known.
    statistics:  rtnl_link_stats64 by name.          settings: sysctls of this interface, PER_INTERFACE.
    peer:        (namespace, index) of a veth's other end; None if there is none or it could not be found.
    peer_is_elsewhere: the kernel says that the other end is in a namespace of its own.
    tun, tunnel: of those kinds.  tunnel: {"udpcsum": True, ..., "id": 42, "port": 4789} or {"ocsum": .., "icsum": ..}
    readers:     who reads it with packet or AF_XDP sockets.
    """

    namespace: Namespace
    index: int
    name: str
    kind: str
    is_up: bool
    mtu: int
    mac: str
    addresses: tuple[str, ...] = ()
    master: str = ""
    master_kind: str = ""
    lower: str = ""
    device: str = ""
    xdp: str = ""
    xdp_program: int = 0
    features: dict[str, bool] | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    statistics: dict[str, int] = field(default_factory=dict)
    settings: dict[str, int] = field(default_factory=dict)
    peer: tuple[Namespace, int] | None = None
    peer_is_elsewhere: bool = False
    tun: Tun | None = None
    tunnel: dict[str, int] | None = None
    readers: tuple[Reader, ...] = ()

    def has(self, *names: str) -> bool:
        """Is one of these features active?  False too if they could not be read."""
        return any((self.features or {}).get(name, False) for name in names)

    @property
    def leaves_checksums(self) -> bool:
        """What it sends may be unfinished: the stack leaves TCP and UDP checksums to it."""
        return self.has(*CHECKSUM)

    @property
    def makes_super_frames(self) -> bool:
        """What it sends may exceed the MTU: the stack leaves segmentation to it."""
        return self.has(*SEGMENTATION)

    def command(self, words: str) -> str:
        """Return the shell command *words*, run where this interface is."""
        return self.namespace.command(words)


@dataclass(frozen=True)
class Place:
    """One namespace and what is in it.

    counters: as nstat names them.  settings: {"net.ipv4.ip_forward": 0, ...} of this namespace.
    hidden_xdp_sockets: AF_XDP sockets that the kernel counts but does not list.
    """

    namespace: Namespace
    interfaces: tuple[Interface, ...]
    counters: dict[str, int]
    settings: dict[str, int]
    hidden_xdp_sockets: int = 0


@dataclass(frozen=True)
class Machine:
    """Everything that was read; places[0] is our own namespace.

    kernel: (6, 1, 0) of `uname -r`, release: all of it.   unread: what could not be looked at, and why, for people.
    """

    release: str
    places: tuple[Place, ...]
    unread: tuple[str, ...] = ()

    @property
    def kernel(self) -> tuple[int, ...]:
        """The kernel's version as numbers: (6, 1, 0)."""
        return kernel_version(self.release)

    def interfaces(self) -> Iterator[Interface]:
        """Yield every interface of every namespace, our own first."""
        for place in self.places:
            yield from place.interfaces

    def place_of(self, namespace: Namespace) -> Place | None:
        """Return the place of a namespace."""
        return next((p for p in self.places if p.namespace.inode == namespace.inode), None)

    def find(self, name: str, namespace: Namespace | None = None) -> Interface | None:
        """Return the interface of that name in *namespace*, our own if None."""
        inode = (namespace or self.places[0].namespace).inode
        return next((i for i in self.interfaces() if i.name == name and i.namespace.inode == inode), None)

    def peer_of(self, interface: Interface) -> Interface | None:
        """Return a veth's other end, wherever it is."""
        if interface.peer is None:
            return None
        where, index = interface.peer
        return next((i for i in self.interfaces() if i.index == index and i.namespace.inode == where.inode), None)


def kernel_version(release: str) -> tuple[int, ...]:
    """Return the numbers of a release such as 6.1.0-18-amd64."""
    return tuple(int(word) for word in re.findall(r"\d+", release.partition("-")[0])[:3])


def read_machine() -> Machine:
    """Read every namespace that can be reached."""
    listing = list_namespaces()
    unread = []
    if listing.unreadable:
        unread.append(f"namespaces of {listing.unreadable} processes (needs root or CAP_SYS_PTRACE)")
    raw: list[_Raw] = []
    for namespace in listing.found:
        try:
            raw.append(call(namespace, partial(_read_place, namespace, listing)))
        except PipelineError as error:
            unread.append(f"{namespace.label}: {error}")
        except OSError as error:
            unread.append(f"{namespace.label}: {error.strerror}")
    inodes = [row.inode for each in raw for row in each.packet] + [row[0] for each in raw for row in each.xdp]
    held = holders(inodes, taps=any(i.tun for each in raw for i in each.interfaces))
    if held.unreadable and inodes:
        unread.append(f"which of {held.unreadable} processes hold packet sockets (needs root or CAP_SYS_PTRACE)")
    return Machine(os.uname().release, tuple(_join(each, raw, held) for each in raw), tuple(unread))


@dataclass(frozen=True)
class _Raw:
    """What one namespace said, before it is joined with the others'."""

    namespace: Namespace
    interfaces: list[Interface]
    links: list[Link]
    targets: dict[int, Namespace]
    packet: list[PacketSocket]
    xdp: list[tuple[int, int]]
    hidden_xdp: int
    counters: dict[str, int]
    settings: dict[str, int]


def _read_place(namespace: Namespace, listing: Listing) -> _Raw:
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
        namespace=namespace, index=link.index, name=link.name, kind=link.kind or "physical", is_up=link.is_up,
        mtu=link.mtu, mac=link.mac, addresses=tuple(addresses.get(link.index, ())),
        master=names.get(link.master, ""), master_kind=link.master_kind or kinds.get(link.master, ""),
        lower=_lower(link, names), device=link.device, xdp=link.xdp, xdp_program=link.xdp_program,
        features=_features(link.name), sizes=link.sizes, statistics=link.statistics,
        settings=_interface_settings(link.name),
        peer_is_elsewhere=link.kind == "veth" and link.link_nsid >= 0,
        tun=_tun(link), tunnel=_tunnel(link),
    )


def _lower(link: Link, names: dict[int, str]) -> str:
    if link.kind == "veth":
        return ""
    over = number(link.data.get(VXLAN_LINK)) if link.kind == "vxlan" else link.link if link.link_nsid < 0 else 0
    return names.get(over, "") if over != link.index else ""


def _features(name: str) -> dict[str, bool] | None:
    try:
        return features_of(name)
    except CaptureError:
        return None


def _tun(link: Link) -> Tun | None:
    if link.kind != "tun":
        return None
    header = link.data.get(TUN_VNET_HDR)
    kind = link.data.get(TUN_TYPE)
    is_tap = number(kind) == IFF_TAP if kind is not None else bool(link.mac)
    return Tun(is_tap, None if header is None else bool(header[0]), bool(number(link.data.get(TUN_PI))))


def _tunnel(link: Link) -> dict[str, int] | None:
    data = link.data
    if link.kind in GRE_KINDS:
        flags = [int.from_bytes(data.get(kind, b"\0\0"), "big") for kind in (GRE_OFLAGS, GRE_IFLAGS)]
        return {"ocsum": int(bool(flags[0] & GRE_CSUM)), "icsum": int(bool(flags[1] & GRE_CSUM))}
    if link.kind not in TUNNELS:
        return None
    # A flag that is absent is off; udpcsum is a number of one octet.
    found = {word: int(kind in data and (data[kind] == b"" or data[kind] != b"\0"))
             for word, kind in TUNNELS[link.kind].items()}
    identity, port = (VXLAN_ID, VXLAN_PORT) if link.kind == "vxlan" else (GENEVE_ID, GENEVE_PORT)
    return found | {"id": number(data.get(identity)), "port": int.from_bytes(data.get(port, b""), "big")}


def _join(each: _Raw, raw: list[_Raw], held: Holders) -> Place:
    """Add what needs more than one namespace: veth peers, verified from both sides, and who holds sockets and TAPs."""
    links = {other.namespace.inode: {link.index: link for link in other.links} for other in raw}
    interfaces = []
    for interface, link in zip(each.interfaces, each.links, strict=True):
        peer, tun = None, interface.tun
        if link.kind == "veth":
            where = each.targets.get(link.link_nsid) if link.link_nsid >= 0 else each.namespace
            back = links.get(where.inode, {}).get(link.link) if where else None
            if where is not None and back is not None and back.kind == "veth" and back.link == link.index:
                peer = (where, back.index)
        if tun is not None:
            # The kernel tells a process's TAPs by name alone: in doubt, the process that is in its namespace.
            pids = held.taps.get(link.name, [])
            tun = replace(tun, pids=tuple([pid for pid in pids if pid in each.namespace.pids] or pids))
        interfaces.append(replace(interface, peer=peer, tun=tun, readers=_readers(each, link.index, held.sockets)))
    return Place(each.namespace, tuple(interfaces), each.counters, each.settings, each.hidden_xdp)


def _readers(each: _Raw, index: int, pids: dict[int, int]) -> tuple[Reader, ...]:
    found = []
    for row in each.packet:
        if row.interface in (0, index):
            pid = pids.get(row.inode, 0)
            found.append(Reader("packet", row.inode, pid, program_of(pid), row.keeps_note, row.protocol,
                                row.has_filter, row.interface == 0))
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
    names = ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.core.rmem_max", "net.core.wmem_max",
             "net.netfilter.nf_conntrack_checksum", "net.bridge.bridge-nf-call-iptables", "net.core.bpf_jit_enable"]
    names += [f"net.ipv4.conf.all.{word}" for word in PER_INTERFACE]
    found = {name: _read_number(Path("/proc/sys", *name.split("."))) for name in names}
    return {name: value for name, value in found.items() if value is not None}


__all__ = ["Interface", "Machine", "Place", "Reader", "Tun", "kernel_version", "read_machine"]
