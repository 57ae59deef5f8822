"""Whose code may run here: a file is trusted if only its owner, root and we can change or replace it.

Rules of this file:
1. A path is walked from the root by descriptors, link by link; what was looked at is what is opened.
2. Every directory on the way, every symbolic link and the file belong to root, to us or to the user who called sudo.
3. None of them is writable for others.  A directory with the sticky bit (/tmp) may be: each keeps what is his there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pktmend.errors import ConfigError, OSFailure

MOST_LINKS: Final = 40  # as the kernel
LONGEST: Final = 16 << 20  # bytes of a source or of settings


def require_trusted(path: Path, what: str, *, may_be_shared: bool = True) -> Path:
    """Return *path* without its symbolic links, if only trusted users can put something else there.

    may_be_shared: its own directory may be one with the sticky bit, where others can put files beside it.
    Raises: ConfigError that names *what*, the place, and its owner or mode; OSFailure if there is nothing.
    """
    with open_trusted(path, what, may_be_shared=may_be_shared) as (_, real):
        return real


def read_trusted(path: Path, what: str) -> bytes:
    """Return the contents of a trusted file; raises as require_trusted()."""
    with open_trusted(path, what) as (fd, _):
        found = b""
        while (data := os.read(fd, 1 << 20)) and len(found) <= LONGEST:
            found += data
    if len(found) > LONGEST:
        raise ConfigError(f"{what}: {path} is longer than {LONGEST >> 20} MiB")
    return found


@contextmanager
def open_trusted(path: Path, what: str, *, may_be_shared: bool = True) -> Iterator[tuple[int, Path]]:
    """Open a trusted file to read; yield its descriptor, and its path without symbolic links."""
    fd, real = _walk(path, what, may_be_shared=may_be_shared)
    try:
        yield fd, real
    finally:
        os.close(fd)


def _walk(path: Path, what: str, *, may_be_shared: bool) -> tuple[int, Path]:
    names = list(reversed(path.absolute().parts[1:]))
    place = Path("/")
    folders = [_open("/", os.O_PATH | os.O_DIRECTORY, what, place)]
    links = 0
    try:
        while True:
            _require_ours(os.fstat(folders[-1]), what, place)
            name = names.pop() if names else "."
            if name in (".", ".."):
                if not names and name == ".":
                    raise OSFailure(f"{what}: {path}: {os.strerror(errno.EISDIR)}", error=errno.EISDIR)
                if name == ".." and len(folders) > 1:
                    os.close(folders.pop())
                    place = place.parent
                continue
            place = place / name
            at = _open(name, os.O_PATH | os.O_NOFOLLOW, what, place, folders[-1])
            status = os.fstat(at)
            if stat.S_ISLNK(status.st_mode):
                os.close(at)
                links += 1
                if links > MOST_LINKS:
                    raise OSFailure(f"{what}: {path}: {os.strerror(errno.ELOOP)}", error=errno.ELOOP)
                _require_owner(status, what, place)
                target = Path(os.readlink(name, dir_fd=folders[-1]))
                names += reversed(target.parts[target.is_absolute() :])
                place = place.parent
                if target.is_absolute():
                    place = Path("/")
                    while len(folders) > 1:
                        os.close(folders.pop())
            elif stat.S_ISDIR(status.st_mode):
                folders.append(at)
            else:
                os.close(at)
                if not may_be_shared:
                    _require_ours(os.fstat(folders[-1]), what, place.parent, may_be_shared=False)
                return _open_file(name, status, what, place, folders[-1], names), place
    finally:
        for folder in folders:
            os.close(folder)


def _open_file(name: str, seen: os.stat_result, what: str, place: Path, folder: int, left: list[str]) -> int:
    """Open what the walk has come to, if it is a regular file of ours."""
    if left or not stat.S_ISREG(seen.st_mode):
        kind = errno.ENOTDIR if left else errno.EINVAL
        raise OSFailure(f"{what}: {place} is no regular file", error=kind)
    fd = _open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, what, place, folder)
    try:
        _require_ours(os.fstat(fd), what, place)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _open(name: str, flags: int, what: str, place: Path, folder: int | None = None) -> int:
    try:
        return os.open(name, flags | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise OSFailure(f"{what}: {place}: {error.strerror}", error=error.errno or 0) from None


def sudo_caller() -> int:
    """Return the user who called sudo, if we are root by it; else our own."""
    caller = os.environ.get("SUDO_UID", "") if os.geteuid() == 0 else ""
    return int(caller) if caller.isascii() and caller.isdigit() else os.geteuid()


def _trusted_users() -> set[int]:
    """Root, we, and if we are root by sudo, the user who asked for that."""
    return {0, os.geteuid(), sudo_caller()}


def _require_owner(status: os.stat_result, what: str, place: Path) -> None:
    if status.st_uid not in _trusted_users():
        raise ConfigError(
            f"{what}: {place} belongs to user {status.st_uid}",
            "code is loaded from files and directories of root, of the user who runs it, or of the one who called sudo",
        )


def is_writable_by_others(status: os.stat_result) -> bool:
    """May others than the owner write: everybody, or a group that is not root's or, unless we are root, our own?"""
    if status.st_mode & stat.S_IWGRP and status.st_gid not in ({0, os.getegid()} if os.geteuid() else {0}):
        return True
    return bool(status.st_mode & stat.S_IWOTH)


def _require_ours(status: os.stat_result, what: str, place: Path, *, may_be_shared: bool = True) -> None:
    _require_owner(status, what, place)
    is_open = is_writable_by_others(status)
    is_sticky = may_be_shared and stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if is_open and not is_sticky:
        who = "everybody" if status.st_mode & stat.S_IWOTH else f"group {status.st_gid}"
        raise ConfigError(
            f"{what}: {who} may write to {place} (mode {stat.S_IMODE(status.st_mode):04o})",
            f"code is loaded from trusted places only: chmod {'o' if who == 'everybody' else 'g'}-w {place}",
        )
