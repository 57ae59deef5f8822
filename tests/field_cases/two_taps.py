"""Two captures, before and behind a hop."""

from __future__ import annotations

import struct

from field_cases.captures import IN, NEEDS, OUT, eth, pcap, pcapng
from field_cases.case import case
from field_cases.hops import after, renamed, sums, to_ipv4
from field_cases.leaked import updated
from field_cases.packets import SYN, address, flip, get16, partial, put, put16, total, udp
from field_cases.talk import A6, B6, A, B, Talk, framed, merged, noise, pings, questions, whole
from field_cases.tunnelled import geneve, vxlan
from field_cases.wires import between, wire

Both = tuple[bytes, bytes]
LOST = "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain"
FINE = "metadata-lost corruption bit-errors nat-without-update double-completion tunnel-inner-unfinished bad-seed"
NEW = "203.0.113.9"


@case(
    "metadata-lost",
    LOST,
    why="partial before the hop, the same value behind it; SYNs in vain, pings pass",
    report="https://github.com/p4lang/behavioral-model/issues/986",
    variants=("classic", "marked", "vlan-behind"),
)
def lost_between(kind: str) -> Both:
    packets = merged(Talk(sum_a=partial).syns(5).packets, pings(times=4))
    if kind == "marked":
        before = pcapng([(t, between(p), IN | NEEDS if p[9] != 1 else IN) for t, p in packets])
        return before, pcapng([(t, between(p), OUT) for t, p in after(packets)])
    if kind == "vlan-behind":
        return wire(packets), pcap(framed(after(packets), lambda p: eth(p, p[15], p[19], tags=((0x8100, 9),))))
    return wire(packets), wire(after(packets))


@case(
    "metadata-lost offload-pending",
    "nothing-wrong corruption bit-errors nat-without-update metadata-lost:certain offload-pending:certain",
    why="datagrams partial on both sides and never answered, pings pass: a bridge inside one host looks the same",
)
def datagrams_lost_between() -> Both:
    packets = merged(questions(sum_=partial, sum_b=None), pings())
    return wire(packets), wire(after(packets))


@case(
    "nat-without-update",
    "nothing-wrong corruption bit-errors metadata-lost offload-pending",
    why="good before, another source behind, the sum unchanged",
    report="https://github.com/eunomia-bpf/bpf-developer-tutorial/pull/175",
    variants=("tcp", "udp", "one-packet"),
)
def nat_between(kind: str) -> Both:
    packets = questions(sum_b=None, times=6) if kind == "udp" else Talk().syns(1 if kind == "one-packet" else 5).packets
    return wire(packets), wire([(t, renamed(p, NEW, 36)) for t, p in after(packets)])


@case(
    "metadata-lost",
    "nothing-wrong corruption bit-errors offload-pending:certain",
    why="partial before, translated behind, the seed updated as if it were a finished sum",
    report="https://github.com/FDio/vpp/issues/2684",
    variants=("finished-update", "no-update", "seed-update"),
)
def nat_on_partial(kind: str) -> Both:
    packets = Talk(sum_a=partial).syns(5).packets
    out = []
    for time, packet in after(packets):
        field = get16(packet, 36)
        value: int | None = None
        if kind == "finished-update":
            value = updated(field, address(A), address(NEW))
        elif kind == "seed-update":
            value = total(address(NEW) + address(B) + struct.pack("!BBH", 0, 6, len(packet) - 20))
        out.append((time, renamed(packet, NEW, 36, value)))
    return wire(merged(packets, pings())), wire(merged(out, after(pings(NEW, B))))


@case(
    "bit-errors",
    "nothing-wrong metadata-lost nat-without-update offload-pending",
    also="bit-errors corruption",
    why="good before, a bit differs behind, other places",
    variants=("tcp", "udp"),
)
def bits_between(kind: str) -> Both:
    packets = (
        whole(Talk(), 20).packets
        if kind == "tcp"
        else [(1 + n / 9, udp(A, B, (5, 6), noise(200 + n, n), ident=n)) for n in range(60)]
    )
    behind = [
        (t, flip(p, 60 + n % 90, 1 << n % 8) if n % 14 == 9 and len(p) > 160 else p)
        for n, (t, p) in enumerate(after(packets))
    ]
    return wire(packets), wire(behind)


@case(
    "corruption",
    "nothing-wrong metadata-lost nat-without-update offload-pending bit-errors:certain",
    why="good before, 32 bytes zeroed behind in some",
)
def bursts_between() -> Both:
    packets = whole(Talk(), 20).packets
    behind = [
        (t, put(p, 100, bytes(32)) if n % 11 == 9 and len(p) > 600 else p) for n, (t, p) in enumerate(after(packets))
    ]
    return wire(packets), wire(behind)


@case(
    "misplaced-completion metadata-lost",
    "nothing-wrong offload-pending corruption bit-errors nat-without-update:certain,likely",
    why="one SYN whose port differs each time behind the hop: the completion was written there; the field is the seed",
    report="https://github.com/microsoft/WSL/issues/41137",
    variants=("destination", "source"),
)
def completion_over_a_port(kind: str) -> Both:
    packets = Talk(sum_a=partial).syns(5).packets
    at = 22 if kind == "destination" else 20
    behind = [(t, put16(p, at, total(p[20:]) ^ 0xFFFF)) for t, p in after(packets)]
    return wire(packets), wire(behind)


@case(
    "misplaced-completion metadata-lost",
    "nothing-wrong offload-pending:certain bit-errors nat-without-update",
    also="corruption",
    why="UDP completed at TCP's place: two bytes of payload differ behind the hop, the field is still the seed",
    report="https://github.com/sh0rch/packetveil/issues/17",
)
def completion_into_payload() -> Both:
    packets = [(1 + n / 9, udp(A, B, (51820, 51820), noise(90 + n, n), sum_=partial, ident=n)) for n in range(12)]
    behind = [(t, put16(p, 36, total(p[20:]) ^ 0xFFFF)) for t, p in after(packets)]
    return wire(packets), wire(behind)


@case(
    "nat-without-update",
    "nothing-wrong corruption bit-errors metadata-lost offload-pending",
    harmful=("VXLAN", "rx off"),
    why="IPv6 before, IPv4 behind, the sum still that of IPv6: a translation without update",
    report="https://github.com/aojea/nat64/pull/1",
    variants=("tcp", "udp"),
)
def translated_without_update(kind: str) -> Both:
    packets = questions(A6, B6, 6, sum_b=None) if kind == "udp" else Talk(A6, B6).syns(5).packets
    return wire(packets), wire([(t, to_ipv4(p)) for t, p in after(packets)])


@case(
    "metadata-lost",
    "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain",
    harmful=("VXLAN", "rx off"),
    why="partial before, another family behind, the seed taken along",
)
def translated_with_seed() -> Both:
    packets = Talk(A6, B6, sum_a=partial).syns(5).packets
    return wire(packets), wire([(t, to_ipv4(p)) for t, p in after(packets)])


@case(
    "tunnel-inner-unfinished metadata-lost",
    LOST,
    why="partial at the pod's port, partial inside the tunnel behind",
    variants=("vxlan", "geneve"),
)
def into_a_tunnel(kind: str) -> Both:
    make = vxlan if kind == "vxlan" else geneve
    packets = merged(Talk(sum_a=partial).syns(5).packets, pings(times=4))
    behind = [
        (t, make(*(("192.0.2.1", "192.0.2.2") if p[15] == 1 else ("192.0.2.2", "192.0.2.1")), p))
        for t, p in after(packets)
    ]
    return wire(packets), wire(behind)


@case(
    "double-completion",
    "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain",
    why="right before, the seed behind: completed once more",
    report="https://github.com/moby/moby/pull/48149",
    variants=("tcp", "udp"),
)
def completed_twice(kind: str) -> Both:
    packets = questions(sum_b=None, times=6) if kind == "udp" else Talk().syns(5).packets
    return wire(packets), wire(sums(after(packets), partial))


@case(
    "nat-on-zero",
    "nothing-wrong corruption bit-errors metadata-lost offload-pending",
    why="no outer sum before, the update of nothing behind",
    report="https://github.com/cilium/cilium/issues/28707",
)
def zero_translated() -> Both:
    before = [(t, vxlan("10.0.0.5", "192.0.2.2", p, port=8472)) for t, p in Talk().syns(5).packets]
    value = updated(0, address("10.0.0.5"), address(NEW))
    return wire(before), wire([(t, renamed(p, NEW, 26, value)) for t, p in after(before)])


@case(
    "nat-without-update",
    "nothing-wrong corruption bit-errors metadata-lost offload-pending",
    why="MSS lowered behind the hop, the sum unchanged; other segments untouched",
)
def mss_between() -> Both:
    packets = merged(*(Talk(A, B, (40000 + n, 80), seed=n).open().ask().packets for n in range(3)))
    behind = [(t, put16(p, 42, 1300) if p[33] & SYN else p) for t, p in after(packets)]
    return wire(packets), wire(behind)
