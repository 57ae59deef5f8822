"""Further places of a capture, and both sides of a hop."""

from __future__ import annotations

import random
import struct

from field_cases.captures import NEEDS, OUT, SLL2, eth, pcap, pcapng, sll2
from field_cases.case import INNOCENT, case
from field_cases.packets import (
    ACK,
    PSH,
    RST,
    SYN,
    as_if,
    echo,
    flip,
    icmp,
    partial,
    put,
    right,
    seed_of,
    tcp,
    udp,
)
from field_cases.talk import A6, B6, MSS, A, B, Talk, merged, noise, pings, whole
from field_cases.tunnelled import geneve, vxlan
from field_cases.variants_more_rewritten import forwarded
from field_cases.wires import wire

DAMAGE = "bit-errors corruption nothing-wrong"


@case("rewritten-capture offload-pending nat-without-update", f"{DAMAGE} metadata-lost nat-without-update:certain",
      why="a sender's own capture, IPv6 prefix rewritten in the file")  # fmt: skip
def anonymised_sender6() -> bytes:
    was, now = ("2001:db8:aa::1", "2001:db8:bb::2"), ("fd00::1", "fd00::2")
    talk = Talk(*now, seed=6)
    talk.sum_a, talk.sum_b = seed_of(*was), as_if(was[1], was[0])
    return wire(whole(talk, 5).packets)


@case(
    "",
    "icmp-stale-inner:certain corruption bit-errors nothing-wrong",
    why="addresses of errors rewritten in the file, quotes untouched; IPv6",
)
def rewritten_outer_only6() -> bytes:
    out = []
    for number in range(5):
        inner = udp("2001:db8:1::5", "2001:db8:2::9", (40000, 33434 + number), noise(20, number), ttl=1)
        was = icmp("2001:db8:3::1", "2001:db8:1::5", 3, 0, 0, inner)
        now = icmp("fd00:3::1", "fd00:1::5", 3, 0, 0, inner)
        out.append((1000.0 + number, put(now, 42, was[42:44])))
    return wire(out)


@case(
    "nothing-wrong", INNOCENT + " super-frames:certain", why="64 kB before, segments behind, all right or to be filled"
)
def split_behind() -> tuple[bytes, bytes]:
    front, behind = Talk(seed=5), Talk(seed=5)
    front.open()
    behind.open()
    for number in range(4):
        data = noise(14480, number)
        front.send(True, PSH | ACK, data, sum_=partial)
        for part in range(10):
            behind.send(True, ACK, data[part * 1448 : part * 1448 + 1448])
        for side in (front, behind):
            side.send(False, ACK, ack=front.seq_a)
    return pcapng([(t, eth(p), OUT | NEEDS if len(p) > 2000 else 0) for t, p in front.packets]), wire(behind.packets)


@case(
    "metadata-lost",
    "corruption bit-errors nothing-wrong",
    why="flagged before, the same SYNs unfinished behind; a VLAN more",
)
def leaked_behind_vlan() -> tuple[bytes, bytes]:
    packets = Talk(A6, B6, seed=5, sum_a=partial).syns(5).packets
    behind = pcap([(t + 2e-5, eth(p, tags=((0x8100, 9),))) for t, p in packets])
    return pcapng([(t, eth(p), OUT | NEEDS) for t, p in packets]), behind


@case(
    "tunnel-inner-unfinished metadata-lost",
    "corruption bit-errors nothing-wrong",
    why="flagged before, inside Geneve unfinished behind",
)
def leaked_into_geneve() -> tuple[bytes, bytes]:
    packets = Talk("10.244.0.3", "10.244.1.4", seed=5, sum_a=partial).syns(5).packets
    behind = [(t + 2e-5, geneve("192.0.2.1", "192.0.2.2", p, sum_=right)) for t, p in packets]
    return pcapng([(t, eth(p), OUT | NEEDS) for t, p in packets]), wire(behind)


@case("nothing-wrong", INNOCENT, why="plain before, in VXLAN behind, all right")
def into_vxlan_good() -> tuple[bytes, bytes]:
    packets = whole(Talk("10.244.0.3", "10.244.1.4", seed=5), 4).packets
    return wire(packets), wire([(t + 2e-5, vxlan("192.0.2.1", "192.0.2.2", forwarded(p))) for t, p in packets])


@case("offload-pending", INNOCENT, why="a guest's unfinished on the host's bridge, finished on the card; any")
def host_bridge_any() -> bytes:
    out = []
    for time, packet in whole(Talk("10.0.0.5", "203.0.113.9", seed=5, sum_a=partial), 4).packets:
        mine = packet[12] == 10
        for step, (iface, way) in enumerate(((7, 0), (4, 0), (2, 4)) if mine else ((2, 0), (4, 4), (7, 4))):
            out.append((time + step * 1e-5, sll2(packet, iface, way)))
    return pcap(out, SLL2)


@case(
    "corruption bit-errors",
    "nothing-wrong nat-without-update metadata-lost wrong-arithmetic:certain",
    why="IPv4 headers damaged, one bit each, other bits",
)
def header_bits() -> bytes:
    rng, out = random.Random(5), []
    for number, (time, packet) in enumerate(Talk(seed=5).open().answer(500, 40).packets):
        out.append(
            (time, flip(packet, rng.choice((1, 4, 5, 8)), 1 << rng.randrange(8)) if number % 16 == 5 else packet)
        )
    return wire(out)


@case("", "nothing-wrong:certain,likely corruption", why="an EtherType nobody knows on cooked capture")
def cooked_unknown() -> bytes:
    return pcap(
        [(1000.0 + n, struct.pack("!HHIHBB8s", 0x88B5, 0, 2, 1, 0, 6, bytes(8)) + noise(80, n)) for n in range(9)], SLL2
    )


@case(
    "metadata-lost",
    "corruption bit-errors nothing-wrong",
    why="RSTs of a closed port never arrive, pings do; taken at the peer",
    at_wire=True,
)
def resets_at_the_wire() -> bytes:
    out = []
    for number in range(5):
        out.append((1000.0 + number, tcp(A, B, (40000, 81), 9, 0, SYN, options=MSS)))
        out.append((1000.001 + number, tcp(B, A, (81, 40000), 0, 10, RST | ACK, sum_=partial)))
    return wire(merged(out, pings()))


@case("nothing-wrong", INNOCENT, why="echoes whose right sum is 0 or ffff")
def echo_sum_zero() -> bytes:
    out = []
    for number in range(8):
        data = noise(30, number) + b"\0\0"
        packet = echo(A, B, "request", 5, number, data)
        data = data[:-2] + packet[22:24]
        out += [
            (1000.0 + number, echo(A, B, "request", 5, number, data)),
            (1000.01 + number, echo(B, A, "reply", 5, number, data)),
        ]
    return wire(out)


@case(
    "double-completion",
    "corruption bit-errors nothing-wrong nat-without-update",
    why="right before, behind the seed over it: completed twice",
)
def completed_twice() -> tuple[bytes, bytes]:
    front = Talk(seed=5).syns(5).packets
    behind = Talk(seed=5, sum_a=partial).syns(5).packets
    return wire(front), wire([(t + 2e-5, p) for t, p in behind])


@case(
    "bit-errors corruption",
    "nat-without-update nothing-wrong metadata-lost",
    why="bits of timestamps flip on the way: no hop rewrites those of a few packets",
    harmful=("--repair all",),
    variants=("v4", "v6"),
)
def header_bits_between_taps(family: str) -> tuple[bytes, bytes]:
    ends = ("10.0.3.7", "203.0.113.80") if family == "v4" else ("fd00::7", "2001:db8::80")
    head = 20 if family == "v4" else 40
    talk = Talk(*ends, (40000, 443), seed=5).open().answer(700, 20).packets
    damaged = {7: 24, 16: 27, 29: 30}  # packet: byte of the TCP header, in its timestamps
    behind = [(t + 2e-5, flip(p, head + damaged[n], 0x10) if n in damaged else p) for n, (t, p) in enumerate(talk)]
    return wire(talk), wire(behind)
