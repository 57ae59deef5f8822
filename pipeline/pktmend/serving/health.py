"""Do the workers run, and do they make progress?  What /healthz, `pktmend_up` and an alert are about."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pktmend.console.main_loop import Worker

STALE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Workers:
    """How many workers run, have ended by themselves, and hang."""

    running: int = 0
    ended: int = 0
    hanging: int = 0

    @property
    def are_well(self) -> bool:
        """Do all of them run?"""
        return not (self.ended or self.hanging)


class Health:
    """Looks at workers again and again; a worker hangs once its beats have stood still for STALE_SECONDS."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._beats: dict[int, tuple[int, float]] = {}  # by identity: the last number, and since when

    def look(self, workers: Sequence[Worker]) -> Workers:
        """Return the state of *workers* now."""
        now = self._clock()
        ended = hanging = 0
        seen: dict[int, tuple[int, float]] = {}
        for worker in workers:
            if worker.is_done():
                ended += 1
                continue
            beats = worker.beats()
            before, since = self._beats.get(id(worker), (-1, now))
            seen[id(worker)] = (beats, since if beats == before else now)
            hanging += beats == before and now - since >= STALE_SECONDS
        self._beats = seen
        return Workers(len(workers) - ended - hanging, ended, hanging)


def trouble(workers: Workers, taken: float, *, is_running: bool = True) -> str:
    """Say what is wrong, "" if nothing is.

    taken: when that was looked at, on the monotonic clock.     is_running: False: a worker has ended.
    """
    age = time.monotonic() - taken
    if workers.ended or not is_running:
        return "a worker has ended"
    if workers.hanging:
        return f"a worker hangs: no progress for {STALE_SECONDS:.0f} s and more"
    return f"no news for {age:.0f} s" if age >= STALE_SECONDS else ""
