"""Captures for `check`: how many checks of each protocol are good, bad, or cannot be made."""

from __future__ import annotations

import struct
from collections.abc import Callable

from field_cases.captures import _block, eth, mac, pcap
from field_cases.healthy import healthy
from field_cases.not_understood import LINKS, readable, routing_protocols_right
from field_cases.packets import ip4, off_by, right, udp
from field_cases.repairs import sent
from field_cases.repairs_formats import home_address, routed
from field_cases.talk import A6, B6, A, B, Talk, noise, pings, whole
from field_cases.tunnelled import mpls
from field_cases.wires import between, wire

Counts = dict[str, dict[str, int]]
VERDICTS: dict[str, tuple[Callable[[], bytes], Counts]] = {}


def verdict(name: str, make: Callable[[], bytes], **counts: dict[str, int]) -> None:
    """What `check --json` counts for the protocols named; others are not looked at."""
    VERDICTS[name] = make, counts


def on_link(kind: str) -> bytes:
    """Four good packets of IPv4 on a link, one with a wrong sum."""
    packets = [(t, p) for t, p in sent(right) if p[0] >> 4 == 4][:4]
    packets.append((9.0, udp(A, B, (5, 6), noise(40), sum_=off_by(3))))
    return pcap([(t, readable(kind, p)) for t, p in packets], LINKS[kind])


for link in LINKS:
    verdict(f"link-{link}", lambda link=link: on_link(link), ip={"good": 5}, tcp={"good": 2}, udp={"good": 2, "bad": 1})


def with_fcs(value: int) -> bytes:
    """pcapng whose frames end in a frame check sequence of 4 bytes; if_fcslen as given."""
    out = _block(0x0A0D0D0A, struct.pack("=IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += _block(1, struct.pack("=HHI", 1, 0, 0) + struct.pack("=HHB3x", 13, 1, value) + bytes(4))
    for n, (_, packet) in enumerate(whole(Talk()).packets):
        frame = between(packet).ljust(60, b"\0") + noise(4, n)
        out += _block(6, struct.pack("=IIIII", 0, 0, n, len(frame), len(frame)) + frame + bytes(-len(frame) % 4))
    return out


COUNT = len(whole(Talk()).packets)
verdict("fcs-of-32-bits", lambda: with_fcs(32), ip={"good": COUNT}, tcp={"good": COUNT})
verdict("fcs-of-4-as-some-write", lambda: with_fcs(4), ip={"good": COUNT}, tcp={"good": COUNT})
verdict("home-address", lambda: wire([(1.0, home_address(A6, right))]), udp={"good": 1})
verdict("routing-header", lambda: wire([(1.0, routed("2001:db8::99", right))]), udp={"good": 1})
verdict("icmp6", lambda: wire(pings(A6, B6, 3)), icmpv6={"good": 6})


def pseudowire(first: bytes) -> bytes:
    """Ethernet in MPLS without a control word; the inner MAC could be taken for an IP header."""
    inner = first + mac(7)[1:] + mac(8) + b"\x08\x00"
    return pcap([(t, mpls(inner + p, 299)) for t, p in whole(Talk()).packets])


for first in (b"\x45", b"\x46", b"\x4f", b"\x60", b"\x61"):
    verdict(f"pseudowire-{first.hex()}", lambda first=first: pseudowire(first), ip={"bad": 0})

for kind in ("vrrp2", "vrrp3", "vrrp3-without-pseudo", "vrrp3-ipv6", "ospf", "pim"):
    verdict(
        f"right-{kind}",
        lambda kind=kind: routing_protocols_right(kind),
        vrrp={"bad": 0},
        ospf={"bad": 0},
        pim={"bad": 0},
    )


def fragments() -> bytes:
    """Three parts; only IPv4's own sums can be checked."""
    body = udp(A, B, (7000, 7001), noise(4000))[20:]
    cuts = ((0, 1480, 0x2000), (1480, 2960, 0x2000 | 185), (2960, 4008, 370))
    return wire([(1.0 + n, ip4(A, B, 17, body[a:b], flags=flags)) for n, (a, b, flags) in enumerate(cuts)])


verdict("fragments", fragments, ip={"good": 3}, udp={"bad": 0, "good": 0})
verdict("padding", lambda: healthy("padded"), tcp={"bad": 0})
verdict("fcs", lambda: healthy("fcs"), tcp={"bad": 0})
verdict(
    "wrong-everywhere",
    lambda: pcap([(1.0, eth(p)) for _, p in sent(off_by(9))]),
    tcp={"good": 0, "bad": 6},
    udp={"bad": 6},
)
