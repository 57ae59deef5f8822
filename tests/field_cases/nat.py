"""Headers rewritten on the way without an update of the sums that cover them."""

from __future__ import annotations

from field_cases.captures import Timed
from field_cases.case import case
from field_cases.packets import (
    ACK,
    SYN,
    address,
    as_if,
    echo,
    off_by,
    put,
    tcp,
    udp,
)
from field_cases.talk import A6, B6, MSS, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.wires import wire

REWRITTEN = "corruption bit-errors nothing-wrong metadata-lost offload-pending wrong-arithmetic:certain"
NEW, NEW6 = "203.0.113.77", "2001:db8::77"


@case(
    "nat-without-update",
    REWRITTEN,
    why="the source was rewritten, TCP's and UDP's sums are still the old one's",
    report="https://github.com/Instituto-Atlantico/mesh-connect/issues/54",
    variants=("tcp", "udp", "both", "ipv6"),
)
def snat(kind: str) -> bytes:
    new, old, target = (NEW6, A6, B6) if kind == "ipv6" else (NEW, A, B)
    stale = as_if(old, target)
    parts: list[list[Timed]] = []
    if kind in ("tcp", "both", "ipv6"):
        parts += [Talk(new, target, (40000 + n, 80), sum_a=stale, seed=n).syns(4).packets for n in range(3)]
    if kind in ("udp", "both"):
        parts.append(questions(new, target, 6, sum_=stale, sum_b=None))
    return wire(merged(*parts))


@case(
    "nat-without-update",
    REWRITTEN,
    why="XDP writes another destination port, one direction; the answers are good",
    report="https://github.com/xdp-project/xdp-tutorial/issues/320",
    variants=(1, 6),
)
def port_redirect(flows: int) -> bytes:
    delta = 8000 - 289
    parts = [
        Talk(f"10.7.0.{20 + n}", B, (41000 + n, 289), sum_a=off_by(-delta), seed=n).syns(5).packets
        for n in range(flows)
    ]
    return wire(merged(*parts, pings()))


@case(
    "nat-without-update",
    REWRITTEN,
    why="two backends, two differences; clients' other traffic is good",
    report="https://github.com/xdp-project/bpf-examples/issues/118",
    variants=("ipv4", "ipv6"),
)
def load_balancer(kind: str) -> bytes:
    six = kind == "ipv6"
    vip = "2001:db8::100" if six else "198.51.100.100"
    parts = []
    for n in range(6):
        client = f"2001:db8:1::{n + 1:x}" if six else f"192.0.2.{n + 1}"
        backend = f"fd00::{n % 2 + 5}" if six else f"10.0.0.{n % 2 + 5}"
        parts.append(Talk(client, backend, (30000 + n, 443), sum_a=as_if(client, vip), seed=n).syns(4).packets)
    return wire(merged(*parts, whole(Talk(B6, A6) if six else Talk(B, A, seed=40)).packets))


@case(
    "nat-without-update",
    REWRITTEN,
    why="the answers of a DNAT keep the inner server's sum; the client repeats its SYN",
    variants=("tcp", "udp"),
)
def answers_stale(kind: str) -> bytes:
    if kind == "udp":
        return wire(questions("192.0.2.5", "198.51.100.53", 6, sum_b=as_if("10.0.0.53", "192.0.2.5")))
    talk = Talk("192.0.2.5", "198.51.100.80", sum_b=as_if("10.0.0.80", "192.0.2.5"))
    start = talk.seq_a, talk.seq_b
    for number in range(5):
        talk.send(True, SYN, options=MSS, seq=start[0])
        talk.send(False, SYN | ACK, options=MSS, seq=start[1] + number * 77777, ack=start[0] + 1)
        talk.pause(2.0**number)
    return wire(talk.packets)


@case(
    "",
    "nat-without-update:certain nothing-wrong corruption:certain bit-errors:certain metadata-lost",
    why="one bad packet whose difference an address could explain: not provable",
    variants=("tcp", "udp"),
)
def one_packet(kind: str) -> bytes:
    if kind == "udp":
        return wire([(1.0, udp(NEW, B, (5000, 53), noise(50), sum_=as_if(A, B)))])
    return wire([(1.0, tcp(NEW, B, (5000, 53), 77, 0, SYN, options=MSS, sum_=as_if(A, B)))])


@case(
    "nat-without-update bad-seed wrong-arithmetic",
    "corruption bit-errors nothing-wrong metadata-lost",
    why="a virtual switch corrected the seed for a port that is no part of it; the card finished it: off by that",
    report="https://github.com/oxidecomputer/opte/issues/15",
    variants=(1, 4),
)
def seed_corrected_for_a_port(flows: int) -> bytes:
    delta = 0x1234
    return wire(
        merged(*(Talk(A, B, (50000, 80 + n), sum_a=off_by(-delta), seed=n).syns(5).packets for n in range(flows)))
    )


@case(
    "nat-without-update",
    REWRITTEN,
    why="a rewritten source spoils TCP, UDP and, by its pseudo header, ICMPv6 alike: one cause",
)
def one_cause_over_protocols() -> bytes:
    stale = as_if(A6, B6)
    packets = merged(Talk(NEW6, B6, sum_a=stale).syns(4).packets, questions(NEW6, B6, 4, sum_=stale, sum_b=None))
    packets += [(1000.4 + n, echo(NEW6, B6, "request", 9, n, noise(40, n), sum_=stale)) for n in range(4)]
    return wire(merged(packets))


@case(
    "nat-without-update",
    REWRITTEN + " icmp-stale-inner:certain",
    why="a NAT that rewrites addresses and updates neither the IPv4 header's nor the transport's sum",
)
def header_and_transport() -> bytes:
    packets = merged(Talk(A, B).syns(4).packets, questions(A, B, 4, sum_b=None))
    return wire([(t, put(p, 12, address(NEW))) for t, p in packets])
