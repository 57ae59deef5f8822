"""Fields other than addresses rewritten on the way, without an update."""

from __future__ import annotations

import struct

from field_cases.case import case
from field_cases.packets import (
    ACK,
    PSH,
    SYN,
    echo,
    get16,
    put,
    put16,
    right,
    udp,
)
from field_cases.talk import A6, B6, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.wires import wire

REWRITTEN = "corruption bit-errors nothing-wrong metadata-lost offload-pending wrong-arithmetic:certain"


def header(packet: bytes, at: int, value: bytes) -> bytes:
    """An IPv4 header rewritten without its sum."""
    return put(packet, at, value)


@case(
    "nat-without-update",
    REWRITTEN,
    why="DSCP remarked, the IPv4 header's sum not updated",
    report="https://github.com/CPqD/ofsoftswitch13/pull/76",
    variants=("all", "one-class"),
)
def dscp_remark(kind: str) -> bytes:
    marked = merged(*(whole(Talk(A, B, (40000 + n, 80), seed=n)).packets for n in range(3)))
    marked = [(t, header(p, 1, b"\xb8") if p[15] == 1 else p) for t, p in marked]
    if kind == "one-class":
        marked = merged(marked, whole(Talk("10.7.0.8", B, (40008, 22), seed=8)).packets, questions(A, "10.7.0.9"))
    return wire(marked)


@case(
    "nat-without-update",
    REWRITTEN,
    why="TTL decremented, the IPv4 header's sum not",
    report="https://github.com/CloudNativeDataPlane/cndp/pull/319",
    variants=("tcp", "udp", "icmp"),
)
def ttl(kind: str) -> bytes:
    packets = {
        "tcp": Talk().syns(4).packets,
        "udp": questions(sum_b=None, times=9),
        "icmp": [p for p in pings(times=6) if p[1][15] == 1],
    }[kind]
    return wire([(t, put(p, 8, bytes([p[8] - 1]))) for t, p in packets])


@case(
    "nat-without-update",
    REWRITTEN,
    why="ECN bits set on the way; only packets that carry them have a stale IPv4 sum",
    report="https://github.com/firezone/firezone/pull/9005",
)
def ecn() -> bytes:
    packets = merged(*(Talk(f"10.7.0.{n}", B, (40000 + n, 443), seed=n).syns(3).packets for n in (3, 4, 5)))
    packets = [(t, put(p, 1, b"\x02")) for t, p in packets]
    return wire(merged(packets, questions(), whole(Talk(A, "10.7.0.9", (4, 5))).packets))


@case(
    "nat-without-update bit-errors",
    "corruption bit-errors:certain nothing-wrong metadata-lost offload-pending wrong-arithmetic:certain",
    why="DF cleared by a scrubbing firewall: one bit, but in every packet",
    variants=(4, 60),
)
def df_cleared(times: int) -> bytes:
    packets = [
        (1 + n / 9, udp(A, f"10.7.0.{2 + n % 5}", (5000, 6000), noise(80 + n, n), ident=n * 77)) for n in range(times)
    ]
    return wire([(t, put16(p, 6, get16(p, 6) & 0xBFFF)) for t, p in packets])


@case(
    "nat-without-update",
    REWRITTEN,
    why="MSS clamped in SYN and SYN/ACK, other values, no update; everything else good",
    report="https://github.com/n42n/n3n/pull/121",
    variants=("ipv4", "ipv6", "one-flow"),
)
def mss_clamp(kind: str) -> bytes:
    parts = []
    for n in range(1 if kind == "one-flow" else 4):
        ends = (A6, B6) if kind == "ipv6" else (A, f"10.7.0.{n + 2}")
        parts.append(Talk(*ends, (40000 + n, 443), seed=n).syns(3).packets)
    at = 40 if kind == "ipv6" else 20
    clamped = [(t, put16(p, at + 22, 1360) if p[at + 13] & SYN else p) for t, p in merged(*parts)]
    healthy = whole(Talk("10.7.0.50", "10.7.0.51", (4000, 22), seed=50)).packets
    return wire(merged(clamped, healthy[3:]))


@case("nat-without-update", REWRITTEN, why="SACK-permitted overwritten with NOPs in every SYN, no update")
def option_stripped() -> bytes:
    parts = [Talk(f"10.7.0.{n}", B, (40000 + n, 443), seed=n).syns(4).packets for n in (3, 4, 5, 6)]
    return wire([(t, put(p, 44, b"\1\1")) for t, p in merged(*parts)])


@case(
    "nat-without-update wrong-arithmetic",
    "corruption bit-errors nothing-wrong metadata-lost offload-pending",
    why="a helper shifts the sequence numbers of one direction, not the sum: every later segment differs alike",
)
def sequence_shift() -> bytes:
    talk = Talk(sum_b=right).open().ask(60).answer(200)
    before = len(talk.packets)
    for n in range(6):
        talk.send(False, PSH | ACK, noise(300 + n, n))
        talk.pause(0.4)
    late = [
        (t, put(p, 24, struct.pack("!I", (struct.unpack("!I", p[24:28])[0] + 9) & 0xFFFFFFFF)))
        for t, p in talk.packets[before:]
    ]
    return wire(merged(talk.packets[:before], late))


@case(
    "nat-without-update",
    REWRITTEN,
    why="echo requests whose identifier was rewritten, ICMP's sum not",
    variants=("ipv4", "ipv6"),
)
def echo_identifier(kind: str) -> bytes:
    a, b = (A6, B6) if kind == "ipv6" else (A, B)
    at = 44 if kind == "ipv6" else 24
    return wire([(1.0 + n, put16(echo(a, b, "request", 0x1234, n + 1, noise(56, n)), at, 0x8001)) for n in range(6)])


@case(
    "",
    "nothing-wrong nat-without-update:certain bit-errors:certain metadata-lost offload-pending",
    why="random-id writes another identification into each IPv4 header and leaves its sum: differences vary",
)
def identification() -> bytes:
    packets = questions(times=12, sum_b=None)
    return wire([(t, put(p, 4, noise(2, n))) for n, (t, p) in enumerate(packets)])
