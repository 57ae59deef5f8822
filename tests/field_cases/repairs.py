"""Captures for `fix`: what goes in, and what has to come out, byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from field_cases.captures import NULL, RAW, SLL, SLL2, Timed, eth, loopback, mac, pcap, sll, sll2
from field_cases.not_understood import readable
from field_cases.packets import (
    ACK,
    PSH,
    Sum,
    echo,
    flip,
    icmp,
    ip4,
    partial,
    put16,
    right,
    sctp,
    tcp,
    udp,
    zero,
)
from field_cases.sctp import data
from field_cases.talk import A6, B6, A, B, Talk, noise, whole
from field_cases.tunnelled import geneve, gre, gtp, ipip, mpls, vxlan
from field_cases.tunnels import as_if_finished
from field_cases.wires import wire

Pair = tuple[bytes, bytes]
WIRE, ALL, ALL_AT_WIRE = ("--at", "wire"), ("--repair", "all"), ("--repair", "all", "--at", "wire")


@dataclass(frozen=True)
class Repair:
    """A capture, the options, and the capture that comes out."""

    name: str
    make: Callable[[], Pair]
    options: tuple[str, ...]
    why: str
    suffix: str = ".pcap"


REPAIRS: list[Repair] = []


def repair(*options: str, why: str, suffix: str = ".pcap", variants: tuple[str, ...] = ()) -> Callable[..., object]:
    """Register a function that returns the capture before and after."""

    def register(function: Callable[..., Pair]) -> Callable[..., Pair]:
        for variant in variants or ("",):
            make = _with(function, variant) if variant else function
            name = function.__name__ + (f"-{variant}" if variant else "")
            REPAIRS.append(Repair(name, make, options, why, suffix))
        return function

    return register


def _with(function: Callable[..., Pair], variant: str) -> Callable[[], Pair]:
    return lambda: function(variant)


def sent(sum_: Sum) -> list[Timed]:
    """TCP and UDP, both families, with sums of this kind."""
    packets: list[Timed] = []
    for n in range(6):
        a, b = (A6, B6) if n % 2 else (A, B)
        packets.append((1.0 + n, tcp(a, b, (5000 + n, 80), n, 1, PSH | ACK, noise(50 + n, n), sum_=sum_, ident=n)))
        packets.append((1.5 + n, udp(a, b, (5000 + n, 5353), noise(70 + n, n), sum_=sum_, ident=n)))
    return packets


@repair(
    *WIRE,
    why="leaked sums are completed on every link",
    variants=("ethernet", "vlan", "qinq", "sll", "sll2", "raw", "null"),
)
def links(kind: str) -> Pair:
    tags = {"vlan": ((0x8100, 5),), "qinq": ((0x88A8, 5), (0x8100, 6))}.get(kind, ())
    wraps: dict[str, tuple[Callable[[bytes], bytes], int]] = {
        "sll": (sll, SLL), "sll2": (lambda p: sll2(p, 2), SLL2), "raw": (bytes, RAW), "null": (loopback, NULL),
    }  # fmt: skip
    wrap, link = wraps.get(kind, (lambda p: eth(p, tags=tags), 1))
    before, after = ([(t, wrap(p)) for t, p in sent(sum_)] for sum_ in (partial, right))
    return pcap(before, link), pcap(after, link)


@repair(
    *WIRE,
    why="and on the links that are read anew",
    variants=("80211", "80211-qos", "radiotap", "ppi", "llc-snap", "nflog", "hdlc", "ipoib"),
)
def more_links(kind: str) -> Pair:
    from field_cases.not_understood import LINKS

    made = []
    for sum_ in (partial, right):
        four = [(t, readable(kind, p)) for t, p in sent(sum_) if p[0] >> 4 == 4]
        made.append(pcap(four, LINKS[kind]))
    return made[0], made[1]


@repair(
    *WIRE,
    why="inner sums are completed, absent outer ones stay absent",
    variants=("vxlan", "geneve", "gre", "ipip", "gtp", "mpls"),
)
def tunnels(kind: str) -> Pair:
    makers: dict[str, Callable[[bytes], bytes]] = {
        "vxlan": lambda p: eth(vxlan("192.0.2.1", "192.0.2.2", p)),
        "geneve": lambda p: eth(geneve("192.0.2.1", "192.0.2.2", p)),
        "gre": lambda p: eth(gre("192.0.2.1", "192.0.2.2", p, key=7)),
        "ipip": lambda p: eth(ipip("192.0.2.1", "192.0.2.2", p)),
        "gtp": lambda p: eth(gtp("192.0.2.1", "192.0.2.2", p)),
        "mpls": lambda p: mpls(p, 16, 17),
    }
    before, after = ([(t, makers[kind](p)) for t, p in sent(sum_)] for sum_ in (partial, right))
    return pcap(before), pcap(after)


@repair(
    *WIRE,
    why="the outer sum was written for a finished inner one: the inner one is completed, the outer one is then right",
)
def inner_first() -> Pair:
    before = [(t, as_if_finished(p, "192.0.2.1", "192.0.2.2")) for t, p in Talk(sum_a=partial).syns(3).packets]
    after = [(t, geneve("192.0.2.1", "192.0.2.2", p, sum_=right)) for t, p in Talk().syns(3).packets]
    return wire(before), wire(after)


@repair(
    *WIRE,
    why="a leaked outer sum around good inner packets, around a fragment, and around what is no tunnel at all",
    variants=("good", "fragment", "nonsense"),
)
def leaked_outer(kind: str) -> Pair:
    inner = whole(Talk()).packets
    if kind == "fragment":
        body = udp(A, B, (7000, 7001), noise(2000))[20:]
        inner = [(1.0, ip4(A, B, 17, body[:1480], flags=0x2000)), (1.1, ip4(A, B, 17, body[1480:], flags=185))]
    if kind == "nonsense":
        before, after = (
            [(1.0 + n, udp(A, B, (4789, 4789), noise(60 + n, n), sum_=s, ident=n)) for n in range(5)]
            for s in (partial, right)
        )
        return wire(before), wire(after)
    before, after = ([(t, vxlan("192.0.2.1", "192.0.2.2", p, sum_=s)) for t, p in inner] for s in (partial, right))
    return wire(before), wire(after)


@repair(*WIRE, why="whole segments are completed though the trailer behind them was cut")
def trailer_cut() -> Pair:
    before, after = (
        [(t, eth(p) + b"FCS!") for t, p in sent(s) if p[9] == 6 and p[0] >> 4 == 4] for s in (partial, right)
    )
    return tuple(_cut(frames) for frames in (before, after))  # type: ignore[return-value]


def _cut(frames: list[Timed], size: int = 4) -> bytes:
    """Each frame cut by *size* bytes, the length on the wire kept."""
    out = pcap([])
    for time, frame in frames:
        kept = frame[:-size]
        out += struct.pack("=IIII", int(time), round(time % 1 * 1e6), len(kept), len(frame)) + kept
    return out


@repair(*WIRE, why="segments that are cut stay as they are: their sum cannot be known")
def cut() -> Pair:
    frames = [(t, eth(p)) for t, p in sent(partial)]
    return (made := _cut(frames, 20)), made


@repair(why="at the sender's side too, what is pending is completed; what is damaged, translated, absent stays")
def leaves_the_rest() -> Pair:
    stale = [(t, put16(p, 36, 0x1234)) for t, p in sent(right) if p[9] == 6 and p[0] >> 4 == 4]
    damaged = [(t + 0.1, flip(p, 60, 4)) for t, p in sent(right) if p[0] >> 4 == 4]
    absent = [(t + 0.2, udp(A, B, (9, 9), noise(40), sum_=zero)) for t, _ in stale]
    rest = stale + damaged + absent
    return wire(sent(partial) + rest), wire(sent(right) + rest)


@repair(
    *ALL, why="everything that can be recomputed, and only that", variants=("tcp", "udp", "icmp", "icmp6", "sctp", "ip")
)
def recomputed(kind: str) -> Pair:
    wrong: Sum = lambda pseudo, segment: 0x1357  # noqa: E731
    makers: dict[str, Callable[[Sum], bytes]] = {
        "tcp": lambda s: tcp(A, B, (1, 2), 3, 4, ACK, noise(99), sum_=s),
        "udp": lambda s: udp(A6, B6, (1, 2), noise(99), sum_=s),
        "icmp": lambda s: echo(A, B, "request", 1, 2, noise(99), sum_=s),
        "icmp6": lambda s: echo(A6, B6, "reply", 1, 2, noise(99), sum_=s),
        "sctp": lambda s: sctp(A, B, (1, 2), 3, data(4), sum_=None if s is right else 5),
        "ip": lambda s: ip4(A, B, 17, udp(A, B, (1, 2), noise(9))[20:], sum_=s),
    }
    return wire([(1.0, makers[kind](wrong))]), wire([(1.0, makers[kind](right))])


@repair(*ALL, why="IPv4 headers of fragments and of cut packets are made right, the rest of them is left")
def headers_alone() -> Pair:
    body = udp(A, B, (7000, 7001), noise(2952))[20:]
    both = []
    for sum_ in (lambda pseudo, head: 0x1357, right):
        parts = [ip4(A, B, 17, body[:1480], flags=0x2000, sum_=sum_), ip4(A, B, 17, body[1480:], flags=185, sum_=sum_)]
        frames = [(1.0 + n, eth(part)) for n, part in enumerate(parts)]
        whole_one = ip4(A, B, 6, tcp(A, B, (1, 2), 3, 4, ACK, noise(400), sum_=lambda p, s: 0x2468)[20:], sum_=sum_)
        both.append(pcap(frames) + _cut([(5.0, eth(whole_one))], 100)[24:])
    return both[0], both[1]


@repair(
    *ALL_AT_WIRE,
    why="what ICMP errors quote is not touched, nor a MAC that looks like an IP header",
    variants=("quote", "mac"),
)
def untouched(kind: str) -> Pair:
    if kind == "quote":
        quoted = put16(udp(A, B, (1, 2), noise(40), sum_=partial), 10, 0x4444)
        made = wire([(1.0, icmp(B, A, 3, 3, 0, quoted))])
        return made, made
    inner = b"\x45\0\0\x54\x12\x34" + mac(8) + b"\x08\x00"
    made = pcap([(t, mpls(inner + p, 299)) for t, p in whole(Talk()).packets])
    return made, made
