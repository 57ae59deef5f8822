"""Open and close many packet sockets at once.

To set up a ring the kernel waits for an RCU grace period, to close a socket with a ring for two: about 13 ms each, and
those of many threads pass together.  1,000 rings take 14 s and 27 s one after the other, 0.2 s each in 128 threads.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREADS: Final = 192
FEW: Final = 2  # not worth a thread


def in_parallel(function: Callable[[T], R], items: Iterable[T]) -> list[R | Exception]:
    """Call *function* for each item, on threads that end before this returns.

    Returns what each call returned or raised, in the order of the items.  Where no thread can be started the caller's
    does it all.
    """
    todo = list(items)
    results: list[R | Exception] = [LookupError("not called")] * len(todo)
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(len(todo)):
        waiting.put(place)

    def work() -> None:
        while True:
            try:
                place = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results[place] = function(todo[place])
            except Exception as error:
                results[place] = error

    threads: list[threading.Thread] = []
    while len(todo) > FEW and len(threads) < min(THREADS, len(todo)) - 1:
        thread = threading.Thread(target=work, name="pktmend-setup")
        try:
            thread.start()
        except RuntimeError:  # a limit of tasks
            break
        threads.append(thread)
    work()
    for thread in threads:
        thread.join()
    return results
