"""Wait until the kernel says that something has become of an interface (rtnetlink's link group).

What it says is not trusted to be complete: events get lost when many come at once.  It is a reason to look now instead
of at the next tick; who listens looks from time to time as well.  Needs no privilege.

Source: rtnetlink(7).
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable, Collection, Iterator
from typing import Final

from pktmend._kernel import lib
from pktmend.host.netlink import HEADER, attributes, text

RTMGRP_LINK: Final = 1
ROOM: Final = 1 << 16
OF_LINKS: Final = 16, 17  # RTM_NEWLINK, RTM_DELLINK: struct ifinfomsg follows
IFINFO: Final = struct.Struct("=BxHiII")


class LinkEvents:
    """A socket that hears of the interfaces of the calling thread's namespace; a context manager.

    numbers: called to learn which interfaces count; without those numbers, and for a new interface, wait() goes on.
    """

    def __init__(self, numbers: Callable[[], Collection[int]]) -> None:
        self._numbers = numbers
        self._known: set[int] = set()
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, RTMGRP_LINK))
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def wait(self, seconds: float) -> bool:
        """Let so much time pass, less if an interface that counts has changed or a new one is there; did one?"""
        return bool(self._poll.poll(seconds * 1000)) and self._read()

    def _read(self) -> bool:
        """Read all that is there."""
        seen: set[int] = set()
        while True:
            try:
                data = self._socket.recv(ROOM)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: some were lost
                return True
            seen |= _indexes(data)
        is_new = bool(seen - self._known)
        self._known |= seen
        return is_new or not seen.isdisjoint(self._numbers())

    def close(self) -> None:
        """Close the socket.  Idempotent."""
        self._socket.close()

    def __enter__(self) -> LinkEvents:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _indexes(data: bytes) -> set[int]:
    """The interfaces that a datagram of messages is about."""
    found, at = set(), 0
    while at + HEADER.size + 8 <= len(data):
        length, kind, _, _, _ = HEADER.unpack_from(data, at)
        if length < HEADER.size:
            break
        if kind in OF_LINKS:
            found.add(struct.unpack_from("=i", data, at + HEADER.size + 4)[0])
        at += (length + 3) & ~3
    return found


def names_told(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield (number, name) of the interfaces that messages of the link group are about, in the order of the changes."""
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, _, _, _ = HEADER.unpack_from(data, at)
        body = data[at + HEADER.size : at + length]
        if kind in OF_LINKS and len(body) >= IFINFO.size:
            name = text(attributes(body[IFINFO.size :]).get(lib.IFLA_IFNAME))
            if name:
                yield IFINFO.unpack_from(body)[2], name
        at += max(HEADER.size, (length + 3) & ~3)
