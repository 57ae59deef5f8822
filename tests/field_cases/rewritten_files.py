"""Captures that somebody changed after they were taken: addresses, ports, payload, lengths."""

from __future__ import annotations

import struct

from field_cases.captures import Timed
from field_cases.case import case
from field_cases.packets import as_if, icmp, put, put16, seed_of, total, udp
from field_cases.sctp import association
from field_cases.talk import A6, B6, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.wires import wire

MAP = {A: "198.18.4.1", B: "198.18.9.2", A6: "2001:db8:a::1", B6: "2001:db8:b::9"}
REWRITTEN = "rewritten-capture nat-without-update"
NOT = "nat-without-update:certain corruption bit-errors metadata-lost nothing-wrong wrong-arithmetic"


def anonymised(a: str = A, b: str = B, *, seeds: bool = False, rounds: int = 3, ports: int = 40000) -> Talk:
    """A connection whose addresses were mapped in the file; IPv4's sum is right, TCP's are those of before."""
    x, y = MAP[a], MAP[b]
    talk = Talk(x, y, (ports, 80), sum_a=seed_of(a, b) if seeds else as_if(a, b), sum_b=as_if(b, a), seed=ports)
    return whole(talk, rounds)


@case(
    REWRITTEN,
    NOT,
    why="addresses mapped, sums kept: acknowledged, so nobody dropped these packets",
    report="https://github.com/appneta/tcpreplay/issues/64",
    variants=("ipv4", "ipv6", "three-flows"),
)
def addresses_mapped(kind: str) -> bytes:
    if kind == "ipv6":
        return wire(anonymised(A6, B6).packets)
    return wire(merged(*(anonymised(ports=40000 + n).packets for n in range(3 if kind == "three-flows" else 1))))


@case(
    REWRITTEN + " offload-pending",
    "nat-without-update:certain metadata-lost corruption bit-errors nothing-wrong",
    also="offload-pending",
    why="a sender's capture, mapped: its partial sums are the seeds of the old addresses",
    variants=("ipv4", "ipv6"),
)
def sender_capture_mapped(kind: str) -> bytes:
    return wire((anonymised(A6, B6, seeds=True) if kind == "ipv6" else anonymised(seeds=True)).packets)


@case(
    REWRITTEN,
    NOT,
    why="questions and answers, mapped; each is answered, so all arrived",
    variants=("dns", "with-ping"),
)
def datagrams_mapped(kind: str) -> bytes:
    x, y = MAP[A], MAP[B]
    packets = questions(x, y, 8, sum_=as_if(A, B), sum_b=as_if(B, A))
    return wire(merged(packets, pings(x, y)) if kind == "with-ping" else packets)


@case(
    REWRITTEN,
    NOT,
    why="ports mapped in the file, in both directions, of an acknowledged connection",
)
def ports_mapped() -> bytes:
    talk = whole(Talk(ports=(40000, 80)))
    packets = []
    for time, packet in talk.packets:
        packets.append(
            (time, put16(put16(packet, 20, 1111 if packet[15] == 1 else 2222), 22, 2222 if packet[15] == 1 else 1111))
        )
    return wire(packets)


@case(
    "rewritten-capture corruption",
    "corruption:certain bit-errors metadata-lost nothing-wrong nat-without-update:certain",
    why="payload zeroed in the file for privacy; acknowledged, closed in order",
    variants=("tcp", "udp"),
)
def payload_zeroed(kind: str) -> bytes:
    if kind == "udp":
        return wire([(t, p[:28] + bytes(len(p) - 28)) for t, p in questions(times=8)])
    return wire([(t, p[:52] + bytes(len(p) - 52) if not p[33] & 2 else p) for t, p in whole(Talk(), 6).packets])


@case(
    "",
    "icmp-stale-inner:certain corruption bit-errors metadata-lost nat-without-update:certain",
    why="a tool that maps outer headers only: quotes of ICMP errors name the old addresses",
    report="https://github.com/appneta/tcpreplay/pull/1008",
    variants=("ipv4", "ipv6"),
)
def quotes_untouched(kind: str) -> bytes:
    a, b, router = (A6, B6, "2001:db8:c::1") if kind == "ipv6" else (A, B, "198.18.77.1")
    packets: list[Timed] = []
    for n in range(5):
        quoted = udp(a, b, (40000, 33434 + n), noise(32, n), ident=n)
        packets.append((1.0 + n, udp(MAP[a], MAP[b], (40000, 33434 + n), noise(32, n), ident=n)))
        error = (3, 0) if kind == "ipv6" else (11, 0)
        packets.append((1.1 + n, icmp(router, MAP[a], *error, 0, quoted[: 48 if kind == "ipv6" else 28])))
    return wire(packets)


@case(
    REWRITTEN + " length-fault corruption",
    "corruption:certain nat-without-update:certain bit-errors metadata-lost nothing-wrong:certain",
    why="packets cut by a tool that lowers IPv4's length to what is left and keeps the transport's sum",
    report="https://github.com/appneta/tcpreplay/pull/846",
)
def lengths_lowered() -> bytes:
    packets = []
    for time, packet in whole(Talk(), 6).packets:
        if len(packet) > 200:
            packet = put16(put16(packet[:200], 2, 200), 10, 0)
            packet = put16(packet, 10, total(packet[:20]) ^ 0xFFFF)
        packets.append((time, packet))
    return wire(packets)


@case(
    REWRITTEN,
    "nat-without-update:certain corruption bit-errors metadata-lost nothing-wrong",
    why="TTL set to one value in the file, IPv4's sum kept; connections acknowledged",
)
def ttl_in_the_file() -> bytes:
    packets = merged(whole(Talk()).packets, whole(Talk("10.7.0.9", B, (41000, 22), seed=6)).packets)
    return wire([(t, put(p, 8, b"\x7f")) for t, p in packets])


@case(
    REWRITTEN + " sctp-wrong-sum corruption",
    "sctp-wrong-sum:certain corruption:certain nat-without-update:certain bit-errors metadata-lost nothing-wrong",
    why="SCTP's ports mapped in the file: each CRC is stale, each chunk confirmed",
)
def sctp_ports_mapped() -> bytes:
    return wire(
        [
            (t, put(p, 20, struct.pack("!HH", 1000, 2000) if p[15] == 1 else struct.pack("!HH", 2000, 1000)))
            for t, p in association(times=9)
        ]
    )


@case(
    "nothing-wrong",
    "rewritten-capture nat-without-update corruption bit-errors metadata-lost",
    why="mapped by a tool that updates the sums: nothing to see",
)
def mapped_rightly() -> bytes:
    return wire(merged(whole(Talk(MAP[A], MAP[B])).packets, questions(MAP[A], MAP[B])))


@case(
    "",
    "rewritten-capture:certain nat-without-update:certain metadata-lost corruption:certain bit-errors nothing-wrong",
    why="only the mapped SYNs of one direction: a NAT or a tool, nobody can say",
)
def one_direction() -> bytes:
    return wire(Talk(MAP[A], MAP[B], sum_a=as_if(A, B)).syns(3).packets)
