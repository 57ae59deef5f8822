"""Signals of the long-running commands: the first SIGINT or SIGTERM asks, the second ends at once.

SIGUSR1 prints statistics and goes on, as tcpdump does.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Signals:
    """Turns signals into two events.  Must be made on the main thread."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.report = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_report)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)  # the second one ends the process at once
        self.stop.set()

    def _on_report(self, number: int, frame: FrameType | None) -> None:
        self.report.set()
