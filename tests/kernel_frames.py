"""Frames that the kernel's part must carry, and frames that it must leave to user space, most of them by a hair.

Each with its virtio-net header, or None; made by scapy, damaged by hand.
"""

from __future__ import annotations

import struct
from typing import Any

from scapy.all import ARP, ICMP, IP, TCP, UDP, Dot1AD, Dot1Q, Raw, fragment
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6PacketTooBig,
)

import frames as f
from carriers import CARRIERS
from pktmend import Proto, Status

HEADER = ("flags", "gso_type", "hdr_len", "gso_size", "start", "offset")
GSO_TCP4, GSO_UDP, GSO_TCP6, GSO_UDP_L4, ECN = 1, 3, 4, 5, 0x80
GOOD, PENDING = Status.GOOD, Status.PENDING
over4, over6 = f.ether / f.ip4, f.ether / f.ip6


def partial(packet: Any, gso_type: int = 0, gso_size: int = 0) -> tuple[bytes, bytes]:
    """Return the frame as a sender leaves it to its device, and the header that says so."""
    return f.leaked(packet), f.vnet(packet, gso_type=gso_type, gso_size=gso_size)


def finished(packet: Any) -> tuple[bytes, bytes | None]:
    return f.raw(packet), None


def payload(size: int) -> Raw:
    return Raw((bytes(range(251)) * (size // 251 + 1))[:size])


# What the kernel must carry: were it not, the judge would be of no use.  With the checks that it must have counted.
MUST: dict[str, tuple[tuple[bytes, bytes | None], dict[tuple[Proto, Status], int]]] = {
    "ARP": (finished(f.ether / ARP(psrc="10.7.0.1", pdst="10.7.0.2")), {}),
    "ARP, padded": ((f.raw(f.ether / ARP(psrc="10.7.0.1", pdst="10.7.0.2")) + bytes(18), None), {}),
    "ping": (finished(over4 / ICMP() / payload(56)), {(Proto.IP, GOOD): 1, (Proto.ICMP, GOOD): 1}),
    "ping's answer": (finished(over4 / ICMP(type=0) / payload(57)), {(Proto.IP, GOOD): 1, (Proto.ICMP, GOOD): 1}),
    "ICMP timestamp": (finished(over4 / ICMP(type=13)), {(Proto.IP, GOOD): 1, (Proto.ICMP, GOOD): 1}),
    **{
        f"ICMPv6 {name}": (finished(over6 / message), {(Proto.ICMPV6, GOOD): 1})
        for name, message in {
            "echo": ICMPv6EchoRequest(data=b"1" * 56),
            "echo reply": ICMPv6EchoReply(data=b"12"),
            "NS": ICMPv6ND_NS(tgt="fd07::2"),
            "NA": ICMPv6ND_NA(tgt="fd07::2"),
            "RS": ICMPv6ND_RS(),
            "RA": ICMPv6ND_RA(),
        }.items()
    },
    **{
        f"{name} of {size}, {how}": (
            make(f.ether / ip / transport / payload(size)),
            ({(Proto.IP, GOOD): 1} if ip is f.ip4 else {}) | {(proto, status): 1},
        )
        for name, ip, transport, proto in (
            ("TCP", f.ip4, f.tcp, Proto.TCP),
            ("TCP over IPv6", f.ip6, f.tcp, Proto.TCP),
            ("UDP", f.ip4, f.udp, Proto.UDP),
            ("UDP over IPv6", f.ip6, f.udp, Proto.UDP),
        )
        for size in (0, 1, 2, 17, 64, 470, 471, 512, 979, 1024, 1400, 8900)
        for how, make, status in (("pending", partial, PENDING), ("good", finished, GOOD))
    },
    **{
        f"super-frame of {name}": (
            partial(f.ether / ip / transport / payload(size), gso_type, 1400),
            ({(Proto.IP, GOOD): 1} if ip is f.ip4 else {}) | {(proto, PENDING): 1},
        )
        for name, ip, transport, proto, gso_type, size in (
            ("TCP", f.ip4, f.tcp, Proto.TCP, GSO_TCP4, 60000),
            ("TCP with ECN", f.ip4, f.tcp, Proto.TCP, GSO_TCP4 | ECN, 3000),
            ("TCP over IPv6", f.ip6, f.tcp, Proto.TCP, GSO_TCP6, 60000),
            ("UDP", f.ip4, f.udp, Proto.UDP, GSO_UDP_L4, 5000),
            ("UDP over IPv6", f.ip6, f.udp, Proto.UDP, GSO_UDP_L4, 5000),
        )
    },
    "a tag": (finished(f.tagged(over4 / f.tcp / payload(100))), {(Proto.IP, GOOD): 1, (Proto.TCP, GOOD): 1}),
    "a tag, pending": (
        partial(f.tagged(over6 / f.udp / payload(100))),
        {(Proto.UDP, PENDING): 1},
    ),
    "a padded acknowledgement": (
        (f.raw(over4 / TCP(sport=1, dport=2, flags="A")) + bytes(6), None),
        {(Proto.IP, GOOD): 1, (Proto.TCP, GOOD): 1},
    ),
    "padding that is not zero": (
        (f.raw(over4 / TCP(sport=1, dport=2, flags="A")) + b"\x55\x12\0\xff\x07\x01", None),
        {(Proto.IP, GOOD): 1, (Proto.TCP, GOOD): 1},
    ),
}

tcp, udp = over4 / f.tcp / payload(100), over4 / f.udp / payload(100)
tcp6 = over6 / f.tcp / payload(100)


def with_word(frame: bytes, at: int, value: int) -> tuple[bytes, None]:
    return f.put16(frame, at, value), None


def marked(packet: Any, *, field: int | None = None, **header: int) -> tuple[bytes, bytes]:
    """Return the frame marked as partial, with another field or another header than is right."""
    frame, vnet = partial(packet)
    words = dict(zip(HEADER, struct.unpack("=BBHHHH", vnet), strict=True))
    words.update(header)
    return f.put16(frame, f.field_offset(packet), field if field is not None else f.seed(packet)), struct.pack(
        "=BBHHHH", *words.values()
    )


def right_with_zero(frame: bytes, at: int) -> bytes:
    """Return the frame with its field zero and what that held added to its last word, so that the sum is right."""
    word = f.get16(frame, len(frame) - 2) + f.get16(frame, at)
    return f.put16(f.put16(frame, len(frame) - 2, (word & 0xFFFF) + (word >> 16)), at, 0)


# What some kernels do not take from a TAP device: the first before Linux 6.2, the last from somewhere after 6.1 on.
NOT_EVERYWHERE = ("super-frame of UDP", "super-frame of UDP over IPv6", "IPv4 super-frame called IPv6")
# What it must leave to user space, most of them by a hair.
MUST_NOT: dict[str, tuple[bytes, bytes | None]] = {
    "leaked": (f.leaked(tcp), None),
    "leaked UDP": (f.leaked(udp), None),
    "corrupt": with_word(f.raw(tcp), 90, 0x4711),
    "corrupt in the last byte": (f.raw(tcp)[:-1] + b"\xff", None),
    "corrupt, over IPv6": (f.raw(tcp6)[:-1] + b"\xff", None),
    "corrupt long before the end": with_word(f.raw(over4 / f.tcp / payload(1400)), 700, 0x4711),
    "IPv4 header damaged": with_word(f.raw(tcp), 18, 8),
    "pending, IPv4 header damaged": (f.put16(partial(tcp)[0], 18, 8), partial(tcp)[1]),
    "bad seed": marked(tcp, field=0x4711),
    "seed off by one": marked(tcp, field=f.seed(tcp) + 1),
    "marked as partial, and finished": (f.raw(tcp), f.vnet(tcp)),
    "marked at another field": marked(tcp, offset=14),
    "marked at another start": marked(tcp, start=36),
    "UDP marked as TCP": marked(udp, offset=16),
    "UDP without a sum": with_word(f.raw(udp), 40, 0),
    "UDP whose zero would be right": (right_with_zero(f.raw(udp), 40), None),
    "UDP over IPv6 whose zero would be right": (right_with_zero(f.raw(over6 / f.udp / payload(80)), 60), None),
    "UDP without a sum, marked": marked(udp, field=0),
    "UDP whose length is short": (f.raw(f.ether / f.ip4 / UDP(sport=40000, dport=5000, len=100) / payload(100)), None),
    "UDP over IPv6 without a sum": with_word(f.raw(over6 / f.udp / payload(9)), 60, 0),
    "truncated": (f.raw(tcp)[:-4], None),
    "truncated, pending": (partial(tcp)[0][:-4], partial(tcp)[1]),
    "padded, pending": (partial(tcp)[0] + bytes(4), partial(tcp)[1]),
    "IPv6 truncated": (f.raw(tcp6)[:-4], None),
    "TCP header longer than its segment": (
        f.raw(over4 / TCP(sport=1, dport=2, dataofs=15)),
        None,
    ),
    "TCP header too short": (f.raw(over4 / TCP(sport=1, dport=2, dataofs=4) / payload(40)), None),
    "IPv4 options": (f.raw(f.ether / IP(src="10.7.0.1", dst="10.7.0.2", options=[b"\1"]) / f.tcp), None),
    "IPv4 version 6": (f.raw(tcp)[:14] + b"\x65" + f.raw(tcp)[15:], None),
    "first fragment": (f.raw(f.ether / fragment(f.ip4 / f.udp / payload(3000), 1000)[0]), None),
    "last fragment": (f.raw(f.ether / fragment(f.ip4 / f.udp / payload(3000), 1000)[-1]), None),
    "only an offset": (f.raw(f.ether / IP(src="10.7.0.1", dst="10.7.0.2", frag=8) / f.tcp / payload(64)), None),
    "only more fragments": (
        f.raw(f.ether / IP(src="10.7.0.1", dst="10.7.0.2", flags="MF") / f.tcp / payload(64)),
        None,
    ),
    "ICMP error": (f.raw(over4 / ICMP(type=3, code=4) / f.ip4 / f.tcp), None),
    "ICMP redirect": (f.raw(over4 / ICMP(type=5) / f.ip4 / f.tcp), None),
    "ICMPv6 error": (f.raw(over6 / ICMPv6PacketTooBig(mtu=1280) / f.ip6 / f.tcp / payload(8)), None),
    "ICMPv6 redirect": (f.raw(over6 / ICMPv6ND_Redirect(tgt="fd07::1", dst="fd07::2")), None),
    "ICMP damaged": with_word(f.raw(over4 / ICMP() / payload(56)), 60, 0),
    "super-frame to be fragmented": partial(over4 / f.udp / payload(3000), GSO_UDP, 1000),
    "IPv4 super-frame called IPv6": partial(over4 / f.tcp / payload(3000), GSO_TCP6, 1000),
    "super-frame with a bad seed": marked(over4 / f.tcp / payload(3000), field=1, gso_type=1, gso_size=1000),
    "two tags": (f.raw(f.ether / Dot1AD(vlan=5) / Dot1Q(vlan=6) / f.ip4 / f.tcp), None),
    "ARP marked as partial": (f.raw(f.ether / ARP()) + bytes(18), struct.pack("=BBHHHH", 1, 0, 0, 0, 20, 6)),
    "IPv6 fragment of one": (f.raw(CARRIERS["IPv6 atomic fragment"][2](bytes(40))), None),
    "a tunnel on a port of nobody's": (
        f.raw(over4 / UDP(sport=50007, dport=50008) / IP(src="10.9.0.1", dst="10.9.0.2") / f.tcp / payload(50)),
        None,
    ),
    "a tunnel's port": (f.raw(over4 / UDP(sport=5, dport=4789) / payload(50)), None),
    "from a tunnel's port": (f.raw(over4 / UDP(sport=2152, dport=5) / payload(50)), None),
    "a tunnel, pending": partial(over4 / UDP(sport=5, dport=6081) / payload(50)),
    "an 802.3 length": (f.raw(f.ether)[:12] + b"\0\x32" + bytes(50), None),
}
