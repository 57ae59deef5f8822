"""Remedies: the exact command, with the right interface and namespace, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING, Final

from pktmend.advice.finding import Remedy
from pktmend.advice.place import full_place
from pktmend.advice.remedies import (
    TX_COST,
    UNKNOWN_INTERFACE,
    offload,
    offload_at,
    ovs_tso,
    tx_off,
    tx_off_at,
)
from pktmend.commands.diagnose.causes import RootCause
from pktmend.commands.diagnose.facts.partial import HopKind, LossyHop
from pktmend.commands.diagnose.samples import Sample
from pktmend.enums import PacketFlag, Proto

if TYPE_CHECKING:
    from pktmend.host.model import Interface

LESS_TSO: Final = "switches TSO off too"
LESS_GRO: Final = "more CPU time, and GRO coalesces less"
VERIFIES: Final = "does not verify and mark frames that are damaged only later: the receiver checks them again"
XDP_WORDS: Final = {"generic": "xdpgeneric", "offloaded": "xdpoffload"}  # ip link: `xdp off` is for the driver's mode

TUNNEL_PORTS: Final = {4789, 8472, 6081, 4790}  # VXLAN, Linux's VXLAN, Geneve, VXLAN-GPE
UPDATE_KERNEL: Final = Remedy(
    "uname -r", "Linux 5.7 and later (ea64d8d6c675) leave a zero alone: update the kernel that translates", "a reboot"
)
SUM_IN_TUNNEL: Final = offload_at(
    "VXLAN",
    "tx off",
    "run it for the tunnel's device (flannel.1, vxlan.calico, ...) on the nodes: the "
    "packets in it are completed before they are wrapped",
    "switches TSO off for the tunnel",
)
LEAVE_ZERO: Final = Remedy(
    "nft list ruleset; tc filter show dev IFACE ingress",
    "look for what translates these addresses: a UDP checksum of 0 over IPv4 is none and stays 0 (RFC 768); towards "
    "IPv6, where 0 is not allowed, it has to be computed anew (RFC 7915 section 4.5)",
)
NEVER_COMPUTED: Final = Remedy(
    "",
    "find who makes these segments (a proxy, a user-space stack) and leaves their checksum 0 before their addresses "
    "are translated: it has to compute it, or to hand them over with the kernel's mark that the sum is partial",
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
OTHER_LENGTH: Final = offload_at(
    UNKNOWN_INTERFACE,
    "tx off",
    "on the sending end: its device sums bytes that do not belong to the packet",
    LESS_TSO,
)
RX_OFF: Final = offload_at(
    UNKNOWN_INTERFACE, "rx off", "for the card that receives them: the stack checks by itself", LESS_GRO
)
GRO_OFF: Final = offload_at(
    UNKNOWN_INTERFACE, "gro off", f"the interface where they enter the machine {VERIFIES}", "more CPU time"
)


@dataclass(frozen=True)
class End:
    """One end of conversations: its address, its interface if known, and whether it was seen to leak."""

    address: str
    interface: Interface | None
    leaks: bool = True


def update_zero(samples: Iterable[Sample]) -> tuple[Remedy, ...]:
    """Against a NAT that updates a zero: at the tunnel, if these are its packets, else at what translates."""
    samples = list(samples)
    if all(s.proto == Proto.TCP for s in samples):
        return (NEVER_COMPUTED,)
    is_tunnel = any(s.layers > 1 or TUNNEL_PORTS & set(s.ports) for s in samples)
    return (SUM_IN_TUNNEL, UPDATE_KERNEL) if is_tunnel else (LEAVE_ZERO, UPDATE_KERNEL)


def two_taps(name: str, where: Interface | None = None) -> Remedy:
    """Find the hop that changes them; where: the interface of that name, which may be in another namespace."""
    words = f"pktmend diagnose -i {name} -I AFTER"
    return Remedy(
        where.command(words) if where else words,
        "tap before and after each hop on the way: the one behind which they turn wrong",
    )


def miscomputed_at(source: str) -> Remedy:
    """Against a card that computes wrongly."""
    return offload_at(
        UNKNOWN_INTERFACE,
        "tx off",
        f"on {source}, if its network card computes them; else the program that crafts these packets has to be "
        "corrected",
        LESS_TSO,
    )


def fill_header_at(source: str) -> Remedy:
    """Against IPv4 headers without a checksum: Linux fills them in always, so it is no setting of Linux."""
    return Remedy(
        "",
        f"on {source}: switch off its card's IPv4 checksum offload (FreeBSD, pfSense: `ifconfig IFACE -txcsum`; "
        "Windows: `Disable-NetAdapterChecksumOffload -Name IFACE -IpIPv4`). Linux fills in the IPv4 header's checksum "
        "itself, always: there, the program that crafts these packets has to be corrected",
    )


def fill_header(end: End, samples: Iterable[Sample]) -> Remedy:
    """Against IPv4 headers without a checksum; if all are super-frames', a card was to make one for each segment."""
    if not all(s.flags & PacketFlag.SUPER_FRAME for s in samples):
        return fill_header_at(end.address)
    why = "cuts its segments itself, each with a header of its own"
    if end.interface is not None:
        return offload(end.interface, "tso off", f"{full_place(end.interface)} {why}", "more CPU for each byte sent")
    words = f"on {end.address}, a guest most likely, with its interface for {UNKNOWN_INTERFACE}: it {why}"
    return offload_at(UNKNOWN_INTERFACE, "tso off", words, "more CPU for each byte sent")


def of_hop(cause: RootCause, sender: End, samples: Iterable[Sample]) -> tuple[Remedy, ...]:
    """Against a hop that spoils checks, other than by losing metadata."""
    if cause is RootCause.NAT_ON_ZERO:
        return update_zero(samples)
    if cause is RootCause.IP_HEADER_NEVER_FILLED:
        return (fill_header(sender, samples),)
    known = {RootCause.NAT_WITHOUT_UPDATE: (UPDATE_SUM,), RootCause.DOUBLE_COMPLETION: (COMPLETES_BLINDLY,)}
    return known.get(cause, ())


def misplaced_at(source: str) -> tuple[Remedy, ...]:
    """Against completions at a wrong place.  `tx off` is no cure: the kernel then writes to that place itself."""
    return (
        Remedy(
            "",
            f"on {source}, or where its packets enter this machine: replace or repair what writes their virtio-net "
            "headers (a guest's driver, a hypervisor, a userspace switch): csum_start has to be where the transport "
            "header begins. `ethtool -K IFACE tx off` does not help: the kernel then does the same damage itself",
        ),
        Remedy(
            "pktmend bridge -i TO-SENDER -I TO-RECEIVER",
            "in between, before anything obeys them: leaves out headers that point to no checksum field, and completes "
            "the right one",
            "pktmend must keep running",
        ),
    )


def sctp_off(end: End) -> Remedy:
    """Compute the CRC32c in software."""
    words = ("tx-checksum-sctp off", f"{end.address} computes the CRC32c itself", "a little more CPU time")
    return offload(end.interface, *words) if end.interface else offload_at(UNKNOWN_INTERFACE, *words)


def rx_off(interface: Interface) -> Remedy:
    """Let the stack check what *interface* receives."""
    return offload(
        interface,
        "rx off",
        f"{full_place(interface)} claims nothing: the stack checks by itself",
        LESS_GRO,
    )


def gro_off(port: Interface) -> Remedy:
    """Let *port* not verify what is damaged only later."""
    return offload(
        port,
        "gro off",
        f"{full_place(port)}, where they enter, {VERIFIES}",
        "more CPU time",
    )


def link_counters(interface: Interface) -> Remedy:
    """Look for a broken link."""
    return Remedy(
        interface.command(f"ethtool -S {quote(interface.name)}"),
        "look for CRC, symbol and alignment errors: a cable, connector or card",
    )


def in_guest(hop: LossyHop) -> Remedy:
    """Let what a program writes into a TAP be complete: its guest, or the program itself."""
    port = hop.interfaces[0]
    program = f"{hop.program or 'the program'} (pid {hop.pid})" if hop.pid else "the program"
    return Remedy(
        "",
        f"in the guest or program behind {full_place(port)}: switch its transmit checksum offload off (in a Linux "
        f"guest `ethtool -K eth0 tx off`, with its interface's name), or have {program} open {port.name} with the "
        "virtio-net header (IFF_VNET_HDR) and say what is partial",
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


def for_leak(ends: Iterable[End], hops: Iterable[LossyHop] = (), *, in_tunnel: bool = False) -> tuple[Remedy, ...]:
    """Return the cures of a hop that loses the metadata: at both ends (answers pass it too), then at the hops.

    in_tunnel: the hop puts a tunnel around them; Open vSwitch before 3.3 drops what is partial there (userspace TSO).
    """
    hops = tuple(hops)
    writers = [hop for hop in hops if hop.kind is HopKind.WRITER]
    known = [end for end in ends if end.interface is not None and (end.leaks or end.interface.leaves_checksums)]
    unknown = [] if writers else [end for end in ends if end.interface is None]
    remedies = [*map(in_guest, writers), *map(at_end, known), *map(at_end, unknown)]
    databases = [hop.database for hop in hops if hop.database]
    remedies += [ovs_tso(databases[0])] if databases and not in_tunnel else []
    remedies += [_xdp_off(i) for hop in hops if hop.kind is HopKind.PROGRAM for i in hop.interfaces]
    return tuple({(remedy.command, remedy.effect): remedy for remedy in remedies}.values())


def before_translation(ends: Iterable[End]) -> tuple[Remedy, ...]:
    """The same where the addresses are those of a translation: the NAT is not who left them partial."""
    ends = tuple(ends)
    known = for_leak([end for end in ends if end.interface is not None])
    return known + tuple(
        offload_at(
            UNKNOWN_INTERFACE,
            "tx off",
            f"run it on the host that sends what is seen here from {end.address}, with its interface for "
            f"{UNKNOWN_INTERFACE}: where the source was translated that is the host behind the NAT, not the NAT",
            TX_COST,
        )
        for end in ends
        if end.interface is None
    )


def _xdp_off(interface: Interface) -> Remedy:
    mode = XDP_WORDS.get(interface.xdp, "xdp")
    return Remedy(
        interface.command(f"ip link set dev {quote(interface.name)} {mode} off"),
        f"frames that come in at {full_place(interface)} go through the kernel, mark and all",
        "what the XDP program does is not done any more",
    )
