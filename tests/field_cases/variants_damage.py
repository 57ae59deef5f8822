"""Few differences, damage, lengths that contradict each other."""

from __future__ import annotations

import random
import struct

from field_cases.captures import IN, VALID, eth, pcap, pcapng
from field_cases.case import NOT_CERTAIN, case
from field_cases.packets import (
    ACK,
    ICMP6,
    PSH,
    TCP,
    Sum,
    flip,
    fold,
    ip6,
    put,
    put16,
    right,
    summed,
    udp,
    zero,
)
from field_cases.talk import A6, B6, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.tunnelled import gtp
from field_cases.variants_arithmetic import MISTAKE, NO_DAMAGE
from field_cases.wires import wire

DAMAGE = "bit-errors corruption nothing-wrong"


def engine(deltas: tuple[int, ...], every: int) -> Sum:
    """Wrong now and then, by one of a few values."""
    state = random.Random(4)
    return lambda p, s: fold(right(p, s) + (deltas[state.randrange(len(deltas))] if state.randrange(every) == 0 else 0))


@case("wrong-arithmetic", "corruption bit-errors nat-without-update nothing-wrong", why="an engine: few differences",
      report="gnubee-git/GnuBee_Docs#54", variants=("tcp", "udp6"))  # fmt: skip
def engine_few_deltas(kind: str) -> bytes:
    sum_ = engine((0x0401, 0x1B7C, 0x7723), 8)
    if kind == "udp6":
        return wire(questions(A6, B6, 200, sum_b=sum_, size=300))
    talk = Talk(seed=5, sum_b=sum_).open()
    return wire(talk.answer(1200, 180).packets)


@case(MISTAKE, NO_DAMAGE, why="constant length in the pseudo header", variants=("udp", "tcp6"), report="r63")
def constant_length(kind: str) -> bytes:
    def sum_(pseudo: bytes, segment: bytes) -> int:
        if len(pseudo) == 40:
            return right(put(pseudo, 32, struct.pack("!I", 32)), segment)
        return right(put16(pseudo, 10, 64), segment)

    if kind == "udp":
        return wire(questions(times=10, sum_b=sum_))
    return wire(whole(Talk(A6, B6, seed=3, sum_b=sum_), 6).packets)


def hop_by_hop(src: str, dst: str, proto: int, segment: bytes) -> bytes:
    """With a router alert before the transport."""
    return ip6(src, dst, 0, bytes([proto, 0, 5, 2, 0, 0, 1, 0]) + segment)


@case(MISTAKE, NO_DAMAGE, why="the next header field's number in the pseudo header, not the transport's",
      variants=("tcp", "icmp6"))  # fmt: skip
def extension_header_ignored(kind: str) -> bytes:
    out = []
    for number in range(8):
        if kind == "tcp":
            proto, at = TCP, 16
            body = struct.pack("!HHIIBBHHH", 80, 40000, 1000 + 100 * number, 7, 0x50, PSH | ACK, 500, 0, 0)
        else:
            proto, at = ICMP6, 2
            body = struct.pack("!BBHHH", 129, 0, 0, 9, number)
        segment = summed(B6, A6, proto, body + noise(100, number), at, lambda p, s: right(put(p, 39, b"\0"), s))
        out.append((1000.0 + number, hop_by_hop(B6, A6, proto, segment)))
    return wire(merged(out, pings(A6, B6)))


@case("bit-errors corruption", "nat-without-update wrong-arithmetic metadata-lost",
      why="one bit of one column stuck at 1",
      variants=("tcp6", "udp"))  # fmt: skip
def stuck_bit(kind: str) -> bytes:
    if kind == "udp":
        packets = questions(times=30, size=200)
        return wire([(t, put(p, 77, bytes([p[77] | 0x10])) if p[15] == 2 else p) for t, p in packets])
    talk = Talk(A6, B6, seed=3).open().answer(900, 40).packets
    return wire([(t, put(p, 300, bytes([p[300] | 4])) if len(p) > 900 else p) for t, p in talk])


@case(
    "bit-errors corruption",
    "nat-without-update wrong-arithmetic metadata-lost",
    why="random bits, few packets, several flows",
)
def random_bits() -> bytes:
    rng, out = random.Random(8), []
    for flow in range(4):
        talk = Talk(A, B, (40000 + flow, 80), seed=flow, time=1000 + flow * 0.1).open().answer(1100, 25).packets
        for time, packet in talk:
            hit = len(packet) > 1000 and rng.random() < 0.1
            out.append((time, flip(packet, rng.randrange(52, len(packet)), 1 << rng.randrange(8)) if hit else packet))
    return wire(merged(out))


@case("vouched-for-bad corruption bit-errors", "nat-without-update metadata-lost offload-pending wrong-arithmetic",
      why="damaged payloads that the kernel took for verified", report="kubernetes/kubernetes#18898")  # fmt: skip
def damaged_and_vouched() -> bytes:
    talk = Talk(A, B, seed=6).open().answer(600, 20).packets
    out = []
    for number, (time, packet) in enumerate(talk):
        hit = len(packet) > 600 and number % 5 == 0
        out.append((time, eth(flip(flip(packet, 100 + number, 9), 300, 64) if hit else packet), IN | VALID))
    return pcapng(out)


@case("corruption bit-errors", f"nothing-wrong nat-without-update {NOT_CERTAIN}", why="inner TCP damaged, GTP good")
def gtp_inner_damaged() -> bytes:
    talk = Talk("10.45.0.2", "203.0.113.1", seed=3).open().answer(700, 10).packets
    out = []
    for number, (time, packet) in enumerate(talk):
        if len(packet) > 700 and number % 7 == 0:
            packet = put(packet, 200 + number, b"\xde\xad\xbe")
        out.append((time, gtp("192.0.2.20", "192.0.2.10", packet, sum_=zero)))
    return pcap([(t, eth(p)) for t, p in out])


@case("corruption bit-errors", "nat-without-update metadata-lost wrong-arithmetic nothing-wrong",
      why="good before, 3 of 60 damaged behind")  # fmt: skip
def damaged_between_taps() -> tuple[bytes, bytes]:
    talk = Talk(A, B, seed=6).open().answer(800, 30).packets
    behind = [(t + 3e-5, flip(p, 400 + n, 0x20) if n in (9, 21, 47) else p) for n, (t, p) in enumerate(talk)]
    return wire(talk), wire(behind)


@case(
    "corruption bit-errors",
    f"{NOT_CERTAIN} nothing-wrong nat-without-update",
    why="one packet damaged, no more is known",
)
def one_damaged() -> bytes:
    packets = questions(times=12, size=120)
    return wire([(t, put(p, 60, b"\x00\xff\x13") if n == 7 else p) for n, (t, p) in enumerate(packets)])


@case("length-fault", "nothing-wrong:certain,likely corruption bit-errors",
      why="IPv6 says less than UDP, the frame has all",
      report="amzn/amzn-drivers#176")  # fmt: skip
def ip6_length_too_small() -> bytes:
    packets = questions(A6, B6, 6, size=900)
    return wire([(t, put16(p, 4, 300) if p[23] == 2 else p) for t, p in packets])


@case("length-fault", "nothing-wrong:certain,likely corruption bit-errors", why="UDP says more than IP and frame have")
def udp_length_too_large() -> bytes:
    packets = questions(times=6, size=100)
    return wire([(t, put16(p, 24, 1500) if p[15] == 2 else p) for t, p in packets])


@case("length-fault wrong-arithmetic", "nat-without-update bit-errors corruption nothing-wrong",
      why="sums over Ethernet's padding too: only short ones wrong")  # fmt: skip
def padding_summed() -> bytes:
    def sum_(pseudo: bytes, segment: bytes) -> int:
        return right(put16(pseudo, 10, max(len(segment), 26)), segment)

    out = [
        (1000.0 + number, udp(B, A, (7, 40000), noise(4 + number % 2 * 40, number), ident=number, sum_=sum_))
        for number in range(12)
    ]
    return wire(merged(out, pings()))
