"""Write a classic capture of IMIX frames with random payloads:   python bench/imix.py OUT [FRAMES]

64, 570 and 1514 octets in the proportion 7:4:1, TCP and UDP over IPv4.  Checksums are left 0 for another program to
fill in (tcprewrite --fixcsum), so that what is measured does not make its own input.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

SIZES = [64, 570, 64, 64, 570, 64, 1514, 64, 570, 64, 64, 570]


def frame(number: int, size: int, noise: bytes) -> bytes:
    """Return one frame of *size* octets; every third is UDP."""
    udp = number % 3 == 0
    total = size - 14
    ethernet = bytes.fromhex("020000000002020000000001") + b"\x08\x00"
    addresses = bytes([10, 7, 0, 1, 10, 7, number >> 8 & 255, number & 255])
    ip = struct.pack("!BBHHHBBH", 0x45, 0, total, number & 0xFFFF, 0x4000, 64, 17 if udp else 6, 0) + addresses
    if udp:
        transport = struct.pack("!HHHH", 40000, 5000, total - 20, 0)
    else:
        transport = struct.pack("!HHIIBBHHH", 40000, 80, number, number, 0x50, 0x10, 1000, 0, 0)
    head = ethernet + ip + transport
    return head + noise[: size - len(head)]


def main() -> None:
    """Write the file."""
    target, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 400_000
    noise = os.urandom(1 << 20)
    with target.open("wb", buffering=1 << 20) as out:
        out.write(struct.pack("=IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for number in range(count):
            size = SIZES[number % len(SIZES)]
            at = number * 977 % ((1 << 20) - 1600)
            out.write(struct.pack("=IIII", number // 100000, number % 100000, size, size))
            out.write(frame(number, size, noise[at : at + 1600]))


if __name__ == "__main__":
    main()
