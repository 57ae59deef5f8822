"""Where a path leads that is written to: walked by descriptors, so that what was looked at is what is used.

Rule of this file: a symbolic link on the way is followed if it is ours or root's, no other, whatever the folder; and in
a folder where others can put things, only if it has no second name.

Source: symlink(7); proc_sys_fs(5), protected_symlinks, which asks for less.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NoReturn

from pktmend.errors import OSFailure
from pktmend.host.trusted_path import MOST_LINKS, is_writable_by_others


@contextmanager
def failing(path: str) -> Iterator[None]:
    try:
        yield
    except OSFailure:
        raise
    except OSError as error:
        raise OSFailure(f"cannot write {path or repr(path)}: {error.strerror}", "", error.errno or 0, path) from error
    except ValueError as error:  # a NUL, or a letter that this locale has no bytes for
        raise OSFailure(f"cannot write {path!r}: {error}", "", errno.EINVAL, path) from error


def refuse(path: str, what: str, hint: str) -> NoReturn:
    raise OSFailure(f"cannot write {path}: {what}", hint, errno.EACCES, path)


@contextmanager
def located(path: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the folder that *path* leads to, a name in it that is no link, and if that is one of the kernel's own.

    Those are links of /proc that no text describes: /proc/self/fd/1, where /dev/stdout leads.
    """
    with failing(path):
        if not path or path.endswith("/"):
            number = errno.EISDIR if path else errno.ENOENT
            raise OSError(number, os.strerror(number))
        names = list(reversed(PurePosixPath(path).parts)) or ["."]
        folder = _folder("/" if names[-1].startswith("/") else ".")
        folder, name, is_magic = _walk(path, names, folder)
    try:
        yield folder, name, is_magic
    finally:
        os.close(folder)


def _walk(path: str, names: list[str], folder: int) -> tuple[int, str, bool]:
    """Go through *names*, the last one first, from *folder*, which is closed where another is returned, or an error."""
    links = 0
    try:
        while True:
            name = names.pop()
            if name.startswith("/"):
                folder = _enter(folder, "/")
                continue
            try:
                at = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            except FileNotFoundError:
                if names:
                    raise
                return folder, name, False
            try:
                status = os.fstat(at)
                is_magic = False
                if stat.S_ISLNK(status.st_mode):
                    links += 1
                    if links > MOST_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                    _require_own_link(path, os.fstat(folder), status)
                    is_magic = _is_of_proc(status)
                    if not is_magic:
                        names += reversed(PurePosixPath(os.readlink("", dir_fd=at)).parts)
                        continue
            finally:
                os.close(at)
            if not names:
                return folder, name, is_magic
            folder = _enter(folder, name, follow=is_magic)
    except BaseException:
        os.close(folder)
        raise


def _folder(name: str, folder: int | None = None, flags: int = 0) -> int:
    return os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | flags, dir_fd=folder)


def _enter(folder: int, name: str, *, follow: bool = False) -> int:
    inner = _folder(name, folder, 0 if follow else os.O_NOFOLLOW)
    os.close(folder)
    return inner


def _is_of_proc(status: os.stat_result) -> bool:
    try:
        return Path("/proc/self").lstat().st_dev == status.st_dev
    except OSError:
        return False


def _require_own_link(path: str, folder: os.stat_result, link: os.stat_result) -> None:
    """Of root, or ours, and where others can put things, with no second name: links can be hard links as well."""
    if link.st_uid in {0, os.geteuid()} and (link.st_nlink == 1 or not is_shared(folder)):
        return
    if link.st_uid == folder.st_uid and not folder.st_mode & (stat.S_IWOTH | stat.S_IWGRP) and _is_outside(link.st_uid):
        return
    owner = f"user {link.st_uid}" if link.st_uid not in {0, os.geteuid()} else "somebody"
    refuse(path, f"{owner} has put a symbolic link there", "name the file that it leads to, or remove it")


def _is_outside(user: int) -> bool:
    """In a user namespace: does this number stand for all whom it does not have?"""
    try:
        unmapped = int(Path("/proc/sys/kernel/overflowuid").read_text())
        ids = sum(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    except (OSError, ValueError):
        return False
    return user == unmapped and ids < (1 << 32) - 1


def is_shared(folder: os.stat_result) -> bool:
    """Can others than root and we put something there?"""
    return folder.st_uid not in {0, os.geteuid()} or is_writable_by_others(folder)
