"""Messages of ICMPv6 and DHCP that a proxy or relay rewrites, and IPv4 headers with options."""

from __future__ import annotations

import struct

from field_cases.case import case
from field_cases.packets import ICMP6, UDP, ip4, ip6, pseudo_header, put, put16, right, summed, total, udp
from field_cases.talk import A, B, merged, noise, pings, questions
from field_cases.wires import wire

DAMAGE = "bit-errors corruption nothing-wrong"


@case("nat-without-update", DAMAGE, why="a proxy's own MAC address in advertisements, the sum as before; echoes good")
def proxied_advertisements() -> bytes:
    out = []
    for n in range(5):
        target = pseudo_header(f"fd00::{n + 5}", "::", 0, 0)[:16]
        advert = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + target + b"\x02\x01\x02\0\0\0\0\x05"
        segment = summed(f"fd00::{n + 5}", "fd00::1", ICMP6, advert, 2, right)
        packet = ip6(f"fd00::{n + 5}", "fd00::1", ICMP6, segment, hops=255)
        out.append((1000.0 + n, put(packet, 66, b"\x52\x54\x00\xaa\xbb\xcc")))
    return wire(merged(out, pings("fd00::1", "fd00::9")))


@case("nat-without-update", DAMAGE, why="a relay's own address in requests, the sum as before; its questions good")
def relayed_requests() -> bytes:
    out = []
    for n in range(5):
        request = put(put(noise(260, 1), 0, b"\1\1\6\0" + n.to_bytes(4)), 24, bytes(4))
        packet = udp("10.1.0.1", "10.9.0.5", (67, 67), request, ident=n)
        out.append((1000.0 + n, put(packet, 52, bytes([10, 1, 0, 1]))))
    return wire(merged(out, questions("10.1.0.1", "10.9.0.5", 4)))


@case("length-fault wrong-arithmetic", f"{DAMAGE} nat-without-update", why="options left out", variants=(4, 12))
def header_options_left_out(size: int) -> bytes:
    options = b"\x94\x04\0\0" if size == 4 else b"\x07\x0b\x04" + noise(8, 1) + b"\0"
    out = []
    for n in range(6):
        packet = ip4(A, B, UDP, udp(A, B, (9, 9), noise(40, n))[20:], ident=n, options=options)
        out.append((1000.0 + n, put16(packet, 10, total(put16(packet[:20], 10, 0)) ^ 0xFFFF)))
    return wire(out)
