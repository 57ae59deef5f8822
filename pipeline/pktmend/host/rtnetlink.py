"""Interfaces and addresses of the calling thread's namespace, by rtnetlink.

Source: rtnetlink(7); Linux include/uapi/linux/if_link.h, if_tunnel.h, if_addr.h, net_namespace.h.
"""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from typing import Final

from pktmend.host.netlink import NETLINK_ROUTE, ask, attribute, attributes, number, text

RTM_GETLINK: Final = 18
RTM_GETADDR: Final = 22
RTM_GETNSID: Final = 90
IFF_UP: Final = 1
ARPHRD: Final = {1: "ether", 65534: "none", 772: "loopback", 778: "gre", 823: "gre6", 768: "ipip", 776: "sit"}
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 5, 10, 18
IFLA_STATS64, IFLA_LINK_NETNSID, IFLA_GSO_MAX_SEGS, IFLA_GSO_MAX_SIZE, IFLA_XDP = 23, 37, 40, 41, 43
IFLA_PARENT_DEV_NAME, IFLA_GRO_MAX_SIZE = 56, 58
IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE = 63, 64  # Linux 6.3
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND = 1, 2, 4
IFLA_XDP_ATTACHED, IFLA_XDP_PROG_ID = 2, 4
XDP_MODES: Final = {0: "", 1: "native", 2: "generic", 3: "offloaded", 4: "several"}
IFA_ADDRESS, IFA_LOCAL = 1, 2
NETNSA_NSID, NETNSA_FD = 1, 3
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
    return [_link(answer) for answer in ask(NETLINK_ROUTE, RTM_GETLINK, body)]


def _link(answer: bytes) -> Link:
    _, hardware, index, flags, _ = struct.unpack_from("=BxHiII", answer)
    found = attributes(answer[16:])
    info = attributes(found.get(IFLA_LINKINFO, b""))
    xdp = attributes(found.get(IFLA_XDP, b""))
    sizes = {
        "gso_max_size": IFLA_GSO_MAX_SIZE,
        "gso_max_segs": IFLA_GSO_MAX_SEGS,
        "gro_max_size": IFLA_GRO_MAX_SIZE,
        "gso_ipv4_max_size": IFLA_GSO_IPV4_MAX_SIZE,
        "gro_ipv4_max_size": IFLA_GRO_IPV4_MAX_SIZE,
    }
    statistics = found.get(IFLA_STATS64, b"")
    values = struct.unpack_from(f"={min(len(statistics) // 8, len(STATISTICS))}Q", statistics)
    return Link(
        index=index,
        name=text(found.get(IFLA_IFNAME)),
        kind=text(info.get(IFLA_INFO_KIND)) or ("" if hardware == 1 else ARPHRD.get(hardware, f"type {hardware}")),
        is_up=bool(flags & IFF_UP),
        mtu=number(found.get(IFLA_MTU)),
        mac=":".join(f"{octet:02x}" for octet in found.get(IFLA_ADDRESS, b"")),
        master=number(found.get(IFLA_MASTER)),
        master_kind=text(info.get(IFLA_INFO_SLAVE_KIND)),
        link=number(found.get(IFLA_LINK)),
        link_nsid=struct.unpack("=i", found[IFLA_LINK_NETNSID])[0] if IFLA_LINK_NETNSID in found else -1,
        device=text(found.get(IFLA_PARENT_DEV_NAME)),
        xdp=XDP_MODES.get(number(xdp.get(IFLA_XDP_ATTACHED)), "unknown"),
        xdp_program=number(xdp.get(IFLA_XDP_PROG_ID)),
        sizes={name: number(found[kind]) for name, kind in sizes.items() if kind in found},
        statistics=dict(zip(STATISTICS, values, strict=False)),
        data=attributes(info.get(IFLA_INFO_DATA, b"")),
    )


def read_addresses() -> dict[int, list[str]]:
    """Return {interface index: ["10.0.0.1/24", ...]}."""
    addresses: dict[int, list[str]] = {}
    for answer in ask(NETLINK_ROUTE, RTM_GETADDR, struct.pack("=BBBBI", socket.AF_UNSPEC, 0, 0, 0, 0)):
        family, length, _, _, index = struct.unpack_from("=BBBBI", answer)
        found = attributes(answer[8:])
        octets = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS)
        if octets and family in (socket.AF_INET, socket.AF_INET6):
            addresses.setdefault(index, []).append(f"{socket.inet_ntop(family, octets)}/{length}")
    return addresses


def read_nsid(path: str) -> int:
    """Return the number by which the calling thread's namespace knows the one behind *path*; -1 if it does not."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        body = struct.pack("=Bxxx", socket.AF_UNSPEC) + attribute(NETNSA_FD, struct.pack("=I", descriptor))
        for answer in ask(NETLINK_ROUTE, RTM_GETNSID, body, flags=0):
            value = attributes(answer[4:]).get(NETNSA_NSID)
            if value is not None:
                return int(struct.unpack("=i", value)[0])
        return -1
    finally:
        os.close(descriptor)
