"""A folder that is ours alone, for what is remembered between two commands: another user's is refused, not used.

Rules of this file:
1. It is opened once; files are made, read and replaced by its descriptor, whatever becomes of its name.
2. Folder and files are checked by descriptor: ours, and nobody else's to write.  No file in it is a symbolic link.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from pktmend.errors import OSFailure, PrivilegeError
from pktmend.host.output_path import located

_HINT = "needs a folder of your own: as root without XDG_STATE_HOME, else set it"


def state_folder() -> Path:
    """Return where this user keeps what has to outlast a command, until the next boot at least.

    /run/pktmend for root, else $XDG_STATE_HOME/pktmend or ~/.local/state/pktmend.  Raises: OSFailure without a home.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    if state.startswith("/"):
        return Path(state) / "pktmend"
    return Path("/run/pktmend") if os.geteuid() == 0 else home() / ".local" / "state" / "pktmend"


def home() -> Path:
    """Return this user's home.  Raises: OSFailure where neither HOME nor the list of users knows one."""
    try:
        return Path.home().absolute()
    except RuntimeError:
        raise OSFailure(f"user {os.geteuid()} has no home", "set HOME", errno.ENOENT) from None


class OwnFolder:
    """The folder *path*, open; a context manager.

    owner: another user whose it may be.
    makes: make it, with the folders above it, if it is not there; without, FileNotFoundError.
    Raises: PrivilegeError if it is another user's, or cannot be made.
    """

    def __init__(self, path: Path, *, makes: bool = True, owner: int | None = None) -> None:
        self.path = path
        self._owners = {os.geteuid(), owner}
        try:
            self._fd = self._find(makes)
        except OSError as error:
            if error.errno == errno.ENOENT and not makes:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
            is_other = error.errno in (errno.ENOTDIR, errno.ELOOP, errno.EEXIST)
            words = "it is no folder" if is_other else getattr(error, "detail", "") or str(error.strerror)
            raise self._refusal(words, error.errno or 0) from error
        try:
            self._require_own(os.fstat(self._fd), path)
            if os.fstat(self._fd).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                os.fchmod(self._fd, 0o700)
        except BaseException:
            os.close(self._fd)
            raise

    def _find(self, makes: bool) -> int:
        if makes:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with located(str(self.path)) as (parent, name, _):
            if makes:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=parent)
            return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)

    def _refusal(self, words: str, number: int) -> PrivilegeError:
        return PrivilegeError(f"cannot use {self.path}: {words}", _HINT, number)

    def _require_own(self, status: os.stat_result, path: Path) -> None:
        if status.st_uid not in self._owners:
            it = "it" if path == self.path else path.name
            raise self._refusal(f"{it} belongs to user {status.st_uid}", errno.EACCES)
        if stat.S_ISREG(status.st_mode) and status.st_nlink != 1:
            raise self._refusal(f"{path.name} has {status.st_nlink} names (hard links)", errno.EACCES)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the lock file *name* for the block."""
        fd = self._open(name, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def read(self, name: str) -> bytes:
        """Return what the file holds.  Raises: FileNotFoundError, PrivilegeError."""
        with os.fdopen(self._open(name, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            return file.read()

    def write(self, name: str, data: bytes) -> None:
        """Replace the file, in one step: a reader sees the old or the new one.  Raises: OSFailure."""
        fresh = f".{name}.{os.urandom(6).hex()}"
        try:
            with os.fdopen(self._open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                file.write(data)
            os.rename(fresh, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        except OSFailure:
            raise
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(fresh, dir_fd=self._fd)
            raise OSFailure(f"cannot write {self.path / name}: {error.strerror}", "", error.errno or 0) from error

    def _open(self, name: str, flags: int) -> int:
        try:
            fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self._fd)
        except FileNotFoundError:
            raise
        except OSError as error:
            words = "a symbolic link" if error.errno == errno.ELOOP else error.strerror
            raise self._refusal(f"{name}: {words}", error.errno or 0) from error
        try:
            self._require_own(os.fstat(fd), self.path / name)
        except BaseException:
            os.close(fd)
            raise
        return fd
