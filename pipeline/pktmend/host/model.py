"""The facts of a machine as frozen data: public, and all that diagnose and doctor see."""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pktmend._kernel import lib
from pktmend.host.namespaces import Namespace

ETH_P_ALL: Final = lib.ETH_P_ALL
CHECKSUM: Final = ("tx-checksum-ip-generic", "tx-checksum-ipv4", "tx-checksum-ipv6")
SEGMENTATION: Final = ("tx-tcp-segmentation", "tx-tcp6-segmentation")


@dataclass(frozen=True)
class Tun:
    """How a TUN or TAP device was opened.

    is_tap:      Ethernet frames (else IP packets).
    vnet_hdr:    IFF_VNET_HDR: each frame carries the virtio-net header, and with it the mark of a partial
                 checksum; None where the kernel does not tell (before 4.20).
    packet_info: the four bytes of IFF_PI are there.
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
    keeps_metadata: PACKET_VNET_HDR is set: the kernel's mark of partial checksums travels; None if unknown.
    protocol:   the EtherType it asks for; 3 is all of them, 0 none: it only sends.
    has_filter: a classic BPF filter picks its frames; None if unknown.
    any_interface: bound to none, so it sees all of its namespace.
    """

    kind: str
    inode: int
    pid: int
    program: str
    keeps_metadata: bool | None
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
    peer:        (namespace, index) of a veth's or netkit's other end; None if there is none or it was not found.
    peer_is_elsewhere: the kernel says that the other end is in a namespace of its own.
    tun, tunnel: of those kinds.  tunnel: {"udpcsum": True, ..., "id": 42, "port": 4789} or {"ocsum": .., "icsum": ..}
    readers:     what reads it with packet or AF_XDP sockets.
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

    @property
    def key(self) -> tuple[int, int]:
        """What it is known by on this machine: its namespace and its number there."""
        return self.namespace.inode, self.index

    def has(self, *names: str) -> bool:
        """Is one of these features active?  False too if they could not be read."""
        return any((self.features or {}).get(name, False) for name in names)

    @property
    def leaves_checksums(self) -> bool:
        """What it sends may have a partial checksum: the stack leaves TCP and UDP checksums to it."""
        return self.has(*CHECKSUM)

    @property
    def makes_super_frames(self) -> bool:
        """What it sends may exceed the MTU: the stack leaves segmentation to it."""
        return self.has(*SEGMENTATION)

    @property
    def is_blind_tap(self) -> bool:
        """A TAP or TUN that the stack hands partial checksums to and that cannot tell its program so."""
        return self.tun is not None and self.tun.vnet_hdr is False and self.leaves_checksums

    def own_addresses(self, version: int = 0) -> list[str]:
        """Return the addresses that are more than link-local, of one IP version or both (0)."""
        found = [ipaddress.ip_interface(a) for a in self.addresses]
        return [str(a) for a in found if not a.ip.is_link_local and not a.ip.is_loopback and version in (0, a.version)]

    def command(self, words: str) -> str:
        """Return the shell command *words*, run where this interface is."""
        return self.namespace.command(words)


@dataclass(frozen=True)
class NamespaceFacts:
    """One namespace and what is in it.

    counters: as nstat names them.  settings: {"net.ipv4.ip_forward": 0, ...} of this namespace.
    hidden_xdp_sockets: AF_XDP sockets that the kernel counts but does not list.
    """

    namespace: Namespace
    interfaces: tuple[Interface, ...]
    counters: dict[str, int]
    settings: dict[str, int]
    hidden_xdp_sockets: int = 0


class UnreadKind(enum.Enum):
    """What could not be looked at."""

    NAMESPACES_OF_PROCESSES = enum.auto()
    SOCKETS_OF_PROCESSES = enum.auto()
    CLOSED = enum.auto()  # namespaces that this process may not enter
    FAILED = enum.auto()  # a namespace in which something could not be read


class Unread(NamedTuple):
    """What could not be looked at: of how many *processes*, or the labels of namespaces; error: of FAILED."""

    kind: UnreadKind
    names: tuple[str, ...] = ()
    processes: int = 0
    error: str = ""


@dataclass(frozen=True)
class Machine:
    """Everything that was read; namespaces[0] is our own namespace.

    kernel: (6, 1, 0) of `uname -r`, release: all of it.   unread: what could not be looked at, and why.
    """

    release: str
    namespaces: tuple[NamespaceFacts, ...]
    unread: tuple[Unread, ...] = ()

    @property
    def kernel(self) -> tuple[int, ...]:
        """The kernel's version as numbers: (6, 1, 0)."""
        return kernel_version(self.release)

    def interfaces(self) -> Iterator[Interface]:
        """Yield every interface of every namespace, our own first."""
        for each in self.namespaces:
            yield from each.interfaces

    def facts_of(self, namespace: Namespace) -> NamespaceFacts | None:
        """Return what was read of a namespace; None if it was not."""
        return next((each for each in self.namespaces if each.namespace.inode == namespace.inode), None)

    def find(self, name: str, namespace: Namespace | None = None) -> Interface | None:
        """Return the interface of that name in *namespace*, our own if None."""
        inode = (namespace or self.namespaces[0].namespace).inode
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
