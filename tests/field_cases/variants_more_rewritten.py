"""Further rewritten headers, unfinished sums and marks."""

from __future__ import annotations

import struct

from field_cases.captures import IN, NEEDS, NULL, OUT, VALID, eth, loopback, pcap, pcapng
from field_cases.case import INNOCENT, case
from field_cases.packets import (
    ACK,
    SYN,
    UDP,
    as_if,
    ip4,
    off_by,
    partial,
    put,
    put16,
    sctp,
    seed_of,
    total,
    udp,
    zero,
)
from field_cases.talk import A6, B6, MSS, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.tunnelled import gtp
from field_cases.variants_leaked import updated
from field_cases.wires import wire

DAMAGE = "bit-errors corruption nothing-wrong"


def forwarded(packet: bytes) -> bytes:
    """One hop more, IPv4."""
    packet = put16(put(packet, 8, bytes([packet[8] - 1])), 10, 0)
    return put16(packet, 10, total(packet[:20]) ^ 0xFFFF)


@case("nat-without-update", f"{DAMAGE} tunnel-inner-unfinished", why="uplink only, datagrams inside, outer after SNAT",
      report="edgecomllc/eupf#577")  # fmt: skip
def gtpu_outer_uplink() -> bytes:
    inner = questions("10.45.0.2", "8.8.8.8", 9, sum_b=None)
    return wire([(t, gtp("198.51.100.10", "192.0.2.20", p, sum_=as_if("10.0.0.10", "192.0.2.20"))) for t, p in inner])


@case("nat-without-update", DAMAGE, why="TTL less one, sum as before; nobody answers")
def ttl_without_update_one_way() -> bytes:
    packets = questions(times=8, sum_b=None) + Talk(seed=3).syns(4).packets
    return wire([(t, put(p, 8, b"\x3f")) for t, p in merged(packets)])


@case("metadata-lost", DAMAGE, why="addresses and ports changed under the seed", report="FDio/vpp#2684")
def leaked_then_napt() -> bytes:
    out = []
    for flow in range(3):
        ports = (50000 + flow * 7, 1024 + flow * 3)
        talk = Talk("198.51.100.7", "203.0.113.80", (ports[1], 443), seed=flow + 5, time=1000 + flow * 0.21)
        talk.sum_a = updated(partial, ("10.0.3.7", "203.0.113.80"), ("198.51.100.7", "203.0.113.80"), ports)
        out += talk.syns(4).packets
    return wire(merged(out, pings("198.51.100.7", "203.0.113.80")))


@case("metadata-lost", DAMAGE, why="answers of a service behind DNAT, unfinished; the client's are good")
def leaked_answers_then_nat() -> bytes:
    out = []
    for flow in range(3):
        talk = Talk("203.0.113.9", "198.51.100.7", (50000 + flow, 443), seed=flow + 5, time=1000 + flow * 0.21)
        talk.send(True, SYN, options=MSS)
        at = talk.seq_b
        talk.sum_b = updated(partial, ("10.0.3.7", "203.0.113.9"), ("198.51.100.7", "203.0.113.9"))
        for number in range(3):
            talk.send(False, SYN | ACK, options=MSS, seq=at)
            talk.pause(2**number)
        out += talk.packets
    return wire(merged(out))


@case(
    "metadata-lost",
    "offload-pending corruption bit-errors nothing-wrong",
    why="one answer, five times, unfinished among good",
)
def one_datagram_unfinished() -> bytes:
    out = questions(times=8)
    for number in range(5):
        query = udp(A, B, (55000, 53), noise(30, 3), ident=number)
        answer = udp(B, A, (53, 55000), noise(80, 3), sum_=partial, ident=90 + number)
        out += [(1005.0 + 2 * number, query), (1005.001 + 2 * number, answer)]
    return wire(merged(out))


@case("metadata-lost misplaced-completion", "offload-pending:certain,likely nothing-wrong",
      why="SYNs: the urgent pointer holds the sum, two bytes late", report="microsoft/WSL#41137")  # fmt: skip
def completion_over_urgent_pointer() -> bytes:
    out = []
    for flow in range(3):
        for time, packet in (
            Talk(A, B, (40000 + flow, 22), seed=flow, time=1000 + flow * 0.3, sum_a=partial).syns(4).packets
        ):
            segment = packet[20:]
            out.append((time, put16(packet, 38, total(segment) ^ 0xFFFF)))
    return wire(merged(out, pings()))


@case("bad-seed", "bit-errors corruption offload-pending:certain",
      why="flagged datagrams, seed of the address before SNAT",
      report="cilium/cilium#28768")  # fmt: skip
def bad_seed_udp() -> bytes:
    packets = questions("198.51.100.7", "10.0.0.53", 6, sum_=seed_of("10.1.1.1", "10.0.0.53"), sum_b=None, again=3.0)
    return pcapng([(t, eth(p), OUT | NEEDS) for t, p in packets])


@case("", "corruption bit-errors nothing-wrong nat-without-update", why="UDP over IPv6 always 0: illegal, TCP good")
def udp6_always_zero() -> bytes:
    return wire(merged(questions(A6, B6, 6, sum_b=zero), whole(Talk(A6, B6, seed=2)).packets))


@case(
    "offload-pending",
    INNOCENT + " nothing-wrong",
    why="loopback, IPv6 and IPv4, both sides unfinished",
    report="nmap/npcap#715",
)
def loopback_both() -> bytes:
    four = whole(Talk("127.0.0.1", "127.0.0.1", (50001, 80), sum_a=partial, sum_b=partial, seed=2)).packets
    six = whole(Talk("::1", "::1", (50002, 80), sum_a=partial, sum_b=partial, seed=3)).packets
    return pcap([(t, loopback(p)) for t, p in merged(four, six)], NULL)


@case("vouched-for-bad metadata-lost", "corruption bit-errors nothing-wrong",
      why="data and acknowledgments, all marked valid, one side's the seed",
      report="lkl/linux#418")  # fmt: skip
def seed_marked_valid_tcp6() -> bytes:
    talk = whole(Talk(A6, B6, seed=3, sum_a=partial), 4).packets
    return pcapng([(t, eth(p), IN | VALID if p[23] == 1 else OUT) for t, p in talk])


def header_carry(pseudo: bytes, head: bytes) -> int:
    """IPv4's header sum folded once."""
    value = sum(struct.unpack(f"!{len(head) // 2}H", head))
    return ((value >> 16) + (value & 0xFFFF) & 0xFFFF) ^ 0xFFFF


@case(
    "wrong-arithmetic",
    "nat-without-update bit-errors corruption nothing-wrong",
    why="header sums: a carry lost in a few",
)
def carry_lost_ip_header() -> bytes:
    out, lost = [], 0
    for number in range(70000):
        args = (udp(B, A, (9000, 9001), noise(40, 1))[20:],)
        packet = ip4("10.7.250.2", "10.7.255.251", UDP, *args, ident=number, tos=0x10, sum_=header_carry)
        good = ip4("10.7.250.2", "10.7.255.251", UDP, *args, ident=number, tos=0x10)
        segment = udp("10.7.250.2", "10.7.255.251", (9000, 9001), noise(40, number % 9))[20:]
        lost += packet != good
        if packet != good or len(out) < 60:
            out.append((1000 + len(out) * 0.01, packet[:20] + segment))
        if lost == 6:
            break
    return wire(out)


@case(
    "nat-without-update",
    "corruption bit-errors nothing-wrong",
    why="INITs only, port changed, CRC as before",
    report="loxilb-ebpf#3",
)
def sctp_inits_port_changed() -> bytes:
    out = []
    for number in range(5):
        init = struct.pack("!BBHIIHHI", 1, 0, 20, number + 70, 65535, 10, 10, number + 5)
        old = sctp("10.0.0.1", "10.0.0.2", (30000, 8080), 0, init)
        out.append((1000.0 + number, put16(old, 22, 38412)))
    return wire(out)


def stripped(packet: bytes) -> bytes:
    """A SYN whose SACK-permitted became NOPs, the sum as before."""
    head = 40 if packet[0] >> 4 == 6 else 20
    return put(packet, head + 24, b"\x01\x01") if packet[head + 13] & SYN else packet


@case("nat-without-update", DAMAGE, why="a firewall's NOPs over an option, the sum as before", variants=("v4", "v6"))
def option_stripped(family: str) -> bytes:
    ends = (A6, B6) if family == "v6" else (A, B)
    out = []
    for flow in range(4):
        out += Talk(*ends, (40000 + flow, 80), seed=flow, time=1000 + flow * 0.2).syns(3).packets
    return wire(merged([(t, stripped(p)) for t, p in out], pings(*ends)))


@case("nat-without-update", DAMAGE, why="ECN bits of SYNs cleared, the sum as before; other traffic good")
def ecn_cleared() -> bytes:
    out = []
    for flow in range(4):
        packets = Talk(A, B, (40000 + flow, 80), seed=flow, time=1000 + flow * 0.2, sum_a=off_by(-0xC0)).syns(3).packets
        out += packets
    return wire(merged(out, questions()))


@case("nat-without-update", DAMAGE, why="sequence numbers randomised by a firewall: per flow one difference, one way")
def sequence_randomised() -> bytes:
    out = []
    for flow in range(4):
        talk = Talk(A, B, (40000 + flow, 80), seed=flow, time=1000 + flow * 0.2, sum_a=off_by(0x1357 + 0x2111 * flow))
        talk.send(True, SYN, options=MSS)
        talk.send(True, SYN, options=MSS, seq=talk.seq_a - 1)
        talk.pause(1.5).send(True, SYN, options=MSS, seq=talk.seq_a - 1)
        out += talk.packets
    return wire(merged(out))
