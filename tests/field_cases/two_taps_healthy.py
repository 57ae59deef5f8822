"""Two captures of a hop that does nothing wrong."""

from __future__ import annotations

from field_cases.captures import RAW, Timed, eth, pcap
from field_cases.case import case
from field_cases.hops import after, renamed, sums, to_ipv4
from field_cases.packets import address, partial, put, put16, tcp, total
from field_cases.talk import A6, B6, A, B, Talk, framed, merged, noise, whole
from field_cases.tunnelled import vxlan
from field_cases.wires import wire

Both = tuple[bytes, bytes]


LOST = "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain"


FINE = "metadata-lost corruption bit-errors nat-without-update double-completion tunnel-inner-unfinished bad-seed"


NEW = "203.0.113.9"


@case(
    "offload-pending nothing-wrong",
    FINE,
    also="offload-pending nothing-wrong super-frames",
    why="partial before a card, right behind it",
    variants=("plain", "snat", "vlan"),
)
def finished_between(kind: str) -> Both:
    packets = whole(Talk(sum_a=partial)).packets
    behind = sums(after(packets))
    if kind == "snat":
        out = [p for p in packets if p[1][15] == 1]
        moved = [(t, put(put16(p, 10, 0), 12, address(NEW))) for t, p in after(out)]
        moved = [(t, put16(p, 10, total(p[:20]) ^ 0xFFFF)) for t, p in moved]
        return wire(out), wire(sums(moved))
    if kind == "vlan":
        return wire(packets), pcap(framed(behind, lambda p: eth(p, p[15], p[19], tags=((0x8100, 9),))))
    return wire(packets), wire(behind)


@case(
    "nothing-wrong",
    FINE,
    also="offload-pending nothing-wrong",
    why="IPv6 before, IPv4 behind, right on both sides",
)
def translated_rightly() -> Both:
    packets = Talk(A6, B6).syns(3).packets
    return wire(packets), wire(sums([(t, to_ipv4(p)) for t, p in after(packets)]))


@case(
    "nothing-wrong",
    FINE,
    also="nothing-wrong super-frames",
    why="good on both sides: tunnel taken off, tags taken off, another link, packets lost, out of order",
    variants=("decapsulated", "untagged", "raw", "loss", "reordered", "snat"),
)
def healthy(kind: str) -> Both:
    packets = whole(Talk(), 6).packets
    behind = after(packets)
    if kind == "decapsulated":
        return wire([(t, vxlan("192.0.2.1", "192.0.2.2", p)) for t, p in packets]), wire(behind)
    if kind == "untagged":
        return pcap(framed(packets, lambda p: eth(p, p[15], p[19], tags=((0x88A8, 2), (0x8100, 9))))), wire(behind)
    if kind == "raw":
        return wire(packets), pcap(behind, RAW)
    if kind == "loss":
        return wire(packets), wire([one for n, one in enumerate(behind) if n % 7 != 3])
    if kind == "reordered":
        return wire(packets), wire(merged(after(packets[::2], 3e-3), behind[1::2]))
    mine = [p for p in packets if p[1][15] == 1]
    return wire(mine), wire(sums([(t, renamed(p, NEW, 36)) for t, p in after(mine)]))


@case(
    "offload-pending super-frames nothing-wrong",
    FINE,
    also="offload-pending super-frames nothing-wrong",
    why="frames of 14 KB with a partial sum before, split and right behind",
)
def split_between() -> Both:
    big: list[Timed] = []
    small: list[Timed] = []
    for n in range(4):
        data = noise(14480, n)
        big.append((1.0 + n, tcp(A, B, (5000, 80), n * 14480, 1, 16, data, sum_=partial, ident=10 * n)))
        for k in range(10):
            part = data[k * 1448 : k * 1448 + 1448]
            small.append(
                (1.0001 + n + k * 1e-5, tcp(A, B, (5000, 80), n * 14480 + k * 1448, 1, 16, part, ident=10 * n + k))
            )
    return wire(big), wire(small)
