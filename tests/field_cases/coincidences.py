"""Values that look like something else by chance: seeds of ffff, sums equal to seeds, rewrites without effect."""

from __future__ import annotations

import struct

from field_cases.captures import IN, NEEDS, OUT, VALID, eth, pcap, pcapng
from field_cases.case import INNOCENT, case
from field_cases.packets import (
    ACK,
    PSH,
    UDP,
    fold,
    partial,
    pseudo_header,
    put,
    put16,
    tcp,
    total,
    udp,
    zero,
)
from field_cases.talk import A, B, Talk, framed, merged, noise, questions, whole
from field_cases.wires import between, wire

# 10.0.0.1 to this address, UDP of 48 bytes: the seed is ffff.
SEED_FFFF = "10.0." + ".".join(
    str(byte) for byte in struct.pack("!H", (fold(total(pseudo_header("10.0.0.1", "10.0.0.0", UDP, 48))) ^ 0xFFFF))
)


@case(
    "offload-pending",
    f"{INNOCENT} nat-on-zero never-filled",
    why="the seed happens to be ffff: a sender's view, answered",
)
def seed_is_ffff() -> bytes:
    packets = []
    for n in range(8):
        packets.append((1 + n / 3, udp("10.0.0.1", SEED_FFFF, (5000, 53), noise(40, n), sum_=partial, ident=n)))
        packets.append((1.001 + n / 3, udp(SEED_FFFF, "10.0.0.1", (53, 5000), noise(90, n), ident=n)))
    return wire(packets)


def equal_to_seed(a: str, b: str, n: int) -> bytes:
    """A datagram whose right sum is its seed."""
    data = noise(60, n) + bytes(2)
    segment = struct.pack("!HHHH", 5000, 5001, 8 + len(data), 0) + data
    pseudo = pseudo_header(a, b, UDP, len(segment))
    word = fold((total(pseudo) ^ 0xFFFF) + (total(pseudo + segment) ^ 0xFFFF))
    return udp(a, b, (5000, 5001), put16(data, 60, word), ident=n)


@case(
    "nothing-wrong",
    f"{INNOCENT} offload-pending",
    why="right sums that equal the seed: finished, not partial",
    variants=(1, 12),
)
def right_equals_seed(times: int) -> bytes:
    return wire([(1.0 + n, equal_to_seed(A, B, n)) for n in range(times)])


@case(
    "nothing-wrong",
    f"{INNOCENT} offload-pending icmp-stale-inner",
    why="rewrites that no sum notices: addresses swapped, words exchanged",
    variants=("swapped", "ports"),
)
def rewrites_without_difference(kind: str) -> bytes:
    at, size = (12, 4) if kind == "swapped" else (20, 2)
    packets = whole(Talk()).packets
    return wire([(t, put(p, at, p[at + size : at + 2 * size] + p[at : at + size])) for t, p in packets])


@case(
    "vouched-for-bad metadata-lost",
    "corruption bit-errors nothing-wrong nat-without-update",
    also="metadata-lost vouched-for-bad offload-pending",
    suffix=".pcapng",
    why="the kernel calls verified what holds the seed",
    report="https://github.com/lkl/linux/pull/418",
    variants=("udp", "ipv4-tcp"),
)
def verified_seed(kind: str) -> bytes:
    packets = questions(sum_=partial, sum_b=None, times=8) if kind == "udp" else Talk(sum_a=partial).syns(4).packets
    return pcapng([(t, between(p), IN | VALID) for t, p in packets])


@case(
    "bad-seed",
    "nothing-wrong bit-errors offload-pending:certain",
    also="bad-seed",
    suffix=".pcapng",
    why="marked as partial, and the field is off by one value from the seed, always",
    variants=("tcp", "udp", "one"),
)
def marked_but_no_seed(kind: str) -> bytes:
    def seed(pseudo: bytes, segment: bytes) -> int:
        return fold(total(pseudo) + 0x0C0D)

    if kind == "udp":
        packets = questions(sum_=seed, sum_b=None, times=6)
    else:
        packets = Talk(sum_a=seed).syns(1 if kind == "one" else 5).packets
    return pcapng([(t, between(p), OUT | NEEDS) for t, p in packets])


@case(
    "double-completion",
    "nothing-wrong corruption bit-errors metadata-lost",
    also="double-completion",
    suffix=".pcapng",
    why="marked as partial, and finished already: the card will finish it once more",
)
def marked_and_finished() -> bytes:
    return pcapng([(t, between(p), OUT | NEEDS) for t, p in whole(Talk()).packets if p[15] == 1])


@case(
    "nothing-wrong",
    f"{INNOCENT} offload-pending",
    why="each packet twice: with a tag and without",
)
def tagged_copies() -> bytes:
    packets = whole(Talk(), 5).packets
    tagged = [(t + 2e-6, eth(p, p[15], p[19], tags=((0x8100, 4),))) for t, p in packets]
    return pcap(merged(framed(packets, between), tagged))


@case(
    "",
    f"nothing-wrong:certain {INNOCENT}",
    why="cut to 54 bytes: not one transport sum could be checked",
    variants=("tcp", "udp"),
)
def nothing_could_be_checked(kind: str) -> bytes:
    packets = whole(Talk(), 5).packets if kind == "tcp" else questions(times=9)
    return pcap(framed(packets, between), snaplen=54)


@case(
    "offload-pending nothing-wrong",
    f"nothing-wrong:certain {INNOCENT}",
    why="cut to 60 bytes at the sender: seeds could still be told, sums cannot",
)
def cut_at_the_sender() -> bytes:
    return pcap(framed(whole(Talk(sum_a=partial), 5).packets, between), snaplen=60)


@case(
    "",
    "metadata-lost:certain offload-pending:certain bit-errors:certain nat-without-update:certain corruption:certain",
    why="two packets, one good, one bad by the difference of their addresses: chance or a NAT",
)
def two_packets() -> bytes:
    one = tcp(A, B, (1, 2), 3, 4, ACK, noise(30))
    two = tcp(A, "10.7.0.9", (1, 2), 99, 4, PSH | ACK, noise(50))
    return wire(
        [(1.0, one), (2.0, put(put16(two, 10, total(put16(two, 10, 0)[:20]) ^ 0xFFFF), 36, two[36:37] + b"\x7f"))]
    )


@case(
    "nothing-wrong",
    f"{INNOCENT} nat-on-zero never-filled offload-pending",
    why="a service that sends UDP without sums over IPv4, another with: both as they may",
)
def with_and_without() -> bytes:
    return wire(merged(questions(sum_b=zero), questions(A, "10.7.0.8", port=123, sum_=zero, time=1001)))


@case(
    "",
    "offload-pending:certain,likely nothing-wrong metadata-lost:certain corruption bit-errors nat-without-update",
    why="partial sums one way, good ones the other way, never a sign that either was heard: two talk past each other",
)
def past_each_other() -> bytes:
    a = [(1 + n / 4, udp(A, B, (5000, 9000), noise(60 + n, n), sum_=partial, ident=n)) for n in range(10)]
    b = [(1.1 + n / 4, udp("10.7.0.3", "10.7.0.4", (7, 9), noise(60 + n, n), ident=n)) for n in range(10)]
    return wire(merged(a, b))
