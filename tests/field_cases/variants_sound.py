"""Healthy captures, large frames, and what nobody can look into."""

from __future__ import annotations

import struct

from field_cases.captures import RAW, eth, pcap
from field_cases.case import INNOCENT, case
from field_cases.packets import (
    ACK,
    IGMP,
    PSH,
    TCP,
    UDP,
    ip,
    ip4,
    ip6,
    pseudo_header,
    put16,
    right,
    sctp,
    summed,
    tcp,
    total,
    udp,
    zero,
)
from field_cases.talk import A6, B6, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.tunnelled import geneve, gre, vxlan
from field_cases.wires import wire

HEALTHY = INNOCENT + " offload-pending length-fault nat-on-zero rewritten-capture"


def tcp6(src: str, dst: str, final: str, chain: bytes, first: int, number: int) -> bytes:
    """A TCP segment behind extension headers."""
    body = struct.pack("!HHIIBBHHH", 40000, 80, 1000 + 50 * number, 7, 0x50, PSH | ACK, 500, 0, 0) + noise(50, number)
    return ip6(src, dst, first, chain + summed(src, final, TCP, body, 16, right))


@case("nothing-wrong", HEALTHY, why="segment routing: the last segment is in the pseudo header", report="tcpdump#718")
def srv6_tcp() -> bytes:
    segments = pseudo_header("fd00:c::3", "fd00:c::2", 0, 0)[:32]
    chain = bytes([TCP, 4, 4, 1, 1, 0, 0, 0]) + segments
    return wire([(1000.0 + n, tcp6("fd00:a::1", "fd00:c::2", "fd00:c::3", chain, 43, n)) for n in range(8)])


@case("nothing-wrong", HEALTHY, why="options, atomic fragments, no more", report="tcpdump#718")
def extension_headers() -> bytes:
    chains = [bytes([60, 0, 5, 2, 0, 0, 1, 0]) + bytes([TCP, 0, 1, 4, 0, 0, 0, 0]), bytes([TCP, 0, 0, 0, 0, 0, 0, 9])]
    out = [(1000.0 + n, tcp6(A6, B6, B6, chains[n % 2], (0, 44)[n % 2], n)) for n in range(10)]
    return wire(out)


@case("nothing-wrong", HEALTHY, why="UDP over IPv4 without sums, tunnels with 0 over IPv6 (RFC 6936)")
def sums_left_out() -> bytes:
    inner = whole(Talk(seed=3)).packets
    tunnel = [(t, vxlan("2001:db8::1", "2001:db8::2", p)) for t, p in inner]
    return wire(merged(questions(times=5, sum_=zero, sum_b=zero), tunnel))


@case("nothing-wrong", HEALTHY, why="a QinQ trunk with all kinds of protocols")
def qinq_mixed() -> bytes:
    igmp = struct.pack("!BBHI", 0x16, 0, 0, 0xEF010101)
    more = [(1000.5, ip4(A, "239.1.1.1", IGMP, put16(igmp, 2, total(igmp) ^ 0xFFFF), options=b"\x94\x04\0\0", ttl=1))]
    more.append((1000.6, sctp(A, B, (5000, 5000), 9, struct.pack("!BBHIIHH", 3, 0, 16, 1, 9, 0, 0))))
    packets = merged(more, whole(Talk(seed=2)).packets, pings(), pings(A6, B6), questions())
    return pcap([(t, eth(p, tags=((0x88A8, 7), (0x8100, 9)))) for t, p in packets])


@case("nothing-wrong", HEALTHY, why="raw IP of a VPN's device")
def raw_link() -> bytes:
    return pcap(merged(whole(Talk(seed=2)).packets, pings(A6, B6), questions(A6, B6)), RAW)


@case("nothing-wrong", HEALTHY, why="Geneve with options, GRE with keys, all right")
def tunnels_good() -> bytes:
    inner = whole(Talk(seed=2), 3).packets
    six = whole(Talk(A6, B6, seed=4), 2).packets
    out = [
        (t, geneve("192.0.2.1", "192.0.2.2", p, options=bytes([1, 2, 0x80, 1, 0, 0, 0, 7]), sum_=right))
        for t, p in inner
    ]
    return wire(merged(out, [(t, gre("192.0.2.1", "192.0.2.2", p, key=9)) for t, p in six]))


@case("nothing-wrong", HEALTHY, why="retransmissions, SACKs, resets of a lossy path; sums are right")
def lossy_but_good() -> bytes:
    talk = Talk(seed=5).open()
    for number in range(12):
        at = talk.seq_b
        talk.answer(1200)
        if number % 3 == 0:
            talk.send(False, PSH | ACK, noise(1200, talk.ident - 2), seq=at)
            talk.send(True, ACK)
    return wire(talk.packets)


@case(
    "nothing-wrong",
    HEALTHY + " corruption nothing-seen",
    why="a burst of UDP whose right sum is 0xffff or 0x0000's neighbour",
)
def sums_near_zero() -> bytes:
    out = []
    for number in range(40):
        data = noise(38, number) + b"\0\0"
        segment = struct.pack("!HHHH", 9000, 9001, 48, 0) + data
        value = total(pseudo_header(A6, B6, UDP, 48) + segment) ^ 0xFFFF
        data = data[:-2] + struct.pack("!H", (value + (0, 1, 0xFFFE)[number % 3]) % 0xFFFF)
        out.append((1000.0 + number * 0.1, udp(A6, B6, (9000, 9001), data, ident=number)))
    return wire(out)


@case("nothing-wrong", HEALTHY, why="two taps around a plain router")
def router_two_taps() -> tuple[bytes, bytes]:
    packets = merged(whole(Talk(seed=2), 4).packets, pings(), questions())
    behind = []
    for time, packet in packets:
        packet = packet[:8] + b"\x3f" + packet[9:10] + b"\0\0" + packet[12:]
        behind.append((time + 2e-5, put16(packet, 10, total(packet[:20]) ^ 0xFFFF)))
    return wire(packets), wire(behind)


def lso(pseudo: bytes, segment: bytes) -> int:
    """Windows: the seed without the length."""
    return total(pseudo[:10] + b"\0\0" if len(pseudo) == 12 else pseudo[:32] + bytes(4) + pseudo[36:])


@case("offload-pending super-frames", "corruption bit-errors nat-without-update metadata-lost wrong-arithmetic",
      why="large send offload of Windows", variants=("tcp6", "uso"), report="r60")  # fmt: skip
def windows_large_send(kind: str) -> bytes:
    if kind == "uso":
        out = []
        for number in range(6):
            out.append((1000.0 + number, udp(A, B, (50000, 443), noise(4800, number), sum_=lso, ident=number)))
            out.append((1000.01 + number, udp(B, A, (443, 50000), noise(40, number), ident=number + 9)))
        return wire(out)
    talk = Talk(A6, B6, seed=3, sum_a=right).open()
    for number in range(5):
        talk.send(True, PSH | ACK, noise(8000, number), sum_=lso)
        talk.send(False, ACK)
    return wire(talk.packets)


@case("super-frames offload-pending", "corruption bit-errors metadata-lost nat-without-update wrong-arithmetic:certain",
      why="segments that a card put together (LRO): the sum of the first one was kept; acknowledged")  # fmt: skip
def received_coalesced() -> bytes:
    talk = Talk(seed=3).open().ask(200)
    for number in range(8):
        data = noise(5792, number)
        first = tcp(B, A, (80, 40000), talk.seq_b, talk.seq_a, ACK, data[:1448], window=502)
        talk.send(False, PSH | ACK, data, sum_=lambda p, s, first=first: struct.unpack_from("!H", first, 36)[0])
        talk.send(True, ACK)
    return wire(talk.packets)


@case(
    "super-frames offload-pending",
    INNOCENT,
    why="64 kB of a sender's own with IPv6, total length 0 for jumbo (BIG TCP)",
)
def super_frames_sender() -> bytes:
    talk = Talk(seed=3, sum_a=lambda pseudo, segment: total(pseudo)).open()
    for number in range(4):
        talk.send(True, PSH | ACK, noise(40000, number))
        talk.send(False, ACK)
    return wire(talk.packets)


def macsec(packet: bytes) -> bytes:
    """Encrypted by hop."""
    return eth(struct.pack("!BBI", 0x2C, 0, 9) + noise(len(packet) + 16, len(packet)), kind=0x88E5)


@case("", "nothing-wrong corruption", why="MACsec: nothing can be checked")
def macsec_only() -> bytes:
    return pcap([(t, macsec(p)) for t, p in whole(Talk(seed=2)).packets])


@case("", "nothing-wrong corruption", why="link types without a reader", variants=(195, 147, 189, 220, 192, 165))
def other_links(link: int) -> bytes:
    return pcap([(t, noise(20, 1) + p) for t, p in whole(Talk(seed=2)).packets], link)


@case("nothing-wrong", INNOCENT, why="half of the packets behind NSH, all read and good")
def nsh_half() -> bytes:
    out = []
    for number, (time, packet) in enumerate(whole(Talk(seed=2), 6).packets):
        head = struct.pack("!HBBI", 0x0FC2, 2, 1, 0x000009FF)
        out.append((time, eth(head + bytes(0) + packet, kind=0x894F) if number % 2 else eth(packet)))
    return pcap(out)


@case("", "nothing-wrong:certain corruption wrong-arithmetic", why="only the heads of long packets were kept")
def snapped() -> bytes:
    talk = Talk(seed=2).open().answer(1300, 12)
    return pcap([(t, eth(p)) for t, p in talk.packets], snaplen=96)


@case("", "nothing-wrong:certain corruption length-fault", why="all fragments, none whole")
def fragments_only() -> bytes:
    out = []
    for number in range(6):
        datagram = udp(A, B, (9000, 9001), noise(2800, number), ident=number)[20:]
        out.append((1000.0 + number, ip4(A, B, UDP, datagram[:1480], ident=number, flags=0x2000)))
        out.append((1000.0001 + number, ip4(A, B, UDP, datagram[1480:], ident=number, flags=185)))
    return wire(out)


@case(
    "", "corruption bit-errors wrong-arithmetic metadata-lost", why="ESP in UDP, encrypted", variants=("esp", "ipsec")
)
def encrypted(kind: str) -> bytes:
    out = []
    for number in range(10):
        body = struct.pack("!II", 0xC0FFEE, number) + noise(80, number)
        out.append((1000.0 + number, udp(A, B, (4500, 4500), body) if kind == "esp" else ip(A, B, 50, body)))
    return wire(out)


@case("", "nothing-wrong:certain corruption wrong-arithmetic", why="GRE and MPLS in UDP", variants=(4754, 6635))
def in_udp(port: int) -> bytes:
    head = struct.pack("!HH", 0, 0x0800) if port == 4754 else struct.pack("!I", 16 << 12 | 0x1FF)
    inner = whole(Talk(seed=2, sum_b=lambda p, s: total(p))).packets
    return wire([(t, udp("192.0.2.1", "192.0.2.2", (50000, port), head + p, sum_=zero)) for t, p in inner])
