"""Signals of the long-running commands: the first SIGINT or SIGTERM asks to end, the second ends at once.

SIGUSR1 prints statistics and goes on, as tcpdump does.  SIGHUP asks for files to be opened again where there are some,
else to end, as when the terminal is closed; under nohup it stays ignored.
"""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Final

NOTICED_WITHIN: Final = 0.1  # seconds


class Flag:
    """An event that a signal handler may set.

    Not a threading.Event: its set() takes a lock that the interrupted wait() may hold at that moment, and then neither
    ever goes on.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Raise it."""
        self._is_set = True

    def clear(self) -> None:
        """Lower it."""
        self._is_set = False

    def is_set(self) -> bool:
        """Is it raised?"""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Let *seconds* pass or it be raised, which is noticed within 0.1 s; is it raised then?"""
        end = time.monotonic() + seconds
        while not self._is_set and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, NOTICED_WITHIN))  # a signal does not cut a sleep short (PEP 475)
        return self._is_set


class Signals:
    """Turns signals into flags.  Must be made on the main thread.

    has_files: SIGHUP raises `reopen`; else it asks to end.
    """

    def __init__(self, *, has_files: bool = False) -> None:
        self.stop = Flag()
        self.report = Flag()
        self.reopen = Flag()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_report)
        if has_files or signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._on_reopen if has_files else self._on_stop)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)  # the second one ends the process at once
        self.stop.set()

    def _on_report(self, number: int, frame: FrameType | None) -> None:
        self.report.set()

    def _on_reopen(self, number: int, frame: FrameType | None) -> None:
        self.reopen.set()
