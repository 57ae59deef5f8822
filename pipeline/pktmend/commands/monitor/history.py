"""What the live view remembers: the rate of each status and cause in the last seconds, and sparklines of that."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from pktmend.commands.monitor.snapshot import Snapshot
from pktmend.commands.monitor.text_lines import by_name, outcomes
from pktmend.runtime.counters import Counters

SECONDS: Final = 120
BARS: Final = "▁▂▃▄▅▆▇█"
ASCII_BARS: Final = "_.-:=+*#"


def sparkline(values: Iterable[float], width: int, bars: str = BARS) -> str:
    """Return the last *width* values as bars, the highest of them full; a blank is nothing at all."""
    last = list(values)[-width:]
    top = max(last, default=0.0)
    if top <= 0:
        return " " * len(last)
    return "".join(" " if v <= 0 else bars[min(len(bars) - 1, int(v / top * len(bars)))] for v in last)


class Rate:
    """Packets, bits, bad packets and kernel drops per second of one interface."""

    def __init__(self, before: Counters | None, now: Counters, seconds: float) -> None:
        def per_second(later: int, earlier: int) -> float:
            return max(0, later - earlier) / seconds

        self.packets = per_second(now.packets, before.packets if before else 0)
        self.bits = per_second(now.octets, before.octets if before else 0) * 8
        self.bad = per_second(now.status.get("bad", 0), before.status.get("bad", 0) if before else 0)
        self.drops = per_second(now.kernel_drops, before.kernel_drops if before else 0)


class History:
    """Rates by interface, and by status or cause over all interfaces, second by second."""

    def __init__(self) -> None:
        self.rates: dict[str, Rate] = {}
        self.packets: deque[float] = deque(maxlen=SECONDS)
        self.outcomes: dict[str, deque[float]] = {}
        self._seconds = 0

    def add(self, before: Snapshot, now: Snapshot) -> None:
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


def totals(snapshot: Snapshot) -> dict[str, int]:
    """Return the statuses and causes of all checks of all interfaces."""
    found: dict[str, int] = {}
    for d in snapshot.directions:
        for outcome, n in outcomes(d).items():
            found[outcome] = found.get(outcome, 0) + n
    return found
