"""Interfaces and addresses of the calling thread's namespace, by rtnetlink.

Source: rtnetlink(7); Linux include/uapi/linux/if_link.h, if_tunnel.h, if_addr.h, net_namespace.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from dataclasses import dataclass
from typing import Final

from pktmend._kernel import lib
from pktmend.host.netlink import NETLINK_ROUTE, ask, attribute, attributes, number, text

ARPHRD: Final = {
    lib.ARPHRD_ETHER: "ether",
    lib.ARPHRD_NONE: "none",
    lib.ARPHRD_LOOPBACK: "loopback",
    lib.ARPHRD_IPGRE: "gre",
    lib.ARPHRD_IP6GRE: "gre6",
    lib.ARPHRD_TUNNEL: "ipip",
    lib.ARPHRD_SIT: "sit",
}
PAIRS: Final = ("veth", "netkit")  # kinds of links of which each has another end
XDP_MODES: Final = {
    lib.XDP_ATTACHED_NONE: "",
    lib.XDP_ATTACHED_DRV: "native",
    lib.XDP_ATTACHED_SKB: "generic",
    lib.XDP_ATTACHED_HW: "offloaded",
    lib.XDP_ATTACHED_MULTI: "several",
}
STATISTICS: Final = (
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
    "multicast",
    "collisions",
    "rx_length_errors",
    "rx_over_errors",
    "rx_crc_errors",
    "rx_frame_errors",
    "rx_fifo_errors",
    "rx_missed_errors",
    "tx_aborted_errors",
    "tx_carrier_errors",
    "tx_fifo_errors",
    "tx_heartbeat_errors",
    "tx_window_errors",
    "rx_compressed",
    "tx_compressed",
    "rx_nohandler",
)


@dataclass(frozen=True)
class Link:
    """One interface as the kernel dumps it; machine.Interface says what the fields mean."""

    index: int
    name: str
    kind: str
    is_up: bool
    mtu: int
    mac: str
    master: int
    master_kind: str
    link: int
    link_nsid: int
    device: str
    xdp: str
    xdp_program: int
    sizes: dict[str, int]
    statistics: dict[str, int]
    data: dict[int, bytes]


def read_links() -> list[Link]:
    """Return every interface, in the order of its index."""
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, 0, 0, 0)
    return [_link(answer) for answer in ask(NETLINK_ROUTE, lib.RTM_GETLINK, body)]


def read_link(index: int) -> Link | None:
    """Return the interface of that number, None if there is none."""
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0)
    try:
        return next((_link(answer) for answer in ask(NETLINK_ROUTE, lib.RTM_GETLINK, body, flags=0)), None)
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ENOENT):
            return None
        raise


def _link(answer: bytes) -> Link:
    _, hardware, index, flags, _ = struct.unpack_from("=BxHiII", answer)
    found = attributes(answer[16:])
    info = attributes(found.get(lib.IFLA_LINKINFO, b""))
    xdp = attributes(found.get(lib.IFLA_XDP, b""))
    sizes = {
        "gso_max_size": lib.IFLA_GSO_MAX_SIZE,
        "gso_max_segs": lib.IFLA_GSO_MAX_SEGS,
        "gro_max_size": lib.IFLA_GRO_MAX_SIZE,
        "gso_ipv4_max_size": lib.IFLA_GSO_IPV4_MAX_SIZE,
        "gro_ipv4_max_size": lib.IFLA_GRO_IPV4_MAX_SIZE,
    }
    statistics = found.get(lib.IFLA_STATS64, b"")
    values = struct.unpack_from(f"={min(len(statistics) // 8, len(STATISTICS))}Q", statistics)
    return Link(
        index=index,
        name=text(found.get(lib.IFLA_IFNAME)),
        kind=text(info.get(lib.IFLA_INFO_KIND))
        or ("" if hardware == lib.ARPHRD_ETHER else ARPHRD.get(hardware, f"type {hardware}")),
        is_up=bool(flags & lib.IFF_UP),
        mtu=number(found.get(lib.IFLA_MTU)),
        mac=":".join(f"{byte:02x}" for byte in found.get(lib.IFLA_ADDRESS, b"")),
        master=number(found.get(lib.IFLA_MASTER)),
        master_kind=text(info.get(lib.IFLA_INFO_SLAVE_KIND)),
        link=number(found.get(lib.IFLA_LINK)),
        link_nsid=struct.unpack("=i", found[lib.IFLA_LINK_NETNSID])[0] if lib.IFLA_LINK_NETNSID in found else -1,
        device=text(found.get(lib.IFLA_PARENT_DEV_NAME)),
        xdp=XDP_MODES.get(number(xdp.get(lib.IFLA_XDP_ATTACHED)), "unknown"),
        xdp_program=number(xdp.get(lib.IFLA_XDP_PROG_ID)),
        sizes={name: number(found[kind]) for name, kind in sizes.items() if kind in found},
        statistics=dict(zip(STATISTICS, values, strict=False)),
        data=attributes(info.get(lib.IFLA_INFO_DATA, b"")),
    )


def read_addresses() -> dict[int, list[str]]:
    """Return {interface index: ["10.0.0.1/24", ...]}."""
    addresses: dict[int, list[str]] = {}
    for answer in ask(NETLINK_ROUTE, lib.RTM_GETADDR, struct.pack("=BBBBI", socket.AF_UNSPEC, 0, 0, 0, 0)):
        family, length, _, _, index = struct.unpack_from("=BBBBI", answer)
        found = attributes(answer[8:])
        address = found.get(lib.IFA_LOCAL) or found.get(lib.IFA_ADDRESS)
        if address and family in (socket.AF_INET, socket.AF_INET6):
            addresses.setdefault(index, []).append(f"{socket.inet_ntop(family, address)}/{length}")
    return addresses


def name_in(nsid: int, index: int) -> str:
    """Return the name of interface *index* of the namespace that the calling thread's knows by *nsid*.

    Empty if it is not there, or not ours to ask (needs CAP_NET_ADMIN there; Linux 4.20).
    """
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0)
    body += attribute(lib.IFLA_TARGET_NETNSID, struct.pack("=i", nsid))
    try:
        answer = next(ask(NETLINK_ROUTE, lib.RTM_GETLINK, body, flags=0), b"")
    except OSError:
        return ""
    return text(attributes(answer[16:]).get(lib.IFLA_IFNAME))


def give_nsid(path: str) -> int:
    """Return read_nsid(), after the kernel has picked a number if there was none.  OSError if it may not (EPERM).

    The number is there as long as the namespace; `ip netns list-id` shows it.
    """
    found = read_nsid(path)
    if found >= 0:
        return found
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        body = struct.pack("=Bxxx", socket.AF_UNSPEC) + attribute(lib.NETNSA_NSID, struct.pack("=i", -1))
        body += attribute(lib.NETNSA_FD, struct.pack("=I", descriptor))
        list(ask(NETLINK_ROUTE, lib.RTM_NEWNSID, body, flags=lib.NLM_F_ACK))
    except FileExistsError:
        pass  # somebody else was faster
    finally:
        os.close(descriptor)
    return read_nsid(path)


def read_nsid(path: str) -> int:
    """Return the number by which the calling thread's namespace knows the one behind *path*; -1 if it does not."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        body = struct.pack("=Bxxx", socket.AF_UNSPEC) + attribute(lib.NETNSA_FD, struct.pack("=I", descriptor))
        for answer in ask(NETLINK_ROUTE, lib.RTM_GETNSID, body, flags=0):
            value = attributes(answer[4:]).get(lib.NETNSA_NSID)
            if value is not None:
                return int(struct.unpack("=i", value)[0])
        return -1
    finally:
        os.close(descriptor)
