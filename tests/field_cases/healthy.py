"""Captures in which nothing is wrong, in many shapes."""

from __future__ import annotations

from field_cases.captures import (
    padded,
    pcap,
)
from field_cases.case import case
from field_cases.packets import ACK, FIN, RST, ip4, udp, zero
from field_cases.talk import A6, B6, A, B, Talk, merged, noise, questions, whole
from field_cases.wires import between, wire


@case(
    "nothing-wrong",
    "metadata-lost corruption bit-errors nat-without-update offload-pending",
    why="a mirror port that copies each packet twice; all good",
)
def mirrored_twice() -> bytes:
    packets = whole(Talk(), 6).packets
    return wire(merged(packets, [(t + 3e-6, p) for t, p in packets]))


@case(
    "nothing-wrong super-frames",
    "metadata-lost corruption bit-errors nat-without-update offload-pending length-fault wrong-arithmetic",
    also="super-frames",
    why="all good, in many shapes",
    variants=("tcp", "udp", "udp-absent", "gro", "padded", "fcs", "fragments", "options", "rst"),
)
def healthy(kind: str) -> bytes:
    packets = whole(Talk(), 5).packets
    if kind == "udp":
        packets = merged(questions(), questions(A6, B6))
    if kind == "udp-absent":
        packets = questions(sum_=zero, sum_b=zero)
    if kind == "gro":
        return wire(Talk().open().answer(1448 * 20, 3).packets)
    if kind == "padded":
        return pcap([(t, padded(between(p), b"\xa5")) for t, p in Talk(stamps=False).open().close().packets])
    if kind == "fcs":
        return pcap([(t, padded(between(p)) + noise(4, n)) for n, (t, p) in enumerate(packets)])
    if kind == "fragments":
        datagram = udp(A, B, (7000, 7001), noise(2952))[20:]
        parts = [ip4(A, B, 17, datagram[:1480], flags=0x2000), ip4(A, B, 17, datagram[1480:], flags=185)]
        return wire([(1.0 + n, part) for n, part in enumerate(parts)])
    if kind == "options":
        body = udp(A, B, (7000, 7001), noise(52))[20:]
        return wire([(1.0 + n, ip4(A, B, 17, body, options=b"\x94\x04\0\0", ident=n)) for n in range(4)])
    if kind == "rst":
        talk = Talk().open().ask()
        talk.send(False, RST | ACK)
        talk.send(True, FIN | ACK)
        return wire(talk.packets)
    return wire(packets)
