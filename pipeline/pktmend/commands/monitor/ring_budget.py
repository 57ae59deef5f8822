"""How large each ring is: all together stay within a budget, however many interfaces there are.

Rules of this file:
1. What the user asked for (-B) each ring gets; then there is no budget.
2. Where interfaces may come, three quarters are left for them and for those that turn out busy; for MANY in all there
   is a ring always, and growth leaves something for the next ones.
3. A block is handed over when it is full, or after a time however little is in it: a small ring has several all the
   same, so that a reader who is kept waiting loses nothing.
4. A super-frame longer than a block is cut: its partial checksum is judged by the headers.  From a ring that cut one a
   larger one takes over.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

MOST_KIB: Final = 32 << 10  # of one ring
ALL_KIB: Final = 256 << 10  # of all rings together
LEAST_KIB: Final = 128
NEWCOMER_KIB: Final = 1 << 10
MANY: Final = 1024
RESERVE_KIB: Final = 64 << 10  # that growth leaves, less where MANY are there already
LEAST_BLOCK, BLOCK, LARGEST_BLOCK = 32 << 10, 128 << 10, 1 << 20
LEAST_BLOCKS: Final = 4  # with three, Linux 6.18 dropped one of 100,000 frames of rings that were all but empty
GROWTH: Final = 16
READER_SECONDS: Final = 0.01
RETIRE_MS: Final = 20  # how long a block waits to be filled: fewer, fuller blocks outlast a reader that is kept waiting
LONGEST_RETIRE_MS: Final = 250
RINGS_PER_MS: Final = 4  # each ring has a timer in the kernel, and it costs as much idle as busy


@dataclass(frozen=True)
class Size:
    """Of a ring: bytes of a block (a power of two: the kernel would round up), and how many."""

    block: int
    blocks: int

    @property
    def kib(self) -> int:
        """All of it."""
        return self.block * self.blocks >> 10


def size_of(kib: int) -> Size:
    """Return the largest ring of at most so many KiB; of LEAST_BLOCKS at least."""
    block = min(LARGEST_BLOCK, max(LEAST_BLOCK if kib < 4 * BLOCK >> 10 else BLOCK, (kib << 10) // 8))
    block = 1 << (block.bit_length() - 1)
    return Size(block, max(LEAST_BLOCKS, (kib << 10) // block))


def retire_ms(rings: int) -> int:
    """Return how long a block of each of so many rings waits to be filled."""
    return max(RETIRE_MS, min(LONGEST_RETIRE_MS, rings // RINGS_PER_MS))


def larger(size: Size, bytes_per_second: float, *, is_lossy: bool) -> Size | None:
    """Return the size of the ring that should take over from one of *size*; None if that will do.

    It has to hold what comes while its reader is kept waiting, some READER_SECONDS, twice.  is_lossy: it drops or cuts.
    """
    fills = bytes_per_second * READER_SECONDS * 2 / 1024 > size.kib
    if size.kib >= MOST_KIB or not (is_lossy or fills):
        return None
    return size_of(min(MOST_KIB, size.kib * GROWTH))


class Budget:
    """What is left for rings.  Any thread may take and give back.

    asked_kib: what the user wants each ring to have; 0 for the budget.
    may_grow:  may there be more rings than at the start?
    """

    def __init__(self, asked_kib: int, *, may_grow: bool) -> None:
        self._asked = asked_kib
        self._left = ALL_KIB
        self._rings = 0
        self._may_grow = may_grow
        self._lock = threading.Lock()

    def first(self, rings: int) -> Size:
        """Return the size of each of *rings* that are there from the start."""
        share = (ALL_KIB // 4 if self._may_grow else ALL_KIB) // max(1, rings)
        return size_of(self._asked or max(LEAST_KIB, min(MOST_KIB, share)))

    def newcomer(self) -> Size:
        """Return the size of a ring that comes later."""
        with self._lock:
            is_ample = self._left > MANY * LEAST_KIB + NEWCOMER_KIB
        return size_of(self._asked or (NEWCOMER_KIB if is_ample else LEAST_KIB))

    def can_grow(self, size: Size) -> bool:
        """Is there so much for a ring that takes over from another?"""
        with self._lock:
            reserve = min(RESERVE_KIB, max(0, MANY - self._rings) * LEAST_KIB)
            return self._left - reserve >= size.kib

    def take(self, size: Size) -> bool:
        """Take memory for a ring; False if there is not so much left."""
        if self._asked:
            return True
        with self._lock:
            if self._left < size.kib:
                return False
            self._left -= size.kib
            self._rings += 1
            return True

    def give_back(self, size: Size) -> None:
        """A ring has gone."""
        with self._lock:
            self._left += size.kib
            self._rings -= 1
