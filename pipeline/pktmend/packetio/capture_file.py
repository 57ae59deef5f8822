"""The files that captures are read from and written to, and the formats that their names ask for."""

from __future__ import annotations

import errno
import os
import sys
from typing import IO, Final

from pktmend.errors import OSFailure
from pktmend.packetio.urls import is_url, open_url

PCAP: Final = "pcap"
PCAPNG: Final = "pcapng"


def open_input(path: str) -> IO[bytes]:
    """Open *path*, or what has it as a URL, to read; "-" is standard input.  Raises: OSFailure."""
    if path == "-":
        return standard_input()
    if is_url(path):
        return open_url(path)
    try:
        return open(path, "rb", opener=_open_at_once)
    except OSError as error:
        raise OSFailure(f"cannot read {path or repr(path)}: {error.strerror}", "", error.errno or 0, path) from error
    except ValueError as error:  # a NUL, or a letter that this locale has no bytes for
        raise OSFailure(f"cannot read {path!r}: {error}", "", errno.EINVAL, path) from error


def open_capture_output(path: str, *, mode: int, append: bool = False) -> IO[bytes]:
    """Open *path* to write, unbuffered, as open_output() does it; "-" is standard output.  Raises: OSFailure."""
    if path == "-":
        return standard_output()
    from pktmend.host.output_file import open_output  # here: most captures are only read

    return open(
        path,
        "ab" if append else "wb",
        buffering=0,
        opener=lambda name, _: open_output(name, mode=mode, append=append),
    )


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


def format_of(path: str) -> str:
    """Return the format that a file name asks for: PCAPNG, PCAP, or "" for no opinion."""
    from pathlib import Path  # a while to load

    return {".pcapng": PCAPNG, ".pcap": PCAP, ".cap": PCAP}.get(Path(path).suffix.lower(), "")
