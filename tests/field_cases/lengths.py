"""Lengths that contradict each other."""

from __future__ import annotations

import struct

from field_cases.captures import pcap
from field_cases.case import case
from field_cases.packets import ACK, PSH, UDP, ip4, ip6, partial, pseudo_header, put16, right, tcp, total, udp
from field_cases.talk import A6, B6, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.wires import between, wire

LENGTH = "length-fault"
SILENT = "nothing-wrong:certain,likely metadata-lost nat-without-update bit-errors corruption:certain"


@case(LENGTH, SILENT, why="IPv4 says more than the frame holds, though nothing was cut", variants=("all", "some"))
def ipv4_longer_than_frame(kind: str) -> bytes:
    frames = []
    for n in range(9):
        packet = udp(A, B, (5000, 5001), noise(300 + n, n), ident=n)
        frames.append((1.0 + n, packet[:-100] if kind == "all" or n % 3 == 0 else packet))
    return wire(frames)


@case(
    LENGTH,
    SILENT,
    why="UDP says more than IPv4 has; the frame holds it all",
    report="https://github.com/amzn/amzn-drivers/issues/176",
    variants=("ipv4", "ipv6"),
)
def udp_longer_than_ip(kind: str) -> bytes:
    packets = []
    for n in range(7):
        if kind == "ipv4":
            whole_packet = udp(A, B, (5000, 5001), noise(1000, n))
            packets.append((1.0 + n, ip4(A, B, UDP, whole_packet[20:], length=328, ident=n)))
        else:
            whole_packet = udp(A6, B6, (5000, 5001), noise(1000, n))
            packets.append((1.0 + n, ip6(A6, B6, UDP, whole_packet[40:], length=308)))
    return wire(packets)


@case(LENGTH, SILENT, why="UDP's length is below its own header, or 0 where nothing is that long", variants=(0, 4))
def udp_length_too_small(length: int) -> bytes:
    return wire([(1.0 + n, udp(A, B, (5000, 5001), noise(80, n), length=length, ident=n)) for n in range(6)])


@case(LENGTH, SILENT, why="TCP's data offset points behind the segment, or into its own header", variants=(15, 3))
def tcp_offset(words: int) -> bytes:
    packets = []
    for n in range(6):
        packet = tcp(A, B, (5000, 80), n, 1, ACK, noise(10, n), ident=n)
        segment = put16(packet[20:32] + bytes([words << 4]) + packet[33:], 16, 0)
        segment = put16(segment, 16, right(pseudo_header(A, B, 6, len(segment)), segment))
        packets.append((1.0 + n, ip4(A, B, 6, segment, ident=n)))
    return wire(packets)


@case(LENGTH, SILENT, why="IPv4's total length is below its own header", variants=(10, 19))
def ipv4_length_too_small(length: int) -> bytes:
    body = udp(A, B, (5000, 5001), noise(60))[20:]
    return wire([(1.0 + n, ip4(A, B, UDP, body, length=length, ident=n)) for n in range(5)])


@case(
    "length-fault wrong-arithmetic",
    "nothing-wrong metadata-lost nat-without-update bit-errors corruption",
    why="the sum covers four bytes of trailer behind the datagram",
    variants=("udp", "tcp"),
)
def trailer_summed(kind: str) -> bytes:
    frames = []
    for n in range(10):
        trailer = noise(4, n + 500)
        if kind == "udp":
            packet, at, proto = udp(A, B, (5000, 5001), noise(200 + 2 * n, n), ident=n), 26, 17
        else:
            packet, at, proto = tcp(A, B, (5000, 80), n * 999, 1, PSH | ACK, noise(200 + 2 * n, n), ident=n), 36, 6
        segment = put16(packet, at, 0)[20:]
        value = total(pseudo_header(A, B, proto, len(segment)) + segment + trailer) ^ 0xFFFF
        frames.append((1.0 + n, between(put16(packet, at, value)) + trailer))
    return pcap(frames)


@case(
    "nothing-wrong super-frames offload-pending",
    "corruption bit-errors nat-without-update metadata-lost length-fault:certain",
    also="super-frames offload-pending",
    why="frames above 64 KB: IPv4's total length is 0, and Linux means it (BIG TCP); partial, acknowledged",
)
def big_tcp() -> bytes:
    talk = Talk(sum_a=partial).open().ask(200)
    for n in range(3):
        segment = talk.send(True, PSH | ACK, noise(60000, n))
        head = put16(put16(segment[:20], 2, 0), 10, 0)
        talk.packets[-1] = (talk.time, put16(head, 10, total(head) ^ 0xFFFF) + segment[20:])
        talk.send(False, ACK)
    return wire(talk.packets)


@case(
    "nothing-wrong",
    "length-fault corruption bit-errors nat-without-update metadata-lost wrong-arithmetic",
    why="frames longer than IP says: padding that is not 0, trailers; all sums good",
    variants=("padding", "trailer"),
)
def longer_frames(kind: str) -> bytes:
    packets = merged(questions(size=5), whole(Talk(stamps=False)).packets)
    extra = noise(4) if kind == "trailer" else b""
    return pcap([(t, between(p).ljust(60, b"\xa5") + extra) for t, p in packets])


@case(
    LENGTH,
    SILENT,
    why="a few datagrams contradict themselves among much that is good",
)
def few_of_many() -> bytes:
    packets = merged(whole(Talk(), 30).packets, pings())
    body = udp(A, B, (5000, 5001), noise(1000))[20:]
    packets += [(1000.05 + n / 50, ip4(A, B, UDP, body, length=428, ident=n)) for n in range(3)]
    return wire(merged(packets))


@case(
    "",
    "length-fault:certain corruption:certain bit-errors nat-without-update metadata-lost",
    why="cut by the snapshot length, as the file says: nothing contradicts",
    variants=(60, 120),
)
def snapped(size: int) -> bytes:
    packets = [(t, between(p)) for t, p in whole(Talk(), 4).packets]
    return pcap(packets, snaplen=size)


@case(
    "length-fault",
    "nothing-wrong metadata-lost nat-without-update bit-errors corruption:certain",
    why="the pseudo header holds UDP's length, which is not the datagram's: both of its copies are 12 too high",
)
def udp_length_and_sum_too_high() -> bytes:
    packets = []
    for n in range(6):
        data = noise(90, n)
        segment = struct.pack("!HHHH", 5000, 5001, 8 + len(data) + 12, 0) + data
        value = total(pseudo_header(A, B, UDP, 8 + len(data) + 12) + segment) ^ 0xFFFF
        packets.append((1.0 + n, ip4(A, B, UDP, put16(segment, 6, value), ident=n)))
    return wire(packets)
