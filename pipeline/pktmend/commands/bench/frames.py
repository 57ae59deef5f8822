"""Frames for benches: TCP and UDP over IPv4 and IPv6, with checksums by arithmetic of large numbers.

Rules of this file:
1. Nothing of the engine is used: what it is to judge is not made by it.
2. Sizes are bytes of the frame as a packet socket sees it: Ethernet header and VLAN tag included, FCS not.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from pktmend.errors import ConfigError

TCP, UDP = 6, 17
IMIX = (64, 570, 64, 64, 570, 64, 1514, 64, 570, 64, 64, 570)  # 7:4:1
MARK_BYTES = 10  # mark, run, number, a word for damage: see ext/bench/traffic.h
V4 = ("198.18.0.1", "198.18.0.2")  # RFC 2544: for benchmarks
V6 = ("2001:2::1", "2001:2::2")  # RFC 5180
SOURCE_MAC, TARGET_MAC = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")


def words_of(data: bytes) -> int:
    """Return the sum of 16-bit words, most significant byte first, mod 65535: 65536 is 1, so all is one number."""
    return int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF


def complement(*parts: bytes) -> int:
    """Return the Internet checksum of even-sized *parts*."""
    return 0xFFFF - words_of(b"".join(parts))


@dataclass(frozen=True)
class Shape:
    """What a frame is, but for its payload.  vlan: a tag's number, or None."""

    version: int = 4
    protocol: int = UDP
    size: int = 64
    vlan: int | None = None
    macs: tuple[bytes, bytes] = (SOURCE_MAC, TARGET_MAC)
    addresses: tuple[str, str] = V4

    @property
    def l3(self) -> int:
        """Offset of the IP header."""
        return 14 if self.vlan is None else 18

    @property
    def l4(self) -> int:
        """Offset of the transport header."""
        return self.l3 + (20 if self.version == 4 else 40)

    @property
    def payload_at(self) -> int:
        """Offset of the payload."""
        return self.l4 + (20 if self.protocol == TCP else 8)

    def require_room(self, room: int) -> None:
        """Raise ConfigError unless the payload has so many bytes."""
        if not self.payload_at + room <= self.size <= 65535:
            raise ConfigError(f"frames of {self.size} bytes", f"{self.payload_at + room} to 65535 for this kind")

    def frame(
        self, payload: bytes, *, number: int = 0, port: int = 40000, sequence: int = 0, target_port: int = 5001
    ) -> bytes:
        """Return the frame with right checksums; number goes into the IPv4 identification."""
        total = self.size - self.l3
        family = socket.AF_INET if self.version == 4 else socket.AF_INET6
        ends = b"".join(socket.inet_pton(family, address) for address in self.addresses)
        if self.version == 4:
            ip = struct.pack("!BBHHHBB", 0x45, 0, total, number & 0xFFFF, 0x4000, 64, self.protocol)
            ip += struct.pack("!H", complement(ip, ends)) + ends
        else:
            ip = struct.pack("!IHBB", 6 << 28, total - 40, self.protocol, 64) + ends
        pseudo = self.pseudo()
        if self.protocol == TCP:
            head = struct.pack("!HHIIBBH", port, target_port, sequence, 1, 0x50, 0x10, 1000)
            head += struct.pack("!HH", complement(pseudo, head, payload + bytes(len(payload) % 2)), 0)
        else:
            head = struct.pack("!HHH", port, target_port, self.size - self.l4)
            head += struct.pack("!H", complement(pseudo, head, payload + bytes(len(payload) % 2)) or 0xFFFF)
        kind = b"\x08\x00" if self.version == 4 else b"\x86\xdd"
        tag = b"" if self.vlan is None else struct.pack("!HH", 0x8100, self.vlan)
        return self.macs[1] + self.macs[0] + tag + kind + ip + head + payload

    def pseudo(self) -> bytes:
        """Return the pseudo header."""
        family = socket.AF_INET if self.version == 4 else socket.AF_INET6
        ends = b"".join(socket.inet_pton(family, address) for address in self.addresses)
        return ends + struct.pack("!II", self.size - self.l4, self.protocol)


def frames_of(sizes: Sequence[int], protocols: Sequence[int], seed: str) -> list[bytes]:
    """Return one frame of random content for each of *sizes*; protocols take turns."""
    random = Random(seed)
    made = []
    for number, size in enumerate(sizes):
        addresses = ("10.7.0.1", f"10.7.{number >> 8 & 255}.{number & 255}")
        shape = Shape(4, protocols[number % len(protocols)], size, addresses=addresses)
        shape.require_room(0)
        made.append(shape.frame(random.randbytes(size - shape.payload_at), number=number, sequence=number))
    return made
