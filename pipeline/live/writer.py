"""Packets to pcapng files, on a thread of its own: the packet path only copies into a bounded spool and never waits.

Rules of this file:
1. Each wanted packet is written, still buffered, or counted as not written under its reason, always.
2. What stops the writing (no space, a closed pipe) stops only that: it is told once, and reopen() tries again.
3. A file ends with whole blocks.  A section ends with what the kernel saw and dropped of each interface.

Files are named and turned over as tcpdump does it with -C, -G and -W.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Final

from pipeline import _core
from pipeline.errors import CaptureError
from pipeline.live.options import WriteOptions
from pipeline.pcap import PCAPNG
from pipeline.snapshot import FileCounts

SPOOL: Final = 64 << 20
ALL_SPOOLS: Final = 256 << 20
LEAST_SPOOL: Final = 4 << 20
SECTION_INTERFACES: Final = 256  # PP_WRITER_INTERFACES
WAIT_SECONDS: Final = 0.02
CLOSE_SECONDS: Final = 3.0
NO_LIMIT: Final = 1 << 62
FULL: Final = "buffer full"
LIMIT: Final = "file limit"

Tell = Callable[[str, str], None]
KernelCounts = Callable[[], Mapping[str, tuple[int, int]]]  # interface: (seen, dropped)


def name_of(options: WriteOptions, now: float, number: int) -> str:
    """Return the name of file *number* begun at *now*, as tcpdump's MakeFilename has it."""
    path = time.strftime(options.path, time.localtime(now)) if options.seconds else options.path
    digits = len(str(options.files - 1)) if options.files > 1 else 0
    if not options.megabytes or (number == 0 and digits == 0):
        return path
    return f"{path}{number:0{digits}d}"


class _Described:
    """An interface of the file: its number there, its name, and the spools of its workers."""

    def __init__(self, name: str, link: int) -> None:
        self.name = name
        self.link = link
        self.spools: list[_core.Spool] = []


class Writer:
    """Writes what the spools hold.  open() before the privileges go, start(), reopen(), close().

    tell:   is told (kind, words), from this thread or another.
    kernel: what the kernel saw and dropped so far, by interface.
    """

    def __init__(self, options: WriteOptions, tell: Tell, kernel: KernelCounts, workers: int) -> None:
        self._options = options
        self._tell = tell
        self._kernel = kernel
        self._spool_size = _spool_size(workers)
        self._interfaces: list[_Described] = []
        self._file: IO[bytes] | None = None
        self._section: _core.WriterSink | None = None
        self._described = 0  # interfaces of this section so far
        self._path = options.path
        self._number = self._turns = self._files = 0
        self._size = self._octets = self._written = 0
        self._began = 0.0
        self._discarded: dict[str, int] = {}  # taken out of a spool and not written, by reason
        self._refused: dict[str, int] = {}  # by stopped spools, for the reasons before the last one
        self._refused_before = 0  # the sum of those
        self._reason = self._last_reason = ""  # why nothing is written now, or was not when it last was not
        self._must_reopen = self._must_close = False
        self._thread: threading.Thread | None = None
        self.is_complete = False  # -G with -W: the last file is done

    # --- called by the others ---

    def spool(self, name: str, link: int) -> _core.Spool | None:
        """Return a spool for another worker of interface *name*; None if the file has no room for it."""
        known = next((i for i, each in enumerate(self._interfaces) if (each.name, each.link) == (name, link)), None)
        if known is None:
            if len(self._interfaces) == SECTION_INTERFACES:
                self._tell("writer", f"{name}: not written: a file has room for {SECTION_INTERFACES} interfaces")
                return None
            known = len(self._interfaces)
            self._interfaces.append(_Described(name, link))
        spool = _core.Spool(self._spool_size, interface=known, only_bad=self._options.only_bad,
                            snaplen=self._options.snaplen)
        spool.stop(bool(self._reason))
        self._interfaces[known].spools.append(spool)
        return spool

    def open(self) -> None:
        """Open the first file.  Raises CaptureError."""
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
        lost = dict(self._refused)
        if refused > self._refused_before:
            lost[self._last_reason] = lost.get(self._last_reason, 0) + refused - self._refused_before
        for reason, packets in self._discarded.items():
            lost[reason] = lost.get(reason, 0) + packets
        if full:
            lost[FULL] = full
        buffered = max(0, put - self._written - sum(self._discarded.values()))
        return FileCounts(self._path, not self._reason, self._written, self._octets, self._files, buffered, lost)

    def _spooled(self) -> tuple[int, int, int]:
        """Return the packets that spools took, refused because they were full, and while they were stopped."""
        counts = [spool.counts() for spool in self._spools()]
        put, full, refused = zip(*counts, strict=True) if counts else ((), (), ())
        return sum(put), sum(full), sum(refused)

    def _spools(self) -> list[_core.Spool]:
        return [spool for each in list(self._interfaces) for spool in list(each.spools)]

    def close(self) -> None:
        """Write what is left and close the file; a pipe that nobody reads is waited for only so long."""
        self._must_close = True
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():
                self._tell("writer", f"{self._path}: nobody reads it; {self.counts().buffered} packets are not written")

    # --- on its own thread ---

    def _run(self) -> None:
        while True:
            is_last = self._must_close
            if self._must_reopen and not self.is_complete:
                self._must_reopen = False
                self._finish()
                self._begin_again(append=True)
            moved = self._discard() if self._reason else self._drain()
            if is_last and not moved:
                break
            if not moved:
                time.sleep(WAIT_SECONDS)
        self._finish()

    def _drain(self) -> bool:
        """Write some of what the spools hold; was there anything?"""
        waiting = [spool for spool in self._spools() if spool.pending()]
        if waiting and self._is_due():
            self._turn_over()
        for spool in waiting:
            if self._reason or self._is_due():
                break
            self._write(spool)
        return bool(waiting)

    def _write(self, spool: _core.Spool) -> None:
        assert self._file is not None
        try:
            self._describe()
        except CaptureError as error:
            self._fail(error.errno or 0)
            return
        room = self._options.megabytes * 1_000_000 + 1 - self._size if self._options.megabytes else NO_LIMIT
        octets, packets, error_number = spool.drain(self._file.fileno(), room)
        self._size += octets
        self._octets += octets
        self._written += packets
        if error_number:
            self._fail(error_number)

    def _discard(self) -> bool:
        """Throw away what was in the spools when the writing stopped; was there anything?"""
        packets = sum(spool.discard() for spool in self._spools())
        if packets:
            self._discarded[self._reason] = self._discarded.get(self._reason, 0) + packets
        return packets > 0

    def _is_due(self) -> bool:
        """Is it time for another file?  As with tcpdump, at the first packet beyond the size or the time."""
        o = self._options
        return bool(o.megabytes and self._size > o.megabytes * 1_000_000) or self._is_old()

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
        try:
            self._begin(append=append)
        except CaptureError as error:
            self._stop(errno.errorcode.get(error.errno or 0, "error"))
            self._tell("writer", f"{error}; writing stopped, watching goes on")

    def _begin(self, *, append: bool) -> None:
        if not append:
            self._began = time.monotonic()
            self._path = name_of(self._options, time.time(), self._number)
        try:
            self._file = _open(self._path, "ab" if append else "wb")
            self._size = os.fstat(self._file.fileno()).st_size if self._is_regular() else 0
            self._section = _core.WriterSink(self._file.fileno(), PCAPNG)
            self._described = 0
            self._describe()
        except OSError as error:  # CaptureError is one
            self._close_file(self._size if self._file is not None and append else 0)
            raise CaptureError(f"cannot write {self._path}: {os.strerror(error.errno or 0)}", "",
                               error.errno or 0) from error
        self._files += 1
        was_stopped, self._reason = bool(self._reason), ""
        for spool in self._spools():
            spool.stop(False)
        if append or was_stopped:
            self._tell("writer", f"{self._path}: opened again")

    def _describe(self) -> None:
        """Write the blocks of the interfaces that are not yet in this section."""
        assert self._section is not None
        if self._described == len(self._interfaces):
            return
        before = self._section.octets
        while self._described < len(self._interfaces):
            each = self._interfaces[self._described]
            self._section.interface(self._described, each.link, each.name)
            self._described += 1
        self._section.finish()
        self._size += self._section.octets - before
        self._octets += self._section.octets - before

    def _finish(self) -> None:
        """End the section with the kernel's counts, and close the file."""
        if self._file is None or self._section is None:
            return
        before = self._section.octets
        try:
            counts = self._kernel()
            for number in range(self._described):
                if (of := self._interfaces[number].name) in counts:
                    seen, dropped = counts[of]
                    self._section.finish(time.time_ns(), seen, dropped, interface=number)
            self._section.finish()
        except CaptureError as error:
            self._tell("writer", f"{self._path}: {error}")
            self._close_file(self._size)
        else:
            self._octets += self._section.octets - before
            self._close_file(None)

    def _fail(self, number: int) -> None:
        self._close_file(self._size)
        self._stop(errno.errorcode.get(number, str(number)))
        self._tell("writer", f"{self._path}: {os.strerror(number)}; writing stopped, watching goes on"
                             " (SIGHUP opens it again)")

    def _stop(self, reason: str) -> None:
        """Refuse packets from now on; those refused before keep the reason they had."""
        _, _, refused = self._spooled()
        if refused > self._refused_before:
            self._refused[self._last_reason] = self._refused.get(self._last_reason, 0) + refused - self._refused_before
            self._refused_before = refused
        self._reason = self._last_reason = reason
        for spool in self._spools():
            spool.stop()

    def _close_file(self, size: int | None) -> None:
        """Close it; a regular one is cut to *size*, so that it ends with a whole block."""
        file, self._file, self._section = self._file, None, None
        if file is None:
            return
        with contextlib.suppress(OSError):
            if size is not None and stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                os.ftruncate(file.fileno(), size)
        if file is not sys.stdout.buffer:
            file.close()

    def _is_regular(self) -> bool:
        return self._file is not None and stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)


def _open(path: str, mode: str) -> IO[bytes]:
    return sys.stdout.buffer if path == "-" else open(path, mode, buffering=0)  # noqa: PTH123 - closed by its owner


def _spool_size(workers: int) -> int:
    """Return the octets of each spool, a power of two, so that all of them together stay within ALL_SPOOLS."""
    share = max(LEAST_SPOOL, min(SPOOL, ALL_SPOOLS // max(1, workers)))
    return int(1 << (share.bit_length() - 1))
