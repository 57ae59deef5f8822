"""What else of this host uses an interface that is to be bridged: a packet socket copies frames, it takes none away.

Facts by netlink and /proc of our own namespace; needs no privilege.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from pktmend.errors import OSFailure
from pktmend.host.rtnetlink import PAIRS, Link, read_addresses, read_links


@dataclass(frozen=True)
class HostUse:
    """What the host does with one interface.

    master:     the bridge, bond or switch whose port it is, and its kind.
    addresses:  of the host on it; not the IPv6 link-local one that every interface gets and no router forwards.
    forwarding: families that the host routes between its interfaces: "IPv4", "IPv6".
    upper:      interfaces that stand on it (macvlan, VLAN).
    peer:       the other end of a veth pair, if that is in this namespace.
    """

    name: str
    master: str = ""
    master_kind: str = ""
    addresses: tuple[str, ...] = ()
    forwarding: tuple[str, ...] = ()
    upper: tuple[str, ...] = ()
    peer: str = ""

    def in_words(self) -> str:
        """Return how the host uses it, "" if it only might."""
        if self.addresses:
            return f"the host has {', '.join(self.addresses)} on {self.name}"
        return f"{', '.join(self.upper)} of the host is on {self.name}" if self.upper else ""

    def warnings(self, isolated: bool) -> list[str]:
        """Return what a person should know before this interface is bridged."""
        addresses = ", ".join(self.addresses)
        if isolated:
            return (
                [f"{self.name}: the host's own {addresses} is not reached through it while it is isolated"]
                if addresses
                else []
            )
        found = []
        if self.addresses:
            found.append(f"{self.name}: the host has {addresses} on it and answers beside the bridge")
        if self.forwarding:
            found.append(
                f"{self.name}: the host forwards {' and '.join(self.forwarding)}: what is"
                " addressed to it may be routed as well as bridged"
            )
        if self.upper:
            found.append(f"{self.name}: {', '.join(self.upper)} on it gets frames as well")
        return [f"{text} (--isolate keeps the host out)" for text in found]


def host_use(name: str) -> HostUse:
    """Return what the host does with the interface *name*."""
    links = {link.index: link for link in read_links()}
    own = next((link for link in links.values() if link.name == name), None)
    if own is None:
        return HostUse(name)
    master = links.get(own.master)
    return HostUse(
        name,
        master=master.name if master else "",
        master_kind=(own.master_kind or master.kind) if master else "",
        addresses=tuple(each for each in read_addresses().get(own.index, ()) if not _is_link_local6(each)),
        forwarding=tuple(family for family, folder in (("IPv4", "ipv4"), ("IPv6", "ipv6")) if _forwards(folder, name)),
        upper=tuple(link.name for link in links.values() if _stands_on(link, own)),
        peer=_peer(own, links),
    )


def require_apart(a: HostUse, b: HostUse) -> None:
    """Raise OSFailure if a bridge of the two could only do harm."""
    if a.peer == b.name:
        raise OSFailure(
            f"{a.name!r} and {b.name!r} are the two ends of one veth pair",
            "what leaves one arrives at the other, for ever",
        )


def require_free(use: HostUse) -> None:
    """Raise OSFailure if the interface is another bridge's port: both would carry each frame."""
    if use.master:
        kind = f"{use.master_kind} " if use.master_kind else ""
        leave = "ovs-vsctl del-port {}" if use.master_kind == "openvswitch" else "ip link set dev {} nomaster"
        raise OSFailure(
            f"interface {use.name!r} is a port of {kind}{use.master!r} already",
            f"{leave.format(use.name)}; or --force",
            subject=use.name,
        )


def _is_link_local6(address: str) -> bool:
    ip = ipaddress.ip_interface(address).ip
    return ip.version == 6 and ip.is_link_local


def _forwards(folder: str, name: str) -> bool:
    try:
        return Path(f"/proc/sys/net/{folder}/conf/{name}/forwarding").read_text().strip() != "0"
    except OSError:
        return False


def _stands_on(link: Link, own: Link) -> bool:
    return link.link == own.index and link.link_nsid < 0 and link.kind not in PAIRS


def _peer(own: Link, links: dict[int, Link]) -> str:
    if own.kind not in PAIRS or own.link_nsid >= 0 or own.link not in links:
        return ""
    return links[own.link].name
