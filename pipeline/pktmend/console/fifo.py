"""A FIFO to write to: its open() waits for a reader, lets no signal of ours through, and says nothing."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pktmend.console.signals import NOTICED_WITHIN
from pktmend.host.output_file import open_output


@contextmanager
def awaited_reader(path: str, is_stopped: Callable[[], bool]) -> Iterator[None]:
    """Wait until the FIFO *path* has a reader, so that opening it in the block does not wait; nothing for other files.

    Says so on standard error, once.  Raises KeyboardInterrupt when *is_stopped*.
    """
    fd = _wait(path, is_stopped)
    try:
        yield
    finally:
        if fd >= 0:
            os.close(fd)


def _wait(path: str, is_stopped: Callable[[], bool]) -> int:
    """Return a descriptor that keeps the reader from an end of file, -1 where there is no FIFO to wait for."""
    is_said = False
    while True:
        try:
            if path == "-" or not stat.S_ISFIFO(Path(path).stat().st_mode):
                return -1
            return open_output(path, waits=False)
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) != errno.ENXIO:
                return -1  # the open() that follows says what is wrong
        if not is_said:
            print(f"pktmend: waiting for a reader of FIFO {path}", file=sys.stderr, flush=True)
            is_said = True
        if is_stopped():
            raise KeyboardInterrupt
        time.sleep(NOTICED_WITHIN)
