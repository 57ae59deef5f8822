"""Headers that were rewritten without their sums."""

from __future__ import annotations

import struct

from field_cases.captures import eth, pcap
from field_cases.case import case
from field_cases.packets import (
    VRRP,
    as_if,
    icmp,
    ip4,
    ip6,
    off_by,
    put,
    put16,
    right,
    sctp,
    summed,
    total,
    udp,
)
from field_cases.talk import A6, B6, Talk, merged, noise, pings, whole
from field_cases.tunnelled import gtp, ipip, vxlan
from field_cases.wires import wire

DAMAGE = "bit-errors corruption"


def time_exceeded(router: str, to: str, inner: bytes, sum_=right) -> bytes:
    """With 28 bytes quoted, of IPv6 all."""
    if ":" in router:
        return icmp(router, to, 3, 0, 0, inner[:200], sum_=sum_)
    return icmp(router, to, 11, 0, 0, inner[:28], sum_=sum_)


@case("icmp-stale-inner nat-without-update", DAMAGE, why="errors of two routers: the quote translated, the sum not",
      report="FDio/vpp#423")  # fmt: skip
def icmp_two_routers() -> bytes:
    out = []
    for number in range(6):
        inner = udp("10.7.0.9", "203.0.113.9", (33000, 33434 + number), noise(12, number), ttl=1, ident=number)
        outside = udp("198.51.100.1", "203.0.113.9", (62000, 33434 + number), noise(12, number), ttl=1, ident=number)
        was = time_exceeded("192.0.2.7", "10.7.0.9", outside)
        packet = time_exceeded("192.0.2.7" if number % 2 else "192.0.2.9", "10.7.0.9", inner)
        out.append((1000 + number, put(packet, 22, was[22:24])))
    return wire(merged(out, pings("10.7.0.9", "192.0.2.7")))


@case("icmp-stale-inner nat-without-update", DAMAGE, why="ICMPv6: quoted SCTP's address changed, the sum not",
      report="cilium/cilium#48291")  # fmt: skip
def icmp6_quote_sctp() -> bytes:
    out = []
    for number in range(4):
        chunk = struct.pack("!BBHIIHHI", 1, 0, 20, number + 1, 65535, 10, 10, 5)
        new = sctp("fd00::9", "2001:db8::9", (5000, 36412), 0, chunk)
        old = sctp("2001:db8:5::1", "2001:db8::9", (5000, 36412), 0, chunk)
        wrong = icmp("2001:db8:f::1", "fd00::9", 1, 0, 0, old)
        rest = icmp("2001:db8:f::1", "fd00::9", 1, 0, 0, new)
        out.append((1000 + number, put(rest, 42, wrong[42:44])))
    return wire(merged(out, pings("fd00::9", "2001:db8:f::1")))


@case("icmp-stale-inner nothing-wrong nat-without-update", f"{DAMAGE} icmp-stale-inner:certain",
      why="quoted header sums wrong, the errors themselves right", report="NICMx/Jool#126")  # fmt: skip
def icmp_quote_header_sum() -> bytes:
    out = []
    for number in range(4):
        inner = udp("192.0.2.2", "192.0.2.5", (40000, 53), noise(30, number), ttl=9, ident=number)
        out.append((1000 + number, icmp("192.0.2.5", "192.0.2.2", 3, 3, 0, put16(inner, 10, 0x1111 + number)[:28])))
    return wire(out)


@case("nat-without-update wrong-arithmetic", f"{DAMAGE} nothing-wrong", why="one port less, IPv6 TCP",
      report="xdp-project/xdp-tutorial#314")  # fmt: skip
def port_minus_one_tcp6() -> bytes:
    out = []
    for flow in range(4):
        out += (
            Talk(A6, B6, (40000 + flow * 3, 8080), seed=flow, time=1000 + flow * 0.2, sum_a=off_by(1)).syns(3).packets
        )
    return wire(merged(out, pings(A6, B6)))


@case("nat-without-update", f"{DAMAGE} nothing-wrong", why="source port rewritten, per flow another difference")
def port_rewritten_per_flow() -> bytes:
    out = []
    for flow in range(5):
        talk = Talk("10.7.0.1", "10.7.0.2", (40000 + flow * 911, 443), seed=flow, time=1000 + flow * 0.1)
        talk.sum_a = off_by(-(1024 + flow * 7 - 40000 - flow * 911) % 0xFFFF)
        out += talk.syns(4).packets
    return wire(merged(out))


@case("nat-without-update", f"{DAMAGE} nothing-wrong:certain", why="VRRPv3 for IPv6 masqueraded, 2 groups",
      report="acassen/keepalived#1490")  # fmt: skip
def vrrp3_ipv6() -> bytes:
    out = []
    for number in range(10):
        for group in (1, 2):
            body = (
                struct.pack("!BBBBHH", 0x31, group, 100, 1, 100, 0) + bytes.fromhex("fe80" + "00" * 13) + bytes([group])
            )
            segment = summed("fe80::5", "ff02::12", VRRP, body, 6, right)
            out.append((1000.0 + number + group * 0.1, ip6("fe80::77", "ff02::12", VRRP, segment, hops=255)))
    return pcap([(t, eth(p)) for t, p in out])


@case("nothing-wrong", "nat-without-update corruption bit-errors wrong-arithmetic",
      why="VRRPv2's sum covers no address: right with any source")  # fmt: skip
def vrrp2_masqueraded() -> bytes:
    body = struct.pack("!BBBBBBH", 0x21, 51, 100, 1, 0, 1, 0) + bytes([10, 0, 0, 1]) + bytes(8)
    segment = put16(body, 6, total(body) ^ 0xFFFF)
    packets = [(1000.0 + n, ip4("10.0.0.7", "224.0.0.18", VRRP, segment, ttl=255, ident=n)) for n in range(8)]
    return pcap([(t, eth(p)) for t, p in packets])


@case("nat-without-update", f"{DAMAGE} tunnel-inner-unfinished nothing-wrong", why="outer UDP after DNAT, both ways",
      report="edgecomllc/eupf#577")  # fmt: skip
def gtpu_outer_both_ways() -> bytes:
    out = []
    for time, packet in whole(Talk("10.45.0.2", "203.0.113.1", seed=3), 5).packets:
        up = packet[15] == 2
        ends = ("192.0.2.10", "192.0.2.20") if up else ("192.0.2.20", "192.0.2.10")
        stale = ("192.0.2.10", "10.0.0.20") if up else ("10.0.0.20", "192.0.2.10")
        out.append((time, gtp(*ends, packet, sum_=as_if(*stale))))
    return wire(out)


@case("nat-without-update", f"{DAMAGE} tunnel-inner-unfinished nothing-wrong", why="outer UDP of IPv6, VXLAN")
def vxlan_outer_stale6() -> bytes:
    inner = whole(Talk("10.45.0.2", "10.45.0.3", seed=3), 5).packets
    ends, was = ("2001:db8::1", "2001:db8::2"), ("fd00::1", "2001:db8::2")
    return pcap([(t, eth(vxlan(*ends, p, sum_=as_if(*was)))) for t, p in inner])


@case("nat-without-update", f"{DAMAGE} nothing-wrong", why="header: TTL less one, sum as before; all that is forwarded")
def ttl_without_update() -> bytes:
    talk = whole(Talk(seed=5), 6).packets
    return wire([(t, put(p, 8, b"\x3f")) for t, p in talk])


@case(
    "nat-without-update", f"{DAMAGE} nothing-wrong", why="DSCP marked, header sum as before; UDP one way among others"
)
def dscp_without_update() -> bytes:
    voice = [
        (1000 + n * 0.02, put(udp("10.5.0.1", "10.5.0.2", (16400, 16402), noise(172, n), ident=n), 1, b"\xb8"))
        for n in range(25)
    ]
    return wire(merged(voice, whole(Talk("10.5.0.3", "10.5.0.2", seed=3)).packets))


@case("nat-without-update", f"{DAMAGE} nothing-wrong",
      why="a GRE's outer header readdressed, sum as before; SIP beside",
      report="opnsense/src#312")  # fmt: skip
def outer_header_stale_ipip() -> bytes:
    out = []
    for time, packet in whole(Talk("10.45.0.2", "10.45.0.3", seed=3), 4).packets:
        outer = ipip("10.0.0.1", "203.0.113.9", packet)
        out.append((time, put(outer, 12, bytes([198, 51, 100, 4]))))
    return pcap([(t, eth(p)) for t, p in out])


@case("nat-without-update", DAMAGE, why="SCTP ports changed, CRC as before: IPv6, DATA too",
      report="loxilb-io/loxilb-ebpf#3")  # fmt: skip
def sctp_port_ipv6() -> bytes:
    out = []
    for number in range(6):
        chunk = struct.pack("!BBHIHHI", 0, 3, 16 + 24, number + 100, 1, number, 46) + noise(24, number)
        old = sctp("fd00::1", "fd00::2", (38412, 5000), 0x1234, chunk)
        out.append((1000 + number * 0.1, put16(old, 42, 38412)))
    out += [
        (1000.05 + n, sctp("fd00::2", "fd00::1", (38412, 38412), 9, struct.pack("!BBHIIHH", 3, 0, 16, n, 9, 0, 0)))
        for n in range(4)
    ]
    return wire(merged(out))


@case("nothing-wrong", "nat-without-update corruption", why="SCTP: addresses in no CRC, NAT may change them")
def sctp_address_nat() -> bytes:
    chunk = struct.pack("!BBHIHHI", 0, 3, 16 + 24, 100, 1, 1, 46) + noise(24, 1)
    old = sctp("10.0.0.1", "10.0.0.2", (38412, 5000), 0x1234, chunk)
    new = put16(put(old, 12, bytes([198, 51, 100, 7])), 10, 0)
    return wire([(1000.0 + n, put16(new, 10, total(new[:20]) ^ 0xFFFF)) for n in range(3)])
