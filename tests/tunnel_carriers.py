"""Tunnels beside those of carriers.py: on ports that nobody registered, in UDP, in GRE, behind MPLS labels.

TUNNELS maps a name to the checks to be found and a function that makes an Ethernet frame from a payload, as CARRIERS
does.
Headers are written by hand after the document named beside each; what they carry is scapy's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from scapy.all import GRE, IP, SCTP, UDP, VXLAN, Ether, IPv6, Raw, SCTPChunkData, SCTPChunkInitAck
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.contrib.mpls import MPLS

import frames as f

tcp4, tcp6 = IP(src="10.9.0.1", dst="10.9.0.2") / f.tcp, IPv6(src="fd09::1", dst="fd09::2") / f.tcp
inner = Ether(src="02:00:00:00:01:01", dst="02:00:00:00:01:02") / tcp4
inner6 = Ether(src="02:00:00:00:01:01", dst="02:00:00:00:01:02") / tcp6
over4, over6 = f.ether / f.ip4, f.ether / f.ip6
GTPU_CONTAINER = b"\x01\x10\x05\0"  # PDU session information, 3GPP TS 38.415
EPOCH = bytes(4)


def udp(port: int, head: bytes, packet: Any, *, source: int = 50007, below: Any = over4) -> Any:
    """Return *head* and *packet* in a datagram to *port*."""
    return below / UDP(sport=source, dport=port) / Raw(head + f.raw(packet))


def gtpu(port: int, payload: bytes, *, source: int = 50007) -> Any:
    """With a sequence number and an extension header: 3GPP TS 29.281 section 5.1."""
    packet = f.raw(tcp4 / payload)
    head = struct.pack("!BBHI", 0x36, 255, len(packet) + 8, 7) + b"\0\1\0\x85" + GTPU_CONTAINER
    return udp(port, head, packet, source=source)


def pseudowire(payload: bytes, mac: str, word: bytes = b"", labels: int = 1) -> Any:
    """Ethernet behind MPLS, its destination's address beginning with any digit (RFC 4448)."""
    frame: Any = f.ether
    for i in range(labels):
        frame /= MPLS(label=16 + i, s=int(i == labels - 1))
    return frame / Raw(word + f.raw(Ether(src="46:00:00:40:11:22", dst=mac) / tcp4 / payload))


def erspan(bits: int, head: bytes, packet: Any) -> Any:
    """A GRE header with a sequence number, and an ERSPAN header (draft-foschiano-erspan)."""
    return over4 / GRE(proto=bits, seqnum_present=1) / Raw(head + f.raw(packet))


def nsh(following: int, packet: Any) -> bytes:
    """An NSH of metadata type 2 without metadata: RFC 8300 section 2."""
    return b"\x0f\xc2\x02" + bytes([following]) + b"\0\0\1\xff" + f.raw(packet)


def l2tp3(payload: bytes, cookie: bytes) -> bytes:
    """A session, a cookie, Ethernet: RFC 3931 section 4.1."""
    return struct.pack("!I", 77) + cookie + f.raw(inner / payload)


def capwap(binding: int = 0, wireless: bytes = b"") -> bytes:
    """The preamble and a header, with information of the wireless binding or without: RFC 5415 section 4.3."""
    length = 8 + len(wireless)
    return bytes([0, length // 4 << 3, binding, 0x20 if wireless else 0]) + bytes(4) + wireless


def wireless(control: bytes, payload: bytes) -> bytes:
    """An 802.11 data frame of these two bytes of frame control, SNAP and IPv4."""
    quality = b"\0\0" if 0x88 in control[:2] else b""
    return control.ljust(24, b"\0") + quality + b"\xaa\xaa\3\0\0\0\x08\0" + f.raw(tcp4 / payload)


Build = Callable[[bytes], Any]
TUNNELS: dict[str, tuple[str, Build]] = {
    "VXLAN on Swarm's port": (
        "ip udp ip1 tcp1",
        lambda p: over4 / UDP(sport=9, dport=7789) / VXLAN(flags=8, vni=4097) / inner / p,
    ),
    "VXLAN on any port over IPv6": (
        "udp tcp1",
        lambda p: over6 / UDP(sport=9, dport=6784) / VXLAN(flags=8, vni=7) / inner6 / p,
    ),
    "VXLAN-GPE on any port": ("ip udp ip1 tcp1", lambda p: over4 / UDP(sport=9, dport=6784) / VXLAN() / inner / p),
    "Geneve on any port": (
        "ip udp ip1 tcp1",
        lambda p: over4 / UDP(sport=9, dport=16081) / GENEVE(proto=0x6558, vni=7) / inner / p,
    ),
    "Geneve of IPv6 with options": (
        "ip udp tcp1",
        lambda p: udp(16081, b"\2\0\x86\xdd\0\0\7\0" + b"\1\2\3\1" + bytes(4), tcp6 / p),
    ),
    "GTP-U on any port": ("ip udp ip1 tcp1", lambda p: udp(12152, b"", GTP_U_Header(teid=1) / tcp4 / p)),
    "GTP-U with extensions to a port": ("ip udp ip1 tcp1", lambda p: gtpu(30001, p)),
    "GTP-U with extensions from a port": ("ip udp ip1 tcp1", lambda p: gtpu(50007, p, source=30001)),
    "GTP-U of Ethernet": (
        "ip udp ip1 tcp1",
        lambda p: udp(2152, struct.pack("!BBHI", 0x30, 255, len(f.raw(inner / p)), 7), inner / p),
    ),
    "FOU": ("ip udp ip1 tcp1", lambda p: udp(5555, b"", tcp4 / p)),
    "FOU over IPv6": ("udp ip1 tcp1", lambda p: udp(5555, b"", tcp4 / p, below=over6)),
    "GUE": ("ip udp ip1 tcp1", lambda p: udp(6080, b"\0\4\0\0", tcp4 / p)),
    "GUE on any port": ("ip udp tcp1", lambda p: udp(7777, b"\0\x29\0\0", tcp6 / p)),
    "GUE with a private field": ("ip udp ip1 tcp1", lambda p: udp(6080, b"\1\4\0\1" + bytes(4), tcp4 / p)),
    "GUE version 1": ("ip udp ip1 tcp1", lambda p: udp(6080, b"", tcp4 / p)),
    "GRE in UDP": ("ip udp gre ip1 tcp1", lambda p: udp(4754, b"", GRE() / tcp4 / p)),
    "GRE with a sum in UDP": ("ip udp gre ip1 tcp1", lambda p: udp(4754, b"", GRE(chksum_present=1) / tcp4 / p)),
    "MPLS in UDP": ("ip udp ip1 tcp1", lambda p: udp(6635, b"", MPLS(label=16, s=1) / tcp4 / p)),
    "SCTP in UDP": (
        "ip udp sctp1",
        lambda p: udp(9899, b"", SCTP(sport=7, dport=8) / SCTPChunkData(data=p), source=9899),
    ),
    "SCTP in UDP, answered": (
        "ip udp sctp1",
        lambda p: udp(50007, b"", SCTP(sport=8, dport=7) / SCTPChunkInitAck(init_tag=len(p) + p[0]), source=9899),
    ),
    "L2TP": ("ip udp ip1 tcp1", lambda p: udp(1701, b"\0\2\0\7\0\7" + b"\xff\3\0\x21", tcp4 / p, source=1701)),
    "L2TP with a length": (
        "ip udp tcp1",
        lambda p: udp(
            1701, struct.pack("!HHHH", 0x4002, 12 + len(f.raw(tcp6 / p)), 7, 7) + b"\xff\3\0\x57", tcp6 / p, source=1701
        ),
    ),
    "L2TPv3 in UDP": ("ip udp ip1 tcp1", lambda p: udp(1701, b"\0\3\0\0", l2tp3(p, b"cook"), source=1701)),
    "L2TPv3": (
        "ip ip1 tcp1",
        lambda p: f.ether / IP(src="10.7.0.1", dst="10.7.0.2", proto=115) / Raw(l2tp3(p, bytes(8))),
    ),
    "AYIYA": (
        "ip udp tcp1",
        lambda p: udp(5072, b"\x41\x52\x11\x29" + EPOCH + bytes(16) + bytes(20), tcp6 / p),
    ),
    "CAPWAP of 802.3": ("ip udp ip1 tcp1", lambda p: udp(5247, capwap(), inner / p)),
    "CAPWAP of 802.11": ("ip udp ip1 tcp1", lambda p: udp(5247, capwap(0x03), wireless(b"\x08\x01", p))),
    "CAPWAP, answered": (
        "ip udp ip1 tcp1",
        lambda p: udp(40000, capwap(0x03, b"\3\xbf\x23\0"), wireless(b"\x88\x02", p), source=5247),
    ),
    "CAPWAP, swapped": ("ip udp ip1 tcp1", lambda p: udp(5247, capwap(0x03), wireless(b"\x01\x08", p))),
    "CAPWAP, swapped with its sequence": (
        "ip udp ip1 tcp1",
        lambda p: udp(5247, capwap(0x03), wireless(b"\x11\x08" + bytes(20) + b"\x76\x30", p)),
    ),
    "CAPWAP, swapped, between stations": (
        "ip udp ip1 tcp1",
        lambda p: udp(5247, capwap(0x03), wireless(b"\0\x08", p)),
    ),
    "VXLAN-GPE of NSH": ("ip udp ip1 tcp1", lambda p: udp(4790, b"\x0c\0\0\4\0\0\7\0", nsh(3, inner / p))),
    "NSH": ("ip tcp", lambda p: f.raw(f.ether)[:12] + b"\x89\x4f" + nsh(1, tcp4 / p)),
    "NSH twice": ("tcp", lambda p: f.raw(f.ether)[:12] + b"\x89\x4f" + nsh(4, nsh(2, tcp6 / p))),
    "NSH in GRE": ("ip gre ip1 tcp1", lambda p: over4 / GRE(proto=0x894F) / Raw(nsh(3, inner / p))),
    "ERSPAN II with its version": ("ip gre ip1 tcp1", lambda p: erspan(0x88BE, b"\x10\5" + bytes(6), inner / p)),
    "ERSPAN III with its version": ("ip gre ip1 tcp1", lambda p: erspan(0x22EB, b"\x20\5" + bytes(10), inner / p)),
    "ERSPAN III of a platform": (
        "ip gre ip1 tcp1",
        lambda p: erspan(0x22EB, b"\x20\5" + bytes(9) + b"\1" + bytes(8), inner / p),
    ),
    "ERSPAN III of IP": ("ip gre ip1 tcp1", lambda p: erspan(0x22EB, b"\x20\5" + bytes(8) + b"\x08\0", tcp4 / p)),
    "WCCP": ("ip gre ip1 tcp1", lambda p: over4 / GRE(proto=0x883E) / tcp4 / p),
    "WCCP 2": ("ip gre ip1 tcp1", lambda p: over4 / GRE(proto=0x883E) / Raw(b"\0\x32\0\1" + f.raw(tcp4 / p))),
    "pseudowire to 44": ("ip tcp", lambda p: pseudowire(p, "44:55:02:00:00:01")),
    "pseudowire to 46": ("ip tcp", lambda p: pseudowire(p, "46:00:00:30:12:34")),
    "pseudowire to 60": ("ip tcp", lambda p: pseudowire(p, "60:00:00:00:00:33")),
    "pseudowire to 00": ("ip tcp", lambda p: pseudowire(p, "00:00:5e:00:53:01")),
    "pseudowire to a group": ("ip tcp", lambda p: pseudowire(p, "45:00:00:7d:00:01")),
    "pseudowire with a control word": ("ip tcp", lambda p: pseudowire(p, "46:00:00:30:12:34", bytes(4))),
    "pseudowire numbered": ("ip tcp", lambda p: pseudowire(p, "60:00:00:00:00:33", b"\0\0\x12\x34")),
    "pseudowire with a flow label": ("ip tcp", lambda p: pseudowire(p, "44:55:02:00:00:01", labels=3)),
    "explicit null": ("tcp", lambda p: f.ether / MPLS(label=2, s=1) / tcp6 / p),
}
