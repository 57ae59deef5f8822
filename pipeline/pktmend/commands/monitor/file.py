"""One pcapng file being written: sections of whole blocks."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from pktmend import _core
from pktmend.errors import OSFailure
from pktmend.packetio.capture_file import PCAPNG, open_capture_output

SECTION: Final = b"pktmend monitor: packets whose checksums are not right have a comment that says why"


class File:
    """A file with a section of ours, begun anew or (append) behind what is there.  "-" is standard output.

    comment_on: what is to be said of an interface, by its name.

    size:   bytes of whole blocks in it.      added: of those, by us.
    Raises OSFailure: from __init__ with nothing left behind, from the others with the file closed after its last
    whole block.
    """

    def __init__(
        self,
        path: str,
        interfaces: Sequence[tuple[str, int]],
        *,
        append: bool,
        mode: int,
        comment_on: Callable[[str], str] = lambda _: "",
    ) -> None:
        self.path = path
        self.size = self.added = 0
        self._described = 0
        self._file = open_capture_output(path, mode=mode, append=append)
        status = os.fstat(self._file.fileno())
        self._is_regular = stat.S_ISREG(status.st_mode)
        self.size = status.st_size if self._is_regular else 0
        self._comment_on = comment_on
        self._section = _core.WriterSink(self._file.fileno(), PCAPNG)
        self.describe(interfaces)

    def describe(self, interfaces: Sequence[tuple[str, int]]) -> None:
        """Add the blocks of those (name, link type) that are not in it yet; their numbers are their places."""
        if self._described == len(interfaces):
            return
        before = self._section.size
        with self._cut_on_error():
            if not self._described:
                self._section.section(SECTION, len(SECTION) + -len(SECTION) % 4 + 8)
            for number in range(self._described, len(interfaces)):
                name, link = interfaces[number]
                self._section.interface(number, link, name, self._comment_on(name) or None)
            self._section.finish()
        self._described = len(interfaces)
        self._add(self._section.size - before)

    def drain(self, spool: _core.Spool, limit: int) -> int:
        """Write what *spool* holds, until *limit* bytes are reached or passed; return the packets written."""
        size, packets, number = spool.drain(self._file.fileno(), limit)
        self._add(size)
        if number:
            self.cut()
            raise WriteError(packets, f"{self.path}: {os.strerror(number)}", "", number)
        return packets

    def finish(self, interfaces: Sequence[tuple[str, int]], counts: Mapping[str, tuple[int, int]]) -> None:
        """Add what the kernel saw and dropped of each interface, and close."""
        before = self._section.size
        with self._cut_on_error():
            for number, (name, _) in enumerate(interfaces[: self._described]):
                if name in counts:
                    seen, dropped = counts[name]
                    self._section.finish(time.time_ns(), seen, dropped, interface=number)
            self._section.finish()
        self._add(self._section.size - before)
        self._close()

    def cut(self) -> None:
        """Close it; a regular file ends with its last whole block."""
        with contextlib.suppress(OSError):  # what ended it is said already
            if self._is_regular:
                os.ftruncate(self._file.fileno(), self.size)
        with contextlib.suppress(OSError):
            self._close()

    def _add(self, size: int) -> None:
        self.size += size
        self.added += size

    @contextlib.contextmanager
    def _cut_on_error(self) -> Iterator[None]:
        try:
            yield
        except OSFailure as error:
            self.cut()
            number = error.errno or 0
            raise OSFailure(f"{self.path}: {os.strerror(number)}", "", number) from error

    def _close(self) -> None:
        if self.path == "-":
            return
        try:
            self._file.close()
        except OSError as error:  # a file system over the network may say here what it could not store
            raise OSFailure(f"{self.path}: {error.strerror}", "", error.errno or 0) from error


class WriteError(OSFailure):
    """A write failed after so many packets."""

    def __init__(self, packets: int, detail: str, hint: str, error: int) -> None:
        super().__init__(detail, hint, error)
        self.packets = packets
