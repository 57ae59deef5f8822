"""Check many captures, several at once.

Rules of this file:
1. What is printed is the same whatever the number of jobs: of each file in the order of the files.
2. A file that cannot be read, or not to its end, is said, and the others are read.
3. What waits to be printed is bounded: who is ahead of the file that is printed now waits at LIMIT.

A job is a thread: the engine runs without the interpreter's lock, so cores are used, and no process has to be started.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from pktmend.commands.check.output import Output
from pktmend.commands.check.rows import Row
from pktmend.commands.check.total import Total
from pktmend.commands.check.work import Fault, One, Running, Stopped, Work, check_file, filter_of
from pktmend.console.plural import quantity
from pktmend.console.signals import NOTICED_WITHIN, Signals
from pktmend.errors import OSFailure, PktmendError
from pktmend.packetio.capture_paths import Files

LIMIT: Final = 16 << 20  # characters of files that are not printed yet


class Crew:
    """Threads that check files, and the order in which these come out."""

    def __init__(self, paths: Sequence[str], work: Work, jobs: int) -> None:
        self._work = work
        self._filter = filter_of(work.expression)
        self._files = [One(path) for path in paths]
        self._changed = threading.Condition()
        self._next = self._head = self._waiting = 0
        self._is_stopped = False
        self._running: set[Running] = set()
        self._each = max(1, jobs // max(1, len(paths)))  # pieces of a large file at once, where there are few files
        self._error: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._job, name=f"pktmend-check-{i}", daemon=True)
            for i in range(min(jobs, len(paths)))
        ]

    def results(self, total: Total, signals: Signals) -> Iterator[One]:
        """Yield each file when all that it has to print was printed; ends early at a signal."""
        for thread in self._threads:
            thread.start()
        try:
            for one in self._files:
                while self._print_next(one, total):
                    if signals.stop.is_set():
                        self.stop()
                if self._error is not None:
                    raise self._error
                if one.found is not None or one.fault is not None:
                    yield one
                    one.found = None  # what was told is not kept
                with self._changed:
                    self._head += 1
                    self._changed.notify_all()
        finally:
            self.stop()
            for thread in self._threads:
                thread.join()

    def stop(self) -> None:
        """Read no further."""
        with self._changed:
            self._is_stopped = True
            for running in self._running:
                running.stop()
            self._changed.notify_all()

    def _print_next(self, one: One, total: Total) -> bool:
        """Print what *one* has, or wait for it a little; False once it has no more."""
        with self._changed:
            if not one.texts:
                if one.is_done or self._error is not None:
                    return False
                if self._is_stopped and self._files.index(one) >= self._next:
                    return False
                self._changed.wait(NOTICED_WITHIN)
                return True
            texts, one.texts = one.texts, deque()
            self._waiting -= one.size
            one.size = 0
            self._changed.notify_all()
        total.put(One(one.path, texts))
        return True

    def _job(self) -> None:
        while True:
            with self._changed:
                if self._is_stopped or self._next == len(self._files):
                    return
                index, self._next = self._next, self._next + 1
            one = self._files[index]
            try:
                self._check(index, one)
            except PktmendError as error:
                one.fault = Fault.of(error) if not isinstance(error.__cause__, Stopped) else None
            except BaseException as error:
                self._error = error
            with self._changed:
                one.is_done = True
                self._changed.notify_all()

    def _check(self, index: int, one: One) -> None:
        def put(cause: str, text: str | Row) -> None:
            self._put(index, cause, text)

        check_file(one, self._work, put, self._run, self._filter, self._each)
        one.is_partial = self._is_stopped

    def _run(self, running: Running) -> None:
        with self._changed:
            running.start()
            self._running.add(running)
            if self._is_stopped:
                running.stop()
        try:
            running.wait()
        finally:
            with self._changed:
                self._running.discard(running)

    def _put(self, index: int, cause: str, text: str | Row) -> None:
        one = self._files[index]
        size = len(text) if isinstance(text, str) else 0  # at most SHOWN packets of each cause
        with self._changed:
            while not self._is_stopped and (one.size if index == self._head else self._waiting) > LIMIT:
                self._changed.wait()
            if self._is_stopped:
                raise Stopped
            one.texts.append((cause, text))
            one.size += size
            self._waiting += size
            self._changed.notify_all()


def run_many(files: Files, work: Work, jobs: int) -> int:
    """Check *files*; return the exit code, the highest of theirs.

    5: one is no capture or is broken; 4: one cannot be opened; 1: a checksum is bad.
    """
    if not files.paths:
        raise OSFailure("no capture in what was named", f"{quantity(files.passed_over, 'file')} passed over")
    signals = Signals()
    total = Total(files, work.wanted, Output(json=work.wanted.json))
    crew = Crew(files.paths, work, jobs or len(os.sched_getaffinity(0)))
    for one in crew.results(total, signals):
        total.add(one)
    total.print()
    return total.code
