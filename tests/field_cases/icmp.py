"""ICMP errors: what a NAT does to the packet that they quote."""

from __future__ import annotations

import struct

from field_cases.captures import Timed
from field_cases.case import case
from field_cases.packets import Sum, address, as_if, echo, get16, icmp, ip4, ip6, put, put16, right, total, udp
from field_cases.talk import A6, B6, A, B, Talk, merged, noise, pings, questions, whole
from field_cases.wires import wire

ROUTER, PUBLIC, FAR = "198.51.100.1", "203.0.113.7", "192.0.2.99"
DAMAGE = "corruption bit-errors metadata-lost offload-pending"


def asked(src: str, n: int, size: int = 1372, dst: str = FAR) -> bytes:
    """A datagram that is too big for somebody."""
    return udp(src, dst, (40000 + n, 9000), noise(size, n), ident=100 + n)


def too_big(to: str, quoted: bytes, *, sum_: Sum = right) -> bytes:
    """Fragmentation needed, with the first 28 bytes."""
    return icmp(ROUTER, to, 3, 4, 1400, quoted[:28], sum_=sum_)


def quoted_with(packet: bytes, ttl: int) -> bytes:
    """The packet as a router quotes it: TTL lower, header's sum right."""
    head = put16(put(packet[:20], 8, bytes([ttl])), 10, 0)
    return put16(head, 10, total(head) ^ 0xFFFF) + packet[20:28]


def of_another_body(old: bytes, new: bytes) -> Sum:
    """The sum of the message before *old* in it became *new*."""
    return lambda pseudo, segment: right(pseudo, segment.replace(new, old))


@case(
    "icmp-stale-inner nat-without-update",
    f"{DAMAGE} nothing-wrong",
    why="the quote was translated back, the error's own sum was not: one difference in all of them",
    report="https://github.com/cilium/cilium/issues/40827",
    variants=(3, 12),
)
def errors_with_stale_sum(times: int) -> bytes:
    packets: list[Timed] = []
    for n in range(times):
        before, after = asked(PUBLIC, n)[:28], asked(A, n)[:28]
        packets.append((1.0 + n, asked(A, n)))
        packets.append((1.01 + n, icmp(ROUTER, A, 3, 4, 1400, after, sum_=of_another_body(before, after))))
    return wire(merged(packets, pings(A, FAR)))


@case(
    "icmp-stale-inner nat-without-update",
    f"{DAMAGE} nothing-wrong",
    why="ICMPv6: packet too big, its sum as before the translation of the outer header",
)
def errors_ipv6() -> bytes:
    public = "2001:db8::77"
    packets: list[Timed] = []
    for n in range(5):
        quoted = asked(A6, n, dst=B6)[:600]
        packets.append((1.0 + n, asked(A6, n, dst=B6)))
        packets.append((1.01 + n, icmp("2001:db8::1", A6, 2, 0, 1280, quoted, sum_=as_if("2001:db8::1", public))))
    return wire(packets)


@case(
    "icmp-stale-inner rewritten-capture",
    f"{DAMAGE} nothing-wrong:certain icmp-stale-inner:certain",
    why="the outer header was translated, the quote was not: it names the NAT's address; all sums are right",
    report="https://github.com/oxidecomputer/opte/issues/369",
    variants=("udp", "echo"),
)
def quotes_untranslated(kind: str) -> bytes:
    packets: list[Timed] = []
    for n in range(5):
        if kind == "udp":
            mine, quoted = asked(A, n, 60), asked(PUBLIC, n, 60)
        else:
            mine, quoted = (echo(src, FAR, "request", 914, n, noise(32, n)) for src in (A, PUBLIC))
        packets += [(1.0 + n, mine), (1.02 + n, icmp(f"68.86.93.{n}", A, 11, 0, 0, quoted_with(quoted, 1)))]
    return wire(packets)


@case(
    "nothing-wrong",
    f"{DAMAGE} icmp-stale-inner nat-without-update never-filled",
    why="a traceroute: quotes cut after 8 bytes, TTL 1, all as it should be",
    variants=("udp", "ipv6"),
)
def traceroute(kind: str) -> bytes:
    packets: list[Timed] = []
    for n in range(8):
        if kind == "ipv6":
            probe = ip6(A6, B6, 17, udp(A6, B6, (40000, 33434 + n), noise(32, n))[40:], hops=n + 1)
            packets += [(1.0 + n, probe), (1.1 + n, icmp(f"2001:db8:{n}::1", A6, 3, 0, 0, put(probe, 7, b"\1")))]
        else:
            probe = udp(A, FAR, (40000, 33434 + n), noise(32, n), ttl=n + 1)
            packets += [(1.0 + n, probe), (1.1 + n, icmp(f"198.51.{n}.1", A, 11, 0, 0, quoted_with(probe, 1)))]
    return wire(packets)


@case(
    "",
    f"{DAMAGE} icmp-stale-inner:certain nat-without-update:certain",
    why="a NAT translates the quote's addresses and leaves the quoted UDP sum: usual, harmless, read by traceroutes",
    report="https://github.com/fujiapple852/trippy/issues/1104",
)
def quoted_sum_stale() -> bytes:
    packets: list[Timed] = []
    for n in range(6):
        mine, other = asked(A, n, 60), asked(PUBLIC, n, 60)
        quoted = put16(quoted_with(mine, 1), 26, get16(other, 26))
        packets += [(1.0 + n, mine), (1.02 + n, icmp(f"68.86.93.{n}", A, 11, 0, 0, quoted))]
    return wire(packets)


@case(
    "never-filled",
    "corruption bit-errors nat-without-update nothing-wrong",
    also="never-filled",
    why="ping6 leaves ICMPv6's sum to a stack that does not make it: requests with 0, nobody answers",
    report="https://github.com/google/gvisor/issues/3996",
    variants=("network", "few"),
)
def requests_hold_zero(kind: str) -> bytes:
    times = 2 if kind == "few" else 8
    packets = [(1.0 + n, echo(A6, B6, "request", 75, n, noise(56, n), sum_=lambda p, s: 0)) for n in range(times)]
    return wire(merged(packets, whole(Talk(A6, B6)).packets))


@case(
    "nat-without-update",
    "corruption bit-errors nothing-wrong metadata-lost icmp-stale-inner:certain",
    why="errors whose own source was rewritten, which ICMPv6's pseudo header holds: one difference",
)
def errors_from_a_rewritten_source() -> bytes:
    packets: list[Timed] = []
    for n in range(6):
        quoted = asked(A6, n, 60, dst=B6)
        packets.append((1.0 + n, icmp("2001:db8::ffff", A6, 3, 0, 0, quoted, sum_=as_if("2001:db8:5::1", A6))))
    return wire(packets)


@case(
    "",
    "icmp-stale-inner:certain nat-without-update:certain nothing-wrong corruption:certain bit-errors:certain",
    why="one error with a wrong sum: not provable",
)
def one_error() -> bytes:
    before, after = asked(PUBLIC, 0)[:28], asked(A, 0)[:28]
    return wire([(1.0, icmp(ROUTER, A, 3, 4, 1400, after, sum_=of_another_body(before, after)))])


@case(
    "nothing-wrong",
    f"{DAMAGE} icmp-stale-inner nat-without-update",
    why="redirects, unreachables of IGMP neighbours, neighbour discovery, and fragments quoted: all good",
)
def other_messages() -> bytes:
    discovery = address(B6) + b"\1\1\2\0\0\0\0\1"
    packets = [(1.0 + n, icmp(A6, "ff02::1:ff00:2", 135, 0, 0, discovery)) for n in range(3)]
    packets += [(2.0 + n, icmp(B6, A6, 136, 0, 0x60000000, discovery)) for n in range(3)]
    group = struct.pack("!BBH4s", 0x16, 0, 0, address("239.1.2.3"))
    packets += [(3.0, ip4(A, "239.1.2.3", 2, put16(group, 2, total(group) ^ 0xFFFF), ttl=1, options=b"\x94\x04\0\0"))]
    packets += [(4.0, icmp(ROUTER, A, 5, 1, 0x0A070001, quoted_with(asked(A, 3, 60), 63)))]
    return wire(merged(packets, questions(), pings(B, A)))
