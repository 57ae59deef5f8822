"""Check many captures on other machines, by Dask: what is done with a file here is done there (asked.py).

Rules of this file:
1. Dask schedules, retries what a worker took with it when it died, and shows it all; nothing of that is done here.
2. A file that cannot be read is said, and the others are read; so is one whose workers died again and again.
3. What is printed is what one machine prints: results are told in the order of the files.
4. What was asked for and not told yet is bounded: WINDOW files, and tasks, but for those of one file.

What travels: a path and what is wanted to a worker, numbers and the first bad packets back; rows are written there.
"""

from __future__ import annotations

import itertools
import logging
import queue
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from pktmend.commands.check.asked import Asked
from pktmend.commands.check.output import Output
from pktmend.commands.check.total import Total
from pktmend.commands.check.work import One, Work
from pktmend.console.plural import quantity
from pktmend.console.signals import NOTICED_WITHIN, Signals
from pktmend.errors import ConfigError, OSFailure
from pktmend.packetio.capture_paths import Files

WINDOW: Final = 4096  # files, tasks
CONNECTING: Final = 10  # seconds
SCHEMES: Final = ("tcp", "tls", "ws", "wss", "ucx", "inproc")


def run_cluster(files: Files, work: Work, address: str) -> int:
    """Check *files* by the workers of the scheduler at *address*; return the exit code, the highest of theirs."""
    if not files.paths:
        raise OSFailure("no capture in what was named", f"{quantity(files.passed_over, 'file')} passed over")
    signals = Signals()
    total = Total(files, work.wanted, Output(json=work.wanted.json))
    # each line of JSON of a packet would go through this machine: rows are for that
    there = work._replace(wanted=work.wanted._replace(json=False))
    client = _connected(address)
    try:
        for one in _results(client, files.paths, there, signals):
            total.put(one) if not work.wanted.json else one.texts.clear()
            total.add(one)
    finally:
        client.close()
    total.print()
    return total.code


def _connected(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError:
        raise OSFailure("--scheduler needs Dask's distributed", "pip install 'pktmend[cluster]'") from None
    if address.partition("://")[0] not in SCHEMES:
        raise ConfigError(f"--scheduler {address} is no address of Dask", "such as tcp://HOST:8786")
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is to be said is said here
    try:
        return Client(address, timeout=CONNECTING, set_as_default=False)
    except (OSError, TimeoutError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise OSFailure(
            f"no Dask scheduler at {address}: {why}", "start one: `dask scheduler`", subject=address
        ) from None


def _results(client: Any, paths: list[str], work: Work, signals: Signals) -> Iterator[One]:
    """Yield each file in order; ends early at a signal."""
    run = uuid.uuid4().hex[:12]
    done: queue.SimpleQueue[tuple[int, int, Any]] = queue.SimpleQueue()
    futures: dict[str, Any] = {}
    files: dict[int, Asked] = {}
    early: dict[int, One] = {}
    asked, tasks = 0, itertools.count()

    def submit(index: int, place: int, function: Callable[..., Any], *arguments: Any) -> None:
        key = f"pktmend-{run}-{index}-{next(tasks)}"
        futures[key] = future = client.submit(function, *arguments, key=key, pure=False)
        future.add_done_callback(lambda future: done.put((index, place, future)))

    for head in range(len(paths)):
        while head not in early:
            while asked < len(paths) and asked < head + WINDOW and (asked == head or len(futures) < WINDOW):
                files[asked] = Asked(paths[asked], work, partial(submit, asked))
                files[asked].begin()
                asked += 1
            try:
                index, place, future = done.get(timeout=NOTICED_WITHIN)
            except queue.Empty:
                if signals.stop.is_set():
                    client.cancel(list(futures.values()))
                    return
                continue
            del futures[future.key]
            one = files[index].take(place, future)
            if one is not None:
                early[index] = one
                del files[index]
        yield early.pop(head)
