"""What a view of counters remembers: the rate of each status and cause in the last seconds, and sparklines of that."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from pktmend.runtime.counters import Counters

SECONDS: Final = 120
BARS: Final = "▁▂▃▄▅▆▇█"
ASCII_BARS: Final = "_.-:=+*#"


def scaled(value: float) -> str:
    """Return a number in at most five characters: 999, 12.3k, 4.56M."""
    for unit in ("", "k", "M", "G", "T"):
        if value < 999.5:
            digits = 0 if not unit or value >= 99.95 else 1 if value >= 9.995 else 2
            return f"{value:.{digits}f}{unit}"
        value /= 1000
    return f"{value:.0f}P"


class Moment(Protocol):
    """A snapshot: when, and each interface's or direction's counters."""

    @property
    def time_ns(self) -> int: ...
    @property
    def directions(self) -> Sequence[Counters]: ...


def outcomes(d: Counters) -> dict[str, int]:
    """Return statuses and causes of all checks, whatever the protocol."""
    found: dict[str, int] = {}
    for each in d.all_checks.values():
        for outcome, n in each.items():
            found[outcome] = found.get(outcome, 0) + n
    return found


def by_name(snapshot: Moment) -> dict[str, Counters]:
    """Return each interface's direction."""
    return {d.from_: d for d in snapshot.directions}


def sparkline(values: Iterable[float], width: int, bars: str = BARS) -> str:
    """Return the last *width* values as bars, the highest of them full; a blank is nothing at all."""
    last = list(values)[-width:]
    top = max(last, default=0.0)
    if top <= 0:
        return " " * len(last)
    return "".join(" " if v <= 0 else bars[min(len(bars) - 1, int(v / top * len(bars)))] for v in last)


def packets_of(d: Counters) -> int:
    """Return all packets, also those that the kernel carried."""
    return d.packets + (d.cut_through.frames if d.cut_through else 0)


def bytes_of(d: Counters) -> int:
    """Return their bytes."""
    return d.octets + (d.cut_through.octets if d.cut_through else 0)


class Rate:
    """Packets, bits, bad packets and kernel drops per second of one interface."""

    def __init__(self, before: Counters | None, now: Counters, seconds: float) -> None:
        def per_second(later: int, earlier: int) -> float:
            return max(0, later - earlier) / seconds

        self.packets = per_second(packets_of(now), packets_of(before) if before else 0)
        self.bits = per_second(bytes_of(now), bytes_of(before) if before else 0) * 8
        self.bad = per_second(now.status.get("bad", 0), before.status.get("bad", 0) if before else 0)
        self.drops = per_second(now.kernel_drops, before.kernel_drops if before else 0)


@dataclass(frozen=True, slots=True)
class Past:
    """A history that does not change any more; rates are per second, the last one is the latest."""

    rates: Mapping[str, Rate] = field(default_factory=dict)
    packets: tuple[float, ...] = ()
    outcomes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


class History:
    """Rates by interface, and by status or cause over all interfaces, second by second."""

    def __init__(self) -> None:
        self.rates: dict[str, Rate] = {}
        self.packets: deque[float] = deque(maxlen=SECONDS)
        self.outcomes: dict[str, deque[float]] = {}
        self._seconds = 0

    def frozen(self) -> Past:
        """Return what is known now, for other threads."""
        return Past(self.rates, tuple(self.packets), {name: tuple(past) for name, past in self.outcomes.items()})

    def add(self, before: Moment, now: Moment) -> None:
        """Take the second between two snapshots."""
        seconds = max(1e-3, (now.time_ns - before.time_ns) / 1e9)
        earlier = by_name(before)
        self.rates = {d.from_: Rate(earlier.get(d.from_), d, seconds) for d in now.directions}
        self.packets.append(sum(rate.packets for rate in self.rates.values()))
        then, total = totals(before), totals(now)
        for outcome, n in total.items():
            if outcome not in self.outcomes:
                self.outcomes[outcome] = deque([0.0] * min(self._seconds, SECONDS), maxlen=SECONDS)
            self.outcomes[outcome].append(max(0, n - then.get(outcome, 0)) / seconds)
        self._seconds += 1


def totals(snapshot: Moment) -> dict[str, int]:
    """Return the statuses and causes of all checks of all interfaces."""
    found: dict[str, int] = {}
    for d in snapshot.directions:
        for outcome, n in outcomes(d).items():
            found[outcome] = found.get(outcome, 0) + n
    return found
