"""More views of hosts that do nothing wrong, or of which something is wrong elsewhere."""

from __future__ import annotations

from field_cases.captures import SLL2, Timed, pcap, pcapng, sll2
from field_cases.case import INNOCENT, case
from field_cases.hops import after, renamed, sums
from field_cases.packets import ACK, FIN, PSH, SYN, get16, ip, partial, put, put16, tcp, total, udp
from field_cases.talk import A6, B6, MSS, A, B, Talk, framed, merged, noise, pings, questions, whole
from field_cases.wires import between, wire

NEW = "203.0.113.9"


@case(
    "offload-pending",
    INNOCENT,
    why="earlier partial segments of this very connection were acknowledged; then the peer vanished",
    variants=("silent", "ping-goes-on", "fin"),
)
def peer_vanishes(kind: str) -> bytes:
    talk = Talk(sum_a=partial).open().ask(300).answer(900).ask(500)
    stuck = talk.seq_a
    flags, data = (FIN | ACK, b"") if kind == "fin" else (PSH | ACK, noise(700))
    for n in range(6):
        talk.send(True, flags, data, seq=None if n == 0 else stuck)
        talk.pause(0.3 * 2**n)
    return wire(merged(talk.packets, pings(times=12)) if kind == "ping-goes-on" else talk.packets)


@case(
    "offload-pending",
    INNOCENT,
    why="a flood of SYNs from nowhere: the server's SYN/ACKs, partial, are never confirmed; real clients are served",
)
def flood() -> bytes:
    packets: list[Timed] = []
    for n in range(40):
        src = f"{20 + n * 3}.{n * 5 % 251}.{n * 11 % 251}.{n + 1}"
        packets.append((1000.01 + n / 40, tcp(src, B, (1024 + n, 80), n * 12345, 0, SYN, options=MSS)))
        for again in range(3):
            at = 1000.0101 + n / 40 + (2**again - 1)
            packets.append(
                (at, tcp(B, src, (80, 1024 + n), n * 99, n * 12345 + 1, SYN | ACK, options=MSS, sum_=partial))
            )
    real = [whole(Talk(f"10.7.0.{n}", B, (42000, 80), sum_b=partial, seed=n)).packets for n in (11, 12)]
    return wire(merged(packets, *real))


@case(
    "offload-pending super-frames",
    INNOCENT,
    also="super-frames offload-pending",
    why="at the receiver: GRO makes frames of 14 KB whose sum is the seed; single segments are good",
    variants=("ipv4", "ipv6"),
)
def gro_at_the_receiver(kind: str) -> bytes:
    a, b = (A6, B6) if kind == "ipv6" else (A, B)
    talk = Talk(a, b, sum_b=partial).open()
    for n in range(8):
        talk.send(True, ACK, noise(1448 * 10, n), sum_=partial)
        talk.send(True, ACK, noise(700, n + 50))
        talk.send(False, ACK)
    return wire(talk.packets)


@case(
    "super-frames",
    INNOCENT,
    also="super-frames offload-pending",
    why="at the receiver: LRO's frames keep the sum of their first segment; acknowledged",
)
def lro_at_the_receiver() -> bytes:
    talk = Talk().open()
    for n in range(8):
        data = noise(1448 * 8, n)
        packet = talk.send(True, ACK, data)
        first = sums([(0.0, put16(packet[: 52 + 1448], 2, 52 + 1448))])[0][1]
        talk.packets[-1] = (talk.time, put16(packet, 36, get16(first, 36)))
        talk.send(True, PSH | ACK, noise(300, n + 50))
        talk.send(False, ACK)
    return wire(talk.packets)


@case(
    "nothing-wrong",
    "nat-without-update corruption bit-errors metadata-lost offload-pending rewritten-capture",
    why="a router's two interfaces in one capture: translated, TTL lower, right on both sides",
    suffix=".pcapng",
)
def router_with_two_interfaces() -> bytes:
    out = []
    for time, packet in whole(Talk(A, "198.51.100.8", (40000, 443))).packets:
        mine = packet[15] == 1
        lower = put(packet, 8, b"\x3f")
        lower = put16(put16(lower, 10, 0), 10, 0)
        lower = put16(lower, 10, total(lower[:20]) ^ 0xFFFF)
        outside = sums([(time, renamed(lower, NEW, 36))])[0][1] if mine else None
        out.append((time + (0 if mine else 3e-5), between(packet), 0))
        if outside:
            out.append((time + 3e-5, between(outside), 1 << 16))
    return pcapng(sorted(out), 1, 1)


@case(
    "nat-without-update",
    "corruption bit-errors metadata-lost offload-pending",
    why="a router's two interfaces in one capture: inside good, outside the sum of the inner address",
    variants=("tcp", "udp"),
)
def stale_on_the_outside(kind: str) -> bytes:
    packets = questions(A, "198.51.100.8", 5, sum_b=None) if kind == "udp" else Talk(A, "198.51.100.8").syns(5).packets
    out = framed(packets, lambda p: sll2(p, 2)) + framed(after(packets), lambda p: sll2(renamed(p, NEW, 36), 3, 4))
    return pcap(merged(out), SLL2)


@case(
    "wrong-arithmetic",
    "corruption bit-errors nat-without-update nothing-wrong metadata-lost",
    why="IGMP reports whose sum is in the wrong byte order",
    report="https://github.com/thu-cs-lab/Router-Lab/pull/13",
)
def igmp_swapped() -> bytes:
    packets = []
    for n in range(6):
        body = b"\x16\0\0\0" + bytes([239, 1, 2, n + 1])
        value = total(body) ^ 0xFFFF
        body = put16(body, 2, (value << 8 | value >> 8) & 0xFFFF)
        packets.append((1.0 + n, ip(A, f"239.1.2.{n + 1}", 2, body, ident=n, ttl=1)))
    return wire(packets)


def gre_with_sum(packet: bytes, value: int | None = None) -> bytes:
    """GRE whose checksum bit is set."""
    body = b"\x80\0\x08\0" + bytes(4) + packet
    body = put16(body, 4, total(body) ^ 0xFFFF if value is None else value)
    return ip("192.0.2.1", "192.0.2.2", 47, body)


@case(
    "nothing-wrong",
    INNOCENT + " length-fault never-filled",
    why="GRE with a sum of its own, UDP-Lite that covers its header only, DCCP: all right",
    variants=("gre", "udplite", "dccp"),
)
def rarer_protocols(kind: str) -> bytes:
    packets = []
    for n in range(8):
        if kind == "gre":
            packets.append((1.0 + n, gre_with_sum(udp(A, B, (5, 6), noise(60 + n, n)))))
            continue
        pseudo = b"".join(bytes(map(int, host.split("."))) for host in (A, B))
        if kind == "udplite":
            body = b"\0\5\0\6\0\x08\0\0" + noise(70 + n, n)
            proto, covered, at = 136, body[:8], 6
        else:
            body = b"\0\5\0\6\5\0\0\0" + bytes([0x05, 0, 0, n]) + b"\0\0\0\7" + noise(40 + n, n)
            body = put(body, 8, bytes([2 << 1 | 1]) + bytes(6) + bytes([n]))
            proto, covered, at = 33, body, 6
        value = total(pseudo + bytes([0, proto]) + len(body).to_bytes(2, "big") + covered) ^ 0xFFFF
        packets.append((1.0 + n, ip(A, B, proto, put16(body, at, value), ident=n)))
    return wire(packets)


@case(
    "nat-without-update corruption wrong-arithmetic",
    "bit-errors nothing-wrong metadata-lost nat-without-update:certain corruption:certain",
    why="GRE's sum is that of before a rewrite inside it: one difference in all, the inner sums good",
)
def gre_sum_stale() -> bytes:
    packets = []
    for n in range(8):
        inner = udp(A, B, (5, 6), noise(60 + n, n), ident=n)
        value = get16(gre_with_sum(inner), 24)
        packets.append((1.0 + n, gre_with_sum(put16(inner, 22, 7), value)))
    return wire(packets)


@case(
    "metadata-lost",
    "offload-pending nothing-wrong corruption bit-errors nat-without-update",
    why="taken beyond the sender, as is said: acknowledged or not, partial sums have leaked there",
    at_wire=True,
)
def at_the_wire_among_good() -> bytes:
    return wire(merged(Talk(sum_a=partial).syns(2).packets, whole(Talk("10.7.0.9", B, (44, 80), seed=3)).packets))


@case(
    "offload-pending",
    INNOCENT,
    why="acknowledgments lost on the way back: segments sent twice, the acknowledgment comes later and covers both",
)
def late_acknowledgments() -> bytes:
    talk = Talk(sum_a=partial).open()
    for n in range(5):
        start = talk.seq_a
        talk.send(True, PSH | ACK, noise(600, n))
        for _ in range(2):
            talk.pause(0.25).send(True, PSH | ACK, noise(600, n), seq=start)
        talk.pause(0.05).send(False, ACK)
    return wire(merged(talk.packets, pings()))
