"""An interface belongs to one bridge: a lock that lasts as long as the process that holds it.

It is an abstract unix socket named after the interface's number.  Such names belong to the network namespace, as the
numbers do, so a lock is seen from every container that shares the namespace; a renamed interface keeps its number;
and the kernel takes the name back whatever ends the process.  Needs no privilege.

Source: unix(7).
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from typing import Final

from pktmend.errors import OSFailure

TAKEN: Final = {"bridge": "bridged", "isolation": "isolated"}
BACKLOG: Final = 4096  # nothing accepts: each refused start takes a place


class InterfaceLock:
    """The lock on interface number *index* for *purpose* (of TAKEN).

    name:    of the interface, for the error.
    patience: seconds to wait for a holder that is about to end.
    Raises:  OSFailure (EBUSY) that names the process that holds it.
    """

    def __init__(self, purpose: str, index: int, name: str, *, patience: float = 0) -> None:
        self._purpose = purpose
        self.index = index
        deadline = time.monotonic() + patience
        while (taken := _bind(purpose, index)) is None:
            if time.monotonic() >= deadline:
                pid = holder(purpose, index)
                by = f" by process {pid}" if pid else ""
                raise OSFailure(f"interface {name!r} is {TAKEN[purpose]} already{by}", "", errno.EBUSY, name)
            time.sleep(0.02)
        self._socket = taken

    def move(self, index: int) -> bool:
        """Exchange it for the lock on another number; False, and the old one is kept, if that is taken."""
        if index == self.index:
            return True
        taken = _bind(self._purpose, index)
        if taken is None:
            return False
        self._socket.close()
        self._socket, self.index = taken, index
        return True

    def close(self) -> None:
        """Give it up.  Idempotent."""
        self._socket.close()

    def __enter__(self) -> InterfaceLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _address(purpose: str, index: int) -> bytes:
    return f"\0pktmend.{purpose}.{index}".encode()


def _bind(purpose: str, index: int) -> socket.socket | None:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        s.bind(_address(purpose, index))
        s.listen(BACKLOG)
    except OSError as error:
        s.close()
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return s


def holder(purpose: str, index: int) -> int:
    """Return the process that holds the lock, 0 if that cannot be found out (it is in another pid namespace, say)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.setblocking(False)
        try:
            s.connect(_address(purpose, index))
            return int(struct.unpack("=iII", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])
        except OSError:
            return 0
