"""The loop of each command that runs until something ends it: wait, handle signals, feed the watchdog, report.

Rules of this file:
1. The first reason to end is returned in words; draining and the last report are the caller's.
2. A signal is noticed within a tick.
3. A shortage of the system's (descriptors, memory, threads) does not end what is running: what a callback could not do
   is left out this time, said once, and tried again at its next turn.
4. Callbacks run on the caller's thread, one after the other: what they share needs no lock.
"""

from __future__ import annotations

import errno
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from pktmend.console.signals import Signals
from pktmend.console.systemd import Service

T = TypeVar("T")
TICK: Final = 0.1  # seconds
SIGNAL: Final = "stopped by a signal"
DURATION: Final = "the duration is over"
WORKER: Final = "a worker has ended"
SHORTAGES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN}


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
    enduring = _Enduring()
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
                enduring(callback)
        if on_second is not None and now >= next_second:
            next_second += 1
            enduring(on_second)
        if on_tick is not None and (reason := enduring(on_tick)):
            return reason


class _Enduring:
    """Calls what may fail for a shortage, and says so once for each kind."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, callback: Callable[[], T]) -> T | None:
        try:
            return callback()
        except (OSError, MemoryError, RuntimeError) as error:
            words = shortage_of(error)
            if not words:
                raise
            if words not in self._said:
                self._said.add(words)
                print(f"pktmend: {words}; going on, what it was needed for is left out", file=sys.stderr, flush=True)
        return None


def shortage_of(error: BaseException) -> str:
    """Return what is short, in the system's words, if that is what *error* says."""
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError):
        return str(error.strerror) if error.errno in SHORTAGES else ""
    return str(error) if isinstance(error, RuntimeError) and "start new thread" in str(error) else ""
