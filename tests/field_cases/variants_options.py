"""Options clamped, zeros updated, captures rewritten, both sides of a hop."""

from __future__ import annotations

import struct

from field_cases.captures import eth, pcap, pcapng
from field_cases.case import case
from field_cases.packets import (
    ACK,
    SYN,
    UDP,
    as_if,
    constant,
    fold,
    off_by,
    partial,
    pseudo_header,
    put,
    put16,
    total,
    udp,
)
from field_cases.talk import MSS, Talk, merged, noise, pings, questions, whole
from field_cases.wires import wire

DAMAGE = "bit-errors corruption"


def clamped(talk: Talk, to: int, both: bool = False) -> list:
    """MSS options of SYNs made smaller, sums as before."""
    out = []
    for time, packet in talk.packets:
        head = 40 if packet[0] >> 4 == 6 else 20
        flags = packet[head + 13]
        out.append((time, put16(packet, head + 22, to) if flags & SYN and (both or not flags & ACK) else packet))
    return out


@case("nat-without-update", f"{DAMAGE} nothing-wrong", why="PPPoE: SYN and SYN/ACK clamped, sums as before",
      report="n42n/n3n#121")  # fmt: skip
def mss_clamp_pppoe() -> bytes:
    out = []
    for flow in range(3):
        talk = Talk("192.168.1.5", "203.0.113.9", (41000 + flow, 443), seed=flow + 3, time=1000 + flow * 0.3)
        out += clamped(talk.syns(4), 1452)
    good = pings("192.168.1.5", "203.0.113.9")
    return pcap(
        [(t, eth(struct.pack("!BBHHH", 0x11, 0, 1, len(p) + 2, 0x21) + p, kind=0x8864)) for t, p in merged(out, good)]
    )


@case("nat-without-update", f"{DAMAGE} nothing-wrong", why="IPv6: SYN/ACKs clamped that nobody takes",
      report="n42n/n3n#121")  # fmt: skip
def mss_clamp_syn_ack6() -> bytes:
    out = []
    for flow in range(3):
        talk = Talk("fd00::5", "2001:db8::9", (41000 + flow, 443), seed=flow + 3, time=1000 + flow * 0.3)
        talk.send(True, SYN, options=MSS)
        at = talk.seq_b
        for number in range(3):
            talk.send(False, SYN | ACK, options=MSS, seq=at)
            talk.pause(2**number)
        out += [(t, put16(p, 62, 1220) if p[53] & ACK else p) for t, p in talk.packets]
    return wire(merged(out))


@case("nat-without-update", f"{DAMAGE} nothing-wrong", why="good before, clamped behind, IPv6; the data good",
      report="n42n/n3n#121")  # fmt: skip
def mss_clamp_two_taps6() -> tuple[bytes, bytes]:
    talk = Talk("fd00::5", "2001:db8::9", (41000, 443), seed=3).syns(5)
    later = [(t + 3e-5, p) for t, p in clamped(talk, 1220)]
    return wire(talk.packets), wire(later)


@case("nat-on-zero", f"{DAMAGE} nothing-wrong", why="only the IPv4 side: the update of 0", report="ayourtch/nat46#18")
def nat46_ipv4_side() -> bytes:
    sum_ = fold((0 ^ 0xFFFF) + (total(pseudo_header("2001:db8::1", "2001:db8::2", UDP, 0)) ^ 0xFFFF)
                + total(pseudo_header("192.0.2.1", "192.0.2.2", UDP, 0))) ^ 0xFFFF  # fmt: skip
    out = []
    for number in range(8):
        data = noise(30 + 3 * number, number)
        out.append(
            (1000 + number, udp("192.0.2.1", "192.0.2.2", (4500, 5060), data, sum_=constant(sum_), ident=number))
        )
    return wire(merged(out, questions("192.0.2.2", "192.0.2.1", 3)))


@case("nat-on-zero metadata-lost", f"{DAMAGE} nothing-wrong", why="TCP's field was 0 when the proxy's NAT updated it",
      report="google/gvisor#11960")  # fmt: skip
def nat_on_zero_tcp() -> bytes:
    value = fold(0xFFFF + (total(bytes([192, 168, 65, 1, 192, 168, 65, 3])) ^ 0xFFFF)
                 + total(bytes([192, 168, 65, 1, 172, 17, 0, 2]))) ^ 0xFFFF  # fmt: skip
    out = []
    for flow in range(4):
        talk = Talk("192.168.65.1", "172.17.0.2", (50000 + flow * 13, 19080), seed=flow, time=1000 + flow * 0.4)
        talk.sum_a = constant(value)
        out += whole(talk, 2).packets
    return wire(merged(out))


@case("nat-without-update wrong-arithmetic", f"{DAMAGE} nothing-wrong", why="NAT64: TCP and UDP off by one difference",
      report="openwrt/packages#24689")  # fmt: skip
def nat64_one_difference() -> bytes:
    out = questions("10.230.6.111", "10.230.6.97", 5, sum_=off_by(-0x229C), sum_b=None, again=5.0)
    for flow in range(2):
        talk = Talk("10.230.6.111", "10.230.6.97", (65039 + flow, 443), seed=flow, time=1000.4 + flow)
        talk.sum_a = off_by(-0x229C)
        out += talk.syns(4).packets
    return wire(merged(out, pings("10.230.6.111", "10.230.6.97")))


@case("nat-without-update", f"{DAMAGE} nothing-wrong", why="prefix translated, not neutral: TCP, UDP and echo alike")
def nptv6_without_update() -> bytes:
    was, now, peer = "fd00:1::9", "2001:db8:77::9", "2001:db8:1::1"
    out = []
    for flow in range(2):
        out += Talk(now, peer, (40000 + flow, 80), seed=flow, time=1000 + flow, sum_a=as_if(was, peer)).syns(4).packets
    out += questions(now, peer, 4, sum_=as_if(was, peer), sum_b=None)
    out += pings(now, peer, 4, sum_=as_if(was, peer))[::2]
    return wire(merged(out))


def anonymous(packets: list, was: tuple[str, str], now: tuple[str, str]) -> bytes:
    """A capture whose addresses (and IPv4's header sum) were changed in the file; sums are of the old ones."""
    out = []
    names = dict(zip((address_of(was[0]), address_of(was[1])), (address_of(now[0]), address_of(now[1])), strict=True))
    for time, packet in packets:
        at, size = (8, 16) if packet[0] >> 4 == 6 else (12, 4)
        for offset in (at, at + size):
            packet = put(packet, offset, names[packet[offset : offset + size]])
        if size == 4:
            packet = put16(packet, 10, 0)
            packet = put16(packet, 10, total(packet[:20]) ^ 0xFFFF)
        out.append((time, packet))
    return wire(out)


def address_of(text: str) -> bytes:
    """As in a header."""
    return pseudo_header(text, text, 0, 0)[: 16 if ":" in text else 4]


@case("rewritten-capture nat-without-update", f"{DAMAGE} metadata-lost nothing-wrong nat-without-update:certain",
      why="both directions off by the same, all acknowledged")  # fmt: skip
def anonymised_receiver() -> bytes:
    talk = whole(Talk("192.168.4.4", "172.20.1.1", seed=3), 6).packets
    return anonymous(talk, ("192.168.4.4", "172.20.1.1"), ("10.0.0.1", "10.0.0.2"))


@case("rewritten-capture nat-without-update", f"{DAMAGE} metadata-lost nothing-wrong nat-without-update:certain",
      why="the same with DNS and echo, IPv6")  # fmt: skip
def anonymised_ipv6() -> bytes:
    ends = ("2001:db8:aaaa::4", "2001:db8:bbbb::1")
    packets = merged(questions(*ends, 5), whole(Talk(*ends, seed=3), 4).packets, pings(*ends))
    return anonymous(packets, ends, ("fd00::1", "fd00::2"))


@case("offload-pending rewritten-capture nat-without-update", f"{DAMAGE} metadata-lost nothing-wrong",
      why="a server's own capture, anonymised: its seeds and the client's sums off")  # fmt: skip
def anonymised_server() -> bytes:
    talk = whole(Talk("192.168.4.4", "172.20.1.1", seed=3, sum_b=partial), 6).packets
    return anonymous(talk, ("192.168.4.4", "172.20.1.1"), ("10.0.0.1", "10.0.0.2"))


@case("length-fault rewritten-capture wrong-arithmetic", f"{DAMAGE} nothing-wrong nat-without-update:certain",
      why="padding counted into the total length: ACKs off by it", report="appneta/tcpreplay#844")  # fmt: skip
def padding_counted() -> bytes:
    talk = whole(Talk(seed=4, stamps=False), 6).packets
    out = []
    for time, packet in talk:
        if len(packet) < 46:
            packet = put16(put16(packet, 2, 46), 10, 0) + bytes(46 - len(packet))
            packet = put16(packet, 10, total(packet[:20]) ^ 0xFFFF)
        out.append((time, packet))
    return wire(out)


@case(
    "nothing-wrong", "nat-without-update corruption metadata-lost bit-errors", why="NAT that works, seen on both sides"
)
def nat_two_taps_good() -> tuple[bytes, bytes]:
    front = whole(Talk("10.0.3.7", "203.0.113.80", (40000, 443), seed=5), 5)
    behind = whole(Talk("198.51.100.7", "203.0.113.80", (61000, 443), seed=5), 5)
    return wire(front.packets), wire([(t + 2e-5, p) for t, p in behind.packets])


@case("nothing-wrong", "nat-without-update corruption metadata-lost bit-errors", why="NAT64 that works, both families")
def nat64_two_taps_good() -> tuple[bytes, bytes]:
    front = whole(Talk("fd00::7", "64:ff9b::203.0.113.80", (40000, 443), seed=5), 4)
    behind = whole(Talk("198.51.100.7", "203.0.113.80", (40000, 443), seed=5), 4)
    return wire(front.packets), wire([(t + 2e-5, p) for t, p in behind.packets])


@case("nat-without-update", f"{DAMAGE} nothing-wrong", why="good before, readdressed behind, sum as before; UDP6")
def nat_two_taps_stale_udp6() -> tuple[bytes, bytes]:
    front = questions("fd00::7", "2001:db8::53", 6, sum_b=None)
    behind = questions("2001:db8:5::7", "2001:db8::53", 6, sum_b=None, sum_=as_if("fd00::7", "2001:db8::53"))
    return wire(front), wire([(t + 2e-5, p) for t, p in behind])


@case("metadata-lost nat-without-update", f"{DAMAGE} nothing-wrong", why="unfinished before, seed of the old behind")
def nat_two_taps_seed_kept() -> tuple[bytes, bytes]:
    front = Talk("10.0.3.7", "203.0.113.80", (40000, 443), seed=5, sum_a=partial).syns(4).packets
    behind = Talk("198.51.100.7", "203.0.113.80", (40000, 443), seed=5)
    behind.sum_a = lambda pseudo, segment: total(pseudo_header("10.0.3.7", "203.0.113.80", 6, len(segment)))
    return wire(front), wire([(t + 2e-5, p) for t, p in behind.syns(4).packets])


@case(
    "offload-pending nothing-wrong", f"{DAMAGE} metadata-lost nat-without-update", why="unfinished before, right behind"
)
def finished_two_taps() -> tuple[bytes, bytes]:
    front = whole(Talk(seed=5, sum_a=partial), 5).packets
    behind = whole(Talk(seed=5), 5).packets
    return pcapng([(t, eth(p), 0) for t, p in front]), wire([(t + 2e-5, p) for t, p in behind])
