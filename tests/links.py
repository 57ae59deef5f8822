"""Frames of the links and tags that few captures have: by scapy where it has them, else by hand after their documents.

LINKS maps a name to the link type, the checks to be found (protocol and depth, outer first) and a function that makes
the frame from a payload, as in carriers.py.
"""

from __future__ import annotations

import struct
from typing import Any

from scapy.all import GRE, LLC, SNAP, Dot11, RadioTap, Raw

import frames as f
from carriers import ETHERNET, SLL, SLL2, Build, over4, tcp4, tcp6

ADDRESSES = ("02:00:00:00:00:02", "02:00:00:00:00:01", "02:00:00:00:00:03")
MACS = f.raw(f.ether)[:12]


def v4(p: bytes) -> bytes:
    return f.raw(tcp4 / p)


def v6(p: bytes) -> bytes:
    return f.raw(tcp6 / p)


def llc(p: bytes, code: int = 0x0800) -> bytes:
    return f.raw(LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=code)) + (v4(p) if code == 0x0800 else v6(p))


def typed(kind: int, head: bytes, p: bytes) -> bytes:
    """Ethernet with a tag of this EtherType, then IPv4."""
    return MACS + struct.pack("!H", kind) + head + b"\x08\0" + v4(p)


def framed(kind: int, head: bytes, p: bytes) -> bytes:
    """Ethernet in which another frame lies behind a header."""
    return MACS + struct.pack("!H", kind) + head + f.raw(f.ether / tcp4 / p)


def dot11(body: bytes, *, qos: bytes = b"", more: bytes = b"", **fields: Any) -> bytes:
    """A data frame; qos: its QoS field, in wire order; more: what else its header has."""
    head = Dot11(type=2, subtype=8 if qos else 0, addr1=ADDRESSES[0], addr2=ADDRESSES[1], addr3=ADDRESSES[2], **fields)
    return f.raw(head)[: 30 if fields.get("addr4") else 24] + qos + more + body


def aggregate(p: bytes) -> bytes:
    """Two frames in one (IEEE 802.11-2020 section 9.3.2.2), each padded to four bytes but the last."""
    first, last = llc(b"first" + p), llc(p, 0x86DD)
    one = MACS + struct.pack("!H", len(first)) + first
    return one + bytes(-len(one) % 4) + MACS + struct.pack("!H", len(last)) + last


def radiotap(frame: bytes, present: str = "Flags", *, check: bool = False, flags: str = "", **fields: Any) -> bytes:
    flags = flags or ("FCS" if check else "")
    return f.raw(RadioTap(present=present, Flags=flags, **fields)) + frame + (b"\1\2\3\4" if check else b"")


def ppi(frame: bytes, link: int, fields: bytes = b"") -> bytes:
    return struct.pack("<BBHI", 0, 0, 8 + len(fields), link) + fields + frame


def prism(frame: bytes) -> bytes:
    """A message of 144 bytes, in the byte order of the host that wrote it."""
    return struct.pack("<II", 0x44, 144) + b"wlan0".ljust(16, b"\0") + bytes(120) + frame


def attribute(kind: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def nflog(family: int, packet: bytes, order: str = "<", hardware: int = 0x0800) -> bytes:
    """The kernel's attributes: packet header, prefix, payload last."""
    head = struct.pack("!BBH", family, 0, 7) + attribute(1, struct.pack("!HBB", hardware, 1, 0), order)
    return head + attribute(10, b"in: \0", order) + attribute(9, packet, order)


def llc_frame(p: bytes, head: bytes) -> bytes:
    body = head + v4(p)
    return MACS + struct.pack("!H", len(body)) + body


def sll(p: bytes, kind: int, protocol: int, payload: bytes) -> bytes:
    return struct.pack("!HHH8sH", 0, kind, 6, bytes(8), protocol) + payload


def sll2(kind: int, payload: bytes) -> bytes:
    return struct.pack("!HHIHBB8s", 0x0004, 0, 3, kind, 0, 6, bytes(8)) + payload


WLAN = "ip tcp"
LINKS: dict[str, tuple[int, str, Build]] = {
    # tags and frames behind an EtherType
    "CMD": (ETHERNET, "ip tcp", lambda p: typed(0x8909, b"\1\1\0\1\0\x64", p)),
    "CMD in GRE": (
        ETHERNET,
        "ip gre ip tcp",
        lambda p: f.raw(over4 / GRE(proto=0x8909) / Raw(b"\x08\0\1\1\0\1\0\0" + v4(p))),
    ),
    "WCCP": (ETHERNET, "ip gre ip tcp", lambda p: f.raw(over4 / GRE(proto=0x883E) / Raw(b"\5\x59\0\x48" + v4(p)))),
    "Arista's time": (ETHERNET, "ip tcp", lambda p: typed(0xD28B, b"\0\1\0\x10" + bytes(8), p)),
    "Arista's time of 48 bits": (ETHERNET, "ip tcp", lambda p: typed(0xD28B, b"\0\1\1\x20" + bytes(6), p)),
    "VN-tag": (ETHERNET, "ip tcp", lambda p: typed(0x8926, bytes(4), p)),
    "802.1BR": (ETHERNET, "ip tcp", lambda p: typed(0x893F, bytes(6), p)),
    "802.1CB": (ETHERNET, "ip tcp", lambda p: typed(0xF1C1, b"\0\0\0\7", p)),
    "HSR": (ETHERNET, "ip tcp", lambda p: typed(0x892F, struct.pack("!HH", 0x1000 | 200, 7), p)),
    "802.1ah": (ETHERNET, "ip tcp", lambda p: framed(0x88E7, b"\0\0\0\1", p)),
    "TEB": (ETHERNET, "ip tcp", lambda p: framed(0x6558, b"", p)),
    "TRILL": (ETHERNET, "ip tcp", lambda p: framed(0x22F3, b"\0\x0a\0\1\0\2", p)),
    "FabricPath": (ETHERNET, "ip tcp", lambda p: framed(0x8903, b"\0\x60", p) + bytes(4)),
    "batman unicast": (ETHERNET, "ip tcp", lambda p: framed(0x4305, b"\x40\x0f\x32\1" + bytes(6), p)),
    "batman broadcast": (ETHERNET, "ip tcp", lambda p: framed(0x4305, b"\1\x0f\x32\0\0\0\0\1" + bytes(6), p)),
    "MACsec, integrity only": (ETHERNET, "ip tcp", lambda p: typed(0x88E5, b"\0\0\0\0\0\1", p) + bytes(16)),
    "MACsec with an SCI": (ETHERNET, "ip tcp", lambda p: typed(0x88E5, b"\x20\0\0\0\0\1" + bytes(8), p) + bytes(16)),
    "EDSA": (ETHERNET, "ip tcp", lambda p: typed(0xDADA, b"\0\0\xc0\1\0\0", p)),
    "PPP over Ethernet": (ETHERNET, "ip tcp", lambda p: MACS + b"\x88\x0b\0\x21" + v4(p)),
    "jumbo LLC": (ETHERNET, "ip tcp", lambda p: MACS + b"\x88\x70" + llc(p)),
    # 802.2
    "LLC with IP's own address": (ETHERNET, "ip tcp", lambda p: llc_frame(p, b"\6\6\3")),
    "802.1H": (ETHERNET, "ip tcp", lambda p: llc_frame(p, b"\xaa\xaa\3\0\0\xf8\x08\0")),
    "LLC with an NLPID": (ETHERNET, "ip tcp", lambda p: llc_frame(p, b"\xfe\xfe\3\xcc")),
    # 802.11
    "802.11": (105, WLAN, lambda p: dot11(llc(p), FCfield=2)),
    "802.11 to IPv6": (105, "tcp", lambda p: dot11(llc(p, 0x86DD), FCfield=1)),
    "802.11 with a check sequence": (105, WLAN, lambda p: dot11(llc(p), FCfield=2) + b"\1\2\3\4"),
    "802.11 QoS": (105, WLAN, lambda p: dot11(llc(p), qos=b"\0\0", FCfield=2)),
    "802.11 QoS with HT control": (
        105,
        WLAN,
        lambda p: dot11(llc(p), qos=b"\0\0", more=bytes(4), FCfield=0x82),
    ),
    "802.11 of four addresses": (
        105,
        WLAN,
        lambda p: dot11(llc(p), qos=b"\0\0", FCfield=3, addr4="02:00:00:00:00:04"),
    ),
    "802.11 A-MSDU": (105, "ip tcp tcp", lambda p: dot11(aggregate(p), qos=b"\x80\0", FCfield=2)),
    "802.11 mesh": (
        105,
        WLAN,
        lambda p: dot11(b"\0\x1f\1\0\0\0" + llc(p), qos=b"\0\1", FCfield=3, addr4="02:00:00:00:00:04"),
    ),
    "radiotap": (127, WLAN, lambda p: radiotap(dot11(llc(p), FCfield=2))),
    "radiotap with a check sequence": (
        127,
        "tcp",
        lambda p: radiotap(dot11(llc(p, 0x86DD), FCfield=2), check=True),
    ),
    "radiotap with a time": (
        127,
        WLAN,
        lambda p: radiotap(dot11(llc(p), FCfield=2), "TSFT+Flags+Rate", check=True, mac_timestamp=7, Rate=2),
    ),
    "radiotap of two words": (
        127,
        WLAN,
        lambda p: struct.pack("<BBHIIBx", 0, 0, 14, 0x80000002, 0, 0x10) + dot11(llc(p), FCfield=2) + bytes(4),
    ),
    "radiotap, padded header": (
        127,
        WLAN,
        lambda p: struct.pack("<BBHIB", 0, 0, 9, 2, 0x20) + dot11(llc(p), qos=b"\0\0", more=b"\0\0", FCfield=2),
    ),
    "PPI": (192, WLAN, lambda p: ppi(dot11(llc(p), FCfield=2), 105)),
    "PPI with a check sequence": (
        192,
        WLAN,
        lambda p: ppi(
            dot11(llc(p), FCfield=2) + bytes(4),
            105,
            struct.pack("<HHQHHHHBBbb", 2, 20, 0, 1, 2, 2412, 0, 0, 0, -40, -90),
        ),
    ),
    "PPI with Ethernet": (192, "ip tcp", lambda p: ppi(f.raw(f.ether / tcp4 / p), 1)),
    "Prism": (119, WLAN, lambda p: prism(dot11(llc(p), FCfield=2))),
    "AVS": (
        163,
        WLAN,
        lambda p: struct.pack("!II", 0x80211001, 64) + bytes(56) + dot11(llc(p), FCfield=2),
    ),
    # what hosts make up
    "NFLOG": (239, "ip tcp", lambda p: nflog(2, v4(p))),
    "NFLOG of IPv6": (239, "tcp", lambda p: nflog(10, v6(p), hardware=0x86DD)),
    "NFLOG, big-endian": (239, "ip tcp", lambda p: nflog(2, v4(p), ">")),
    "NFLOG of a bridge": (239, "tcp", lambda p: nflog(7, v6(p), hardware=0x86DD)),
    "pflog": (117, "ip tcp", lambda p: bytes([61, 2]) + bytes(62) + v4(p)),
    "ipnet": (226, "ip tcp", lambda p: b"\1\2\0\0" + struct.pack("!I", len(v4(p))) + bytes(16) + v4(p)),
    "enc": (109, "ip tcp", lambda p: struct.pack("<I", 2) + bytes(8) + v4(p)),
    "PKTAP": (258, "ip tcp", lambda p: struct.pack("<III", 108, 1, 1) + bytes(96) + f.raw(f.ether / tcp4 / p)),
    "SLL of radiotap": (SLL, WLAN, lambda p: sll(p, 803, 4, radiotap(dot11(llc(p), FCfield=2)))),
    "SLL of LLC": (SLL, "ip tcp", lambda p: sll(p, 1, 4, llc(p))),
    "SLL2 of 802.11": (SLL2, WLAN, lambda p: sll2(801, dot11(llc(p), FCfield=2))),
    # switches' tags
    "DSA": (284, "ip tcp", lambda p: MACS + b"\xc0\1\0\0\x08\0" + v4(p)),
    "EDSA link": (285, "ip tcp", lambda p: MACS + b"\xda\xda\0\0\xc0\1\0\0\x08\0" + v4(p)),
    "Broadcom's tag": (281, "ip tcp", lambda p: MACS + b"\x20\0\0\1\x08\0" + v4(p)),
    "Broadcom's tag in front": (282, "ip tcp", lambda p: b"\x20\0\0\1" + f.raw(f.ether / tcp4 / p)),
    # serial lines, and networks of old
    "PPP with a direction": (204, "ip tcp", lambda p: b"\0\xff\3\0\x21" + v4(p)),
    "pppd": (166, "ip tcp", lambda p: b"\1\3\0\x21" + v4(p)),
    "HDLC kept as PPP": (9, "ip tcp", lambda p: b"\x0f\0\x08\0" + v4(p)),
    "PPP multilink": (9, "ip tcp", lambda p: b"\xff\3\0\x3d\xc0\0\0\1\0\x21" + v4(p)),
    "HDLC with a direction": (205, "ip tcp", lambda p: b"\0\x0f\0\x08\0" + v4(p)),
    "Frame Relay": (107, "ip tcp", lambda p: b"\x18\x41\3\xcc" + v4(p)),
    "Frame Relay with SNAP": (107, "ip tcp", lambda p: b"\x18\x41\3\0\x80\0\0\0\x08\0" + v4(p)),
    "Frame Relay to IPv6": (107, "tcp", lambda p: b"\x18\x41\3\x8e" + v6(p)),
    "Frame Relay, Cisco's": (107, "ip tcp", lambda p: b"\x18\x41\x08\0" + v4(p)),
    "Frame Relay with a direction": (206, "ip tcp", lambda p: b"\0\x18\x41\3\xcc" + v4(p)),
    "bridged over Frame Relay": (
        107,
        "ip tcp",
        lambda p: b"\x18\x41\3\0\x80\0\x80\xc2\0\7" + f.raw(f.ether / tcp4 / p),
    ),
    "MPLS link": (219, "ip tcp", lambda p: b"\0\1\1\x40" + v4(p)),
    "IPoIB": (242, "ip tcp", lambda p: bytes(40) + b"\x08\0\0\0" + v4(p)),
    "IPoIB as Linux has it": (242, "tcp", lambda p: bytes(20) + b"\x86\xdd\0\0" + v6(p)),
    "ARCnet": (7, "ip tcp", lambda p: b"\1\2\xd4\0\0\1" + v4(p)),
    "ARCnet of Linux": (129, "ip tcp", lambda p: b"\1\2\0\0\xd4\0\0\1" + v4(p)),
    "ARCnet, RFC 1051": (7, "ip tcp", lambda p: b"\1\2\xf0" + v4(p)),
    "Token Ring": (6, "ip tcp", lambda p: b"\x10\x40" + MACS + llc(p)),
    "Token Ring, source routed": (
        6,
        "ip tcp",
        lambda p: b"\x10\x40" + MACS[:6] + b"\x82" + MACS[7:] + b"\x06\x10\0\x11\0\x20" + llc(p),
    ),
    "FDDI": (10, "ip tcp", lambda p: b"\x50" + MACS + llc(p)),
    "ATM": (100, "ip tcp", lambda p: llc(p)),
    "bridged over ATM": (100, "ip tcp", lambda p: b"\xaa\xaa\3\0\x80\xc2\0\7\0\0" + f.raw(f.ether / tcp4 / p)),
    "SunATM": (123, "ip tcp", lambda p: b"\x02\0\0\x20" + llc(p)),
    "Fibre Channel": (122, "ip tcp", lambda p: bytes(16) + llc(p)),
    "FireWire": (138, "tcp", lambda p: bytes(16) + b"\x86\xdd" + v6(p)),
    "SLIP": (8, "ip tcp", lambda p: b"\0\x40" + bytes(14) + v4(p)),
    "Ethernet with a preamble": (274, "ip tcp", lambda p: b"\x55" * 7 + b"\xd5" + f.raw(f.ether / tcp4 / p) + bytes(4)),
    "netANALYZER": (240, "ip tcp", lambda p: bytes(4) + f.raw(f.ether / tcp4 / p) + bytes(4)),
    "null of Windows": (0, "tcp", lambda p: b"\x17\0\0\0" + v6(p)),
}
