"""Packets to pcapng files, on a thread of its own: the packet path only copies into a bounded spool and never waits.

Rules of this file:
1. Each wanted packet is written, still buffered, or counted as not written under its reason, always.
2. What stops the writing (no space, a closed pipe) stops only that: it is told once, and reopen() tries again.
3. Files are turned over as tcpdump does it with -C, -G and -W: at the first packet beyond the size or the time.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from pktmend import _core
from pktmend.commands.monitor.file import File, WriteError, name_of
from pktmend.commands.monitor.options import WriteOptions
from pktmend.commands.monitor.snapshot import FileCounts
from pktmend.errors import OSFailure

SPOOL: Final = 64 << 20
ALL_SPOOLS: Final = 256 << 20
LEAST_SPOOL: Final = 4 << 20
SECTION_INTERFACES: Final = 256  # PP_WRITER_INTERFACES
WAIT_SECONDS: Final = 0.02
CLOSE_SECONDS: Final = 3.0
GIVE_UP_SECONDS: Final = 1.0
NO_LIMIT: Final = 1 << 62
FULL: Final = "buffer full"
LIMIT: Final = "file limit"
NO_READER: Final = "no reader"

Tell = Callable[[str, str], None]
KernelCounts = Callable[[], Mapping[str, tuple[int, int]]]  # interface: (seen, dropped)


class Writer:
    """Writes what the spools hold.  open() before the privileges go, start(), reopen(), close().

    tell:    is told (kind, words), from this thread or another.
    kernel:  what the kernel saw and dropped so far, by interface.
    workers: how many spools there will be, roughly.
    """

    def __init__(self, options: WriteOptions, tell: Tell, kernel: KernelCounts, workers: int) -> None:
        self._options = options
        self._tell = tell
        self._kernel = kernel
        self._spool_size = _spool_size(workers)
        self._interfaces: list[tuple[str, int]] = []  # (name, link type); the place is the number in the file
        self._spools: list[_core.Spool] = []
        self._retired: list[_core.Spool] = []
        self._forgotten = (0, 0, 0)  # counts of spools that are gone
        self._lock = threading.Lock()  # over who holds the spools' counts
        self._file: File | None = None
        self._path = options.path
        self._number = self._turns = self._files = 0
        self._octets = self._written = 0  # octets: of the files before this one
        self._began = 0.0
        self._discarded: Counter[str] = Counter()  # taken out of a spool and not written, by reason
        self._refused: Counter[str] = Counter()  # by stopped spools, for the reasons before the last one
        self._reason = self._last_reason = ""  # why nothing is written now, or was not when it last was not
        self._must_reopen = self._must_close = False
        self._thread: threading.Thread | None = None
        self.is_complete = False  # -G with -W: the last file is done

    # --- called by the others ---

    def spool(self, name: str, link: int) -> _core.Spool | None:
        """Return a spool for another worker of interface *name*; None if the file has no room for it."""
        if (name, link) not in self._interfaces:
            if len(self._interfaces) == SECTION_INTERFACES:
                self._tell("writer", f"{name}: not written: a file has room for {SECTION_INTERFACES} interfaces")
                return None
            self._interfaces.append((name, link))
        spool = _core.Spool(
            self._spool_size,
            interface=self._interfaces.index((name, link)),
            only_bad=self._options.only_bad,
            snaplen=self._options.snaplen,
        )
        with self._lock:
            spool.stop(bool(self._reason))
            self._spools.append(spool)
        return spool

    def retire(self, spool: _core.Spool) -> None:
        """Forget a spool whose worker has ended, once it is empty; what it counted stays."""
        self._retired.append(spool)

    def open(self) -> None:
        """Open the first file.  Raises OSFailure."""
        self._begin(append=False)

    def start(self) -> None:
        """Begin writing."""
        self._thread = threading.Thread(target=self._run, name="pktmend-write", daemon=True)
        self._thread.start()

    def reopen(self) -> None:
        """Close the file and open the name again, after it was moved away or its disk has room again."""
        self._must_reopen = True

    def counts(self) -> FileCounts:
        """Return what became of the packets so far."""
        put, full, refused = self._spooled()
        lost = self._refused + self._discarded
        lost[self._last_reason] += refused - self._refused.total()
        lost[FULL] += full
        buffered = max(0, put - self._written - self._discarded.total())
        octets = self._octets + (self._file.added if self._file else 0)
        return FileCounts(self._path, not self._reason, self._written, octets, self._files, buffered, dict(+lost))

    def close(self) -> None:
        """Write what is left and close the file; a pipe that nobody reads is waited for only so long."""
        self._must_close = True
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():
                for spool in list(self._spools):
                    spool.give_up()
                self._thread.join(GIVE_UP_SECONDS)
                counts = self.counts()
                lost = counts.buffered + counts.not_written.get(NO_READER, 0)
                self._tell("writer", f"{self._path}: nobody reads it; {lost} packets are not written")

    def _spooled(self) -> tuple[int, int, int]:
        """Return the packets that spools took, refused because they were full, and while they were stopped."""
        with self._lock:
            return _total([self._forgotten, *(spool.counts() for spool in self._spools)])

    # --- on its own thread ---

    def _run(self) -> None:
        while True:
            is_last = self._must_close
            if self._must_reopen and not self.is_complete:
                self._must_reopen = False
                self._finish()
                self._begin_again(append=True)
            moved = self._discard() if self._reason else self._drain()
            self._forget()
            if is_last and not moved:
                break
            if not moved:
                time.sleep(WAIT_SECONDS)
        self._finish()

    def _drain(self) -> bool:
        """Write some of what the spools hold; was there anything?"""
        waiting = [spool for spool in list(self._spools) if spool.pending()]
        if waiting and self._is_due():
            self._turn_over()
        for spool in waiting:
            if self._file is None or self._is_due():
                break
            room = self._options.megabytes * 1_000_000 + 1 - self._file.size if self._options.megabytes else NO_LIMIT
            try:
                self._file.describe(self._interfaces)
                self._written += self._file.drain(spool, room)
            except OSFailure as error:
                self._written += error.packets if isinstance(error, WriteError) else 0
                self._fail(error)
        return bool(waiting)

    def _discard(self) -> bool:
        """Throw away what was in the spools when the writing stopped; was there anything?"""
        packets = sum(spool.discard() for spool in list(self._spools))
        self._discarded[self._reason] += packets
        return packets > 0

    def _forget(self) -> None:
        """Let go of retired spools that are empty."""
        for spool in [each for each in self._retired if not each.pending()]:
            self._retired.remove(spool)
            with self._lock:
                self._spools.remove(spool)
                self._forgotten = _total([self._forgotten, spool.counts()])

    def _is_due(self) -> bool:
        """Is it time for another file?"""
        limit = self._options.megabytes * 1_000_000
        return self._is_old() or bool(limit and self._file and self._file.size > limit)

    def _is_old(self) -> bool:
        return bool(self._options.seconds) and time.monotonic() - self._began >= self._options.seconds

    def _turn_over(self) -> None:
        o = self._options
        self._finish()
        if self._is_old():
            self._turns += 1
            self._number = 0
            if o.files and not o.megabytes and self._turns >= o.files:
                self._stop(LIMIT)
                self.is_complete = True
                return
        else:
            self._number = (self._number + 1) % o.files if o.files else self._number + 1
        self._begin_again(append=False)

    def _begin_again(self, *, append: bool) -> None:
        was_stopped = bool(self._reason)
        try:
            self._begin(append=append)
        except OSFailure as error:
            self._fail(error)
        else:
            if append or was_stopped:
                self._tell("writer", f"{self._path}: opened again")

    def _begin(self, *, append: bool) -> None:
        if not append:
            self._began = time.monotonic()
            self._path = name_of(self._options, time.time(), self._number)
        self._file = File(self._path, self._interfaces, append=append)
        self._files += 1
        with self._lock:
            self._reason = ""
            for spool in self._spools:
                spool.stop(False)

    def _finish(self) -> None:
        """End the file with the kernel's counts."""
        if self._file is not None:
            try:
                self._file.finish(self._interfaces, self._kernel())
            except OSFailure as error:
                self._tell("writer", str(error))
            self._leave_file()

    def _fail(self, error: OSFailure) -> None:
        self._leave_file()
        if error.errno == errno.ETIMEDOUT:  # close() tells
            self._stop(NO_READER)
            return
        self._stop(errno.errorcode.get(error.errno or 0, os.strerror(error.errno or 0)))
        self._tell("writer", f"{error.detail}; writing stopped, watching goes on (SIGHUP opens it again)")

    def _leave_file(self) -> None:
        if self._file is not None:
            self._octets += self._file.added
        self._file = None

    def _stop(self, reason: str) -> None:
        """Refuse packets from now on; those refused before keep the reason they had."""
        _, _, refused = self._spooled()
        self._refused[self._last_reason] += refused - self._refused.total()
        with self._lock:
            self._reason = self._last_reason = reason
            for spool in self._spools:
                spool.stop()


def _total(counts: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    put, full, refused = zip(*counts, strict=True)
    return sum(put), sum(full), sum(refused)


def _spool_size(workers: int) -> int:
    """Return the octets of each spool, a power of two, so that all of them together stay within ALL_SPOOLS."""
    share = max(LEAST_SPOOL, min(SPOOL, ALL_SPOOLS // max(1, workers)))
    return int(1 << (share.bit_length() - 1))
