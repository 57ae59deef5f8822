"""Programs and cards that count wrongly."""

from __future__ import annotations

import random
import struct

from field_cases.case import case
from field_cases.packets import (
    ACK,
    SYN,
    UDP,
    Sum,
    constant,
    echo,
    fold,
    pseudo_header,
    right,
    tcp,
    total,
    udp,
    zero,
)
from field_cases.talk import A6, B6, MSS, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.wires import wire

MISTAKE = "wrong-arithmetic length-fault"

DAMAGE = "bit-errors corruption nothing-wrong"


NO_DAMAGE = "bit-errors corruption nat-without-update nothing-wrong metadata-lost"


def no_pseudo(pseudo: bytes, segment: bytes) -> int:
    """Of the segment alone."""
    return total(segment) ^ 0xFFFF


def prefix(size: int) -> Sum:
    """The first bytes only."""
    return lambda pseudo, segment: total(pseudo + segment[:size]) ^ 0xFFFF


@case(MISTAKE, NO_DAMAGE, why="UDP without a pseudo header, an XDP reflector", report="iovisor/bcc#3829",
      variants=("v4", "v6"))  # fmt: skip
def udp_no_pseudo(family: str) -> bytes:
    ends = (A6, B6) if family == "v6" else (A, B)
    return wire(merged(questions(*ends, 6, sum_b=no_pseudo), pings(*ends)))


@case(MISTAKE, NO_DAMAGE, why="SYN/ACKs of an XDP program: only 20 bytes, no pseudo header, IPv6",
      report="iovisor/bcc#3829")  # fmt: skip
def syn_proxy_header_only6() -> bytes:
    out = []
    for flow in range(5):
        talk = Talk(A6, B6, (40000 + flow, 80), seed=flow, time=1000 + flow * 0.2)
        talk.send(True, SYN, options=MSS)
        talk.send(False, SYN | ACK, options=MSS, sum_=lambda pseudo, segment: total(segment[:20]) ^ 0xFFFF)
        out += talk.packets
    return wire(merged(out))


@case(MISTAKE, NO_DAMAGE, why="header only", report="class of RIOT, lwIP", variants=("tcp", "udp", "icmp"))
def header_only(kind: str) -> bytes:
    size = {"tcp": 32, "udp": 8, "icmp": 8}[kind]
    if kind == "tcp":
        return wire(whole(Talk(seed=9, sum_b=prefix(size)), 6).packets)
    if kind == "udp":
        return wire(questions(times=8, sum_b=prefix(size)))
    return wire(pings(times=8, sum_b=prefix(size)))


@case(MISTAKE, NO_DAMAGE, why="large echoes summed over the first buffer of 128 bytes; small ones right",
      report="zephyrproject-rtos/zephyr#630")  # fmt: skip
def first_buffer_only() -> bytes:
    out = []
    for number in range(12):
        data = noise(40 if number % 2 else 300 + 10 * number, number)
        out.append((1000.0 + number, echo(A, B, "request", 5, number, data)))
        out.append((1000.1 + number, echo(B, A, "reply", 5, number, data, sum_=prefix(128))))
    return wire(out)


@case(MISTAKE, NO_DAMAGE, why="sum over 34 bytes of longer answers, IPv6", report="FreeRTOS/FreeRTOS-Plus-TCP#1332")
def too_short_udp6() -> bytes:
    return wire(questions(A6, B6, 8, sum_b=prefix(34)))


@case(MISTAKE, "bit-errors corruption nat-without-update", why="a zero inserted after an odd header: the rest swapped",
      report="RIOT-OS/RIOT#3201")  # fmt: skip
def odd_snip_in_the_middle() -> bytes:
    def sum_(pseudo: bytes, segment: bytes) -> int:
        return fold(total(pseudo) + total(segment[:25]) + total(segment[25:])) ^ 0xFFFF

    return wire(questions(A6, B6, 10, sum_b=sum_))


def last_byte(where: str) -> Sum:
    """An odd last byte left out, or in the wrong half."""

    def make(pseudo: bytes, segment: bytes) -> int:
        if len(segment) % 2 == 0:
            return right(pseudo, segment)
        return fold(total(pseudo + segment[:-1]) + (segment[-1] if where == "low" else 0)) ^ 0xFFFF

    return make


@case(
    MISTAKE,
    "bit-errors corruption nothing-wrong",
    why="odd last byte",
    variants=("out-tcp", "low-tcp", "low-icmp", "out-udp6"),
)
def odd_last_byte(kind: str) -> bytes:
    where, _, proto = kind.partition("-")
    sum_ = last_byte(where)
    if proto == "tcp":
        talk = Talk(seed=9, sum_b=sum_).open()
        for number in range(12):
            talk.answer(101 + number)
        return wire(talk.packets)
    if proto == "icmp":
        out = []
        for number in range(12):
            out.append((1000.0 + number, echo(A, B, "request", 5, number, noise(21 + number, number))))
            out.append((1000.1 + number, echo(B, A, "reply", 5, number, noise(21 + number, number), sum_=sum_)))
        return wire(out)
    return wire(questions(A6, B6, 12, sum_b=sum_))


def lost_carry(pseudo: bytes, segment: bytes) -> int:
    """32-bit sum folded once only."""
    data = pseudo + segment + bytes(len(segment) % 2)
    value = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return ((value >> 16) + (value & 0xFFFF) & 0xFFFF) ^ 0xFFFF


@case("wrong-arithmetic", "nat-without-update bit-errors corruption nothing-wrong", why="folded once: some off by one",
      report="xdp-project/xdp-tutorial#130", variants=("tcp", "icmp"))  # fmt: skip
def carry_lost(kind: str) -> bytes:
    rng, out, lost = random.Random(kind), [], 0
    for number in range(4000):
        data = rng.randbytes(1400)
        if kind == "tcp":
            packet = tcp(B, A, (80, 40000), 1000 + 1400 * number, 7, ACK, data, sum_=lost_carry, ident=number)
            good = tcp(B, A, (80, 40000), 1000 + 1400 * number, 7, ACK, data, ident=number)
        else:
            packet = echo(B, A, "reply", 6, number, data, sum_=lost_carry)
            good = echo(B, A, "reply", 6, number, data)
        bad = packet != good
        lost += bad
        if bad or number < 60:
            out.append((1000 + number * 0.01, packet))
        if lost == 5:
            break
    return wire(out)


@case(
    "wrong-arithmetic",
    "corruption bit-errors nat-without-update",
    why="lwIP's echo reply: carry of 0x0800 lost at times",
)
def echo_reply_carry() -> bytes:
    rng, out = random.Random(5), []
    for number in range(300):
        data = rng.randbytes(56)
        request = echo(A, B, "request", 6, number, data)
        was = struct.unpack_from("!H", request, 22)[0]
        reply = echo(B, A, "reply", 6, number, data, sum_=constant((was + 0x0800) & 0xFFFF))
        out += [(1000 + number, request), (1000.01 + number, reply)]
    return wire(out)


def sums_to_ffff(src: str, dst: str, ports: tuple[int, int], size: int, seed: int) -> bytes:
    """Data that make UDP's computed sum 0."""
    data = noise(size, seed)[:-2] + b"\0\0"
    segment = struct.pack("!HHHH", *ports, 8 + size, 0) + data
    value = total(pseudo_header(src, dst, UDP, len(segment)) + segment) ^ 0xFFFF
    return data[:-2] + struct.pack("!H", value)


@case("wrong-arithmetic", "corruption bit-errors nat-without-update nothing-wrong",
      why="two of forty computed 0, sent as 0",
      report="zephyrproject-rtos/zephyr#16379")  # fmt: skip
def udp6_zero_for_ffff() -> bytes:
    out = questions(A6, B6, 20)
    for number in range(2):
        data = sums_to_ffff(B6, A6, (53, 50500 + number), 60, number)
        out.append((1003.0 + number, udp(B6, A6, (53, 50500 + number), data, sum_=zero)))
    return wire(merged(out))


@case("", "corruption bit-errors nat-without-update nothing-wrong", why="raw ping6 whose sum nobody fills in",
      report="google/gvisor#3996")  # fmt: skip
def icmp6_never_filled() -> bytes:
    return wire([p for p in pings(A6, B6, 6, sum_=zero) if p[1][40] == 128])


@case("double-completion never-filled wrong-arithmetic", "corruption bit-errors nothing-wrong nat-without-update",
      why="a card sums over a field that is filled: every reply has 0")  # fmt: skip
def echo_replies_summed_twice() -> bytes:
    return wire(pings(times=8, sum_b=zero))
