"""Frames of every kind that is parsed (docs/limitations.md), by scapy; the sums that it does not make, by hand.

CARRIERS maps a name to the link type, the checks to be found (protocol and depth, outer first) and a function that
makes the frame from a payload.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from scapy.all import (
    GRE,
    ICMP,
    IP,
    SCTP,
    UDP,
    VXLAN,
    CookedLinux,
    Dot1AD,
    Dot1Q,
    Ether,
    IPv6,
    Raw,
    SCTPChunkData,
)
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.contrib.igmp import IGMP
from scapy.contrib.mpls import MPLS
from scapy.layers.inet6 import (
    HAO,
    ICMPv6EchoRequest,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    IPv6ExtHdrSegmentRouting,
    Jumbo,
    PadN,
)
from scapy.layers.l2 import SNAP, CookedLinuxV2
from scapy.layers.ppp import HDLC, PPP, PPPoE
from scapy.utils import checksum as words

import frames as f
from tunnel_carriers import TUNNELS

ETHERNET, NULL, PPP_RAW, RAW_BSD, RAW_OPENBSD, PPP_HDLC, PPPOE, RAW, C_HDLC, LOOP, SLL, IPV4, IPV6, SLL2 = (
    1,
    0,
    9,
    12,
    14,
    50,
    51,
    101,
    104,
    108,
    113,
    228,
    229,
    276,
)
HOME, ROUTE = "fd07::99", ["fd07::11", "fd07::22"]

tcp4, tcp6 = f.ip4 / f.tcp, f.ip6 / f.tcp
inner = Ether(src="02:00:00:00:01:01", dst="02:00:00:00:01:02") / IP(src="10.9.0.1", dst="10.9.0.2") / f.tcp
over4, over6 = f.ether / f.ip4, f.ether / f.ip6


def udp_lite(coverage: int, payload: bytes, version: int = 4) -> Any:
    """RFC 3828 section 3.1: the pseudo header has the whole length, the sum covers the first *coverage* bytes."""
    head = struct.pack("!HHH", 40000, 5000, coverage) + b"\0\0"
    covered = (head + payload)[: coverage or None]
    addresses = f.raw(f.ip4)[12:20] if version == 4 else f.raw(f.ip6)[8:40]
    value = words(addresses + struct.pack("!II", 136, 8 + len(payload)) + covered) or 0xFFFF
    ip = IP(src="10.7.0.1", dst="10.7.0.2", proto=136) if version == 4 else IPv6(src="fd07::1", dst="fd07::2", nh=136)
    return f.ether / ip / Raw(f.put16(head, 6, value) + payload)


def dccp(coverage_code: int, payload: bytes) -> Any:
    """A DCCP-Data header, RFC 4340 section 5.1; CsCov n > 0 covers the header and 4 (n - 1) bytes (section 9.2)."""
    head = struct.pack("!HHBBHBBHI", 40000, 5001, 4, coverage_code, 0, 2 << 1 | 1, 0, 1, 2)
    covered = (head + payload)[: 16 + 4 * (coverage_code - 1)] if coverage_code else head + payload
    addresses = f.raw(f.ip4)[12:20]
    value = words(addresses + struct.pack("!II", 33, 16 + len(payload)) + covered)
    return f.ether / IP(src="10.7.0.1", dst="10.7.0.2", proto=33) / Raw(f.put16(head, 6, value) + payload)


def erspan(kind: int, payload: bytes) -> Any:
    """ERSPAN types I, II and III of draft-foschiano-erspan, the mirrored frame inside."""
    mirrored = f.raw(inner / payload)
    if kind == 1:
        return over4 / GRE(proto=0x88BE) / Raw(mirrored)
    head = bytes(8) if kind == 2 else bytes(12)
    return over4 / GRE(proto=0x88BE if kind == 2 else 0x22EB, seqnum_present=1) / Raw(head + mirrored)


def nested(count: int, payload: bytes) -> Any:
    """*count* IPv4 headers, then TCP."""
    packet: Any = f.ether
    for i in range(count):
        packet /= IP(src=f"10.{i}.0.1", dst=f"10.{i}.0.2")
    return packet / f.tcp / payload


def after(head: bytes, packet: Any) -> bytes:
    """Return a frame of a link type that scapy has no layer for."""
    return head + f.raw(packet)


def teredo(p: bytes, head: bytes = b"") -> Any:
    """RFC 4380 section 5.1.1: an IPv6 packet in a UDP datagram, here from port 3544, after optional indications."""
    return over4 / UDP(sport=3544, dport=3545) / Raw(head + f.raw(tcp6 / p))


def source_routed(p: bytes, kind: int) -> Any:
    """A source route that is not used up: the sum has its last address (RFC 1122 section 3.2.1.8).  Summed by scapy."""
    last = "10.7.9.9"
    option = bytes([kind, 7, 4]) + bytes(map(int, last.split("."))) + b"\0"
    segment = f.raw(IP(src="10.7.0.1", dst=last) / f.tcp / p)[20:]
    return f.ether / IP(src="10.7.0.1", dst="10.7.0.2", proto=6, options=[option]) / Raw(segment)


def srv6(p: bytes) -> Any:
    return over6 / IPv6ExtHdrSegmentRouting(addresses=ROUTE, segleft=1, lastentry=1) / f.tcp / p


def rpl(p: bytes) -> Any:
    """RFC 6554: addresses without the bytes that they share with the destination: here the last is fd07::22."""
    segment = f.raw(IPv6(src="fd07::1", dst="fd07::22") / f.tcp / p)[40:]
    route = bytes([6, 1, 3, 1, 0xFF, 0x70, 0, 0]) + b"\x22" + bytes(7)  # 15 bytes shared; 7 of padding
    return f.ether / IPv6(src="fd07::1", dst="fd07::2", nh=43) / Raw(route + segment)


def snap(p: bytes) -> bytes:
    """An IPv4 packet in an 802.3 frame (RFC 1042)."""
    body = b"\xaa\xaa\x03" + f.raw(SNAP(OUI=0, code=0x0800) / tcp4 / p)
    return f.raw(f.ether)[:12] + struct.pack("!H", len(body)) + body


def jumbogram(p: bytes) -> bytes:
    """RFC 2675: more than 65,535 bytes, the length in an option, 0 in the header."""
    segment = f.raw(f.tcp / (p * 1025))
    packet = f.raw(
        IPv6(src="fd07::1", dst="fd07::2", plen=0)
        / IPv6ExtHdrHopByHop(options=[Jumbo(jumboplen=8 + len(segment))])
        / f.tcp
        / (p * 1025)
    )
    assert len(packet) > 65_600
    return f.raw(f.ether)[:12] + b"\x86\xdd" + packet


Build = Callable[[bytes], Any]
CARRIERS: dict[str, tuple[int, str, Build]] = {
    # link types
    "ethernet": (ETHERNET, "ip tcp", lambda p: f.ether / tcp4 / p),
    "802.1Q": (ETHERNET, "ip tcp", lambda p: f.ether / Dot1Q(vlan=5) / tcp4 / p),
    "QinQ": (ETHERNET, "tcp", lambda p: f.ether / Dot1AD(vlan=5) / Dot1Q(vlan=6) / tcp6 / p),
    "eight tags": (ETHERNET, "ip tcp", lambda p: after(f.raw(f.ether)[:12] + b"\x81\0\0\5" * 8 + b"\x08\0", tcp4 / p)),
    "SNAP": (ETHERNET, "ip tcp", snap),
    "MPLS": (ETHERNET, "ip tcp", lambda p: f.ether / MPLS(label=16, s=0) / MPLS(label=17, s=1) / tcp4 / p),
    "MPLS to IPv6": (ETHERNET, "tcp", lambda p: f.ether / MPLS(label=17, s=1) / tcp6 / p),
    "MPLS pseudowire": (ETHERNET, "ip tcp", lambda p: f.ether / MPLS(label=17, s=1) / Raw(bytes(4) + f.raw(inner / p))),
    "PPPoE": (ETHERNET, "ip tcp", lambda p: f.ether / PPPoE(sessionid=1) / PPP() / tcp4 / p),
    "PPPoE to IPv6": (ETHERNET, "tcp", lambda p: f.ether / PPPoE(sessionid=1) / PPP() / tcp6 / p),
    "PPPoE link": (PPPOE, "ip tcp", lambda p: PPPoE(sessionid=1) / PPP() / tcp4 / p),
    "PPP": (PPP_RAW, "ip tcp", lambda p: PPP() / tcp4 / p),
    "PPP in HDLC": (PPP_HDLC, "tcp", lambda p: HDLC() / PPP() / tcp6 / p),
    "Cisco HDLC": (C_HDLC, "ip tcp", lambda p: after(b"\x0f\0\x08\0", tcp4 / p)),
    "SLL": (SLL, "ip tcp", lambda p: CookedLinux() / tcp4 / p),
    "SLL with a tag": (SLL, "tcp", lambda p: CookedLinux() / Dot1Q(vlan=5) / tcp6 / p),
    "SLL2": (SLL2, "ip tcp", lambda p: CookedLinuxV2() / tcp4 / p),
    "SLL2 to IPv6": (SLL2, "tcp", lambda p: CookedLinuxV2() / tcp6 / p),
    "raw IPv4": (RAW, "ip tcp", lambda p: tcp4 / p),
    "raw IPv6": (RAW, "tcp", lambda p: tcp6 / p),
    "raw BSD": (RAW_BSD, "ip tcp", lambda p: tcp4 / p),
    "raw OpenBSD": (RAW_OPENBSD, "tcp", lambda p: tcp6 / p),
    "IPv4 link": (IPV4, "ip tcp", lambda p: tcp4 / p),
    "IPv6 link": (IPV6, "tcp", lambda p: tcp6 / p),
    "null, little-endian": (NULL, "ip tcp", lambda p: after(b"\2\0\0\0", tcp4 / p)),
    "null, big-endian": (NULL, "tcp", lambda p: after(b"\0\0\0\x1e", tcp6 / p)),
    "loop": (LOOP, "ip tcp", lambda p: after(b"\0\0\0\2", tcp4 / p)),
    # network headers
    "IPv4 options": (ETHERNET, "ip udp", lambda p: f.ether / IP(options=[b"\x94\x04\0\0", b"\1"]) / f.udp / p),
    "IPv4 strict source route": (ETHERNET, "ip tcp", lambda p: source_routed(p, 137)),
    "IPv4 loose source route": (ETHERNET, "ip tcp", lambda p: source_routed(p, 131)),
    "IPv6 options": (
        ETHERNET,
        "udp",
        lambda p: (
            over6
            / IPv6ExtHdrHopByHop(options=PadN(optdata=b"\0" * 4))
            / IPv6ExtHdrDestOpt(options=PadN(optdata=b"\0" * 4))
            / f.udp
            / p
        ),
    ),
    "IPv6 routing type 0": (
        ETHERNET,
        "tcp",
        lambda p: over6 / IPv6ExtHdrRouting(addresses=ROUTE, segleft=2) / f.tcp / p,
    ),
    "IPv6 routing type 2": (
        ETHERNET,
        "tcp",
        lambda p: over6 / IPv6ExtHdrRouting(type=2, addresses=ROUTE[:1], segleft=1) / f.tcp / p,
    ),
    "IPv6 routing used up": (
        ETHERNET,
        "tcp",
        lambda p: over6 / IPv6ExtHdrRouting(addresses=ROUTE, segleft=0) / f.tcp / p,
    ),
    "IPv6 segment routing": (ETHERNET, "tcp", srv6),
    "IPv6 RPL source route": (ETHERNET, "tcp", rpl),
    "IPv6 home address": (ETHERNET, "tcp", lambda p: over6 / IPv6ExtHdrDestOpt(options=HAO(hoa=HOME)) / f.tcp / p),
    "IPv6 atomic fragment": (ETHERNET, "udp", lambda p: over6 / IPv6ExtHdrFragment(nh=17) / f.udp / p),
    "IPv6 jumbogram": (ETHERNET, "tcp", jumbogram),
    # transport
    "UDP": (ETHERNET, "ip udp", lambda p: over4 / f.udp / p),
    "UDP over IPv6": (ETHERNET, "udp", lambda p: over6 / f.udp / p),
    "UDP-Lite": (ETHERNET, "ip udplite", lambda p: udp_lite(0, p)),
    "UDP-Lite, partial": (ETHERNET, "ip udplite", lambda p: udp_lite(29, p)),
    "UDP-Lite, header only": (ETHERNET, "ip udplite", lambda p: udp_lite(8, p)),
    "UDP-Lite over IPv6": (ETHERNET, "udplite", lambda p: udp_lite(20, p, 6)),
    "DCCP": (ETHERNET, "ip dccp", lambda p: dccp(0, p)),
    "DCCP, header only": (ETHERNET, "ip dccp", lambda p: dccp(1, p)),
    "DCCP, partial": (ETHERNET, "ip dccp", lambda p: dccp(5, p)),
    "ICMP": (ETHERNET, "ip icmp", lambda p: over4 / ICMP() / p),
    "ICMPv6": (ETHERNET, "icmpv6", lambda p: over6 / ICMPv6EchoRequest(data=p)),
    "IGMP": (ETHERNET, "ip igmp", lambda p: over4 / IGMP(type=0x16, gaddr="239.1.2.3") / p),
    "SCTP": (ETHERNET, "ip sctp", lambda p: over4 / SCTP(sport=7, dport=8) / SCTPChunkData(data=p)),
    "SCTP over IPv6": (ETHERNET, "sctp", lambda p: over6 / SCTP(sport=7, dport=8) / SCTPChunkData(data=p)),
    "GRE with a sum": (ETHERNET, "ip gre ip1 tcp1", lambda p: over4 / GRE(chksum_present=1) / tcp4 / p),
    # tunnels
    "VXLAN": (ETHERNET, "ip udp ip1 tcp1", lambda p: over4 / UDP(sport=9, dport=4789) / VXLAN() / inner / p),
    "VXLAN on Linux's port": (
        ETHERNET,
        "ip udp ip1 tcp1",
        lambda p: over4 / UDP(sport=9, dport=8472) / VXLAN() / inner / p,
    ),
    "VXLAN-GPE": (
        ETHERNET,
        "ip udp tcp1",
        lambda p: over4 / UDP(sport=9, dport=4790) / Raw(b"\x0c\0\0\2\0\0\7\0" + f.raw(tcp6 / p)),
    ),
    "Geneve": (ETHERNET, "udp ip1 tcp1", lambda p: over6 / UDP(sport=9, dport=6081) / GENEVE(proto=0x6558) / inner / p),
    "Geneve with options": (
        ETHERNET,
        "ip udp ip1 tcp1",
        lambda p: (
            over4 / UDP(sport=9, dport=6081) / Raw(b"\2\0\x65\x58\0\0\7\0" + b"\1\2\3\1" + bytes(4) + f.raw(inner / p))
        ),
    ),
    "GRE": (ETHERNET, "ip gre ip1 tcp1", lambda p: over4 / GRE() / tcp4 / p),
    "NVGRE": (ETHERNET, "ip gre ip1 tcp1", lambda p: over4 / GRE(key_present=1, proto=0x6558) / inner / p),
    "GRE over IPv6": (ETHERNET, "gre tcp1", lambda p: over6 / GRE(proto=0x86DD) / tcp6 / p),
    "ERSPAN I": (ETHERNET, "ip gre ip1 tcp1", lambda p: erspan(1, p)),
    "ERSPAN II": (ETHERNET, "ip gre ip1 tcp1", lambda p: erspan(2, p)),
    "ERSPAN III": (ETHERNET, "ip gre ip1 tcp1", lambda p: erspan(3, p)),
    "IPIP": (ETHERNET, "ip ip1 tcp1", lambda p: over4 / tcp4 / p),
    "6in4": (ETHERNET, "ip tcp1", lambda p: over4 / tcp6 / p),
    "4in6": (ETHERNET, "ip1 tcp1", lambda p: over6 / tcp4 / p),
    "6in6": (ETHERNET, "tcp1", lambda p: over6 / tcp6 / p),
    "GTP-U": (
        ETHERNET,
        "ip udp ip1 tcp1",
        lambda p: over4 / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=1) / tcp4 / p,
    ),
    "GTP-U with an extension": (
        ETHERNET,
        "ip udp ip1 tcp1",
        lambda p: (
            over4
            / UDP(sport=2152, dport=2152)
            / Raw(
                struct.pack("!BBHI", 0x34, 255, len(f.raw(tcp4 / p)) + 8, 1)
                + b"\0\0\0\x85"
                + b"\1\0\7\0"
                + f.raw(tcp4 / p)
            )
        ),
    ),
    "Teredo": (ETHERNET, "ip udp tcp1", teredo),
    "Teredo with indications": (
        ETHERNET,
        "ip udp tcp1",
        lambda p: teredo(p, b"\0\1\0\0" + bytes(9) + b"\0\0" + bytes(6)),
    ),
    "VXLAN in VXLAN": (
        ETHERNET,
        "ip udp ip1 udp1 ip2 tcp2",
        lambda p: (
            over4 / UDP(sport=9, dport=4789) / VXLAN() / Ether() / IP() / UDP(sport=9, dport=4789) / VXLAN() / inner / p
        ),
    ),
    "eight IPv4 headers": (ETHERNET, "ip ip1 ip2 ip3 ip4 ip5 ip6 ip7 tcp7", lambda p: nested(8, p)),
}
CARRIERS |= {name: (ETHERNET, layout, build) for name, (layout, build) in TUNNELS.items()}
