"""Healthy sums and another trouble: a firewall, a dead host, an MTU, loss, refusals."""

from __future__ import annotations

import struct

from field_cases.captures import (
    Timed,
)
from field_cases.case import INNOCENT, case
from field_cases.packets import ACK, RST, SYN, icmp, partial, tcp, udp
from field_cases.talk import A6, B6, MSS, A, B, Talk, merged, noise, pings, whole
from field_cases.wires import wire


@case(
    "offload-pending",
    "metadata-lost:certain,likely corruption bit-errors nat-without-update",
    also="offload-pending",
    why="a firewall eats SYNs to port 25; the same client's other connections, as partial, are acknowledged",
    variants=("same-host", "other-host"),
)
def firewall(kind: str) -> bytes:
    target = B if kind == "same-host" else "198.51.100.25"
    return wire(
        merged(
            Talk(A, target, (40025, 25), sum_a=partial, seed=4).syns(5).packets,
            pings(A, target),
            whole(Talk(sum_a=partial)).packets,
        )
    )


@case(
    "",
    "metadata-lost:certain,likely nothing-wrong:certain "
    "corruption bit-errors nat-without-update offload-pending:certain",
    why="a dead host: SYNs with partial sums in vain, and nothing else passes",
    variants=("silent", "unanswered-ping"),
)
def dead_host(kind: str) -> bytes:
    packets = Talk(sum_a=partial).syns(6).packets
    if kind == "unanswered-ping":
        packets = merged(packets, [one for one in pings(times=5) if one[1][15] == 1])
    return wire(packets)


def black_hole(a: str, b: str, size: int, times: int) -> list[Timed]:
    talk = Talk(a, b, sum_a=partial).open().ask(200)
    stuck = talk.seq_a
    first = noise(size)
    talk.send(True, ACK, first)
    for number in range(times):
        talk.pause(0.2 * 2**number)
        talk.send(True, ACK, first[:1448], seq=stuck)
    return talk.packets


@case(
    "offload-pending path-mtu-black-hole",
    "metadata-lost corruption bit-errors nat-without-update nothing-wrong:certain",
    also="super-frames path-mtu-black-hole offload-pending",
    why="full-size segments in vain, small ones acknowledged: the path's MTU, not a lost sum",
    variants=("ipv4", "ipv6", "tso", "with-ping"),
)
def path_mtu(kind: str) -> bytes:
    a, b = (A6, B6) if kind == "ipv6" else (A, B)
    packets = black_hole(a, b, 14480 if kind == "tso" else 1448, 5)
    return wire(merged(packets, pings(times=6)) if kind == "with-ping" else packets)


def sack(left: int, edge: int) -> bytes:
    return b"\x01\x01\x05\x0a" + struct.pack("!II", left & 0xFFFFFFFF, edge & 0xFFFFFFFF)


@case(
    "offload-pending",
    INNOCENT,
    why="loss on the path: segments sent again, the rest confirmed by SACK",
    variants=(1, 3),
)
def loss_with_sack(lost: int) -> bytes:
    talk = Talk(sum_a=partial, stamps=False).open().ask()
    for number in range(lost):
        hole = talk.seq_a
        talk.send(True, ACK, noise(1448, number))
        for late in range(4):
            talk.send(True, ACK, noise(1448, 50 + late))
            talk.send(False, ACK, ack=hole, options=sack(hole + 1448, talk.seq_a))
        talk.send(True, ACK, noise(1448, number), seq=hole)
        talk.send(False, ACK)
    return wire(talk.packets)


@case(
    "offload-pending",
    INNOCENT,
    why="the capture ends in the middle of a recovery: SACK confirms what lies behind the hole, the hole is not yet",
)
def sack_only() -> bytes:
    talk = Talk(sum_a=partial, stamps=False)
    hole = talk.seq_a
    talk.send(True, ACK, noise(1448))
    for late in range(3):
        talk.send(True, ACK, noise(1448, 50 + late))
        talk.send(False, ACK, ack=hole, options=sack(hole + 1448, talk.seq_a))
    talk.send(True, ACK, noise(1448), seq=hole)
    talk.pause(0.3).send(True, ACK, noise(1448), seq=hole)
    return wire(merged(talk.packets, pings()))


@case("offload-pending", INNOCENT, why="refused: an RST is an answer", variants=("closed-port", "udp-unreachable"))
def refused(kind: str) -> bytes:
    if kind == "closed-port":
        talk = Talk(sum_a=partial)
        for _ in range(3):
            talk.send(True, SYN, options=MSS)
            talk.packets.append((talk.time + 1e-4, tcp(B, A, (80, 40000), 0, talk.seq_a, RST | ACK)))
            talk.pause(1)
        return wire(talk.packets)
    packets: list[Timed] = []
    for n in range(3):
        asked = udp(A, B, (5000 + n, 161), noise(50, n), sum_=partial, ident=n)
        arrived = udp(A, B, (5000 + n, 161), noise(50, n), ident=n)
        packets += [(1.0 + n, asked), (1.001 + n, icmp(B, A, 3, 3, 0, arrived))]
    return wire(packets)


@case("offload-pending", INNOCENT, why="a port scan at the scanner: most ports are filtered, some answer")
def scan() -> bytes:
    packets: list[Timed] = []
    for port in range(1, 61):
        seq = port * 7919
        packets.append((1 + port / 100, tcp(A, B, (55555, port), seq, 0, SYN, options=MSS, sum_=partial, ident=port)))
        packets.append((2.1 + port / 100, tcp(A, B, (55556, port), seq, 0, SYN, options=MSS, sum_=partial, ident=port)))
        if port in (22, 80, 443):
            packets.append((1.0003 + port / 100, tcp(B, A, (port, 55555), 99, seq + 1, SYN | ACK, options=MSS)))
        elif port % 9 == 0:
            packets.append((1.0003 + port / 100, tcp(B, A, (port, 55555), 0, seq + 1, RST | ACK)))
    return wire(merged(packets, pings()))


@case(
    "offload-pending",
    INNOCENT,
    why="joined in the middle, a zero window and its probes, keep-alive probes, a segment out of order",
)
def in_the_middle() -> bytes:
    talk = Talk(sum_a=partial)
    talk.ask(700).ask(900)
    for _ in range(3):
        talk.pause(0.5).send(True, ACK, b"x", seq=talk.seq_a)
        talk.send(False, ACK, ack=talk.seq_a)
    for _ in range(3):
        talk.pause(5).send(True, ACK, seq=talk.seq_a - 1)
        talk.send(False, ACK)
    talk.packets[-8], talk.packets[-7] = (
        (talk.packets[-8][0], talk.packets[-7][1]),
        (talk.packets[-7][0], talk.packets[-8][1]),
    )
    return wire(talk.answer(600, 2).packets)
