"""Pool: a few threads for many pipelines, such as a monitor's on hundreds of interfaces.

Rules of this file:
1. A pool runs the engine's own stages only: a Python stage would hold up every other pipeline of its thread.
2. A pipeline belongs to the pool from its start() until its wait() has returned.
"""

from __future__ import annotations

import errno
import os
import threading
from types import TracebackType
from typing import Final, Self

from pktmend import _core
from pktmend.errors import ConfigError, OSFailure

CAPACITY: Final = 256  # packets of a batch: of any ring
MOST_THREADS: Final = 64


class Pool:
    """*threads* at most serve all pipelines made with pool=; none runs before the first of them starts.

    threads: 0 for one on each CPU that this process may use.  No more are made than there are pipelines.

    A context manager; close() ends the threads, after the pipelines were stopped and waited for.
    """

    def __init__(self, threads: int = 0) -> None:
        if not 0 <= threads <= MOST_THREADS:
            raise ConfigError(f"{threads} threads of a pool; {MOST_THREADS} at most")
        self._most = threads or min(MOST_THREADS, len(os.sched_getaffinity(0)))
        self._engine = _core.Pool(CAPACITY)
        self._threads: list[threading.Thread] = []
        self._started = 0

    def add(self, loop: _core.Loop) -> None:
        """Serve *loop* from now on.  Raises OSFailure if not even one thread can be started."""
        self._started += 1
        if len(self._threads) < min(self._most, self._started):
            thread = threading.Thread(
                target=self._engine.serve, args=(self._engine.batch(),), name="pktmend", daemon=True
            )
            try:
                thread.start()
                self._threads.append(thread)
            except RuntimeError as error:
                if not self._threads:
                    raise OSFailure("cannot start a thread", "is a limit of tasks reached?", errno.EAGAIN) from error
        self._engine.add(loop)

    def remove(self, loop: _core.Loop) -> None:
        """Forget *loop*, which has ended."""
        self._engine.remove(loop)

    def is_done(self) -> bool:
        """Never: it ends with its pipelines, which say so themselves."""
        return False

    def beats(self) -> int:
        """Return a number that rises as long as every thread works or waits for packets."""
        return self._engine.beats()

    def close(self) -> None:
        """End the threads.  Idempotent."""
        self._engine.close()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
