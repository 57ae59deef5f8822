"""Further miscalculation, damage and lengths."""

from __future__ import annotations

import random
import struct

from field_cases.case import NOT_CERTAIN, case
from field_cases.packets import (
    ICMP6,
    SYN,
    UDP,
    constant,
    fold,
    ip6,
    off_by,
    pseudo_header,
    put,
    put16,
    right,
    summed,
    tcp,
    total,
    udp,
)
from field_cases.talk import A6, B6, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.tunnelled import vxlan
from field_cases.wires import wire


@case(
    "",
    "bit-errors:certain corruption:certain nothing-wrong metadata-lost",
    why="IDs randomised by a scrubber, header sums as before",
)
def ident_randomised() -> bytes:
    rng = random.Random(3)
    packets = merged(questions(times=9, sum_b=None), Talk(seed=4).syns(3).packets)
    return wire([(t, put16(p, 4, rng.getrandbits(16))) for t, p in packets])


@case("", f"{NOT_CERTAIN} nothing-wrong metadata-lost",
      why="a scanner's bad sums on purpose: probes with wrong sums, some answered otherwise")  # fmt: skip
def bad_on_purpose() -> bytes:
    rng = random.Random(7)
    out = [
        (1000 + n * 0.01, tcp(A, B, (51000, 20 + n), 77, 0, SYN, sum_=off_by(rng.randrange(1, 65535))))
        for n in range(20)
    ]
    return wire(merged(out, questions()))


@case("", f"{NOT_CERTAIN} bit-errors nothing-wrong metadata-lost:certain nat-on-zero:certain",
      why="packets made from a template, each with the template's sum")  # fmt: skip
def template_sum() -> bytes:
    first = udp(A, B, (9000, 9001), noise(64, 1))
    value = struct.unpack_from("!H", first, 26)[0]
    out = [
        (1000 + n * 0.1, udp(A, B, (9000, 9001), noise(64 + n % 5 * 7, n + 1), ident=n, sum_=constant(value)))
        for n in range(20)
    ]
    return wire(out)


@case(
    "bit-errors corruption",
    "nat-without-update wrong-arithmetic metadata-lost nothing-wrong",
    why="a bit stuck at 0, ICMP",
)
def stuck_at_zero() -> bytes:
    return wire([(t, put(p, 50, bytes([p[50] & 0xBF])) if p[20] == 0 else p) for t, p in pings(times=30)])


@case(
    "wrong-arithmetic",
    "corruption bit-errors nat-without-update nothing-wrong",
    why="an engine's three differences, echo and IPv6",
)
def engine_echo6() -> bytes:
    rng = random.Random(9)

    def sum_(pseudo: bytes, segment: bytes) -> int:
        return fold(right(pseudo, segment) + (rng.choice((0x0201, 0x1331, 0x6F05)) if rng.random() < 0.15 else 0))

    return wire(pings(A6, B6, times=120, every=0.1, sum_b=sum_))


@case(
    "length-fault",
    "corruption bit-errors nothing-wrong:certain,likely",
    why="IPv4 says less than TCP's data in the frame; sum over all",
)
def total_length_too_small_tcp() -> bytes:
    talk = whole(Talk(seed=4), 5).packets
    out = []
    for time, packet in talk:
        if len(packet) > 800:
            packet = put16(put16(packet, 2, 200), 10, 0)
            packet = put16(packet, 10, total(packet[:20]) ^ 0xFFFF)
        out.append((time, packet))
    return wire(out)


@case(
    "length-fault",
    "corruption bit-errors nothing-wrong:certain,likely",
    why="UDP says less than IP has: bytes behind, sum over all of IP's",
)
def udp_length_too_small() -> bytes:
    out = []
    for number in range(8):
        packet = udp(B, A, (9000, 9001), noise(200, number), ident=number)
        value = struct.unpack_from("!H", packet, 26)[0]
        short = udp(B, A, (9000, 9001), noise(200, number), ident=number, length=58, sum_=constant(value))
        out.append((1000.0 + number, short))
    return wire(out)


@case("corruption bit-errors", "nat-without-update metadata-lost nothing-wrong corruption:certain bit-errors:certain",
      why="one outer sum of forty wrong, inner of that one wrong too: one damage")  # fmt: skip
def outer_and_inner_damaged() -> bytes:
    talk = Talk(seed=4).open().answer(700, 20).packets
    out = []
    for number, (time, packet) in enumerate(talk):
        outer = vxlan("192.0.2.1", "192.0.2.2", packet, sum_=right)
        out.append((time, put(outer, 300, b"\x99\x98\x97") if number == 21 else outer))
    return wire(out)


@case(
    "wrong-arithmetic length-fault",
    "nat-without-update corruption bit-errors nothing-wrong",
    why="neighbour advertisements without a pseudo header",
)
def advertisement_no_pseudo() -> bytes:
    out = []
    for number in range(6):
        target = pseudo_header("fd00::5", "fd00::5", 0, 0)[:16]
        mac = b"\x02\x01\x02\0\0\0\0\x05"
        solicit = struct.pack("!BBHI", 135, 0, 0, 0) + target + mac
        advert = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + target + mac
        out.append(
            (
                1000.0 + number,
                ip6(
                    "fd00::1",
                    "ff02::1:ff00:5",
                    ICMP6,
                    summed("fd00::1", "ff02::1:ff00:5", ICMP6, solicit, 2, right),
                    hops=255,
                ),
            )
        )
        bad = summed("fd00::5", "fd00::1", ICMP6, advert, 2, lambda p, s: total(s) ^ 0xFFFF)
        out.append((1000.001 + number, ip6("fd00::5", "fd00::1", ICMP6, bad, hops=255)))
    return wire(out)


@case(
    "wrong-arithmetic length-fault",
    "nat-without-update corruption bit-errors nothing-wrong",
    why="destination options: their number taken for UDP's",
)
def destination_options_ignored() -> bytes:
    out = []
    for number in range(8):
        body = struct.pack("!HHHH", 9000, 9001, 58 + number, 0) + noise(50 + number, number)
        segment = summed(B6, A6, UDP, body, 6, lambda p, s: right(put(p, 39, bytes([60])), s))
        out.append((1000.0 + number, ip6(B6, A6, 60, bytes([UDP, 0, 1, 4, 0, 0, 0, 0]) + segment)))
    return wire(out)
