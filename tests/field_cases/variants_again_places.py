"""The same families once more: places of a capture, tunnels, lengths, and what is not looked into."""

from __future__ import annotations

import random
import struct

from field_cases.captures import RAW, SLL, eth, pcap, sll
from field_cases.case import INNOCENT, case
from field_cases.packets import (
    ACK,
    FIN,
    PSH,
    SYN,
    as_if,
    echo,
    fold,
    ip4,
    partial,
    put,
    put16,
    right,
    sctp,
    total,
    udp,
)
from field_cases.talk import A6, B6, MSS, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.tunnelled import gre, vxlan
from field_cases.wires import wire

DAMAGE = "bit-errors corruption nothing-wrong"
NO_DAMAGE = "bit-errors corruption nat-without-update nothing-wrong metadata-lost"


@case("offload-pending", INNOCENT, why="client pending UDP+TCP, servers good, v4 with many servers")
def client_many_servers() -> bytes:
    out = []
    for f in range(5):
        out += whole(
            Talk(A, f"203.0.113.{f + 5}", (40000 + f, 443), seed=f, sum_a=partial, time=1000 + f * 0.4), 2
        ).packets
    return wire(merged(out, questions(A, "10.0.0.53", 6, sum_=partial)))


@case(
    "offload-pending super-frames",
    INNOCENT,
    why="pmtu in v4, server side: large super frames then 1448 again and again unanswered; SACK none",
)
def pmtu_server_super_frames() -> bytes:
    t = Talk(A, B, (40001, 80), seed=3, sum_b=partial).open().ask(200)
    at = t.seq_b
    t.send(False, PSH | ACK, noise(14480, 1))
    for n in range(5):
        t.send(False, ACK, noise(1448, 1), seq=at)
        t.pause(0.3 * 2**n)
    return wire(t.packets)


@case("offload-pending", INNOCENT, why="three copies of ICMP-less UDP query then answer; SLL1 direction known")
def cooked_two_copies() -> bytes:
    out = []
    for n in range(3):
        q = udp("10.16.0.9", "10.16.0.10", (50000 + n, 53), noise(30, n), sum_=partial)
        a = udp("10.16.0.10", "10.16.0.9", (53, 50000 + n), noise(80, n), sum_=partial)
        out += [
            (1000.0 + n, sll(q, 0)),
            (1000.00002 + n, sll(q, 4)),
            (1000.001 + n, sll(a, 0)),
            (1000.00102 + n, sll(a, 4)),
        ]
    return pcap(out, SLL)


@case(
    "tunnel-inner-unfinished metadata-lost",
    "nothing-wrong corruption bit-errors",
    why="VXLAN inner replies unfinished (server pod), client's SYN good; v6 inner",
    variants=(4789, 8472, 7777),
)
def vxlan_answers_unfinished(port: int) -> bytes:
    out = []
    for f in range(3):
        t = Talk("fd00:244::3", "fd00:244::4", (43000 + f, 80), seed=f + 2, time=1000 + f * 0.2)
        first = t.seq_a
        at = t.seq_b
        for n in range(4):
            t.send(True, SYN, options=MSS, seq=first)
            t.seq_a = first + 1
            t.send(False, SYN | ACK, options=MSS, seq=at, sum_=partial)
            t.pause(2**n)
        out += t.packets
    inner = merged(out, pings("fd00:244::3", "fd00:244::4"))
    return wire(
        [
            (x, vxlan(*(("192.0.2.1", "192.0.2.2") if p[23] == 3 else ("192.0.2.2", "192.0.2.1")), p, port=port))
            for x, p in inner
        ]
    )


@case(
    "nat-without-update",
    "bit-errors corruption nothing-wrong",
    why="header stale after SNAT; GRE inside; answers good",
    variants=("gre", "esp", "sctp"),
)
def outer_header_stale(k: str) -> bytes:
    out = []
    for n in range(8):
        if k == "gre":
            p = gre("10.0.0.1", "203.0.113.9", udp(A, B, (9, 9), noise(40, n)))
        elif k == "esp":
            p = ip4("10.0.0.1", "203.0.113.9", 50, struct.pack("!II", 7, n) + noise(80, n), ident=n)
        else:
            p = sctp("10.0.0.1", "203.0.113.9", (5000, 5000), 9, struct.pack("!BBHIIHH", 3, 0, 16, n, 9, 0, 0))
        out.append((1000.0 + n, put(p, 12, bytes([198, 51, 100, 4]))))
    return wire(out)


@case("bit-errors", "nat-without-update", why="stuck bit in TCP payload, vxlan'd v4 outer csum 0; half hit")
def stuck_bit_in_vxlan() -> bytes:
    t = Talk(seed=3).open().answer(900, 40).packets
    return wire(
        [
            (
                x,
                put(vxlan("192.0.2.1", "192.0.2.2", p), 350, bytes([vxlan("192.0.2.1", "192.0.2.2", p)[350] | 8]))
                if len(p) > 900
                else vxlan("192.0.2.1", "192.0.2.2", p),
            )
            for x, p in t
        ]
    )


@case(
    "wrong-arithmetic",
    "corruption bit-errors nat-without-update nothing-wrong",
    why="engine with five deltas in 400 TCP6 packets",
)
def engine_five_deltas6() -> bytes:
    rng = random.Random(5)
    ds = (0x0102, 0x4455, 0x7301, 0x0F0F, 0x2A31)
    t = Talk(
        A6, B6, seed=5, sum_b=lambda p, s: fold(right(p, s) + (rng.choice(ds) if rng.random() < 0.08 else 0))
    ).open()
    return wire(t.answer(1200, 300).packets)


@case("metadata-lost", "offload-pending", why="server's all good but one FIN, resent, F=S v4")
def fin_unfinished() -> bytes:
    t = Talk(seed=4).open().ask(50).answer(900, 3)
    at = t.seq_b
    for n in range(5):
        t.send(False, FIN | ACK, seq=at, sum_=partial)
        t.pause(0.3 * 2**n)
    return wire(t.packets)


@case(
    "length-fault",
    "nothing-wrong:certain,likely",
    why="IPv4 total larger than the frame, UDP says what frame has",
    variants=("udp", "tcp"),
)
def total_length_too_large(k: str) -> bytes:
    ps = questions(times=6, size=300) if k == "udp" else whole(Talk(seed=4), 4).packets
    out = []
    for t, p in ps:
        if p[15] == 2 and len(p) > 200:
            p = put16(put16(p, 2, len(p) + 400), 10, 0)
            p = put16(p, 10, total(p[:20]) ^ 0xFFFF)
        out.append((t, p))
    return wire(out)


@case(
    "corruption bit-errors",
    "nothing-wrong",
    why="gtpu: outer sum right (nonzero), inner udp damaged before wrapping, with ext header",
)
def gtpu_extension_damaged() -> bytes:
    out = []
    for n in range(6):
        p = udp("10.45.0.2", "8.8.8.8", (5000, 53), noise(60, n), ident=n)
        if n == 3:
            p = put(p, 40, b"\x11\x11\x99")
        g = struct.pack("!BBHIHBB", 0x34, 255, len(p) + 8, 0x1001, 0, 0, 0x85) + bytes([1, 0x10, 1, 0]) + p
        out.append((1000.0 + n, udp("192.0.2.10", "192.0.2.20", (2152, 2152), g)))
    return wire(out)


@case("nat-without-update", DAMAGE, why="MSS clamp SYN with VLAN; also connections that work w/out clamp")
def mss_clamp_vlan() -> bytes:
    out = []
    for f in range(3):
        out += [
            (t, put16(p, 42, 1400))
            for t, p in Talk("10.7.0.1", "10.7.0.2", (41000 + f, 443), seed=f, time=1000 + f * 0.3).syns(3).packets
        ]
    out += whole(Talk("10.7.0.3", "10.7.0.2", (41000, 443), seed=9)).packets
    return pcap([(t, eth(p, p[15], p[19], tags=((0x8100, 5),))) for t, p in merged(out)])


@case(
    "wrong-arithmetic length-fault",
    NO_DAMAGE,
    why="constant length in the pseudo header, icmpv6 & udp6 & tcp v4",
    variants=("icmp6", "udp6", "tcp"),
)
def constant_length_more(k: str) -> bytes:
    def s6(p: bytes, s: bytes) -> int:
        return right(put(p, 32, struct.pack("!I", 40)), s)

    def s4(p: bytes, s: bytes) -> int:
        return right(put16(p, 10, 40), s)

    if k == "icmp6":
        out = []
        for n in range(8):
            out += [
                (1000.0 + n, echo(A6, B6, "request", 4, n, noise(50 + n, n))),
                (1000.1 + n, echo(B6, A6, "reply", 4, n, noise(50 + n, n), sum_=s6)),
            ]
        return wire(out)
    if k == "udp6":
        return wire(questions(A6, B6, 8, sum_b=s6))
    return wire(whole(Talk(seed=4, sum_b=s4), 5).packets)


@case("", "nothing-wrong", why="IEEE 802.15.4, USB, bluetooth, netlink, CAN", variants=(230, 249, 201, 253, 227, 148))
def links_not_ip(link: int) -> bytes:
    return pcap([(1000.0 + n, noise(90, n)) for n in range(12)], link)


@case("", "nothing-wrong:certain", why="SCTP in UDP among good TCP; SCTP CRC wrong inside")
def sctp_in_udp_among_good() -> bytes:
    s = sctp(A, B, (5000, 5000), 9, struct.pack("!BBHIIHH", 3, 0, 16, 1, 9, 0, 0), sum_=0x12345678)[20:]
    return wire(
        merged([(1000.0 + n, udp(A, B, (9899, 9899), s, ident=n)) for n in range(6)], whole(Talk(seed=2)).packets)
    )


@case(
    "rewritten-capture nat-without-update",
    "bit-errors corruption metadata-lost nothing-wrong nat-without-update:certain",
    why="anonymised: UDP one DNS server many clients; both ways",
)
def anonymised_dns() -> bytes:
    out = []
    for c in range(3):
        was, now = (f"192.168.9.{c + 10}", "192.168.9.1"), (f"10.1.1.{c + 10}", "10.1.1.1")
        out += questions(*now, 4, sum_=as_if(*was), sum_b=as_if(*was[::-1]), time=1000 + c * 0.1)
    return wire(merged(out))


@case(
    "offload-pending super-frames",
    "corruption nat-without-update bit-errors metadata-lost",
    why="windows LSO, SLL-less raw, with SACK acks",
)
def large_send_raw() -> bytes:
    t = Talk(seed=3).open()
    for n in range(5):
        t.send(True, PSH | ACK, noise(20000, n), sum_=lambda p, s: total(p[:10]))
        t.send(False, ACK)
    return pcap(t.packets, RAW)
