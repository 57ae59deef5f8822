"""Remedies: the exact command, with the right interface and namespace, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Final

from pktmend.advice.finding import Remedy
from pktmend.advice.place import full_place
from pktmend.advice.remedies import UNKNOWN_INTERFACE, ovs_tso, tx_off, tx_off_at
from pktmend.commands.diagnose.facts.partial import HopKind, LossyHop

if TYPE_CHECKING:
    from pktmend.host.model import Interface

LESS_TSO: Final = "switches TSO off too"
LESS_GRO: Final = "more CPU time, and GRO coalesces less"
VERIFIES: Final = "does not verify and mark frames that are damaged only later: the receiver checks them again"
XDP_WORDS: Final = {"generic": "xdpgeneric", "offloaded": "xdpoffload"}  # ip link: `xdp off` is for the driver's mode

UPDATE_ZERO: Final = (
    Remedy(
        "ethtool -K VXLAN tx off",
        "run it for the tunnel's device (flannel.1, vxlan.calico, ...) on the nodes: the "
        "packets in it are completed before they are wrapped",
        "switches TSO off for the tunnel",
    ),
    Remedy("uname -r", "Linux 5.7 and later (ea64d8d6c675) leave a zero alone: update the kernel", "a reboot"),
)
UPDATE_SUM: Final = Remedy(
    "tc filter show dev IFACE ingress; nft list ruleset",
    "look for pedit, bpf or a program that rewrites "
    "headers: in tc, `action csum` goes after `action pedit`; in BPF, bpf_l4_csum_replace() with each change",
)
COMPLETES_BLINDLY: Final = Remedy(
    "tc filter show dev IFACE egress; nft list ruleset",
    "look for what completes checksums blindly: tc `action csum`, iptables CHECKSUM, a switch's own checksum setting",
)
FIND_WHAT_FLAGS: Final = Remedy(
    "pktmend monitor -i IFACE",
    "tap nearer to the sender, interface by interface, until they are gone: what lies between sets the flag",
)
TRANSLATE_ERRORS: Final = Remedy(
    "nft list ruleset",
    "find the hop that rewrites these addresses: its NAT has to translate ICMP errors with their connection (conntrack "
    "state `related`), or not at all",
)
FILL_DHCP: Final = Remedy(
    "iptables -t mangle -A POSTROUTING -p udp --dport 68 -j CHECKSUM --checksum-fill",
    "on the server's machine, before the mark gets lost: completes the checksum of DHCP answers only",
)
OTHER_LENGTH: Final = Remedy(
    "ethtool -K IFACE tx off",
    "on the sending end: its device sums bytes that do not belong to the packet",
    LESS_TSO,
)
RX_OFF: Final = Remedy(
    "ethtool -K IFACE rx off", "for the card that receives them: the stack checks by itself", LESS_GRO
)
GRO_OFF: Final = Remedy(
    "ethtool -K IFACE gro off", f"the interface where they enter the machine {VERIFIES}", "more CPU time"
)


@dataclass(frozen=True)
class End:
    """One end of conversations: its address, its interface if known, and whether it was seen to leak."""

    address: str
    interface: Interface | None
    leaks: bool = True


def two_taps(name: str) -> Remedy:
    """Find the hop that changes them."""
    return Remedy(
        f"pktmend diagnose -i {name} -I AFTER",
        "tap before and after each hop on the way: the one behind which they turn wrong",
    )


def miscomputed_at(source: str) -> Remedy:
    """Against a card that computes wrongly."""
    return Remedy(
        "ethtool -K IFACE tx off",
        f"on {source}, if its network card computes them; else the program that crafts these packets has to be "
        "corrected",
        LESS_TSO,
    )


def sctp_off(end: End) -> Remedy:
    """Compute the CRC32c in software."""
    i = end.interface
    command = i.command(f"ethtool -K {quote(i.name)} tx-checksum-sctp off") if i else None
    return Remedy(
        command or f"ethtool -K {UNKNOWN_INTERFACE} tx-checksum-sctp off",
        f"{end.address} computes the CRC32c itself",
        "a little more CPU time",
    )


def rx_off(interface: Interface) -> Remedy:
    """Let the stack check what *interface* receives."""
    return Remedy(
        interface.command(f"ethtool -K {quote(interface.name)} rx off"),
        f"{full_place(interface)} claims nothing: the stack checks by itself",
        LESS_GRO,
    )


def gro_off(port: Interface) -> Remedy:
    """Let *port* not verify what is damaged only later."""
    return Remedy(
        port.command(f"ethtool -K {quote(port.name)} gro off"),
        f"{full_place(port)}, where they enter, {VERIFIES}",
        "more CPU time",
    )


def link_counters(interface: Interface) -> Remedy:
    """Look for a broken link."""
    return Remedy(
        interface.command(f"ethtool -S {quote(interface.name)}"),
        "look for CRC, symbol and alignment errors: a cable, connector or card",
    )


def at_end(end: End) -> Remedy:
    """Let one end complete its checksums."""
    if end.interface is None:
        return tx_off_at(end.address)
    why = (
        "sends complete checksums from then on"
        if end.leaks
        else "does the same for the answers, which come back through the same hop"
    )
    return tx_off(end.interface, f"{full_place(end.interface)} {why}")


def for_leak(ends: Iterable[End], hops: Iterable[LossyHop] = ()) -> tuple[Remedy, ...]:
    """Return the cures of a hop that loses the metadata: at both ends (answers pass it too), then at the hops."""
    hops = tuple(hops)
    remedies = [at_end(end) for end in ends if end.interface is None or end.leaks or end.interface.leaves_checksums]
    databases = [hop.database for hop in hops if hop.database]
    remedies += [ovs_tso(databases[0])] if databases else []
    remedies += [_xdp_off(i) for hop in hops if hop.kind is HopKind.PROGRAM for i in hop.interfaces]
    return tuple({(remedy.command, remedy.effect): remedy for remedy in remedies}.values())


def _xdp_off(interface: Interface) -> Remedy:
    mode = XDP_WORDS.get(interface.xdp, "xdp")
    return Remedy(
        interface.command(f"ip link set dev {quote(interface.name)} {mode} off"),
        f"frames that come in at {full_place(interface)} go through the kernel, mark and all",
        "what the XDP program does is not done any more",
    )
