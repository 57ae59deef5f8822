"""Fields of 0 and ffff, lost carries, and cards that are wrong by a constant."""

from __future__ import annotations

import struct

from field_cases.arithmetic import sent
from field_cases.captures import pcap
from field_cases.case import case
from field_cases.packets import (
    ACK,
    UDP,
    fold,
    ip4,
    off_by,
    pseudo_header,
    put16,
    right,
    tcp,
    total,
    udp,
    zero,
)
from field_cases.talk import A6, B6, A, B, noise
from field_cases.wires import between, wire

ARITHMETIC = "wrong-arithmetic length-fault"


NOT = "nat-without-update corruption bit-errors nothing-wrong metadata-lost offload-pending"


NOT_SURELY = "nat-without-update:certain corruption bit-errors nothing-wrong metadata-lost offload-pending"


@case(
    ARITHMETIC,
    NOT,
    why="two's complement in place of one's: a carry is lost in some packets, off by one, one way",
    report="https://github.com/AltraMayor/gatekeeper/pull/425",
    variants=(60, 300),
)
def carry_lost(times: int) -> bytes:
    packets = []
    for n in range(times):
        sum_ = off_by(1) if (n * 2654435761 >> 7) % 11 == 3 else right
        packets.append(
            (
                1 + n / 50,
                udp(A, f"10.7.0.{2 + n % 3}", (4000 + n % 3, 4500), noise(100 + n % 90, n), sum_=sum_, ident=n),
            )
        )
        packets.append((1.002 + n / 50, udp(f"10.7.0.{2 + n % 3}", A, (4500, 4000 + n % 3), noise(30, n), ident=n)))
    return wire(packets)


def aimed(a: str, b: str, size: int, seed: int, value: int) -> bytes:
    """UDP payload whose right sum is *value* (0 stands for what is written as ffff)."""
    data = noise(size, seed) + bytes(2)
    segment = struct.pack("!HHHH", 5000, 5001, 8 + len(data), 0) + data
    have = total(pseudo_header(a, b, UDP, len(segment)) + segment)
    return put16(data, size, fold((value ^ 0xFFFF) + (have ^ 0xFFFF)))


@case(
    "wrong-arithmetic",
    "bit-errors corruption nat-without-update metadata-lost never-filled:certain",
    why="a computed 0 is sent as 0, where ffff is right; hundreds of others are good",
    report="https://github.com/seladb/PcapPlusPlus/issues/588",
    variants=(2, 5),
)
def zero_for_ffff(times: int) -> bytes:
    packets = [(1 + n / 20, udp(A6, B6, (5000, 5001), noise(60 + n % 9, n))) for n in range(100)]
    packets += [(6.1 + n, udp(A6, B6, (5000, 5001), aimed(A6, B6, 60, n, 0), sum_=zero)) for n in range(times)]
    return wire(packets)


@case(
    "wrong-arithmetic nothing-wrong",
    "bit-errors corruption nat-without-update metadata-lost",
    why="the same over IPv4, where 0 says that there is no sum: harmless",
    report="https://github.com/mirage/mirage-tcpip/issues/348",
)
def zero_for_ffff_ipv4() -> bytes:
    packets = [(1 + n / 20, udp(A, B, (5000, 5001), noise(60 + n % 9, n), ident=n)) for n in range(100)]
    packets += [(6.1 + n, udp(A, B, (5000, 5001), aimed(A, B, 60, n, 0), sum_=zero, ident=n)) for n in range(3)]
    return wire(packets)


@case(
    "nothing-wrong",
    "bit-errors corruption wrong-arithmetic metadata-lost never-filled",
    why="sums that really are ffff (UDP), and ICMP and TCP whose right sum is 0",
    report="https://github.com/zephyrproject-rtos/zephyr/issues/12164",
)
def extreme_but_right() -> bytes:
    packets = [(1.0 + n, udp(A6, B6, (5000, 5001), aimed(A6, B6, 60, n, 0))) for n in range(3)]
    for n in range(3):
        message = struct.pack("!BBHHH", 8, 0, 0, 7, n) + noise(54, n)
        packets.append((5.0 + n, ip4(A, B, 1, message + struct.pack("!H", total(message) ^ 0xFFFF))))
        segment = struct.pack("!HHIIBBHHH", 5000, 80, n, 1, 0x50, 0x10, 500, 0, 0) + noise(30, n)
        last = total(pseudo_header(A, B, 6, len(segment) + 2) + segment) ^ 0xFFFF
        packets.append((9.0 + n, ip4(A, B, 6, segment + struct.pack("!H", last))))
    return wire(packets)


@case(
    "wrong-arithmetic double-completion",
    "bit-errors corruption nat-without-update metadata-lost nothing-wrong",
    harmful=("VXLAN", "flannel"),
    why="software filled the sums in, the MAC summed over them again: ffff in IPv4's and ICMP's field, always",
    report="https://github.com/zephyrproject-rtos/zephyr/issues/78724",
    variants=("icmp", "udp"),
)
def summed_twice(kind: str) -> bytes:
    packets = sent(kind, lambda pseudo, segment: 0xFFFF)
    return wire([(t, put16(p, 10, 0xFFFF) if p[15] == 1 else p) for t, p in packets])


@case(
    "never-filled wrong-arithmetic double-completion offload-pending",
    "offload-pending:certain,likely bit-errors corruption nat-without-update metadata-lost nothing-wrong",
    why="all answers to ping hold 0",
    report="https://github.com/zephyrproject-rtos/zephyr/issues/57629",
    variants=("icmp", "icmp6"),
)
def answers_hold_zero(kind: str) -> bytes:
    return pcap([(t, between(p).ljust(60, b"\0")) for t, p in sent(kind, zero, 6)])


@case(
    "wrong-arithmetic",
    "corruption bit-errors nat-without-update nothing-wrong",
    why="a card is wrong by one of three values in some frames of several flows; the others of the same flows are good",
)
def card_with_three_errors() -> bytes:
    packets = []
    for n in range(240):
        pick = (n * 40503 >> 4) % 29
        sum_ = off_by({3: 0x50E3, 11: 0x50E4, 17: 0x4EE3}[pick]) if pick in (3, 11, 17) else right
        flow = n % 4
        packets.append(
            (
                1 + n / 100,
                tcp(A, f"10.7.0.{flow + 2}", (5000 + flow, 2049), n * 1448, 9, ACK, noise(1448, n), sum_=sum_, ident=n),
            )
        )
    return wire(packets)


@case(
    ARITHMETIC,
    NOT,
    why="padding of short frames is summed, and is not 0",
    report="https://github.com/alexforencich/verilog-ethernet/issues/23",
)
def padding_summed() -> bytes:
    frames = []
    for n in range(8):
        fill = bytes([0xA0 + n]) * 30
        packet = udp(A, B, (5000, 5001), noise(6, n), ident=n)
        pad = fill[: 60 - 14 - len(packet)]
        value = total(pseudo_header(A, B, UDP, 14) + put16(packet[20:], 6, 0) + pad) ^ 0xFFFF
        frames.append((1.0 + n, between(put16(packet, 26, value) + pad)))
        frames.append((1.5 + n, between(udp(A, B, (5000, 5001), noise(90, n), ident=n + 50))))
    return pcap(frames)
