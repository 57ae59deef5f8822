"""What nobody looked into is never healthy; what can be read is judged."""

from __future__ import annotations

import struct

from field_cases.captures import IEEE80211, NFLOG, Timed, eth, mac, pcap, pcapng
from field_cases.case import case
from field_cases.packets import (
    OSPF,
    PIM,
    VRRP,
    address,
    flip,
    ip4,
    ip6,
    pseudo_header,
    put16,
    sctp,
    total,
    udp,
)
from field_cases.sctp import data
from field_cases.talk import A6, A, B, Talk, framed, merged, noise, pings, whole
from field_cases.wires import between, wire

BLIND = "nothing-wrong metadata-lost corruption bit-errors nat-without-update"
SNAP = b"\xaa\xaa\x03\0\0\0\x08\x00"


def broken(packets: list[Timed]) -> list[Timed]:
    """A bit flipped in some of the longer packets, other places."""
    return [
        (t, flip(p, 90 + n % 60, 1 << n % 8) if n % 9 == 4 and len(p) > 160 else p) for n, (t, p) in enumerate(packets)
    ]


@case(
    "",
    BLIND,
    why="link types that nobody reads: nothing was looked into",
    variants=(147, 195, 201, 220, 143, 227),
)
def unknown_link(link: int) -> bytes:
    return pcap([(t, b"\x03\x01\x02\x03" + p) for t, p in whole(Talk()).packets], link)


@case(
    "",
    BLIND,
    why="Ethernet whose types are unknown, or contents that are encrypted",
    variants=("macsec", "experimental"),
)
def hidden(kind: str) -> bytes:
    return behind_a_tag(kind)


@case(
    "bit-errors corruption not-understood",
    BLIND.replace("corruption bit-errors ", ""),
    why="tags before IP: read them, or say that they were not; a few bits behind them are damaged",
    variants=("vn-tag", "nsh", "cisco-cmd", "pbb", "trill"),
)
def damage_behind_a_tag(kind: str) -> bytes:
    return behind_a_tag(kind)


def behind_a_tag(kind: str) -> bytes:
    """Frames whose IP packets lie behind a tag; some are damaged."""
    heads = {
        "vn-tag": (0x8926, b"\x80\1\0\2\x08\0"),
        "nsh": (0x894F, b"\x0f\xc6\1\1\0\0\1\xff" + bytes(16)),
        "macsec": (0x88E5, b"\x2c\0\0\0\0\1" + bytes(8)),
        "cisco-cmd": (0x8909, b"\1\1\0\1\0\x20\x08\0"),
        "pbb": (0x88E7, b"\0\0\0\x05" + mac(5) + mac(6) + b"\x08\x00"),
        "trill": (0x22F3, b"\0\x3f\1\1\2\2" + mac(5) + mac(6) + b"\x08\x00"),
        "experimental": (0x88B5, b""),
    }
    number, head = heads[kind]
    body = (lambda p: bytes(b ^ 0x5A for b in p)) if kind in ("macsec", "experimental") else (lambda p: p)
    return pcap(framed(broken(whole(Talk(), 6).packets), lambda p: eth(head + body(p), kind=number)))


@case(
    "nothing-wrong not-understood",
    f"nothing-wrong:certain {BLIND.replace('nothing-wrong ', '')}",
    why="half of it good TCP, half of it of a link that nobody reads",
)
def half_hidden() -> bytes:
    good, other = whole(Talk()).packets, whole(Talk("10.7.0.7", B, seed=7)).packets
    return pcapng(sorted([(t, between(p), 0) for t, p in good] + [(t, b"\1\2" + p, 1 << 16) for t, p in other]), 1, 147)


def dot11(packet: bytes, *, qos: bool = False, to_ds: bool = True, fcs: bytes = b"") -> bytes:
    """An 802.11 data frame with LLC/SNAP."""
    control = bytes([0x88 if qos else 0x08, 1 if to_ds else 2]) + b"\x2c\0"
    snap = SNAP[:6] + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\0")
    return control + mac(1) + mac(2) + mac(3) + b"\x10\0" + (b"\0\0" if qos else b"") + snap + packet + fcs


def readable(kind: str, packet: bytes) -> bytes:
    """A frame of a link that is worth reading."""
    if kind == "80211":
        return dot11(packet)
    if kind == "80211-qos":
        return dot11(packet, qos=True, to_ds=False)
    if kind == "radiotap":
        return b"\0\0\x09\0\2\0\0\0\0" + dot11(packet, qos=True)
    if kind == "ppi":
        return struct.pack("<BBHI", 0, 0, 8, 105) + dot11(packet)
    if kind == "llc-snap":
        return mac(2) + mac(1) + struct.pack("!H", 8 + len(packet)) + SNAP + packet
    if kind == "nflog":
        value = packet + bytes(-len(packet) % 4)
        return struct.pack("!BBH", 2, 0, 5) + struct.pack("=HH", 4 + len(packet), 9) + value
    if kind == "hdlc":
        return b"\x0f\0\x08\0" + packet
    if kind == "ppp":
        return b"\xff\x03\0\x21" + packet
    return struct.pack("!HH", 0x0800, 0) + packet  # ipoib


LINKS = {
    "80211": IEEE80211, "80211-qos": IEEE80211, "radiotap": 127, "ppi": 192, "llc-snap": 1, "nflog": NFLOG,
    "hdlc": 104, "ppp": 9, "ipoib": 242,
}  # fmt: skip


@case(
    "corruption bit-errors",
    "nothing-wrong metadata-lost nat-without-update offload-pending",
    why="links worth reading: damaged packets in them are found",
    variants=tuple(LINKS),
)
def damage_on_link(kind: str) -> bytes:
    return pcap(framed(broken(whole(Talk(), 14).packets), lambda p: readable(kind, p)), LINKS[kind])


@case(
    "nothing-wrong not-understood",
    "corruption bit-errors metadata-lost nat-without-update length-fault",
    why="the same links, all good",
    variants=tuple(LINKS),
)
def good_on_link(kind: str) -> bytes:
    return pcap(framed(whole(Talk()).packets, lambda p: readable(kind, p)), LINKS[kind])


@case(
    "sctp-wrong-sum corruption bit-errors nat-without-update",
    "nothing-wrong metadata-lost",
    why="SCTP in UDP (RFC 6951) whose CRC is wrong, UDP's sum right",
    variants=(9899,),
)
def sctp_in_udp(port: int) -> bytes:
    packets = []
    for n in range(12):
        inner = sctp(A, B, (40000, 38412), 9, data(n))[20:]
        packets.append((1 + n / 5, udp(A, B, (port, port), flip(inner, 40 + n, 1 << n % 8), ident=n)))
    return wire(packets)


def vrrp(version: int, src: str, sum_: int | None) -> bytes:
    """An advertisement; *sum_* None: right (version 3: with the pseudo header)."""
    six = ":" in src
    target = "ff02::12" if six else "224.0.0.18"
    body = struct.pack("!BBBBHH", version << 4 | 1, 51, 100, 1, 100 if version == 3 else 1, 0) + address(src)
    body += b"" if version == 3 else bytes(8)
    pseudo = pseudo_header(src, target, VRRP, len(body)) if version == 3 else b""
    value = total(pseudo + body) ^ 0xFFFF if sum_ is None else sum_
    body = put16(body, 6, value)
    return ip6(src, target, VRRP, body, hops=255) if six else ip4(src, target, VRRP, body, ttl=255)


@case(
    "",
    "nothing-wrong metadata-lost",
    why="routing protocols with a sum of their own, wrong in all packets",
    report="https://github.com/seladb/PcapPlusPlus/issues/756",
    variants=("vrrp2", "vrrp3", "vrrp3-ipv6", "ospf", "pim"),
)
def routing_protocols_wrong(kind: str) -> bytes:
    packets: list[Timed] = []
    for n in range(8):
        if kind.startswith("vrrp"):
            packets.append((1.0 + n, vrrp(int(kind[4]), A6 if kind.endswith("ipv6") else A, 0xF6F6)))
        elif kind == "ospf":
            packets.append((1.0 + n, ip4(A, "224.0.0.5", OSPF, ospf(n, 0x1357), ttl=1)))
        else:
            packets.append((1.0 + n, ip4(A, "224.0.0.13", PIM, b"\x20\0\x13\x57\0\1\0\2\0\x69", ttl=1)))
    return wire(packets)


def ospf(number: int, sum_: int | None) -> bytes:
    """A hello of OSPFv2; the sum leaves the authentication out."""
    hello = address("255.255.255.0") + struct.pack("!HBBI", 10, 2, 1, 40) + address(A) + bytes(4)
    head = struct.pack("!BBH4sIHH", 2, 1, 24 + len(hello), address(A), 0, 0, 0)
    value = total(head + hello) ^ 0xFFFF if sum_ is None else sum_
    return put16(head, 12, value) + bytes(8) + hello


@case(
    "nothing-wrong not-understood",
    "corruption bit-errors nat-without-update metadata-lost wrong-arithmetic length-fault",
    why="the same, right; VRRP v3 over IPv4 in both readings of its RFC",
    variants=("vrrp2", "vrrp3", "vrrp3-without-pseudo", "vrrp3-ipv6", "ospf", "pim"),
)
def routing_protocols_right(kind: str) -> bytes:
    if kind == "vrrp3-without-pseudo":
        packet = vrrp(3, A, 0)
        return wire([(1.0 + n, put16(packet, 26, total(packet[20:]) ^ 0xFFFF)) for n in range(5)])
    if kind == "ospf":
        return wire([(1.0 + n, ip4(A, "224.0.0.5", OSPF, ospf(n, None), ttl=1)) for n in range(5)])
    if kind == "pim":
        hello = b"\x20\0\0\0\0\1\0\2\0\x69"
        return wire([(1.0, ip4(A, "224.0.0.13", PIM, put16(hello, 2, total(hello) ^ 0xFFFF), ttl=1))] * 3)
    return wire([(1.0 + n, vrrp(int(kind[4]), A6 if kind.endswith("ipv6") else A, None)) for n in range(5)])


@case(
    "",
    f"nothing-wrong:certain {BLIND.replace('nothing-wrong ', '')}",
    why="an IP protocol with a body that nobody reads, and nothing else",
    variants=(99, 61, 253),
)
def unknown_protocol(number: int) -> bytes:
    return wire([(1.0 + n, ip4(A, B, number, b"\0" + noise(60, n), ident=n)) for n in range(9)])


@case(
    "nothing-wrong",
    "not-understood:certain,likely corruption bit-errors metadata-lost nat-without-update",
    why="good traffic among ARP, LLDP, spanning tree: these have no sum of this kind",
)
def among_others() -> bytes:
    frames = framed(merged(whole(Talk(), 8).packets, pings()), between)
    frames.append((1000.3, eth(b"\0\1\x08\0\6\4\0\1" + mac(1) + address(A) + bytes(6) + address(B), kind=0x0806)))
    frames.append((1000.4, eth(b"\x02\x07\x04" + mac(1) + bytes(20), kind=0x88CC)))
    frames.append((1000.5, mac(9) + mac(1) + b"\0\x26\x42\x42\x03" + bytes(35)))
    return pcap(merged(frames))
