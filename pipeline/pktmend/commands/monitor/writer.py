"""Packets to pcapng files, on a thread of its own: the packet path only copies into a bounded spool and never waits.

Rules of this file:
1. The thread owns the state: Writing a file, Stopped for a reason, or Done.  Others give it orders, and read what it
   has published: the account of the spools, and where it is.
2. What stops the writing (no space, a closed pipe) stops only that: an event says so once, and reopen() tries again.
3. A file is turned over at the first packet beyond its size or time.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from queue import Empty, SimpleQueue
from typing import Final

from pktmend.commands.monitor.file import File, WriteError
from pktmend.commands.monitor.options import WriteOptions
from pktmend.commands.monitor.snapshot import FileCounts
from pktmend.commands.monitor.spools import Spools
from pktmend.commands.monitor.turnover import Turnover
from pktmend.errors import OSFailure

WAIT_SECONDS: Final = 0.02
CLOSE_SECONDS: Final = 3.0
GIVE_UP_SECONDS: Final = 1.0
LIMIT: Final = "file limit"
NO_READER: Final = "no reader"

Notify = Callable[[str, str], None]
KernelCounts = Callable[[], Mapping[str, tuple[int, int]]]  # interface: (seen, dropped)


@dataclass(frozen=True)
class Writing:
    """Packets go to *file*."""

    file: File


@dataclass(frozen=True)
class Stopped:
    """Packets are refused, for the reason that the spools keep, until a file can be opened again.

    Also between two files, when no packet is lost."""


@dataclass(frozen=True)
class Done:
    """The last file is written (-G with -W): packets are refused for good."""


State = Writing | Stopped | Done


class Order(Enum):
    """What others ask of the thread."""

    REOPEN = auto()
    CLOSE = auto()


@dataclass(frozen=True)
class Position:
    """What the thread publishes: the file, how many there were, and the bytes in all of them."""

    path: str
    files: int = 0
    size: int = 0


class Writer:
    """Writes what the spools hold.  open() before the privileges go, start(), reopen(), close().

    notify:  called with (kind, words), from this thread or another.
    kernel:  what the kernel saw and dropped so far, by interface.
    workers: how many spools there will be, roughly; Spools.expect() may say so later.
    """

    def __init__(self, options: WriteOptions, notify: Notify, kernel: KernelCounts, workers: int = 1) -> None:
        self.spools = Spools(options, notify, workers)
        self._notify = notify
        self._kernel = kernel
        self._mode = options.mode
        self._turnover = Turnover(options)
        self._orders: SimpleQueue[Order] = SimpleQueue()
        self._state: State = Stopped()
        self._position = Position(options.path)
        self._thread: threading.Thread | None = None

    # --- called by others ---

    def open(self) -> None:
        """Open the first file.  Raises OSFailure."""
        self._begin(append=False)

    def start(self) -> None:
        """Begin writing."""
        self._thread = threading.Thread(target=self._run, name="pktmend-write", daemon=True)
        self._thread.start()

    def reopen(self) -> None:
        """Close the file and open the name again, after it was moved away or its disk has room again."""
        self._orders.put(Order.REOPEN)

    @property
    def is_complete(self) -> bool:
        """Is the last file written?"""
        return isinstance(self._state, Done)

    def counts(self) -> FileCounts:
        """Return what became of the packets so far."""
        at, account = self._position, self.spools.account()
        return FileCounts(
            at.path, not account.reason, account.written, at.size, at.files, account.buffered, account.not_written
        )

    def close(self) -> None:
        """Write what is left and close the file; a pipe without a reader is waited for a limited time."""
        self._orders.put(Order.CLOSE)
        if self._thread is None:
            return
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            self.spools.give_up()
            self._thread.join(GIVE_UP_SECONDS)
            account = self.spools.account()
            lost = account.buffered + account.not_written.get(NO_READER, 0)
            self._notify("writer", f"{self._position.path}: nobody reads it; {lost} packets are not written")

    # --- on its own thread ---

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:  # else nobody would know that the spools only fill from now on
            if isinstance(self._state, Writing):
                self._state.file.cut()
            self._stop(type(error).__name__, Stopped())
            self._notify("writer", f"{self._position.path}: {type(error).__name__}: {error}; writing ended for good")

    def _serve(self) -> None:
        """Write, and take orders, until the file is closed."""
        is_closing = has_moved = False
        while has_moved or not is_closing:
            try:
                order = self._orders.get(timeout=0 if has_moved else WAIT_SECONDS)
            except Empty:
                order = None
            is_closing |= order is Order.CLOSE
            if order is Order.REOPEN:
                self._reopen()
            has_moved = self._drain() if isinstance(self._state, Writing) else self.spools.discard()
        self._finish()

    def _drain(self) -> bool:
        """Write some of what the spools hold; was there anything?"""
        waiting = self.spools.waiting()
        if waiting:
            self._turn_over()
        for spool in waiting:
            if not isinstance(self._state, Writing) or self._turnover.is_due(self._state.file.size):
                break
            file, packets = self._state.file, 0
            size = file.added
            try:
                file.describe(self.spools.interfaces)
                packets = file.drain(spool, self._turnover.room(file.size))
            except OSFailure as error:
                packets = error.packets if isinstance(error, WriteError) else 0
                self._fail(error)
            self._publish(packets, file.added - size)
        return bool(waiting)

    def _publish(self, packets: int, size: int) -> None:
        self._position = replace(self._position, size=self._position.size + size)
        self.spools.add_written(packets)

    def _turn_over(self) -> None:
        """Go on to another file, if it is time."""
        if not isinstance(self._state, Writing) or not self._turnover.is_due(self._state.file.size):
            return
        self._finish()
        if not self._turnover.advance():
            self._stop(LIMIT, Done())
            return
        try:
            self._begin(append=False)
        except OSFailure as error:
            self._fail(error)

    def _reopen(self) -> None:
        if isinstance(self._state, Done):
            return
        self._finish()
        try:
            self._begin(append=True)
        except OSFailure as error:
            self._fail(error)
        else:
            self._notify("writer", f"{self._position.path}: opened again")

    def _begin(self, *, append: bool) -> None:
        if not append:
            self._turnover.begin()
        path = self._turnover.path
        self._position = replace(self._position, path=path)
        file = File(path, self.spools.interfaces, append=append, mode=self._mode, comment_on=self.spools.comment_on)
        self._state = Writing(file)
        self._position = replace(self._position, files=self._position.files + 1, size=self._position.size + file.added)
        self.spools.go_on()

    def _finish(self) -> None:
        """End the file, if one is being written, with the kernel's counts."""
        if not isinstance(self._state, Writing):
            return
        file = self._state.file
        size = file.added
        try:
            file.finish(self.spools.interfaces, self._kernel())
        except OSFailure as error:
            self._notify("writer", str(error))
        self._publish(0, file.added - size)
        self._state = Stopped()

    def _fail(self, error: OSFailure) -> None:
        if error.errno == errno.ETIMEDOUT:  # close() says how much is lost
            self._stop(NO_READER, Stopped())
            return
        self._stop(errno.errorcode.get(error.errno or 0, os.strerror(error.errno or 0)), Stopped())
        self._notify("writer", f"{error.detail}; writing stopped, watching goes on (SIGHUP opens it again)")

    def _stop(self, reason: str, state: State) -> None:
        self._state = state
        self.spools.stop(reason)
