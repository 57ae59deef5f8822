"""Where one large capture is cut, so that several workers can read it.

Rules of this file:
1. Cuts depend on the file alone: whoever asks, and for whichever pieces, gets the same ones.
2. Where a record begins is guessed from a chain of plausible headers.  Whoever reads a piece proves its end: where a
   record ends there, the next piece begins with a record if this one did (pieces.py).

Classic pcap only: what pcapng says of its interfaces goes for all that follows.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from typing import Final

from pktmend.errors import OSFailure
from pktmend.packetio import urls
from pktmend.packetio.capture import HEADER
from pktmend.packetio.urls import is_url

PIECE: Final = 64 << 20  # bytes of a piece, or somewhat more
WINDOW: Final = 256 << 10  # bytes in which the beginning of a record must be found
CHAIN: Final = 16  # plausible records one after the other
LONGEST: Final = 256 << 10  # bytes of a record that is plausible
_ORDERS: Final = {  # magic: byte order, units of the fraction in a second
    bytes.fromhex("d4c3b2a1"): ("<", 1_000_000),
    bytes.fromhex("a1b2c3d4"): (">", 1_000_000),
    bytes.fromhex("4d3cb2a1"): ("<", 1_000_000_000),
    bytes.fromhex("a1b23c4d"): (">", 1_000_000_000),
}


def size_of(path: str) -> int:
    """Return the bytes of a plain file, or of one that has a URL; 0 of what is neither, or not to be read."""
    try:
        if is_url(path):
            return urls.size_of(path)
        mode = os.stat(path)  # noqa: PTH116 - a path that is none raises ValueError
    except (OSError, OSFailure, ValueError):
        return 0
    return mode.st_size if stat.S_ISREG(mode.st_mode) else 0


def pieces_in(path: str) -> int:
    """Return how many pieces a file has by its size, 1 of what is not large enough, or is no file.

    It may still be none that can be cut: starts_of() says so.
    """
    return max(1, size_of(path) // PIECE)


def starts_of(path: str, pieces: int, first: int = 0, last: int | None = None) -> list[int]:
    """Return where pieces *first* to *last* (excluded) of *pieces* begin, and at the end where the last of them ends.

    Two pieces without a beginning between them that could be found are one.
    Returns: [] if it is no classic pcap, or the beginning of the first or the end of the last is not found.
    """
    last = pieces if last is None else last
    try:
        if is_url(path):
            return _starts(
                lambda at, length: urls.read_range(path, at, at + length), size_of(path), pieces, first, last
            )
        with open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            fd, size = file.fileno(), os.fstat(file.fileno()).st_size
            return _starts(lambda at, length: os.pread(fd, length, at), size, pieces, first, last)
    except (OSError, OSFailure, ValueError):
        return []


def _starts(read: Callable[[int, int], bytes], size: int, pieces: int, first: int, last: int) -> list[int]:
    magic = read(0, 4)
    if magic not in _ORDERS or size <= HEADER:
        return []
    found: list[int] = []
    for i in range(first, last + 1):
        at: int | None = size if i else HEADER
        if i not in (0, pieces):
            guess = HEADER + (size - HEADER) * i // pieces
            record = first_record(read(guess, WINDOW + LONGEST), *_ORDERS[magic])
            at = None if record is None else guess + record
        if at is None and i in (first, last):
            return []
        if at is not None and (not found or at > found[-1]):
            found.append(at)
    return found if len(found) > 1 else []


def first_record(window: bytes, order: str, units: int) -> int | None:
    """Return the offset of the first byte in *window* that seems to begin a chain of records, or None."""
    header = struct.Struct(f"{order}IIII")
    end = len(window) - header.size
    for start in range(min(end, WINDOW)):
        at = start
        for _ in range(CHAIN):
            if at > end:
                break
            _, fraction, caplen, wirelen = header.unpack_from(window, at)
            if not (fraction < units and 0 < caplen <= LONGEST and caplen <= wirelen < LONGEST):
                break
            at += header.size + caplen
        else:
            return start
    return None
