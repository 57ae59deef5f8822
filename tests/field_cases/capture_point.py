"""Healthy captures that look broken: taken at the sender, or with another trouble than checksums."""

from __future__ import annotations

import gzip

from field_cases.captures import (
    IN,
    NEEDS,
    NULL,
    OUT,
    RAW,
    SLL,
    SLL2,
    Timed,
    eth,
    loopback,
    padded,
    pcap,
    pcapng,
    sll,
    sll2,
)
from field_cases.case import INNOCENT, case
from field_cases.packets import ACK, PSH, partial, put, right, total, udp
from field_cases.talk import A6, B6, A, B, Talk, framed, merged, noise, pings, questions, whole
from field_cases.wires import between, wire


@case(
    "offload-pending",
    INNOCENT,
    why="taken at the client: its own are partial, the server's good, all acknowledged",
    variants=("ethernet", "vlan", "sll", "sll2", "raw", "snaplen96", "nano", "gz"),
    suffix=".pcap",
)
def at_the_client(link: str) -> bytes:
    packets = whole(Talk(sum_a=partial)).packets
    if link == "sll":
        return pcap(framed(packets, lambda p: sll(p, 4 if p[15] == 1 else 0)), SLL)
    if link == "sll2":
        return pcap(framed(packets, lambda p: sll2(p, 2, 4 if p[15] == 1 else 0)), SLL2)
    if link == "raw":
        return pcap(packets, RAW)
    if link == "vlan":
        return pcap(framed(packets, lambda p: eth(p, p[15], p[19], tags=((0x8100, 7),))))
    if link == "snaplen96":
        return pcap(framed(packets, between), snaplen=96)
    if link == "nano":
        return pcap(framed(packets, between), nano=True)
    return gzip.compress(wire(packets)) if link == "gz" else wire(packets)


@case(
    "offload-pending",
    INNOCENT,
    why="two or three packets of a handshake, taken at the client or at the server",
    variants=("client-2", "client-3", "server-2", "server-3", "ipv6"),
)
def tiny(kind: str) -> bytes:
    client = not kind.startswith("server")
    ends = (A6, B6) if kind == "ipv6" else (A, B)
    talk = Talk(*ends, sum_a=partial if client else right, sum_b=right if client else partial).open()
    return wire(talk.packets[: 2 if kind.endswith("2") else 3])


@case(
    "offload-pending",
    INNOCENT,
    why="only what the sender sends is seen; its numbers go on, so it is answered",
    variants=(6, 40, 200),
)
def one_way(times: int) -> bytes:
    talk = Talk(sum_a=partial).open()
    for number in range(times // 2):
        talk.ask(300 + number).answer(500)
    return wire([(t, p) for t, p in talk.packets if p[15] == 1])


@case(
    "offload-pending super-frames",
    INNOCENT,
    also="super-frames offload-pending",
    why="TSO: frames of 20 KB with a partial sum, acknowledged",
    variants=("ipv4", "ipv6", "vlan"),
)
def tso(kind: str) -> bytes:
    talk = Talk(A6, B6, sum_a=partial) if kind == "ipv6" else Talk(sum_a=partial)
    talk.open()
    for number in range(5):
        talk.ask(20000 + 1448 * number)
    packets = talk.packets
    if kind == "vlan":
        return pcap(framed(packets, lambda p: eth(p, p[15], p[19], tags=((0x8100, 7),))))
    return wire(packets)


@case("offload-pending", INNOCENT, why="QUIC: datagrams both ways, the sender's partial", variants=("ipv4", "ipv6"))
def quic(kind: str) -> bytes:
    a, b = (A6, B6) if kind == "ipv6" else (A, B)
    packets: list[Timed] = []
    for n in range(30):
        packets.append(
            (1 + n / 50, udp(a, b, (45000, 443), b"\x40" + noise(60 if n % 3 else 1200, n), sum_=partial, ident=n))
        )
        packets.append(
            (1.004 + n / 50, udp(b, a, (443, 45000), b"\x41" + noise(1200 if n % 3 else 40, n + 99), ident=n))
        )
    return wire(packets)


@case("offload-pending", INNOCENT, why="DNS and NTP, asked with partial sums, answered", variants=(1, 6))
def asked_and_answered(times: int) -> bytes:
    return wire(
        merged(questions(times=times, sum_=partial), questions(B, A, times, port=123, sum_b=partial, time=1001))
    )


@case(
    "",
    "metadata-lost:certain,likely nothing-wrong:certain "
    "offload-pending:certain corruption bit-errors nat-without-update",
    why="datagrams one way, partial, no answer expected (syslog, RTP to a group): nobody can say",
    variants=("syslog", "multicast"),
)
def one_way_datagrams(kind: str) -> bytes:
    target = "239.1.2.3" if kind == "multicast" else B
    return wire([(1 + n / 50, udp(A, target, (5004, 514), noise(172, n), sum_=partial, ident=n)) for n in range(40)])


@case(
    "offload-pending",
    INNOCENT,
    why="loopback: never leaves the host",
    variants=("null", "sll", "raw-ipv6", "ethernet", "udp"),
)
def over_loopback(kind: str) -> bytes:
    ends = ("::1", "::1") if kind == "raw-ipv6" else ("127.0.0.1", "127.0.0.1")
    if kind == "udp":
        return pcap(framed(questions("127.0.0.1", "127.0.0.53", 3, sum_=partial, sum_b=partial), loopback), NULL)
    packets = merged(whole(Talk(*ends, sum_a=partial, sum_b=partial)).packets, pings(*ends))
    if kind == "raw-ipv6":
        return pcap(packets, RAW)
    if kind == "ethernet":
        return pcap(framed(packets, lambda p: eth(p, 0, 0)))
    return pcap(framed(packets, loopback if kind == "null" else sll), NULL if kind == "null" else SLL)


@case(
    "offload-pending",
    INNOCENT,
    why="two containers on one bridge: both partial, all acknowledged",
    report="https://github.com/xdp-project/xdp-tutorial/issues/160",
)
def two_containers() -> bytes:
    return wire(whole(Talk("172.17.0.2", "172.17.0.3", (55278, 8080), sum_a=partial, sum_b=partial)).packets)


@case(
    "offload-pending",
    INNOCENT,
    why="one packet on the veth, the bridge and, behind SNAT, eth0 of a host: partial each time; answers good",
)
def any_with_snat() -> bytes:
    inside = Talk("172.17.0.2", "203.0.113.9", (50000, 443), sum_a=partial)
    outside = Talk("192.0.2.7", "203.0.113.9", (50000, 443), sum_a=partial)
    frames: list[Timed] = []
    for talk, interfaces in ((inside, (7, 3)), (outside, (2,))):
        whole(talk)
        for time, packet in talk.packets:
            mine = packet[12:16] != bytes([203, 0, 113, 9])
            for number, interface in enumerate(interfaces):
                late = number * 1e-5 + (5e-5 if talk is outside else 0)
                frames.append(
                    (
                        time + (late if mine else 1e-4 - late),
                        sll2(packet, interface, 0 if interface == 7 and mine else 4),
                    )
                )
    return pcap(merged(frames), SLL2)


@case(
    "offload-pending ip-header-never-filled",
    "ip-header-never-filled:certain metadata-lost corruption bit-errors nat-without-update",
    also="offload-pending",
    why="Windows: the IPv4 header's sum is left to the card as well; all is acknowledged",
    variants=("tcp", "udp"),
)
def ip_header_left_to_the_card(kind: str) -> bytes:
    packets = whole(Talk(sum_a=partial)).packets if kind == "tcp" else questions(sum_=partial)
    return wire([(t, put(p, 10, b"\0\0") if p[15] == 1 else p) for t, p in packets])


def without_length(pseudo: bytes, segment: bytes) -> int:
    return total(pseudo[:10] + bytes(2) if len(pseudo) == 12 else pseudo[:32] + bytes(4) + pseudo[36:])


@case(
    "offload-pending super-frames",
    INNOCENT,
    also="offload-pending super-frames",
    why="Windows' large-send offload: the seed without the length, over frames of 30 KB; acknowledged",
    variants=("ipv4", "ipv6", "few"),
)
def large_send(kind: str) -> bytes:
    talk = Talk(A6, B6, sum_a=partial) if kind == "ipv6" else Talk(sum_a=partial)
    talk.open().ask(300)
    for number in range(1 if kind == "few" else 6):
        talk.send(True, PSH | ACK, noise(30000 + 1460 * number, number), sum_=without_length)
        talk.send(False, ACK)
    return wire(talk.packets)


@case(
    "offload-pending",
    INNOCENT,
    why="what the host received was padded to 60 bytes, what it sends is not, and is partial; nothing longer goes on",
    variants=("one-flow", "three-flows"),
)
def padding_tells(kind: str) -> bytes:
    parts = [
        Talk(A, f"10.7.0.{n}", (40000 + n, 22), sum_a=partial, stamps=False, seed=n).open().close().packets
        for n in ((2,) if kind == "one-flow" else (2, 3, 4))
    ]
    return pcap([(t, padded(between(p)) if p[15] != 1 else between(p)) for t, p in merged(*parts)])


@case(
    "offload-pending",
    INNOCENT,
    why="the kernel's marks are in the file",
    suffix=".pcapng",
    variants=("tcp", "udp", "ipv6"),
)
def marked(kind: str) -> bytes:
    a, b = (A6, B6) if kind == "ipv6" else (A, B)
    packets = questions(a, b, sum_=partial) if kind == "udp" else whole(Talk(a, b, sum_a=partial)).packets
    mine = 23 if kind == "ipv6" else 15
    return pcapng([(t, between(p), OUT | NEEDS if p[mine] == 1 else IN) for t, p in packets])


@case("offload-pending", INNOCENT, why="SCTP's CRC is left to the card (0), the peer confirms", variants=("sack",))
def sctp_at_the_sender(kind: str) -> bytes:
    from field_cases.sctp import association

    return wire(association(ours=0))
