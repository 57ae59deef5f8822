"""Make and change links of the calling thread's namespace, by rtnetlink: what a testbed needs of them.

An OSError has the kernel's errno.  Reading links is pktmend.host.rtnetlink's.

Source: rtnetlink(7); Linux include/uapi/linux/if_link.h, veth.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from pathlib import Path

from pktmend._kernel import lib
from pktmend.errors import OSFailure
from pktmend.host import clsact
from pktmend.host.netlink import NETLINK_ROUTE, ask, attribute

NO_PROGRAM = -1  # instead of a descriptor
SETTINGS = {  # of a link, numbers all of them; iproute2's words
    "mtu": lib.IFLA_MTU,
    "master": lib.IFLA_MASTER,
    "gso_max_size": lib.IFLA_GSO_MAX_SIZE,
    "gro_max_size": lib.IFLA_GRO_MAX_SIZE,
    "gso_ipv4_max_size": lib.IFLA_GSO_IPV4_MAX_SIZE,
    "gro_ipv4_max_size": lib.IFLA_GRO_IPV4_MAX_SIZE,
}


def index_of(name: str) -> int:
    """Return an interface's number."""
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise OSFailure(f"there is no interface {name!r}", "", error.errno or errno.ENODEV, name) from error


def set_link(name: str, *, up: bool | None = None, **settings: int) -> None:
    """Switch a link on or off and change SETTINGS of it; master=0 takes it out of a bridge."""
    body = _link(index_of(name), up) + b"".join(_number(SETTINGS[word], value) for word, value in settings.items())
    _do(lib.RTM_NEWLINK, body)


def add_veth(name: str, peer: str, peer_namespace: Path, mtu: int) -> None:
    """Make a veth pair: *name* here, *peer* in the namespace behind that file."""
    _add_pair(b"veth\0", lib.VETH_INFO_PEER, name, peer, peer_namespace, mtu)


def add_netkit(name: str, peer: str, peer_namespace: Path, mtu: int) -> None:
    """Make a netkit pair that carries Ethernet: *name*, the primary, here, *peer* in the namespace behind that file.

    Raises: OSFailure where the kernel has none (EOPNOTSUPP).
    """
    mode = _number(lib.IFLA_NETKIT_MODE, lib.NETKIT_L2)
    try:
        _add_pair(b"netkit\0", lib.IFLA_NETKIT_PEER_INFO, name, peer, peer_namespace, mtu, mode)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        raise OSFailure("this kernel has no netkit", "Linux 6.7 with CONFIG_NETKIT", error.errno) from error


def _add_pair(
    kind: bytes, peer_attribute: int, name: str, peer: str, peer_namespace: Path, mtu: int, more: bytes = b""
) -> None:
    with peer_namespace.open("rb") as target:
        other = _link() + _name(peer) + _number(lib.IFLA_MTU, mtu) + _number(lib.IFLA_NET_NS_FD, target.fileno())
        data = attribute(lib.IFLA_INFO_DATA, attribute(peer_attribute, other) + more)
        info = attribute(lib.IFLA_LINKINFO, attribute(lib.IFLA_INFO_KIND, kind) + data)
        body = _link() + _name(name) + _number(lib.IFLA_MTU, mtu) + info
        _do(lib.RTM_NEWLINK, body, lib.NLM_F_CREATE | lib.NLM_F_EXCL)


def add_address(name: str, address: str) -> None:
    """Add an address such as 10.0.0.1/24 or fd00::1/64, usable at once: without duplicate address detection."""
    words, _, prefix = address.partition("/")
    family = socket.AF_INET6 if ":" in words else socket.AF_INET
    flags = lib.IFA_F_NODAD if family == socket.AF_INET6 else 0
    data = socket.inet_pton(family, words)
    body = struct.pack("=BBBBI", family, int(prefix), flags, 0, index_of(name))
    body += attribute(lib.IFA_LOCAL, data) + attribute(lib.IFA_ADDRESS, data)
    _do(lib.RTM_NEWADDR, body, lib.NLM_F_CREATE | lib.NLM_F_EXCL)


def set_xdp(name: str, program: int) -> None:
    """Run an XDP program (its descriptor, or NO_PROGRAM) on what arrives."""
    body = _link(index_of(name)) + attribute(lib.IFLA_XDP, attribute(lib.IFLA_XDP_FD, struct.pack("=i", program)))
    _do(lib.RTM_NEWLINK, body)


def set_ingress(name: str, program: int) -> None:
    """Run a tc program (its descriptor, or NO_PROGRAM) on what arrives, and no other."""
    index = index_of(name)
    clsact.remove(index)
    if program != NO_PROGRAM:
        clsact.add(index)
        clsact.add_filter(index, program, preference=1)


def _link(index: int = 0, up: bool | None = None) -> bytes:
    """Return struct ifinfomsg."""
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, lib.IFF_UP if up else 0, 0 if up is None else lib.IFF_UP)


def _name(name: str) -> bytes:
    return attribute(lib.IFLA_IFNAME, os.fsencode(name) + b"\0")


def _number(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def _do(kind: int, body: bytes, flags: int = 0) -> None:
    list(ask(NETLINK_ROUTE, kind, body, flags | lib.NLM_F_ACK))
