"""Sums that were left unfinished, behind a hop that took them for finished, or answered by no one."""

from __future__ import annotations

from field_cases.captures import IN, NEEDS, OUT, VALID, eth, pcapng
from field_cases.case import case
from field_cases.packets import (
    ACK,
    PSH,
    SYN,
    Sum,
    fold,
    partial,
    pseudo_header,
    right,
    seed_of,
    total,
)
from field_cases.talk import A6, B6, MSS, Talk, merged, noise, pings, questions, whole
from field_cases.wires import wire

DAMAGE = "bit-errors corruption nothing-wrong"


def updated(seed: Sum, before: tuple[str, str], after: tuple[str, str], ports: tuple[int, int] = (0, 0)) -> Sum:
    """RFC 1624 over a field that holds a seed: HC' = ~(~HC + ~m + m')."""

    def make(pseudo: bytes, segment: bytes) -> int:
        proto = pseudo[-1] if len(pseudo) == 40 else pseudo[9]
        old = pseudo_header(*before, proto, len(segment))
        new = pseudo_header(*after, proto, len(segment))
        value = (seed(old, segment) ^ 0xFFFF) + (total(old) ^ 0xFFFF) + total(new)
        return fold(value + (ports[0] ^ 0xFFFF) + ports[1]) ^ 0xFFFF

    return make


def leaked_behind_nat(before: str, after: str, peer: str, flows: int, copies: int, first: int = 40000) -> list:
    """SYNs whose seed a NAT updated as if it were a sum."""
    out = []
    for flow in range(flows):
        talk = Talk(after, peer, (first + flow * 17, 443), seed=flow + 5, time=1000 + flow * 0.21)
        talk.sum_a = updated(partial, (before, peer), (after, peer))
        out += talk.syns(copies).packets
    return merged(out)


@case("metadata-lost", DAMAGE, why="SYNs: F = S of the host before the NAT - its update", report="FDio/vpp#2684")
def leaked_then_nat_ipv6() -> bytes:
    return wire(merged(leaked_behind_nat("fd00:10::5", "2001:db8:7::9", "2001:db8:1::53", 3, 3), pings()))


@case("metadata-lost", DAMAGE, why="the same, with connections of another host that work", report="FDio/vpp#2684")
def leaked_then_nat_among_good() -> bytes:
    good = whole(Talk("198.51.100.9", "203.0.113.80", (50123, 443), seed=9, time=1000.3), 4).packets
    return wire(merged(leaked_behind_nat("10.0.3.7", "198.51.100.7", "203.0.113.80", 4, 3), good))


@case("metadata-lost nat-without-update corruption", "nothing-wrong offload-pending metadata-lost:certain",
      why="a single SYN tells nothing", report="FDio/vpp#2684")  # fmt: skip
def leaked_then_nat_one_syn() -> bytes:
    return wire(merged(leaked_behind_nat("10.0.3.7", "198.51.100.7", "203.0.113.80", 1, 1), pings()))


@case("metadata-lost", DAMAGE, why="DNS: pod's datagrams masqueraded before they were finished",
      report="cloudnativelabs/kube-router#1436")  # fmt: skip
def leaked_then_nat_udp() -> bytes:
    sum_ = updated(partial, ("10.230.68.8", "10.96.0.10"), ("10.180.17.7", "10.96.0.10"))
    lost = questions("10.180.17.7", "10.96.0.10", 6, sum_=sum_, sum_b=None, again=5.0)
    return wire(merged(lost, questions("10.180.17.9", "10.96.0.10", 5, time=1000.5)))


@case("metadata-lost", DAMAGE, why="DNAT: the destination changed under the seed", report="google/gvisor")
def leaked_then_dnat() -> bytes:
    out = []
    for flow in range(3):
        talk = Talk("172.17.0.1", "10.88.0.4", (41000 + flow, 8080), seed=flow + 31, time=1000 + flow * 0.4)
        talk.sum_a = updated(partial, ("172.17.0.1", "203.0.113.5"), ("172.17.0.1", "10.88.0.4"))
        out += talk.syns(4).packets
    return wire(merged(out))


@case("metadata-lost", DAMAGE, why="flagged before, seed minus update behind", report="FDio/vpp#2684")
def leaked_then_nat_two_taps() -> tuple[bytes, bytes]:
    front = Talk("10.0.3.7", "203.0.113.80", (40000, 443), seed=5, sum_a=partial).syns(4).packets
    behind = Talk("198.51.100.7", "203.0.113.80", (40000, 443), seed=5)
    behind.sum_a = updated(partial, ("10.0.3.7", "203.0.113.80"), ("198.51.100.7", "203.0.113.80"))
    behind.time += 0.00003
    return pcapng([(t, eth(p), OUT | NEEDS) for t, p in front]), wire(behind.syns(4).packets)


@case("vouched-for-bad metadata-lost", "corruption bit-errors nothing-wrong offload-pending:certain",
      why="unfinished, yet marked as verified; DNS", report="lkl/linux#418")  # fmt: skip
def seed_marked_valid_udp6() -> bytes:
    packets = questions(A6, B6, 5, sum_=partial, sum_b=right)
    return pcapng([(t, eth(p), IN | VALID if p[23] == 1 else OUT) for t, p in packets])


@case("metadata-lost", "bit-errors corruption", why="DNS answers of a proxy: each the seed of other addresses",
      report="docker/for-mac#7360")  # fmt: skip
def seed_of_others_udp() -> bytes:
    return wire(questions("172.17.0.2", "10.0.0.53", 6, sum_b=seed_of("192.168.65.7", "192.168.65.3")))


@case("metadata-lost", "bit-errors corruption", why="SYN/ACKs of three services hold the seed of another pair",
      report="docker/for-mac#7360")  # fmt: skip
def seed_of_others_three_ports() -> bytes:
    out = []
    for flow in range(3):
        talk = Talk("172.18.0.3", "10.1.2.3", (52000 + flow, 5432 + flow), seed=flow + 2, time=1000 + flow * 0.3)
        talk.send(True, SYN, options=MSS)
        first = talk.seq_b
        for number in range(3):
            talk.send(False, SYN | ACK, options=MSS, seq=first, sum_=seed_of("192.168.65.6", "172.18.0.3"))
            talk.pause(2**number)
        out += talk.packets
    return wire(merged(out))


@case("metadata-lost", "offload-pending corruption bit-errors", why="of nine segments one, six times, unfinished",
      report="orangepi-xunlong/OrangePi_Build#86")  # fmt: skip
def one_segment_ipv6() -> bytes:
    talk = Talk("2001:db8::10", "2001:db8::20", (50022, 22), seed=3).open()
    talk.ask(40).answer(1000).ask(60).answer(1300)
    at = talk.seq_b
    for number in range(6):
        talk.send(False, PSH | ACK, noise(536, 4), seq=at, sum_=partial)
        talk.send(True, ACK, ack=at)
        talk.pause(0.2 * 2**number)
    return wire(talk.packets)
