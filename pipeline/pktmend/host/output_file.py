"""Open files to write to, so that nobody else chooses what is overwritten or who reads it.

Rules of this file:
1. No link of another user is followed: see pktmend.host.output_path.
2. In a folder where others can put things, what is there already is written to only if it is ours, root's or the user's
   who called sudo, and has no second name: a hard link there is a way to a file elsewhere.  FIFOs too; devices, which
   only root makes, need no owner.
3. Looked at first, opened without being changed, looked at again by the descriptor; only then cut to length 0.
4. A new file is made with O_EXCL, for its owner alone if nothing else is asked for.  An existing one keeps its mode,
   but others lose what they would not have of a new one.  What they could read before is replaced, not written over:
   they may hold it open.

Source: open(2); proc_sys_fs(5): protected_hardlinks, protected_fifos, protected_regular.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pktmend.host.output_path import failing, is_shared, located, refuse
from pktmend.host.trusted_path import sudo_caller

PRIVATE: Final = 0o600
ATTEMPTS: Final = 20  # somebody who removes and makes the name again all the time gets no further
KEPT: Final = 0o770  # of a file that exists: what others may do is taken away, what its owner and group may stays
_ELSEWHERE: Final = "name another file, in a folder where only you can write"
_PLAIN: Final = os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY


def open_output(path: str, *, mode: int = PRIVATE, append: bool = False, waits: bool = True) -> int:
    """Open *path* to write from its beginning, or behind what is there; return the descriptor.

    mode:  of a file that is made, whatever the umask.
    waits: False: ENXIO for a FIFO that has no reader.
    Raises OSFailure: "cannot write PATH: ...", EACCES where somebody else could have chosen what is there.
    """
    flags = _PLAIN | (os.O_APPEND if append else 0) | (0 if waits else os.O_NONBLOCK)
    for _ in range(ATTEMPTS):
        with located(path) as (folder, name, is_magic), failing(path):
            fd = _open(path, folder, name, flags, mode, is_magic=is_magic)
        if fd is not None:
            if not waits:
                os.set_blocking(fd, True)
            return fd
    return refuse(path, "it changes all the time", _ELSEWHERE)


def check_output(path: str) -> None:
    """Raise OSFailure if open_output() could not open *path* now; nothing is made or changed."""
    with located(path) as (folder, name, is_magic), failing(path):
        found = None if is_magic else _look(folder, name)
        number = 0
        if found is not None and stat.S_ISDIR(found.st_mode):
            number = errno.EISDIR
        elif found is not None:
            _require_ours(path, os.fstat(folder), found)
        if not is_magic and not os.access(name if found else ".", os.W_OK, dir_fd=folder):
            number = number or (errno.EROFS if os.fstatvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES)
        if number:
            raise OSError(number, os.strerror(number))


class Replacement:
    """An empty file beside *path*, for the contents that *path* will have; its links stay links.

    Raises OSFailure where nothing can be made there, or what is there is not to be replaced.
    """

    def __init__(self, path: str, *, mode: int = PRIVATE) -> None:
        self._path = path
        with located(path) as (folder, name, is_magic), failing(path):
            if is_magic:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            old = _look(folder, name)
            if old is not None:
                if not stat.S_ISREG(old.st_mode):
                    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
                _require_ours(path, os.fstat(folder), old)
                mode = stat.S_IMODE(old.st_mode) & (mode | KEPT)
            self._name, self._aside = name, f".{name[:200]}.{os.urandom(6).hex()}"
            self.fd = _make(folder, self._aside, _PLAIN, mode)
            self._folder = os.dup(folder)

    def commit(self) -> None:
        """Put it in the place of *path*.  Raises OSFailure."""
        with failing(self._path), self._closing():
            os.rename(self._aside, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def discard(self) -> None:
        """Remove it."""
        with contextlib.suppress(OSError), self._closing():
            os.unlink(self._aside, dir_fd=self._folder)

    @contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        finally:
            os.close(self._folder)


def write_text(path: str, text: str, *, mode: int = PRIVATE) -> None:
    """Write a whole file, as open_output() opens it.  Raises OSFailure."""
    with failing(path), open(open_output(path, mode=mode), "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)


def usual_mode() -> int:
    """Return the mode that the umask gives to a new file: for what holds nothing private."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def _look(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _require_ours(path: str, folder: os.stat_result, found: os.stat_result) -> None:
    """Refuse what others may have put there for us to write to; see rule 2."""
    if not is_shared(folder) or stat.S_ISDIR(found.st_mode):
        return
    if found.st_nlink != 1:
        refuse(path, f"it has {found.st_nlink} names (hard links) in a folder where others can make one", _ELSEWHERE)
    if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
        return
    if found.st_uid in {0, os.geteuid(), sudo_caller()}:
        return
    if folder.st_mode & stat.S_IWOTH or (os.geteuid() == 0 and found.st_uid != folder.st_uid):
        kind = "FIFO" if stat.S_ISFIFO(found.st_mode) else "file"
        refuse(path, f"this {kind} belongs to user {found.st_uid}, in a folder where others can make one", _ELSEWHERE)


def _make(folder: int, name: str, flags: int, mode: int) -> int:
    fd = os.open(name, flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode & PRIVATE, dir_fd=folder)
    if mode & ~PRIVATE:
        with contextlib.suppress(OSError):  # a file system without modes
            os.fchmod(fd, mode)
    return fd


def _open(path: str, folder: int, name: str, flags: int, mode: int, *, is_magic: bool) -> int | None:
    """Open what a walk has come to; None if it has changed meanwhile."""
    if is_magic:
        fd = os.open(name, flags, dir_fd=folder)
        if stat.S_ISREG(os.fstat(fd).st_mode) and not flags & os.O_APPEND:
            os.ftruncate(fd, 0)
        return fd
    with contextlib.suppress(FileExistsError):
        return _make(folder, name, flags, mode)
    found = _look(folder, name)
    if found is None or stat.S_ISLNK(found.st_mode):
        return None
    shared = os.fstat(folder)
    _require_ours(path, shared, found)
    too_much = stat.S_IMODE(found.st_mode) & ~(mode | KEPT)
    is_whole = stat.S_ISREG(found.st_mode) and not flags & os.O_APPEND
    if is_whole and too_much and found.st_nlink == 1 and found.st_uid == os.geteuid():
        with contextlib.suppress(OSError):  # the folder is not ours to change
            os.unlink(name, dir_fd=folder)
            return None
    try:
        fd = os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return None
        raise
    try:
        found = os.fstat(fd)
        _require_ours(path, shared, found)
        if stat.S_ISREG(found.st_mode):
            if too_much := stat.S_IMODE(found.st_mode) & ~(mode | KEPT):
                with contextlib.suppress(OSError):  # its owner decides
                    os.fchmod(fd, stat.S_IMODE(found.st_mode) & ~too_much)
            if not flags & os.O_APPEND:
                os.ftruncate(fd, 0)
    except BaseException:
        os.close(fd)
        raise
    return fd
