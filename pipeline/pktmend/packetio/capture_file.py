"""The files that captures are read from and written to, and the formats that their names ask for."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from pathlib import Path
from typing import IO, Final

from pktmend.errors import OSFailure

PCAP: Final = "pcap"
PCAPNG: Final = "pcapng"


def open_file(path: str, mode: str) -> IO[bytes]:
    """Open *path* to read ("rb") or to write ("wb"); "-" is standard input or output.  Raises: OSFailure."""
    if path == "-":
        return standard_input() if mode == "rb" else standard_output()
    try:
        return open(path, mode, opener=_open_at_once if mode == "rb" else None)
    except OSError as error:
        verb = "read" if mode == "rb" else "write"
        raise OSFailure(f"cannot {verb} {path or repr(path)}: {error.strerror}", "", error.errno or 0, path) from error


def standard_input() -> IO[bytes]:
    """Return standard input, or raise OSFailure if it was closed before this process began."""
    if sys.stdin is None:
        raise OSFailure("cannot read -: standard input is closed", "", errno.EBADF)
    return sys.stdin.buffer


def standard_output() -> IO[bytes]:
    """Return standard output, or raise OSFailure if it was closed before this process began."""
    if sys.stdout is None:
        raise OSFailure("cannot write -: standard output is closed", "", errno.EBADF)
    return sys.stdout.buffer


def _open_at_once(path: str, flags: int) -> int:
    """Open a file; a FIFO without waiting for a writer, which would let no signal through: its reader polls."""
    fd = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(fd, True)
    return fd


def file_beside(path: str) -> str:
    """Make an empty file in the folder of *path* and return its name, for the contents that *path* will have.

    Returns "" where *path* cannot be replaced, or is more than a file: it is a device, a pipe or standard output, or
    nothing can be made in its folder.
    """
    target = Path(path).resolve()
    with contextlib.suppress(OSError):
        mode = stat.S_IMODE(target.stat().st_mode) if target.is_file() else None
        if path == "-" or (mode is None and target.exists()):
            return ""
        name = target.with_name(f".{target.name}.{os.getpid()}")
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            if mode is not None:
                os.fchmod(fd, mode)
        finally:
            os.close(fd)
        return str(name)
    return ""


def format_of(path: str) -> str:
    """Return the format that a file name asks for: PCAPNG, PCAP, or "" for no opinion."""
    return {".pcapng": PCAPNG, ".pcap": PCAP, ".cap": PCAP}.get(Path(path).suffix.lower(), "")
