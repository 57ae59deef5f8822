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
from pktmend.packetio.capture import Capture
from pktmend.packetio.capture_file import PCAP, PCAPNG, file_beside, open_file


class _Output:
    """An output file; "-" is standard output.

    is_aside: write beside it, and put that in its place at the end; see Writer.
    """

    def __init__(self, path: str | os.PathLike[str], *, is_aside: bool = False) -> None:
        self.path = os.fspath(path)
        self._aside = file_beside(self.path) if is_aside else ""
        self._file = open_file(self._aside or self.path, "wb")
        self._is_open = True
        self._is_refused = False  # it holds less than it was asked to, and never will

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

    def _finish(self, finish: Callable[[], None]) -> None:
        """Write what is left and close, whatever happens; once."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            finish()
        except OSFailure as error:
            raise self.explain(error) from error
        finally:
            if self.path != "-":
                self._file.close()
            if self._aside and self._is_refused:
                Path(self._aside).unlink()
            elif self._aside:
                Path(self._aside).replace(Path(self.path).resolve())

    def close(self) -> None:
        """Write what is left and close.  Idempotent."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Copy(_Output):
    """A sink: a copy of *capture* in its own format, repaired packets included, everything else byte for byte.

    A context manager; close() writes what follows the last packet, so close it before the capture.
    Raises: OSFailure if it cannot be written, ConfigError if it is the file that is read.
    """

    def __init__(self, path: str | os.PathLike[str], capture: Capture) -> None:
        name = os.fspath(path)
        with contextlib.suppress(OSError):  # whatever it is, opening it says so
            if name != "-" and os.path.samestat(Path(name).stat(), os.fstat(capture.fileno())):
                raise ConfigError(f"{path} is the file that is read", "write to another")
        super().__init__(path)
        try:
            self._sink = _core.CopySink(capture.open(), self._file.fileno())
        except ConfigError:
            if name != "-":
                self._file.close()
            raise

    def open(self, capacity: int) -> _core.Sink:
        """Return the engine's side, which ends with close()."""
        return self._sink

    def close(self) -> None:
        """Write what is left and close.  Idempotent."""
        self._finish(self._sink.finish)


class Writer(_Output):
    """A sink: a new capture file, "pcapng" or classic "pcap" with nanoseconds.

    only_bad: write bad packets only.      snaplen: bytes of each packet at most, 0 all.
    is_aside: write to a file beside it, which close() puts in its place: what was there stays until then, and for good
              if the packets cannot be in one file (classic pcap, several link types); of the new one nothing is left.
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
    ) -> None:
        if file_format not in (PCAP, PCAPNG):  # before a file is made
            raise ConfigError(f"file format {file_format!r}", "pcap or pcapng")
        super().__init__(path, is_aside=is_aside)
        self._sink = _core.WriterSink(self._file.fileno(), file_format, only_bad=only_bad, snaplen=snaplen)

    def open(self, capacity: int) -> _core.Sink:
        """Return the engine's side, which ends with close()."""
        return self._sink

    def write(self, batch: _core.Batch) -> None:
        """Write the packets of *batch* that pass: for a loop over batches, without a pipeline."""
        try:
            self._sink.write(batch)
        except OSFailure as error:
            raise self.explain(error) from error

    def describe(self, name: str, link: int = 1) -> None:
        """Name interface 0 before its first packet; "" only says its link type."""
        self._sink.interface(0, link, name or None)

    def close(self, *, time_ns: int = 0, received: int | None = None, dropped: int = 0) -> None:
        """Write the kernel's counts where they are given, and what is left; close.  Idempotent."""
        self._finish(lambda: self._sink.finish(time_ns, received, dropped))
