"""Capture files as a source of batches.

The file is mapped privately: a repair in place changes our copy, never the file.
"""

from __future__ import annotations

import mmap
import os
import shutil
import stat
import sys
import tempfile
from types import TracebackType
from typing import IO

from pipeline import _core
from pipeline.errors import CaptureError, FormatError


def _open(path: str) -> IO[bytes]:
    """Open *path* as a regular file; what comes from a pipe is spooled to an unlinked one first."""
    try:
        file: IO[bytes] = sys.stdin.buffer if path == "-" else open(path, "rb")  # noqa: SIM115, PTH123
    except OSError as error:
        raise CaptureError(f"cannot read {path}: {error.strerror}", "", error.errno or 0) from error
    mode = os.fstat(file.fileno()).st_mode
    if stat.S_ISREG(mode):
        return file
    if stat.S_ISDIR(mode):
        raise CaptureError(f"{path} is a directory, not a capture")
    spool = tempfile.TemporaryFile(prefix="pktmend-")  # noqa: SIM115 - the Capture closes it
    shutil.copyfileobj(file, spool, 1 << 20)
    spool.flush()
    return spool


class Capture:
    """A capture file (classic pcap, pcapng) as a source; "-" is standard input.

    Raises CaptureError if it cannot be opened, FormatError (with the octet offset) when it is not a capture or is
    broken: while reading, after the packets before the fault.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.interface = self.path  # names the source in the counters
        self._file = _open(self.path)
        if os.fstat(self._file.fileno()).st_size == 0:
            raise FormatError(f"{self.path} is empty", "not a capture file")
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_COPY)
        self.source = _core.CaptureSource(self._map)

    def close(self) -> None:
        """Unmap and close.  Idempotent."""
        self.source.close()
        self._map.close()
        if self._file is not sys.stdin.buffer:
            self._file.close()

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
