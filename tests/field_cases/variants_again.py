"""The same families once more: other protocols, directions and places."""

from __future__ import annotations

import random
import struct

from field_cases.captures import SLL, eth, pcap, sll
from field_cases.case import case
from field_cases.packets import (
    ACK,
    PSH,
    RST,
    SYN,
    VRRP,
    as_if,
    constant,
    echo,
    fold,
    icmp,
    ip4,
    off_by,
    partial,
    pseudo_header,
    put,
    put16,
    right,
    seed_of,
    summed,
    tcp,
    total,
    udp,
    zero,
)
from field_cases.talk import A6, B6, MSS, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.tunnelled import gtp, vxlan
from field_cases.variants_leaked import updated
from field_cases.wires import wire

DAMAGE = "bit-errors corruption nothing-wrong"
NO_DAMAGE = "bit-errors corruption nat-without-update nothing-wrong metadata-lost"


@case("metadata-lost", DAMAGE, why="two taps: pending unmarked before; v6; NAPT update of seed behind")
def napt_seed_two_taps6() -> tuple[bytes, bytes]:
    front = questions("fd00::7", "2001:db8::53", 6, sum_=partial, sum_b=None, again=2.0)
    behind = questions(
        "2001:db8:5::7",
        "2001:db8::53",
        6,
        sum_b=None,
        again=2.0,
        sum_=updated(partial, ("fd00::7", "2001:db8::53"), ("2001:db8:5::7", "2001:db8::53")),
    )
    return wire(front), wire([(t + 2e-5, p) for t, p in behind])


@case("metadata-lost", DAMAGE, why="data after the handshake leaks (one flow), SYN good; retransmitted data F=S")
def data_after_handshake() -> bytes:
    t = Talk(A, B, (40000, 80), seed=3).open()
    at = t.seq_a
    for n in range(5):
        t.send(True, PSH | ACK, noise(300, 1), seq=at, sum_=partial)
        t.pause(0.2 * 2**n)
    return wire(merged(t.packets, pings()))


@case("metadata-lost", "bit-errors corruption", why="SYN/ACK constant seed of other pair, IPv6, clients two")
def seed_of_others_syn_ack6() -> bytes:
    out = []
    for f in range(2):
        t = Talk(f"fd00::{f + 5}", "fd00:9::1", (50000 + f, 80), seed=f, time=1000 + f * 0.3)
        t.send(True, SYN, options=MSS)
        at = t.seq_b
        for n in range(4):
            t.send(False, SYN | ACK, options=MSS, seq=at, sum_=seed_of("fd77::1", "fd77::2"))
            t.pause(2**n)
        out += t.packets
    return wire(merged(out))


@case(
    "icmp-stale-inner nat-without-update",
    "bit-errors corruption",
    why="port unreachables v4 inner TCP port changed, sum not; answers of one host",
)
def unreachable_quotes_port() -> bytes:
    out = []
    for n in range(5):
        inner_new = tcp("10.7.0.9", "203.0.113.9", (33000 + n, 80), 5, 0, SYN)[:28]
        inner_old = tcp("10.7.0.9", "203.0.113.9", (61000 + n, 80), 5, 0, SYN)[:28]
        w = icmp("203.0.113.9", "10.7.0.9", 3, 3, 0, inner_old)
        r = icmp("203.0.113.9", "10.7.0.9", 3, 3, 0, inner_new)
        out.append((1000.0 + n, put(r, 22, w[22:24])))
    return wire(merged(out, questions("10.7.0.9", "203.0.113.9", 3)))


@case(
    "wrong-arithmetic length-fault",
    NO_DAMAGE,
    why="TCP RST/ACK crafted w/o pseudo header v4, SYN good",
    variants=("v4", "v6"),
)
def reset_no_pseudo(k: str) -> bytes:
    e = (A6, B6) if k == "v6" else (A, B)
    out = []
    for n in range(5):
        out.append((1000.0 + n, tcp(*e, (40000 + n, 80), 1 + n * 77, 0, SYN, options=MSS)))
        out.append(
            (1000.01 + n, tcp(*e[::-1], (80, 40000 + n), 0, 2 + n * 77, RST | ACK, sum_=lambda p, s: total(s) ^ 0xFFFF))
        )
    return wire(out)


@case("nat-without-update wrong-arithmetic", DAMAGE, why="UDP port off by one, one flow, answers good, v6")
def port_plus_one_one_flow6() -> bytes:
    out = [(1000.0 + n, udp(A6, B6, (5353, 9000), noise(40 + n, n), sum_=off_by(-1))) for n in range(8)]
    return wire(merged(out, questions(B6, A6, 4)))


@case("nat-on-zero", "bit-errors corruption", why="nat46 v6 illegal zero with v4 side, both interfaces")
def nat46_both_sides() -> bytes:
    v = (
        fold(
            0xFFFF
            + (total(pseudo_header("2001:db8::1", "64:ff9b::1", 17, 0)) ^ 0xFFFF)
            + total(pseudo_header("192.0.2.1", "192.0.2.9", 17, 0))
        )
        ^ 0xFFFF
    )
    out = []
    for n in range(6):
        out.append((1000.0 + n, udp("192.0.2.9", "192.0.2.1", (5060, 4500), noise(30 + n, n), sum_=zero, ident=n)))
        out.append(
            (1000.5 + n, udp("192.0.2.1", "192.0.2.9", (4500, 5060), noise(40 + 3 * n, n), sum_=constant(v), ident=n))
        )
    return wire(out)


@case(
    "nat-without-update",
    "nothing-wrong:certain bit-errors corruption",
    why="VRRPv3 v4 masqueraded beside good from others",
)
def vrrp3_beside_others() -> bytes:
    out = []
    for n in range(10):
        for src, real in (("10.0.0.7", "10.0.0.3"), ("10.0.0.4", "10.0.0.4")):
            b = struct.pack("!BBBBHH", 0x31, 51, 100, 1, 100, 0) + bytes([10, 0, 0, 1])
            out.append(
                (
                    1000.0 + n + (src[-1] == "4") * 0.1,
                    ip4(src, "224.0.0.18", VRRP, summed(real, "224.0.0.18", VRRP, b, 6, right), ttl=255, ident=n),
                )
            )
    return pcap([(t, eth(p)) for t, p in out])


@case(
    "offload-pending",
    "ip-header-never-filled:likely,certain corruption",
    why="header zero ICMP echo answered on host; only requester's zero",
)
def echo_header_zero() -> bytes:
    return wire([(t, put16(p, 10, 0) if p[15] == 1 else p) for t, p in pings(times=6)])


@case(
    "nat-without-update",
    "bit-errors corruption nothing-wrong tunnel-inner-unfinished",
    why="gtpu outer stale, inner TCP both ways, v6 outer, acked",
)
def gtpu_outer_both_ways6() -> bytes:
    out = []
    for t, p in whole(Talk("10.45.0.2", "203.0.113.1", seed=3), 5).packets:
        up = p[15] == 2
        e = ("2001:db8::10", "2001:db8::20") if up else ("2001:db8::20", "2001:db8::10")
        w = ("2001:db8::10", "fd00::20") if up else ("fd00::20", "2001:db8::10")
        out.append((t, gtp(*e, p, sum_=as_if(*w))))
    return wire(out)


@case(
    "nat-without-update",
    "bit-errors corruption nothing-wrong",
    why="outer UDP of GTP stale for downlink only, uplink has 0",
)
def gtpu_outer_downlink() -> bytes:
    out = []
    for t, p in whole(Talk("10.45.0.2", "203.0.113.1", seed=3), 5).packets:
        up = p[15] == 2
        out.append(
            (
                t,
                gtp("192.0.2.10", "192.0.2.20", p, sum_=zero)
                if up
                else gtp("192.0.2.20", "192.0.2.10", p, sum_=as_if("10.0.0.20", "192.0.2.10")),
            )
        )
    return wire(out)


@case(
    "ip-header-never-filled offload-pending",
    "nothing-wrong corruption bit-errors",
    why="header zero, TCP good, both ways good else",
    variants=("sll", "eth"),
)
def header_zero_server(k: str) -> bytes:
    ps = [(t, put16(p, 10, 0) if p[15] == 2 else p) for t, p in whole(Talk(seed=4), 4).packets]
    return pcap([(t, sll(p, 4 if p[15] == 2 else 0)) for t, p in ps], SLL) if k == "sll" else wire(ps)


def lost(p: bytes, s: bytes) -> int:
    d = p + s + bytes(len(s) % 2)
    v = sum(struct.unpack(f"!{len(d) // 2}H", d))
    return ((v >> 16) + (v & 0xFFFF) & 0xFFFF) ^ 0xFFFF


@case(
    "wrong-arithmetic",
    "nat-without-update bit-errors corruption nothing-wrong",
    why="lost carry v4 UDP, several flows, 3 bad of many",
)
def carry_lost_udp() -> bytes:
    rng, out, n, bad = random.Random(3), [], 0, 0
    while bad < 3 and n < 9000:
        n += 1
        d = rng.randbytes(1200)
        x = udp(B, A, (53, 50000 + n % 3), d, sum_=lost, ident=n)
        y = udp(B, A, (53, 50000 + n % 3), d, ident=n)
        bad += x != y
        if x != y or n < 70:
            out.append((1000 + n * 0.01, x))
    return wire(out)


def lastb(p: bytes, s: bytes) -> int:
    return total(p + (s if len(s) % 2 == 0 else s[:-1])) ^ 0xFFFF


@case(
    "wrong-arithmetic length-fault",
    "bit-errors corruption nothing-wrong",
    why="odd last byte left out: icmpv6 / tcp6 / in vxlan",
    variants=("icmp6", "tcp6", "vxlan"),
)
def odd_last_byte_inner(k: str) -> bytes:
    if k == "icmp6":
        out = []
        for n in range(12):
            d = noise(21 + n, n)
            out += [
                (1000.0 + n, echo(A6, B6, "request", 4, n, d)),
                (1000.1 + n, echo(B6, A6, "reply", 4, n, d, sum_=lastb)),
            ]
        return wire(out)
    e = (A6, B6) if k == "tcp6" else (A, B)
    t = Talk(*e, seed=9, sum_b=lastb).open()
    for n in range(10):
        t.answer(101 + n)
    return (
        wire(t.packets)
        if k == "tcp6"
        else wire(
            [
                (x, vxlan("192.0.2.1" if p[15] == 1 else "192.0.2.2", "192.0.2.2" if p[15] == 1 else "192.0.2.1", p))
                for x, p in t.packets
            ]
        )
    )


@case(
    "length-fault",
    "bit-errors corruption nat-without-update nothing-wrong",
    why="sum too short: ICMP 20 bytes; TCP SYN/ACK 24",
    variants=("icmp", "tcp", "tcp6"),
)
def too_short_fixed(k: str) -> bytes:
    if k == "icmp":
        return wire(pings(times=6, sum_b=lambda p, s: total(s[:20]) ^ 0xFFFF))
    e = (A6, B6) if k == "tcp6" else (A, B)
    out = []
    for f in range(4):
        t = Talk(*e, (40000 + f, 80), seed=f, time=1000 + f * 0.2)
        t.send(True, SYN, options=MSS)
        t.send(False, SYN | ACK, options=MSS, sum_=lambda p, s: total(p + s[:24]) ^ 0xFFFF)
        out += t.packets
    return wire(merged(out))
