"""Single reports that fit no other module: one capture after each."""

from __future__ import annotations

import struct

from field_cases.arithmetic import no_pseudo, other_protocol, sent, swapped_protocol
from field_cases.captures import Timed
from field_cases.case import INNOCENT, case
from field_cases.packets import (
    ACK,
    ICMP6,
    PSH,
    SYN,
    as_if,
    fold,
    icmp,
    ip4,
    ip6,
    off_by,
    partial,
    pseudo_header,
    put16,
    right,
    tcp,
    total,
    udp,
)
from field_cases.talk import A6, B6, MSS, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.tunnelled import vxlan
from field_cases.wires import wire

NOT = "corruption bit-errors nothing-wrong metadata-lost offload-pending"


@case(
    "wrong-arithmetic length-fault bad-seed corruption",
    "corruption:certain bit-errors nothing-wrong nat-without-update:certain",
    why="seeds of large sends without the length: each piece is off by the length of its whole",
    report="https://github.com/microsoft/openvmm/pull/3812",
)
def pieces_of_large_sends() -> bytes:
    talk = Talk().open().ask(200)
    for n in range(8):
        size = 1448 * (2 + n % 4) + 100 * n
        left = size
        while left:
            part = min(left, 1448)
            talk.send(True, ACK, noise(part, left), sum_=off_by(-(size + 32)))
            left -= part
        talk.pause(0.2)
    return wire(talk.packets)


@case(
    "nat-without-update",
    f"{NOT} wrong-arithmetic:certain",
    why="NAT64: TCP and UDP off by one and the same difference, ICMP good",
    report="https://github.com/openwrt/packages/issues/24689",
    variants=(2, 8),
)
def nat64_one_difference(times: int) -> bytes:
    a, b, delta = "10.230.6.111", "10.230.6.97", -0x229C
    syns = [
        (1.0 + n, tcp(a, b, (65039 - n, 443), n * 683981, 0, SYN, options=MSS, sum_=off_by(delta), ident=n))
        for n in range(times)
    ]
    asked = [(1.4 + n, udp(a, b, (61227 + n, 53), noise(37, n), sum_=off_by(delta), ident=n)) for n in range(times)]
    return wire(merged(syns, asked, pings(a, b, time=1.2)))


@case(
    "tunnel-inner-unfinished metadata-lost",
    "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain",
    why="answers inside VXLAN partial, the outer sum right; the client asks again and again",
    report="https://github.com/projectcalico/calico/issues/7040",
)
def answers_in_vxlan() -> bytes:
    packets: list[Timed] = []
    for n in range(6):
        asked = udp("192.0.2.200", "10.48.0.10", (40000, 53), noise(40), ident=n)
        answer = udp("10.48.0.10", "192.0.2.200", (53, 40000), noise(90), sum_=partial, ident=n)
        packets.append((1 + 5.0 * n, vxlan("192.0.2.11", "192.0.2.12", asked, sum_=right)))
        packets.append((1.001 + 5 * n, vxlan("192.0.2.12", "192.0.2.11", answer, sum_=right)))
    return wire(packets)


@case(
    "wrong-arithmetic nat-without-update",
    f"{NOT} nat-without-update:certain",
    why="the pseudo header holds the source twice and never the destination",
    report="https://github.com/RIOT-OS/RIOT/issues/2269",
    variants=("one-peer", "four-peers"),
)
def source_twice(kind: str) -> bytes:
    peers = [f"2001:db8::{n + 1:x}:{n * 7 + 3:x}" for n in range(1 if kind == "one-peer" else 4)]
    packets = [
        (1 + n / 3, udp(A6, peers[n % len(peers)], (5683, 5683), noise(30 + n, n), sum_=as_if(A6, A6)))
        for n in range(12)
    ]
    return wire(packets)


@case(
    "wrong-arithmetic length-fault",
    f"{NOT} nat-without-update",
    why="ICMPv6 errors of a VPN with the protocol in the wrong half of the pseudo header",
    report="https://github.com/gsliepen/tinc/pull/175",
)
def errors_with_protocol_in_the_wrong_half() -> bytes:
    packets: list[Timed] = []
    for n in range(5):
        asked = udp(A6, B6, (5000 + n, 6000), noise(1400, n))
        error = icmp("fd07::ff", A6, 2, 0, 1280, asked[: 300 + 40 * n], sum_=swapped_protocol)
        packets += [(1.0 + n, asked), (1.01 + n, error)]
    return wire(packets)


@case(
    "wrong-arithmetic length-fault",
    f"{NOT} nat-without-update",
    why="neighbour discovery and router advertisements without a pseudo header",
    report="https://github.com/inet-framework/inet/issues/1169",
)
def discovery_without_pseudo_header() -> bytes:
    packets = []
    for n in range(6):
        body = bytes([0xFE, 0x80]) + bytes(13) + bytes([n]) + b"\1\1\2\0\0\0\0" + bytes([n])
        packets.append((1.0 + n, icmp(A6, f"ff02::1:ff00:{n:x}", 135, 0, 0, body, sum_=no_pseudo)))
    return wire(merged(packets, questions(A6, B6)))


@case(
    "wrong-arithmetic length-fault",
    f"{NOT} nat-without-update",
    why="right without data; with data only the header is summed",
    report="https://github.com/xdp-project/xdp-tutorial/issues/287",
)
def data_forgotten() -> bytes:
    talk = Talk(sum_a=lambda pseudo, segment: total(pseudo + segment[: (segment[12] >> 4) * 4]) ^ 0xFFFF).open()
    for n in range(8):
        talk.send(True, PSH | ACK, noise(100 + n, n))
        talk.pause(0.3)
    return wire(talk.packets)


@case(
    "wrong-arithmetic corruption",
    "corruption:certain nat-without-update bit-errors nothing-wrong metadata-lost offload-pending",
    why="an odd piece in the middle of a chain of buffers: what follows is summed in the wrong halves; copies alike",
    report="https://github.com/brho/akaros/issues/23",
)
def odd_piece_in_the_middle() -> bytes:
    def chained(pseudo: bytes, segment: bytes) -> int:
        return fold(total(pseudo + segment[:71]) + total(segment[71:])) ^ 0xFFFF

    talk = Talk().open().ask(300)
    for n in range(30):
        if n % 9 == 5:
            hole = talk.seq_a
            talk.send(True, ACK, noise(1460, n), sum_=chained)
            for _ in range(3):
                talk.pause(0.2).send(True, ACK, noise(1460, n), seq=hole, sum_=chained)
        else:
            talk.send(True, ACK, noise(1460, n))
    return wire(talk.packets)


@case(
    "wrong-arithmetic corruption length-fault",
    "corruption:certain nat-without-update bit-errors nothing-wrong metadata-lost offload-pending",
    why="the payload is summed twice",
    report="https://github.com/mirage/mirage-tcpip/pull/229",
)
def payload_twice() -> bytes:
    return wire(sent("udp", lambda pseudo, segment: total(pseudo + segment + segment[8:]) ^ 0xFFFF, 12))


@case(
    "wrong-arithmetic length-fault",
    f"{NOT} nat-without-update",
    why="atomic fragments: the fragment header's number stands in the pseudo header",
    report="https://github.com/pstavirs/ostinato/issues/271",
)
def protocol_of_the_fragment_header() -> bytes:
    packets = []
    for n in range(8):
        message = struct.pack("!BBHHH", 128, 0, 0, 7, n) + noise(40 + n, n)
        value = other_protocol(44)(pseudo_header(A6, B6, ICMP6, len(message)), message)
        head = struct.pack("!BBHI", ICMP6, 0, 0, 0x1000 + n)
        packets.append((1.0 + n, ip6(A6, B6, 44, head + put16(message, 2, value))))
    return wire(merged(packets, pings(A6, B6, time=1.3)))


@case(
    "",
    "nothing-wrong:certain corruption:certain bit-errors nat-without-update:certain metadata-lost",
    why="fragments of datagrams whose sum is wrong: a sum over all parts that nobody made is no proof of health",
    report="https://github.com/libnet/libnet/issues/106",
)
def fragments_of_wrong_datagrams() -> bytes:
    packets = []
    for n in range(4):
        body = udp(A, B, (514, 514), noise(2952, n), sum_=off_by(0x0777))[20:]
        packets.append((1.0 + n, ip4(A, B, 17, body[:1480], flags=0x2000, ident=n)))
        packets.append((1.001 + n, ip4(A, B, 17, body[1480:], flags=185, ident=n)))
    return wire(packets)


@case(
    "nat-without-update wrong-arithmetic corruption",
    "corruption:certain bit-errors:certain nothing-wrong metadata-lost offload-pending",
    why="the window of each segment is set to one value and the sum left: differences vary with what the window was",
    report="https://github.com/p5n/ipt_tcpwin/pull/1",
)
def window_overwritten() -> bytes:
    packets = [
        (1 + n / 4, tcp(A, B, (5000, 80), n * 100, 7, PSH | ACK, noise(100, n), window=300 + n * n, ident=n))
        for n in range(16)
    ]
    return wire([(t, put16(p, 34, 1000)) for t, p in packets])


@case(
    "offload-pending path-mtu-black-hole",
    "metadata-lost corruption bit-errors nat-without-update icmp-stale-inner:certain",
    also="super-frames path-mtu-black-hole offload-pending",
    why="a router says that fragmentation is needed, the sender does not hear: full segments again and again, partial",
    report="https://github.com/pypi/support/issues/75",
)
def too_big_and_unheard() -> bytes:
    talk = Talk("151.101.84.223", "10.15.10.188", (443, 37612), sum_a=partial).open().ask(300)
    stuck = talk.seq_a
    for n in range(6):
        packet = talk.send(True, ACK, noise(1448), seq=None if n == 0 else stuck)
        head = put16(put16(packet[:20], 8, 62 << 8 | 6), 10, 0)
        quoted = put16(head, 10, total(head) ^ 0xFFFF) + packet[20:28]
        talk.packets.append((talk.time + 2e-4, icmp("198.51.100.1", "151.101.84.223", 3, 4, 1400, quoted)))
        talk.pause(0.2 * 2**n)
    return wire(talk.packets)


@case(
    "offload-pending",
    INNOCENT,
    why="two hosts behind one Docker bridge, one of them over SNAT to the internet; all acknowledged",
    report="https://github.com/moby/moby/issues/22028",
)
def docker_bridge() -> bytes:
    near = whole(Talk("172.18.0.2", "172.18.0.3", (46532, 5432), sum_a=partial, sum_b=partial)).packets
    far = whole(Talk("172.18.0.2", "74.125.136.94", (46533, 80), sum_a=partial, seed=2)).packets
    return wire(merged(near, far, pings("172.18.0.2", "74.125.136.94")))


@case(
    "offload-pending",
    INNOCENT,
    why="the bad sums that a reporter took for the cause: a sender's view while the peer's application is slow",
    report="https://github.com/cilium/cilium/issues/18347",
)
def slow_peer() -> bytes:
    talk = Talk("192.168.33.30", "192.168.33.31", (4240, 41400), sum_a=partial)
    for _ in range(6):
        talk.pause(10).send(True, ACK, seq=talk.seq_a - 1)
        talk.send(False, ACK)
    return wire(talk.packets)
