"""SCTP: a CRC32c where others have a sum."""

from __future__ import annotations

import struct
import zlib

from field_cases.captures import Timed
from field_cases.case import case
from field_cases.packets import crc32c, put, put16, sctp, total
from field_cases.talk import A6, B6, A, B, merged, noise, pings
from field_cases.wires import wire

WRONG = "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain"


def init(tag: int = 0x11223344, streams: int = 10) -> bytes:
    """An INIT chunk of 20 bytes."""
    return struct.pack("!BBHIIHHI", 1, 0, 20, tag, 106496, streams, 65535, 1)


def data(number: int, size: int = 64) -> bytes:
    """A DATA chunk."""
    return struct.pack("!BBHIHHI", 0, 3, 16 + size, number, 0, number & 0xFFFF, 0) + noise(size, number)


def sack(number: int) -> bytes:
    """A SACK chunk."""
    return struct.pack("!BBHIIHH", 3, 0, 16, number, 106496, 0, 0)


def association(a: str = A, b: str = B, *, ours: int | None = None, times: int = 6) -> list[Timed]:
    """A handshake, data and confirmations; *ours*: what A's field holds instead of the CRC."""
    ports = (36412, 38412)
    chunks: list[tuple[bool, bytes]] = [
        (True, init()),
        (False, struct.pack("!BBHIIHHI", 2, 0, 28, 9, 106496, 10, 10, 5) + b"\0\7\0\x08abcd"),
        (True, b"\x0a\0\0\x08abcd"),
        (False, b"\x0b\0\0\x04"),
    ]
    for n in range(times):
        chunks += [(True, data(n + 1)), (False, sack(n + 1))]
    out = []
    for n, (mine, chunk) in enumerate(chunks):
        if mine:
            out.append((1 + n / 100, sctp(a, b, ports, 9 if n else 0, chunk, sum_=ours)))
        else:
            out.append((1 + n / 100, sctp(b, a, ports[::-1], 0x11223344, chunk)))
    return out


def inits(make: int | None, times: int = 5, a: str = A, b: str = B) -> list[Timed]:
    """INITs sent again."""
    return [(1.0 + 3 * n, sctp(a, b, (40000, 38412), 0, init(), sum_=make)) for n in range(times)]


def fields(packets: list[Timed], field: object) -> list[Timed]:
    """Replace the CRC of IPv4 packets by what a function makes of the packet with 0 in it."""
    out = []
    for time, packet in packets:
        blank = put(packet[20:], 8, bytes(4))
        out.append((time, packet[:20] + put(blank, 8, field(blank))))  # type: ignore[operator]
    return out


@case(
    "sctp-wrong-sum metadata-lost never-filled offload-pending",
    "nothing-wrong corruption bit-errors nat-without-update offload-pending:certain,likely",
    why="INITs with 0, sent again in vain while ping passes",
    report="https://github.com/moby/moby/issues/47952",
    variants=("ipv4", "ipv6"),
)
def nobody_made_the_crc(kind: str) -> bytes:
    a, b = (A6, B6) if kind == "ipv6" else (A, B)
    return wire(merged(inits(0, a=a, b=b), pings(a, b, 4, time=1.4)))


@case(
    "sctp-wrong-sum",
    WRONG,
    why="filled in as an Internet checksum of 16 bits",
    report="https://github.com/herlesupreeth/docker_open5gs/issues/330",
)
def internet_checksum() -> bytes:
    return wire(
        fields(
            merged(inits(None), [(30.0 + n, sctp(A, B, (40000, 38412), 9, data(n))) for n in range(4)]),
            lambda blank: struct.pack("!HH", total(blank) ^ 0xFFFF, 0),
        )
    )


@case("sctp-wrong-sum", WRONG, why="the CRC in the wrong byte order", variants=(1, 6))
def byte_order(times: int) -> bytes:
    packets = [(1.0 + n, sctp(A, B, (40000, 38412), 9, data(n))) for n in range(times)]
    return wire(fields(packets, lambda blank: struct.pack(">I", crc32c(blank))))


@case(
    "sctp-wrong-sum wrong-arithmetic corruption",
    "nothing-wrong bit-errors nat-without-update",
    why="CRC32 of Ethernet, or Adler-32 of RFC 2960, in place of CRC32c",
    variants=("crc32", "adler32"),
    report="https://github.com/versatica/mediasoup/pull/1530",
)
def other_algorithm(kind: str) -> bytes:
    made = zlib.adler32 if kind == "adler32" else zlib.crc32
    packets = [(1.0 + n, sctp(A, B, (40000, 38412), 9, data(n, 60 + 4 * n))) for n in range(9)]
    return wire(fields(packets, lambda blank: struct.pack("!I", made(blank))))


@case(
    "nat-without-update",
    "nothing-wrong corruption bit-errors metadata-lost sctp-wrong-sum:certain",
    why="a port was rewritten, the CRC not: at equal length the same bits differ, whatever is sent",
    report="https://github.com/loxilb-io/loxilb/pull/146",
    variants=("data", "ipv6", "two-lengths"),
)
def port_rewritten(kind: str) -> bytes:
    a, b = (A6, B6) if kind == "ipv6" else (A, B)
    sizes = (64, 100) if kind == "two-lengths" else (64,)
    packets = [(1 + n / 4, sctp(a, b, (40000, 38412), 9, data(n, sizes[n % len(sizes)]))) for n in range(12)]
    at = 40 if kind == "ipv6" else 20
    back = [(t + 0.01, sctp(b, a, (32000, 40000), 5, sack(n))) for n, (t, _) in enumerate(packets)]
    return wire(merged([(t, put16(p, at + 2, 32000)) for t, p in packets], back))


@case(
    "nothing-wrong",
    "sctp-wrong-sum corruption bit-errors nat-without-update metadata-lost",
    why="a healthy association",
    variants=("ipv4", "ipv6"),
)
def healthy(kind: str) -> bytes:
    return wire(association(A6, B6) if kind == "ipv6" else association())


@case(
    "",
    "nothing-wrong sctp-wrong-sum:certain nat-without-update:certain corruption:certain bit-errors:certain",
    why="one INIT with a wrong CRC that nothing explains",
)
def one_packet() -> bytes:
    return wire([(1.0, sctp(A, B, (40000, 38412), 0, init(), sum_=0x31337))])
