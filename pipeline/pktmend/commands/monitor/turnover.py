"""Which file is written next, and how it is called: as tcpdump does it with -C, -G and -W."""

from __future__ import annotations

import time
from typing import Final

from pktmend.commands.monitor.options import WriteOptions

NO_LIMIT: Final = 1 << 62


def name_of(options: WriteOptions, now: float, number: int) -> str:
    """Return the name of file *number* begun at *now*, as tcpdump's MakeFilename has it."""
    path = time.strftime(options.path, time.localtime(now)) if options.seconds else options.path
    digits = len(str(options.files - 1)) if options.files > 1 else 0
    if not options.megabytes or (number == 0 and digits == 0):
        return path
    return f"{path}{number:0{digits}d}"


class Turnover:
    """The sequence of files; path: of the present one."""

    def __init__(self, options: WriteOptions) -> None:
        self._options = options
        self._limit = options.megabytes * 1_000_000
        self._number = self._turns = 0
        self._began = 0.0
        self.path = options.path

    def begin(self) -> None:
        """A file begins now: name it."""
        self._began = time.monotonic()
        self.path = name_of(self._options, time.time(), self._number)

    def room(self, size: int) -> int:
        """Return how many bytes a file of *size* may grow: the packet that passes the limit is its last."""
        return self._limit + 1 - size if self._limit else NO_LIMIT

    def is_due(self, size: int) -> bool:
        """Is it time for another file than one of *size* bytes?"""
        return self._is_old() or bool(self._limit and size > self._limit)

    def advance(self) -> bool:
        """Go on to the next file; False if there is none: -G with -W has written its last."""
        o = self._options
        if self._is_old():
            self._turns += 1
            self._number = 0
            return not (o.files and not o.megabytes and self._turns >= o.files)
        self._number = (self._number + 1) % o.files if o.files else self._number + 1
        return True

    def _is_old(self) -> bool:
        return bool(self._options.seconds) and time.monotonic() - self._began >= self._options.seconds
