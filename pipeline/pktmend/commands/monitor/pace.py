"""What comes once a second is let through once in so many seconds (--interval)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

EARLY: Final = 0.5  # seconds: what comes once a second comes now or half a second too late


class Pace:
    """Asked about once a second, is_due() says True for the first time at once, then every *interval* seconds."""

    def __init__(self, interval: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._clock = clock
        self._next = float("-inf")

    def is_due(self) -> bool:
        """Is it time?  Then the next time is that much later, however late this one was."""
        now = self._clock()
        if now < self._next - EARLY:
            return False
        late = now - self._next
        self._next = (
            now + self._interval if late > self._interval or late == float("inf") else self._next + self._interval
        )
        return True
