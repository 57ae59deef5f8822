"""Notify of users' stages while they run, once each: that one fails, that one is too slow."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pktmend.enums import OnError
from pktmend.runtime.counters import Counters

MOST = 0.5  # of a worker's time


class StageHealth:
    """Compares snapshots; poll() is to be called about once a second.

    workers: threads that share one direction.  together: one thread serves all directions.
    """

    def __init__(self, on_error: OnError, *, workers: int = 1, together: bool = False) -> None:
        self._on_error = on_error
        self._workers = workers
        self._together = together
        self._notified: set[tuple[str, str, str]] = set()
        self._before: list[Counters] = []
        self._then = time.monotonic()

    def poll(self, directions: Sequence[Counters], notify: Callable[[str], None]) -> None:
        """*notify* of what is new since the last poll."""
        now = time.monotonic()
        elapsed = now - self._then
        for d in directions:
            for stage in d.stages:
                if stage.errors and self._on_error is not OnError.END:
                    becomes = "are dropped" if self._on_error is OnError.DROP else "pass without it"
                    self._once(
                        "error",
                        d.from_,
                        stage.name,
                        notify,
                        f"stage {stage.name} failed on packets from {d.from_}: {stage.fault};"
                        f" those {becomes}, and further failures are only counted",
                    )
        if self._before and elapsed > 0:
            self._notify_slow(directions, elapsed, notify)
        self._before, self._then = list(directions), now

    def _notify_slow(self, directions: Sequence[Counters], elapsed: float, notify: Callable[[str], None]) -> None:
        lost = sum(d.kernel_drops - b.kernel_drops for d, b in zip(directions, self._before, strict=True))
        if lost <= 0:
            return
        shares: dict[str, list[float]] = {}
        for d, before in zip(directions, self._before, strict=True):
            for stage, earlier in zip(d.stages, before.stages, strict=True):
                shares.setdefault(stage.name, []).append((stage.ns - earlier.ns) / 1e9 / elapsed / self._workers)
        for name, each in shares.items():
            share = sum(each) if self._together else max(each)
            if share > MOST:
                self._once(
                    "slow",
                    "",
                    name,
                    notify,
                    f"stage {name} takes {min(share, 1):.0%} of its worker's time, and the kernel drops packets"
                    f" ({lost} just now): it is too slow for this traffic",
                )

    def _once(self, kind: str, where: str, name: str, notify: Callable[[str], None], text: str) -> None:
        if (kind, where, name) not in self._notified:
            self._notified.add((kind, where, name))
            notify(text)
