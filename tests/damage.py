"""Flows with right sums, made without scapy, and damage of every sort that contents suffer on the way.

The sums are computed here, word by word (RFC 1071), so that thousands of captures can be made and judged.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

HEAD: Final = 14 + 20  # bytes before the transport
MACS: Final = bytes.fromhex("020000000002020000000001")
Damage = Callable[[random.Random, bytearray], None]


def rfc1071(data: bytes) -> int:
    """Return the Internet checksum of *data*."""
    total = sum(int.from_bytes(data[i : i + 2].ljust(2, b"\0"), "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def address(n: int) -> bytes:
    """Return 10.7.x.y of a number."""
    return bytes([10, 7, n >> 8, n & 255])


def frame(source: bytes, target: bytes, protocol: int, transport: bytes, at: int, identity: int) -> bytes:
    """Return an Ethernet frame of IPv4; at: of the transport's checksum field, which is filled in like the header's."""
    pseudo = source + target + bytes([0, protocol]) + len(transport).to_bytes(2, "big")
    right = rfc1071(pseudo + transport) or (0xFFFF if protocol == 17 else 0)
    transport = transport[:at] + right.to_bytes(2, "big") + transport[at + 2 :]
    header = bytes([0x45, 0]) + (20 + len(transport)).to_bytes(2, "big") + identity.to_bytes(2, "big")
    header += bytes([0x40, 0, 64, protocol, 0, 0]) + source + target
    return MACS + b"\x08\0" + header[:10] + rfc1071(header).to_bytes(2, "big") + header[12:] + transport


def segment(rng: random.Random, source: int, target: int, port: int, number: int, size: int) -> bytes:
    """Return a TCP segment with random contents."""
    head = port.to_bytes(2, "big") + (80).to_bytes(2, "big") + number.to_bytes(4, "big") + (1).to_bytes(4, "big")
    head += bytes([0x50, 0x18, 0x20, 0, 0, 0, 0, 0])
    return frame(address(source), address(target), 6, head + rng.randbytes(size), 16, number & 0xFFFF)


def datagram(rng: random.Random, source: int, target: int, port: int, number: int, size: int) -> bytes:
    """Return a UDP datagram with random contents."""
    head = port.to_bytes(2, "big") + (53).to_bytes(2, "big") + (8 + size).to_bytes(2, "big") + bytes(2)
    return frame(address(source), address(target), 17, head + rng.randbytes(size), 6, number & 0xFFFF)


def flip_bit(rng: random.Random, data: bytearray) -> None:
    """One bit, anywhere behind the IP header."""
    data[rng.randrange(HEAD, len(data))] ^= 1 << rng.randrange(8)


def flip_header_bit(rng: random.Random, data: bytearray) -> None:
    """One bit of TTL, protocol's neighbours or addresses."""
    data[rng.choice((15, 22, *range(26, 34)))] ^= 1 << rng.randrange(8)


def random_bytes(rng: random.Random, data: bytearray) -> None:
    """Two to eight bytes become others."""
    for _ in range(rng.randrange(2, 9)):
        data[rng.randrange(HEAD + 20, len(data))] = rng.randrange(256)


def burst(rng: random.Random, data: bytearray) -> None:
    """A run of bytes becomes noise."""
    at = rng.randrange(HEAD + 20, len(data) - 4)
    run = rng.randrange(2, min(64, len(data) - at))
    data[at : at + run] = rng.randbytes(run)


def cut_write(rng: random.Random, data: bytearray) -> None:
    """The tail was never written."""
    at = rng.randrange(HEAD + 20, len(data) - 4)
    data[at:] = bytes(len(data) - at)


def stale_write(rng: random.Random, data: bytearray) -> None:
    """The tail is that of another packet."""
    at = rng.randrange(HEAD + 20, len(data) - 4)
    data[at:] = rng.randbytes(len(data) - at)


def burst_in_address(rng: random.Random, data: bytearray) -> None:
    """Three bytes of an address become noise: both sums cover them."""
    at = rng.choice((26, 30))
    data[at + 1 : at + 4] = rng.randbytes(3)


def pattern(rng: random.Random, data: bytearray) -> None:
    """One byte is flipped by one pattern."""
    data[rng.randrange(HEAD + 20, len(data))] ^= 0x5A


def shifted(rng: random.Random, data: bytearray) -> None:
    """A byte too many, the rest moves."""
    at = rng.randrange(HEAD + 20, len(data) - 1)
    data[at + 1 :] = data[at:-1]


def swapped_words(rng: random.Random, data: bytearray) -> None:
    """Two words change places: the sum stays right."""
    words = (len(data) - HEAD - 20) // 2
    i, j = (HEAD + 20 + 2 * rng.randrange(words) for _ in range(2))
    data[i : i + 2], data[j : j + 2] = data[j : j + 2], data[i : i + 2]


DAMAGES: Final[tuple[Damage, ...]] = (
    flip_bit,
    flip_header_bit,
    random_bytes,
    burst,
    cut_write,
    stale_write,
    burst_in_address,
    pattern,
    shifted,
)
