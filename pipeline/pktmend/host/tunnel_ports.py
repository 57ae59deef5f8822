"""The UDP ports that tunnels of this machine use: VXLAN, Geneve and bareudp devices, FOU and GUE receivers, SCTP's.

Rules of this file:
1. What a namespace does not tell (no privilege, no such module) has no ports; nothing here fails.
2. Words are the engine's: vxlan, vxlan-gpe, geneve, fou, gue, gre, mpls, sctp.

Source: Linux include/uapi/linux/if_link.h, fou.h, genetlink.h; Documentation/networking/ip-sysctl.rst (sctp.udp_port).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pktmend._kernel import lib
from pktmend.errors import PktmendError
from pktmend.host.namespaces import call, list_namespaces
from pktmend.host.netlink import ask, attribute, attributes, number
from pktmend.host.rtnetlink import Link, read_links

GENERIC: Final = struct.Struct("=BBxx")  # command, version
IP: Final = (socket.IPPROTO_IPIP, socket.IPPROTO_IPV6)
IPPROTO_MPLS: Final = 137
SCTP: Final = ("udp_port", "encap_port")


def read_tunnel_ports() -> dict[int, str]:
    """Return {UDP port: kind} of every namespace that can be reached, our own last: of two kinds it has the say."""
    found: dict[int, str] = {}
    for namespace in reversed(list_namespaces().found):
        try:
            found.update(call(namespace, _of_this_namespace))
        except (OSError, PktmendError):
            continue
    return found


def _of_this_namespace() -> dict[int, str]:
    found = {port: kind for link in read_links() if (port := _port(link)) and (kind := _kind(link))}
    found.update(_fou())
    for name in SCTP:
        try:
            port = int(Path("/proc/sys/net/sctp", name).read_text())
        except (OSError, ValueError):
            continue
        if port:
            found[port] = "sctp"
    return found


def _port(link: Link) -> int:
    attributes_of = {
        "vxlan": lib.IFLA_VXLAN_PORT,
        "geneve": lib.IFLA_GENEVE_PORT,
        "bareudp": lib.IFLA_BAREUDP_PORT,
    }
    return int.from_bytes(link.data.get(attributes_of.get(link.kind, -1), b""), "big")


def _kind(link: Link) -> str:
    if link.kind == "vxlan":
        return "vxlan-gpe" if lib.IFLA_VXLAN_GPE in link.data else "vxlan"
    if link.kind == "bareudp":
        carried = int.from_bytes(link.data.get(lib.IFLA_BAREUDP_ETHERTYPE, b""), "big")
        return "mpls" if carried in (lib.ETH_P_MPLS_UC, lib.ETH_P_MPLS_MC) else "fou"
    return link.kind


def _fou() -> Iterator[tuple[int, str]]:
    """What `ip fou show` lists."""
    try:
        asked = GENERIC.pack(lib.CTRL_CMD_GETFAMILY, 1) + attribute(lib.CTRL_ATTR_FAMILY_NAME, b"fou\0")
        family = 0
        for answer in ask(lib.NETLINK_GENERIC, lib.GENL_ID_CTRL, asked, flags=0):
            family = number(attributes(answer[GENERIC.size :]).get(lib.CTRL_ATTR_FAMILY_ID))
        if not family:
            return
        for answer in ask(lib.NETLINK_GENERIC, family, GENERIC.pack(lib.FOU_CMD_GET, lib.FOU_GENL_VERSION)):
            one = attributes(answer[GENERIC.size :])
            port, protocol = (
                int.from_bytes(one.get(lib.FOU_ATTR_PORT, b""), "big"),
                number(one.get(lib.FOU_ATTR_IPPROTO)),
            )
            if not port:
                continue
            if number(one.get(lib.FOU_ATTR_TYPE)) == lib.FOU_ENCAP_GUE:
                yield port, "gue"
            elif protocol in IP:
                yield port, "fou"
            elif protocol == socket.IPPROTO_GRE:
                yield port, "gre"
            elif protocol == IPPROTO_MPLS:
                yield port, "mpls"
    except OSError:
        return  # the module is not loaded, so nobody receives
