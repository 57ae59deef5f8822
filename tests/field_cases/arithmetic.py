"""Sums that a program, a driver or a card computes wrongly, and always in the same way."""

from __future__ import annotations

from field_cases.case import NOT_CERTAIN, case
from field_cases.packets import (
    ACK,
    PSH,
    Sum,
    echo,
    fold,
    off_by,
    right,
    tcp,
    total,
    udp,
)
from field_cases.talk import A6, B6, A, B, merged, noise
from field_cases.wires import wire

ARITHMETIC = "wrong-arithmetic length-fault"
NOT = "nat-without-update corruption bit-errors nothing-wrong metadata-lost offload-pending"
NOT_SURELY = "nat-without-update:certain corruption bit-errors nothing-wrong metadata-lost offload-pending"


def no_pseudo(pseudo: bytes, segment: bytes) -> int:
    return total(segment) ^ 0xFFFF


def swapped_protocol(pseudo: bytes, segment: bytes) -> int:
    proto = pseudo[-1] if len(pseudo) == 40 else pseudo[9]
    return fold(total(pseudo + segment) + (proto << 8) + (proto ^ 0xFFFF)) ^ 0xFFFF


def no_length(pseudo: bytes, segment: bytes) -> int:
    return fold(total(pseudo + segment) + (len(segment) ^ 0xFFFF)) ^ 0xFFFF


def not_complemented(pseudo: bytes, segment: bytes) -> int:
    return total(pseudo + segment)


def swapped(pseudo: bytes, segment: bytes) -> int:
    value = right(pseudo, segment)
    return (value << 8 | value >> 8) & 0xFFFF


def odd_left_out(pseudo: bytes, segment: bytes) -> int:
    return total(pseudo + segment[: len(segment) & ~1]) ^ 0xFFFF


def odd_in_wrong_half(pseudo: bytes, segment: bytes) -> int:
    value = total(pseudo + segment[: len(segment) & ~1])
    return fold(value + (segment[-1] if len(segment) % 2 else 0)) ^ 0xFFFF


def prefix(size: int) -> Sum:
    return lambda pseudo, segment: total(pseudo + segment[:size]) ^ 0xFFFF


def pseudo_twice(pseudo: bytes, segment: bytes) -> int:
    return total(pseudo + pseudo + segment) ^ 0xFFFF


def other_protocol(number: int) -> Sum:
    def field(pseudo: bytes, segment: bytes) -> int:
        proto = pseudo[-1] if len(pseudo) == 40 else pseudo[9]
        return fold(total(pseudo + segment) + number + (proto ^ 0xFFFF)) ^ 0xFFFF

    return field


def length_of(size: int) -> Sum:
    """The pseudo header holds one length, whatever is sent."""
    return lambda pseudo, segment: fold(total(pseudo + segment) + size + (len(segment) ^ 0xFFFF)) ^ 0xFFFF


def sent(kind: str, sum_: Sum, times: int = 8, *, odd: int = 0) -> list[tuple[float, bytes]]:
    """Packets of one host with this sum, and good answers of another."""
    out = []
    for n in range(times):
        size = 40 + 2 * n + (odd if odd < 2 else n % 2)
        time = 1 + n * 0.31
        if kind.startswith("udp"):
            a, b = (A6, B6) if kind == "udp6" else (A, B)
            out.append((time, udp(a, b, (5683, 5683), noise(size, n), sum_=sum_, ident=n)))
            out.append((time + 1e-3, udp(b, a, (5683, 5683), noise(size + 9, n + 50), ident=n)))
        elif kind.startswith("tcp"):
            a, b = (A6, B6) if kind == "tcp6" else (A, B)
            out.append((time, tcp(a, b, (5000 + n, 80), n * 99991, 0, PSH | ACK, noise(size, n), sum_=sum_, ident=n)))
        elif kind == "icmp":
            out.append((time, echo(B, A, "request", 7, n, noise(size, n))))
            out.append((time + 1e-3, echo(A, B, "reply", 7, n, noise(size, n), sum_=sum_)))
        else:
            out.append((time, echo(B6, A6, "request", 7, n, noise(size, n))))
            out.append((time + 1e-3, echo(A6, B6, "reply", 7, n, noise(size, n), sum_=sum_)))
    return out


@case(
    ARITHMETIC,
    NOT,
    why="no pseudo header",
    variants=("tcp", "tcp6", "udp", "udp6", "icmp6"),
)
def without_pseudo_header(kind: str) -> bytes:
    return wire(sent(kind, no_pseudo))


@case(
    ARITHMETIC,
    NOT,
    why="the protocol of the pseudo header in the wrong byte order",
    report="https://github.com/saminiir/level-ip/issues/8",
    variants=("tcp", "udp6"),
)
def protocol_swapped(kind: str) -> bytes:
    return wire(sent(kind, swapped_protocol))


@case(ARITHMETIC, NOT, why="another protocol's number in the pseudo header", variants=("udp6-hop-by-hop", "tcp-as-udp"))
def protocol_of_another(kind: str) -> bytes:
    return wire(sent("udp6", other_protocol(60)) if kind.startswith("udp6") else sent("tcp", other_protocol(17)))


@case(
    ARITHMETIC,
    NOT,
    why="the length left out of the pseudo header, in small frames that nobody segments",
    variants=("udp", "icmp6"),
)
def length_left_out(kind: str) -> bytes:
    return wire(sent(kind, no_length, 12))


@case(
    ARITHMETIC, NOT, why="one length in the pseudo header, whatever is sent", variants=("udp-8", "tcp6-20", "icmp6-64")
)
def length_constant(kind: str) -> bytes:
    proto, size = kind.split("-")
    return wire(sent(proto, length_of(int(size)), 12))


@case(
    ARITHMETIC + " nat-without-update", NOT_SURELY, why="IPv4's total length in place of the segment's: 20 more, always"
)
def length_of_the_packet() -> bytes:
    return wire(merged(sent("udp", off_by(-20), 9), sent("tcp", off_by(-20), 6)))


@case(ARITHMETIC, NOT, why="not complemented", variants=("tcp", "udp6", "icmp"))
def complement_forgotten(kind: str) -> bytes:
    return wire(sent(kind, not_complemented))


@case(
    ARITHMETIC,
    NOT,
    why="right in the wrong byte order",
    variants=("udp", "icmp", "tcp6"),
    report="https://github.com/stellarbit/aioping/pull/31",
)
def byte_order(kind: str) -> bytes:
    return wire(sent(kind, swapped))


@case(
    ARITHMETIC,
    NOT,
    why="the last byte of an odd length left out: odd ones are bad, even ones good",
    report="https://github.com/meh/rust-packet/pull/18",
    variants=("tcp", "udp6", "icmp"),
)
def odd_byte_left_out(kind: str) -> bytes:
    return wire(sent(kind, odd_left_out, 20, odd=2))


@case(
    ARITHMETIC,
    NOT,
    why="the last byte of an odd length in the wrong half",
    report="https://github.com/espressif/esp-idf/pull/13501",
    variants=("udp", "tcp6", "icmp", "all-odd"),
)
def odd_byte_in_wrong_half(kind: str) -> bytes:
    return wire(sent("udp" if kind == "all-odd" else kind, odd_in_wrong_half, 20, odd=1 if kind == "all-odd" else 2))


@case(ARITHMETIC, NOT, why="the payload is not summed", variants=("tcp-20", "udp-8", "icmp6-8"))
def header_only(kind: str) -> bytes:
    proto, size = kind.split("-")
    return wire(sent(proto, prefix(int(size))))


@case(
    ARITHMETIC, NOT, why="the sum ends after 64 bytes: shorter ones are good, longer ones bad", variants=("udp", "tcp6")
)
def constant_prefix(kind: str) -> bytes:
    return wire(sent(kind, prefix(64), 24))


@case(
    "wrong-arithmetic bad-seed length-fault corruption",
    "bit-errors corruption:certain nothing-wrong metadata-lost nat-without-update:certain",
    why="driver and card both add the pseudo header",
    variants=("tcp", "udp"),
)
def pseudo_header_twice(kind: str) -> bytes:
    return wire(sent(kind, pseudo_twice, 10))


@case(
    "",
    f"nothing-wrong metadata-lost {NOT_CERTAIN}",
    why="a single bad sum that some mistake explains by chance: nothing is certain",
    variants=("tcp", "udp"),
)
def one_packet(kind: str) -> bytes:
    return wire(sent(kind, off_by(1), 1))
