"""Connections that the kernel's NAT rewrites in one namespace, by ctnetlink.

Source: Linux include/uapi/linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Final

from pktmend._kernel import lib
from pktmend.errors import OSFailure, PrivilegeError
from pktmend.host.netlink import NETLINK_NETFILTER, ask, attributes

CT_GET: Final = lib.NFNL_SUBSYS_CTNETLINK << 8 | lib.IPCTNL_MSG_CT_GET


@dataclass(frozen=True)
class Tuple:
    """Addresses and ports of one direction; ports are 0 where the protocol has none."""

    source: str
    source_port: int
    target: str
    target_port: int


@dataclass(frozen=True)
class Connection:
    """One entry: protocol (6 TCP, 17 UDP), the tuple as it came, and the tuple of its answers.

    NAT rewrites it if the answers are not simply the original turned round.
    """

    protocol: int
    original: Tuple
    reply: Tuple

    @property
    def is_rewritten(self) -> bool:
        """NAT changes an address or a port of it."""
        o, r = self.original, self.reply
        return (o.source, o.source_port, o.target, o.target_port) != (r.target, r.target_port, r.source, r.source_port)


def read_connections() -> list[Connection]:
    """Return the connections that the calling thread's namespace tracks; PrivilegeError without CAP_NET_ADMIN."""
    found = []
    try:
        for answer in ask(NETLINK_NETFILTER, CT_GET, struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)):
            whole = attributes(answer[4:])
            if lib.CTA_TUPLE_ORIG in whole and lib.CTA_TUPLE_REPLY in whole:
                protocol, original = _tuple(whole[lib.CTA_TUPLE_ORIG])
                found.append(Connection(protocol, original, _tuple(whole[lib.CTA_TUPLE_REPLY])[1]))
    except PermissionError as error:
        raise PrivilegeError("reading the connection table", "needs CAP_NET_ADMIN", error.errno or 0) from error
    except OSError as error:
        raise OSFailure(
            f"reading the connection table: {error.strerror}",
            "the kernel has no nf_conntrack_netlink",
            error.errno or 0,
        ) from error
    return found


def _tuple(data: bytes) -> tuple[int, Tuple]:
    parts = attributes(data)
    ip, proto = attributes(parts.get(lib.CTA_TUPLE_IP, b"")), attributes(parts.get(lib.CTA_TUPLE_PROTO, b""))
    family, kinds = socket.AF_INET6, (lib.CTA_IP_V6_SRC, lib.CTA_IP_V6_DST)
    if lib.CTA_IP_V4_SRC in ip:
        family, kinds = socket.AF_INET, (lib.CTA_IP_V4_SRC, lib.CTA_IP_V4_DST)
    source, target = (socket.inet_ntop(family, ip[kind]) if kind in ip else "" for kind in kinds)
    ports = [
        struct.unpack("!H", proto[kind])[0] if kind in proto else 0
        for kind in (lib.CTA_PROTO_SRC_PORT, lib.CTA_PROTO_DST_PORT)
    ]
    return proto.get(lib.CTA_PROTO_NUM, b"\0")[0], Tuple(source, ports[0], target, ports[1])
