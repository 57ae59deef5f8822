"""Match the packets of two taps by what no hop changes.

Rules of this file:
1. A packet is known by the engine's fingerprint of its innermost transport; equal ones are matched in their order.
2. Memory is bounded: beyond LIMIT packets both taps keep the same part, chosen by the fingerprint itself.
3. A packet that is not found is missing only while the other tap was watching.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from pktmend import _core
from pktmend.enums import Cause, PacketFlag, Status

HEALTHY: Final = ("good", "pending", "absent", "unchecked", "none")  # outcomes
OUTGOING: Final = 0x80
LIMIT: Final = 400_000
PER_KIND: Final = 64
SAME_CLOCK_NS: Final = 1_000_000_000  # no hop keeps packets longer
MARGIN_NS: Final = 50_000_000  # a packet this close to the end of the other tap may still be under way


class Track:
    """A stage that keeps each packet of one tap in columns.  Reads: status, cause, frames.  Writes: nothing."""

    name = "track"

    def __init__(self) -> None:
        self.prints = array("Q")
        self.times = array("Q")
        self.numbers = array("Q")
        self.outcomes = array("B")  # a status, or BAD + cause; OUTGOING added
        self.mask = 0

    def __call__(self, batch: _core.Batch) -> None:
        """Append the batch."""
        prints, times, numbers = batch.fingerprints(), bytes(batch.time_ns), bytes(batch.number)
        outcomes = array("B", map(_outcome, bytes(batch.status), bytes(batch.cause), batch.flags))
        columns = (array("Q", prints), array("Q", times), array("Q", numbers), outcomes)
        keep = [i for i, value in enumerate(columns[0]) if value and not value >> 1 & self.mask]
        self._append(columns, keep)
        while len(self.prints) > LIMIT:
            self.thin(self.mask << 1 | 1)

    def _append(self, columns: tuple[array[int], ...], keep: list[int]) -> None:
        kept = (self.prints, self.times, self.numbers, self.outcomes)
        for column, more in zip(kept, columns, strict=True):
            column.extend([more[i] for i in keep])

    def thin(self, mask: int) -> None:
        """Keep the packets whose fingerprint has none of the bits of *mask*."""
        columns = (self.prints, self.times, self.numbers, self.outcomes)
        self.prints, self.times, self.numbers, self.outcomes = array("Q"), array("Q"), array("Q"), array("B")
        self.mask = mask
        self._append(columns, [i for i, value in enumerate(columns[0]) if not value >> 1 & mask])


def _outcome(status: int, cause: int, flags: int) -> int:
    return (status + cause if status == Status.BAD else status) | (OUTGOING if flags & PacketFlag.OUTGOING else 0)


def outcome_text(outcome: int) -> str:
    """`good`, `pending`, `leaked`, ..."""
    outcome &= ~OUTGOING
    return str(Cause(outcome - Status.BAD)) if outcome > Status.BAD else str(Status(outcome))


def is_notable(kind: tuple[str, str]) -> bool:
    """Did the hop change what a packet's checksums are, or is it bad?"""
    return kind[0] != kind[1] or kind[1] not in HEALTHY


def unhealthy_first(track: Track, numbers: list[int]) -> list[int]:
    """Return these packets of a track, bad ones first."""
    wanted = set(numbers)
    outcomes = {n: o for n, o in zip(track.numbers, track.outcomes, strict=True) if n in wanted}
    return sorted(numbers, key=lambda n: (outcome_text(outcomes[n]) in HEALTHY, n))


@dataclass
class Matched:
    """What became of the packets.

    moved:   {(outcome before, behind): [(number at A, number at B, is towards B), ...]}, the first PER_KIND of each.
    counts:  how many of each kind.
    missing: numbers at A of packets that B did not see, and at B of those that A did not see; those that a host of the
             tap sent out left in the other direction.
    sampled: one packet in so many was matched.
    clock_ns: how much B's clock is ahead; if it is, all packets are taken as going from A to B.
    """

    pairs: int = 0
    towards: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    moved: dict[tuple[str, str], list[tuple[int, int, bool]]] = field(default_factory=lambda: defaultdict(list))
    missing: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    sampled: int = 1
    clock_ns: int = 0


def match(a: Track, b: Track) -> Matched:
    """Match two tracks; they are thinned to the same part."""
    mask = max(a.mask, b.mask)
    for track in (a, b):
        if track.mask != mask:
            track.thin(mask)
    pairs, only_a, only_b = _merge(a, b)
    offset = _clock(a, b, pairs)
    found = Matched(pairs=len(pairs), sampled=mask + 1, clock_ns=offset)
    for i, j in pairs:
        towards = bool(offset) or b.times[j] >= a.times[i]
        found.towards += towards
        first, then = (a.outcomes[i], b.outcomes[j]) if towards else (b.outcomes[j], a.outcomes[i])
        kind = outcome_text(first), outcome_text(then)
        found.counts[kind] += 1
        if len(found.moved[kind]) < PER_KIND:
            found.moved[kind].append((a.numbers[i], b.numbers[j], towards))
    found.missing = (_within(a, only_a, b, offset), _within(b, only_b, a, -offset))
    return found


def _merge(a: Track, b: Track) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    """Return the pairs of indices in the order of A, and what has no partner."""
    order_a, order_b = (sorted(range(len(t.prints)), key=t.prints.__getitem__) for t in (a, b))
    pairs, only_a, only_b = [], [], []
    i = j = 0
    while i < len(order_a) and j < len(order_b):
        left, right = a.prints[order_a[i]], b.prints[order_b[j]]
        if left == right:
            pairs.append((order_a[i], order_b[j]))
            i, j = i + 1, j + 1
        elif left < right:
            only_a.append(order_a[i])
            i += 1
        else:
            only_b.append(order_b[j])
            j += 1
    only_a += order_a[i:]
    only_b += order_b[j:]
    return sorted(pairs), sorted(only_a), sorted(only_b)


def _clock(a: Track, b: Track, pairs: list[tuple[int, int]]) -> int:
    """Return how much B's clock is ahead of A's, 0 if they are the same clock for all that can be seen."""
    steps = [b.times[j] - a.times[i] for i, j in pairs[:10_000]]
    middle = int(median(steps)) if steps else 0
    return middle if abs(middle) > SAME_CLOCK_NS else 0


def _within(track: Track, only: list[int], other: Track, offset: int) -> list[int]:
    """Return the numbers of packets without a partner while the other tap was surely watching."""
    only = [i for i in only if not track.outcomes[i] & OUTGOING]
    if not other.times:
        return [track.numbers[i] for i in only]
    first, last = min(other.times), max(other.times)
    return [track.numbers[i] for i in only if first <= track.times[i] + offset <= last - MARGIN_NS]
