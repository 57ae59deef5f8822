"""The loop of each command that runs until something ends it: wait, handle signals, feed the watchdog, report.

Rules of this file:
1. The first reason to end is returned in words; draining and the last report are the caller's.
2. A signal is noticed within a tick.
3. Callbacks run on the caller's thread, one after the other: what they share needs no lock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from pktmend.console.signals import Signals
from pktmend.console.systemd import Service

TICK: Final = 0.1  # seconds
SIGNAL: Final = "stopped by a signal"
DURATION: Final = "the duration is over"
WORKER: Final = "a worker has ended"


class Worker(Protocol):
    """A thread that the loop watches: a Pipeline."""

    def is_done(self) -> bool: ...
    def beats(self) -> int: ...


def main_loop(
    signals: Signals,
    workers: Callable[[], Sequence[Worker]] = tuple,
    *,
    duration: float | None = None,
    tick: float = TICK,
    wait: Callable[[float], bool] | None = None,
    service: Service | None = None,
    on_report: Callable[[], None] | None = None,
    on_reopen: Callable[[], None] | None = None,
    on_second: Callable[[], None] | None = None,
    on_tick: Callable[[], str | None] | None = None,
) -> str:
    """Run until a signal, the duration, a worker or on_tick ends it; return why.

    workers:   those of now; the watchdog of *service* is fed while all of them make progress.
    wait:      lets at most so many seconds pass, True when the work is done; sleeps if not given.
    on_report: SIGUSR1.     on_reopen: SIGHUP (see Signals).
    on_second: once a second, before on_tick.
    on_tick:   each tick; a reason to end, in words, or None.
    """
    wait = wait or signals.stop.wait
    now = time.monotonic()
    deadline = math.inf if duration is None else now + duration
    next_second = now + 1
    while True:
        is_over = wait(max(0.0, min(tick, deadline - now)))
        if signals.stop.is_set():
            return SIGNAL
        now = time.monotonic()
        if now >= deadline:
            return DURATION
        if is_over or any(worker.is_done() for worker in workers()):
            return WORKER
        if service is not None:
            service.feed([worker.beats() for worker in workers()])
        for flag, callback in ((signals.report, on_report), (signals.reopen, on_reopen)):
            if callback is not None and flag.is_set():
                flag.clear()
                callback()
        if on_second is not None and now >= next_second:
            next_second += 1
            on_second()
        if on_tick is not None and (reason := on_tick()):
            return reason
