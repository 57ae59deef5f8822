"""Captures for `bench read`: IMIX frames of which one in DAMAGED has a bit turned over."""

from __future__ import annotations

import struct
from pathlib import Path
from random import Random
from typing import Final

from pktmend.commands.bench.frames import IMIX, TCP, UDP, frames_of

DISTINCT: Final = 250 * len(IMIX)  # frames that are made; the file repeats them
PCAP: Final = "pcap"
PCAPNG: Final = "pcapng"
LARGE_BYTES: Final = 2_000_000_000
DAMAGED: Final = 100  # one frame in so many


def write_captures(folder: Path, frames: int) -> dict[str, Path]:
    """Write IMIX frames, half TCP and half UDP, one in DAMAGED with a bit turned over, as pcap and pcapng.

    Returns the files by format.
    """
    sizes = list(IMIX) * min(DISTINCT // len(IMIX), frames // len(IMIX) + 1)
    Random(1).shuffle(sizes)
    made = frames_of(sizes, [TCP, UDP], "captures")
    files = {kind: folder / f"imix.{kind}" for kind in (PCAP, PCAPNG)}
    with files[PCAP].open("wb", buffering=1 << 20) as old, files[PCAPNG].open("wb", buffering=1 << 20) as new:
        old.write(struct.pack("=IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        new.write(struct.pack("=IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28))
        new.write(struct.pack("=IIHHII", 1, 20, 1, 0, 262144, 20))
        for number in range(frames):
            frame = made[number % len(made)]
            if number % DAMAGED == DAMAGED // 2:
                frame = frame[:-1] + bytes([frame[-1] ^ 0x40])
            size = len(frame)
            old.write(struct.pack("=IIII", number // 100000, number % 100000 * 10, size, size) + frame)
            padded = size + (-size % 4)
            micros = number * 10
            new.write(struct.pack("=IIIIIII", 6, 32 + padded, 0, micros >> 32, micros & 0xFFFFFFFF, size, size))
            new.write(frame + bytes(padded - size) + struct.pack("=I", 32 + padded))
    return files


def first_frames(path: Path, frames: int, target: Path) -> Path:
    """Write the first *frames* of a pcap file."""
    data = path.read_bytes()
    at = 24
    for _ in range(frames):
        at += 16 + struct.unpack_from("=I", data, at + 8)[0]
    target.write_bytes(data[:at])
    return target


def damaged_of(frames: int) -> int:
    """Return how many of the first *frames* are damaged."""
    return (frames + DAMAGED // 2 - 1) // DAMAGED


def write_large(path: Path, target: Path, size: int = LARGE_BYTES) -> int:
    """Write a pcap of *size* bytes and more, the records of *path* again and again; return how often."""
    data = path.read_bytes()
    times = -(-size // len(data))
    with target.open("wb") as file:
        file.write(data)
        for _ in range(times - 1):
            file.write(memoryview(data)[24:])
    return times
