"""Make folders to write into, so that nobody else chooses where they are: by the rules of pktmend.host.output_path."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import PurePosixPath
from typing import Final

from pktmend.host.output_path import failing, located

PRIVATE: Final = 0o700


def make_folder(path: str, *, mode: int = PRIVATE) -> None:
    """Make *path*, with the folders above it, where they are not there.

    mode: of those that are made, whatever the umask.
    Raises: OSFailure: "cannot write PATH: ...", also where something else has the name, or another user a link there.
    """
    parts = PurePosixPath(path).parts
    for count in range(1, len(parts) + 1):
        each = str(PurePosixPath(*parts[:count]))
        if each not in ("/", ".", ".."):
            _make_one(each, mode)


def _make_one(path: str, mode: int) -> None:
    with located(path) as (folder, name, is_magic), failing(path):
        if is_magic:
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, mode & PRIVATE, dir_fd=folder)
            if mode & ~PRIVATE:
                with contextlib.suppress(OSError):  # a file system without modes
                    os.chmod(name, mode, dir_fd=folder)
            return
        if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
