"""In which order packets pass the taps, and between which two they are spoilt.

Rules of this file:
1. A packet is known by the engine's fingerprint; all taps have one clock, so that the earlier sighting is nearer to the
   sender.  Of equal times that is what is farther from the receiver.
2. The hop is where a packet that was all right is bad at the next tap.  Damaged packets are not known again: there,
   the next tap is the first that has bad ones of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pktmend.commands.diagnose.match import HEALTHY, OUTGOING, outcome_text
from pktmend.commands.diagnose.search.listen import Heard
from pktmend.enums import Status

SAME_NS: Final = 500_000_000  # sightings of one packet are closer together than this
LOOKED_AT: Final = 4000  # packets
LAST_OUTCOME: Final = 0x100  # above all outcomes of a Track


@dataclass(frozen=True)
class Step:
    """One interface on the way, and what the packets' checks are there, the most frequent outcome."""

    heard: Heard
    outcome: str


@dataclass(frozen=True)
class Path:
    """The way of the packets, the sender's side first.

    hop: between which two steps they were spoilt; None if before the first of them.
    """

    steps: tuple[Step, ...]
    hop: tuple[int, int] | None

    @property
    def first_bad(self) -> int:
        """Return the first step at which they are bad; the last if none is."""
        return next((n for n, step in enumerate(self.steps) if step.outcome not in HEALTHY), len(self.steps) - 1)


def find_path(heard: Sequence[Heard], receiver: int, steps: Mapping[tuple[int, int], int]) -> Path | None:
    """Return the way of the packets that arrive bad; None if no tap saw a bad one.

    receiver: the namespace that drops them, 0 if not known.      steps: how far each interface is from it.
    """
    bad = [each for each in heard if bad_rows(each)]
    there = [each for each in bad if each.interface.namespace.inode == receiver] or bad
    if not there:
        return None
    last = max(there, key=lambda each: (-steps.get(each.interface.key, 0), len(bad_rows(each))))
    seen = _Seen(heard, last, steps)
    rows = bad_rows(last)
    order = seen.most_frequent(rows)
    if seen.outcome(order[0], rows) not in HEALTHY:  # they were not known again before that: do others come further?
        is_sent = bool(last.track.outcomes[rows[0]] & OUTGOING)
        those = {*rows}
        others = [n for n, o in enumerate(last.track.outcomes) if bool(o & OUTGOING) is is_sent and n not in those]
        order = seen.most_frequent(others, order)
    path = tuple(Step(heard[n], seen.outcome(n, rows)) for n in order)
    hops = [(i, i + 1) for i, (a, b) in enumerate(pairwise(path)) if a.outcome in HEALTHY and b.outcome not in HEALTHY]
    return Path(path, hops[0] if hops else None)


def bad_rows(each: Heard) -> list[int]:
    """Return the rows of a tap's bad packets: of those that arrive, if there are some, else of all."""
    rows = [n for n, o in enumerate(each.track.outcomes) if o & ~OUTGOING >= Status.BAD]
    return [n for n in rows if not each.track.outcomes[n] & OUTGOING] or rows


class _Seen:
    """When and how each tap saw each packet that tap *last* saw."""

    def __init__(self, heard: Sequence[Heard], last: Heard, steps: Mapping[tuple[int, int], int]) -> None:
        self._heard = heard
        self._end = next(n for n, each in enumerate(heard) if each is last)
        self._track = last.track
        self._sightings = list(map(_sightings, heard))
        self._far = [-steps.get(each.interface.key, 0) for each in heard]

    def most_frequent(self, rows: Sequence[int], end: tuple[int, ...] = ()) -> tuple[int, ...]:
        """Return the taps in the order in which most of these packets passed them; only orders that end as *end*.

        Where *end* is known, a packet that no other tap has says nothing: each keeps so many, from a moment of its own.
        """
        ways: Counter[tuple[int, ...]] = Counter()
        for row in rows[:LOOKED_AT]:
            found = [(seen[0], self._far[n], n) for n in range(len(self._heard)) if (seen := self._of(n, row))]
            ways[(*(n for _, _, n in sorted(found) if n != self._end), self._end)] += 1
        fitting = Counter({way: n for way, n in ways.items() if way != end and way[len(way) - len(end) :] == end})
        return fitting.most_common(1)[0][0] if fitting else end

    def _of(self, n: int, row: int) -> tuple[int, int] | None:
        """Return (time, outcome) at tap n of a packet of the last one: not later than there, nor much earlier."""
        time = self._track.times[row]
        seen = self._sightings[n].get(self._track.prints[row], [])
        at = bisect_right(seen, (time, LAST_OUTCOME)) - 1
        return seen[at] if at >= 0 and time - seen[at][0] < SAME_NS else None

    def outcome(self, n: int, rows: Sequence[int]) -> str:
        """Return what most of these packets are at tap n; where none of them is known there, what most others are."""
        known = Counter(outcome_text(seen[1]) for row in rows[:LOOKED_AT] if (seen := self._of(n, row)))
        if not known:
            track = self._heard[n].track
            rows = bad_rows(self._heard[n]) or range(len(track.outcomes))
            known = Counter(outcome_text(track.outcomes[row]) for row in rows[:LOOKED_AT])
        return known.most_common(1)[0][0] if known else "none"


def _sightings(each: Heard) -> Mapping[int, list[tuple[int, int]]]:
    """Return {fingerprint: (time, outcome) of each sighting, in the order of time}."""
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for fingerprint, time, outcome in zip(each.track.prints, each.track.times, each.track.outcomes, strict=True):
        found[fingerprint].append((time, outcome))
    return {fingerprint: sorted(rows) for fingerprint, rows in found.items()}
