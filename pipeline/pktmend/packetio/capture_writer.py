"""Capture files as sinks: Copy, in the format of the capture that is read, and Writer, a new one."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from pktmend import _core
from pktmend.errors import ConfigError, OSFailure
from pktmend.host.output_file import PRIVATE, Replacement
from pktmend.host.output_path import failing
from pktmend.packetio.capture import Capture
from pktmend.packetio.capture_file import PCAP, PCAPNG, open_capture_output
from pktmend.packetio.section_comment import ROOM, SectionComment


class _Output:
    """An output file; "-" is standard output.

    is_aside: write beside it, and put that in its place at the end; see Writer.
    mode:     of a file that is made.
    """

    def __init__(self, path: str | os.PathLike[str], *, is_aside: bool = False, mode: int = PRIVATE) -> None:
        self.path = os.fspath(path)
        self._aside = _beside(self.path, mode) if is_aside else None
        self._file = os.fdopen(self._aside.fd, "wb") if self._aside else open_capture_output(self.path, mode=mode)
        self._is_open = True
        self._is_refused = False  # it holds less than it was asked to, and never will
        self._comment: SectionComment | None = None
        self._summary = ""

    @property
    def name(self) -> str:
        """The path, as counters have it."""
        return self.path

    def explain(self, error: OSFailure) -> OSFailure:
        """Return an error of writing with the name of this file in it; the engine does not know it."""
        name = "standard output" if self.path == "-" else self.path
        if error.errno == errno.EXDEV:  # the engine's word for it: no file that is written to gives it
            self._is_refused = True
            detail = f"writing {name}: a classic pcap holds one link type, and this capture has packets of more"
            return OSFailure(detail, "write to a .pcapng", error.errno, self.path)
        return OSFailure(f"writing {name}: {error.strerror}", error.hint, error.errno or 0, self.path)

    def summarise(self, text: str) -> None:
        """When it is closed, say *text* in the comment on the whole file, where it has one that can be changed."""
        self._summary = text

    def _finish(self, finish: Callable[[], None], section: Callable[[], tuple[int, bool]] = lambda: (0, False)) -> None:
        """Write what is left and close, whatever happens; once.  section: where its comment's room begins."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            finish()
            if self._comment is not None and self._summary:
                at, is_swapped = section()
                with failing(self.path):
                    self._comment.replace(self._summary, at, is_swapped=is_swapped)
        except OSFailure as error:
            raise self.explain(error) from error
        finally:
            if self.path != "-":
                self._file.close()
            if self._aside and self._is_refused:
                self._aside.discard()
            elif self._aside:
                self._aside.commit()

    def close(self) -> None:
        """Write what is left and close.  Idempotent."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _beside(path: str, mode: int) -> Replacement | None:
    """None where *path* cannot be replaced, or is more than a file: a device, a pipe or standard output."""
    with contextlib.suppress(OSFailure):
        return Replacement(path, mode=mode) if path != "-" else None
    return None


def require_another(path: str, capture: Capture) -> None:
    """Raise ConfigError if *path* is the file that is read."""
    with contextlib.suppress(OSError):  # whatever it is, opening it says so
        if path != "-" and os.path.samestat(Path(path).stat(), os.fstat(capture.fileno())):
            raise ConfigError(f"{path} is the file that is read", "write to another")


class Copy(_Output):
    """A sink: a copy of *capture* in its own format, repaired packets included, everything else byte for byte.

    mode: of a file that is made; else its owner alone can read and write it.
    comment: not None: a pcapng file gets a comment on each packet whose checksums are not right, beside those that are
             there, and this one on the whole, which summarise() replaces where the output is a file.
    only_taken: leave out packets that no batch brings: those that a filter passes over, or beyond a limit.
    A context manager; close() writes what follows the last packet, so close it before the capture.
    Raises: OSFailure if it cannot be written, ConfigError if it is the file that is read.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        capture: Capture,
        *,
        mode: int = PRIVATE,
        comment: str | None = None,
        only_taken: bool = False,
    ) -> None:
        name = os.fspath(path)
        require_another(name, capture)
        super().__init__(path, mode=mode)
        try:
            if comment is None:
                self._sink = _core.CopySink(capture.open(), self._file.fileno())
            else:
                self._comment = SectionComment(self._file.fileno(), comment)
                self._sink = _core.CopySink(
                    capture.open(), self._file.fileno(), comment=self._comment.first, room=ROOM, only_taken=only_taken
                )
        except ConfigError:
            if name != "-":
                self._file.close()
            raise

    def open(self, capacity: int) -> _core.Sink:
        """Return the engine's side, which ends with close()."""
        return self._sink

    def close(self) -> None:
        """Write what is left and close.  Idempotent."""
        self._finish(self._sink.finish, lambda: self._sink.section)

    @property
    def uncommented(self) -> int:
        """Packets that needed a comment and are in blocks that have no place for one."""
        return self._sink.comments[1]


class Writer(_Output):
    """A sink: a new capture file, "pcapng" or classic "pcap" with nanoseconds.

    only_bad: write bad packets only.      snaplen: bytes of each packet at most, 0 all.
    is_aside: write to a file beside it, which close() puts in its place: what was there stays until then, and for good
              if the packets cannot be in one file (classic pcap, several link types); of the new one nothing is left.
    mode:     of a file that is made; else its owner alone can read and write it.
    comment:  not None: packets of pcapng whose checksums are not right get a comment, and the whole file this one,
              which summarise() replaces where the output is a file.
    pcapng keeps what the source knew of the checksum (epb_flags bits 9 to 11); classic pcap cannot.

    A context manager; close() writes what is buffered.
    Raises: OSFailure if it cannot be written, ConfigError for another format.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        file_format: str = PCAPNG,
        only_bad: bool = False,
        snaplen: int = 0,
        is_aside: bool = False,
        mode: int = PRIVATE,
        comment: str | None = None,
    ) -> None:
        if file_format not in (PCAP, PCAPNG):  # before a file is made
            raise ConfigError(f"file format {file_format!r}", "pcap or pcapng")
        super().__init__(path, is_aside=is_aside, mode=mode)
        self._section = 0
        self._sink = _core.WriterSink(
            self._file.fileno(), file_format, only_bad=only_bad, snaplen=snaplen, comments=comment is not None
        )
        if comment is not None and file_format == PCAPNG:
            self._comment = SectionComment(self._file.fileno(), comment)
            self._section = self._sink.section(self._comment.first, ROOM)

    def open(self, capacity: int) -> _core.Sink:
        """Return the engine's side, which ends with close()."""
        return self._sink

    def write(self, batch: _core.Batch) -> None:
        """Write the packets of *batch* that pass: for a loop over batches, without a pipeline."""
        try:
            self._sink.write(batch)
        except OSFailure as error:
            raise self.explain(error) from error

    def describe(self, name: str, link: int = 1, comment: str = "") -> None:
        """Name interface 0 before its first packet; "" only says its link type."""
        self._sink.interface(0, link, name or None, comment or None)

    def flush(self) -> None:
        """Write what is buffered: what was described, before the first packet."""
        try:
            self._sink.finish()
        except OSFailure as error:
            raise self.explain(error) from error

    def close(self, *, time_ns: int = 0, received: int | None = None, dropped: int = 0) -> None:
        """Write the kernel's counts where they are given, and what is left; close.  Idempotent."""
        self._finish(lambda: self._sink.finish(time_ns, received, dropped), lambda: (self._section, False))
