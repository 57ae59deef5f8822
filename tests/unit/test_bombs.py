"""Captures that are small and become large, or claim to be: what is read is bounded, whatever is claimed."""

from __future__ import annotations

import gzip
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import PATIENCE

ROOM = 600 << 20  # bytes of address space: the interpreter's, its libraries', and little more
PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
SECTION = struct.pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
INTERFACE = struct.pack("<IIHHII", 1, 20, 1, 0, 0, 20)
NO_OPTION = struct.pack("<HH", 1, 0)


def block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length


def squeezed(*parts: bytes, times: int = 1) -> Callable[[Path], None]:
    """A compressed file of the first part, and the second so many times."""

    def write(path: Path) -> None:
        with gzip.open(path, "wb", compresslevel=6) as file:
            file.write(parts[0])
            for _ in range(times):
                file.write(parts[1])

    return write


BOMBS = {
    "4 GiB of one record": (squeezed(PCAP + struct.pack("<4I", 0, 0, 0x7FFFFFFF, 0x7FFFFFFF), bytes(1 << 20)), 5),
    "millions of empty records": (squeezed(PCAP, bytes(1 << 20), times=64), 0),
    "millions of interfaces": (squeezed(SECTION, INTERFACE * 10000, times=200), 5),
    "millions of sections": (squeezed(b"", SECTION * 10000, times=100), 0),
    "a block that never ends": (squeezed(SECTION + INTERFACE, struct.pack("<II", 6, 0xFFFFFFF0) + bytes(1 << 16)), 5),
    "millions of options": (squeezed(SECTION, block(1, struct.pack("<HHI", 1, 0, 0) + NO_OPTION * 4_000_000)), 0),
    "millions of unknown blocks": (squeezed(SECTION + INTERFACE, block(0xBAD, b"") * 10000, times=300), 0),
    "compressed twice": (squeezed(gzip.compress(PCAP), b""), 5),
}


def cramped() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))


@pytest.mark.parametrize("name", BOMBS)
def test_capture_takes_no_more_room_than_its_packets(name: str, tmp_path: Path) -> None:
    make, code = BOMBS[name]
    bomb = tmp_path / "bomb.gz"
    make(bomb)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pktmend", "check", "-r", str(bomb)],
        preexec_fn=cramped,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    assert code == 0 or done.stderr.count("\n") == 1
