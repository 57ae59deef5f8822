"""Where files of rows go: below a folder of this machine, or a URL; each is there whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO, Protocol

from pktmend.host.output_file import Replacement
from pktmend.host.output_folder import make_folder
from pktmend.host.output_path import failing
from pktmend.packetio.urls import is_url, put_url, remove_url


class Part(Protocol):
    """A file that is to be."""

    def open(self) -> IO[bytes]:
        """Return where its bytes go.  Raises: OSFailure."""

    def commit(self) -> None:
        """Put it in its place.  Raises: OSFailure."""

    def discard(self) -> None:
        """Leave its place as it was."""

    def remove(self) -> bool:
        """Remove what is in its place; was there something?"""


def part_in(folder: str, below: str, name: str) -> Part:
    """Return the file *name* in the folder *below* of *folder*."""
    path = f"{folder}/{below}/{name}"
    return _Remote(path) if is_url(folder) else _Local(path)


class _Local:
    def __init__(self, path: str) -> None:
        self._path = path
        self._aside: Replacement | None = None
        self._file: IO[bytes] | None = None

    def open(self) -> IO[bytes]:
        make_folder(os.path.dirname(self._path))  # noqa: PTH120 - as it is written
        self._aside = Replacement(self._path)
        self._file = os.fdopen(self._aside.fd, "wb", buffering=0)
        return self._file

    def commit(self) -> None:
        assert self._file is not None and self._aside is not None
        with failing(self._path):
            self._file.close()
        self._aside.commit()

    def discard(self) -> None:
        if self._file is not None and self._aside is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._aside.discard()

    def remove(self) -> bool:
        with failing(self._path), contextlib.suppress(FileNotFoundError):
            Path(self._path).unlink()
            return True
        return False


class _Remote:
    """A store takes a whole file: it is made here first."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._file: IO[bytes] | None = None

    def open(self) -> IO[bytes]:
        self._file = tempfile.NamedTemporaryFile(prefix="pktmend-rows-")  # noqa: SIM115 - closed at the end
        return self._file

    def commit(self) -> None:
        assert self._file is not None
        self._file.flush()
        put_url(self._file.name, self._url)
        self.discard()

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()

    def remove(self) -> bool:
        return remove_url(self._url)
