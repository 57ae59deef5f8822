"""The checksum errors of every network namespace of this machine, and by how much they rise.

A namespace with a process is read by /proc/PID/net, which takes no privilege and no thread; others are entered.

Rules of this file:
1. A namespace that comes while it is watched is found, and everything that it has counted is a rise.
2. What cannot be read is named, never guessed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from pktmend.errors import PktmendError, PrivilegeError
from pktmend.host.namespaces import Namespace, call, list_namespaces
from pktmend.host.snmp import read_checksum_errors

LOOK_FOR_NEW: Final = 1.0  # seconds between two lists of namespaces: each looks at every process
SHARE: Final = 10  # of the time, one part in so many goes into reading
TRIED: Final = 3  # processes of a namespace that are asked; the others may have ended, too

Counters = dict[str, int]


class DropCounters:
    """All namespaces' checksum errors since this was made.

    namespaces: {inode: Namespace} of those that are read.     closed: those that are not, and why.
    known:      all that there were.
    """

    def __init__(self) -> None:
        self.namespaces: dict[int, Namespace] = {}
        self.known: dict[int, Namespace] = {}
        self.closed: dict[int, tuple[Namespace, str]] = {}
        self.unreadable = 0
        self._first: dict[int, Counters] = {}
        self._last: dict[int, Counters] = {}
        self._cost = 0.0
        self._listed = self._read = 0.0
        self._list(is_first=True)

    def _list(self, *, is_first: bool = False) -> None:
        listing = list_namespaces()
        self._listed = time.monotonic()
        self.unreadable = listing.unreadable
        found = {each.inode: each for each in listing.found}
        self.known |= found
        for inode, namespace in found.items():
            self.namespaces[inode] = namespace
            if inode not in self._first:
                counters = self._counters(namespace)
                if counters is not None:
                    self._first[inode] = counters if is_first else dict.fromkeys(counters, 0)
        for inode in self.namespaces.keys() - found.keys():  # its last reading stays
            del self.namespaces[inode]

    @property
    def is_due(self) -> bool:
        """Has enough time passed for another reading, so that they take no more than their share?"""
        return time.monotonic() - self._read >= self._cost * SHARE

    def read(self) -> dict[int, Counters]:
        """Return {inode: {counter: by how much}} of what rose since the last call."""
        began = time.monotonic()
        if began - self._listed > max(LOOK_FOR_NEW, self._cost * SHARE):
            self._list()
        rose: dict[int, Counters] = {}
        for inode, namespace in list(self.namespaces.items()):
            now = self._counters(namespace)
            if now is None:
                continue
            before = self._last.get(inode) or self._first.get(inode) or dict.fromkeys(now, 0)
            rise = risen(before, now)
            if rise:
                rose[inode] = rise
            self._last[inode] = now
        self._read = time.monotonic()
        self._cost = self._read - began
        return rose

    def total(self) -> dict[int, Counters]:
        """Return the same of what rose since this was made, as last read."""
        rises = {inode: risen(self._first.get(inode, {}), now) for inode, now in self._last.items()}
        return {inode: rise for inode, rise in rises.items() if rise}

    def _counters(self, namespace: Namespace) -> Counters | None:
        for pid in namespace.pids[:TRIED]:
            try:
                folder = Path(f"/proc/{pid}")
                found = read_checksum_errors(folder / "net")
                if (folder / "ns" / "net").stat().st_ino == namespace.inode:  # it may have moved, or be another by now
                    return found
            except OSError:
                continue
        try:
            found = call(namespace, read_checksum_errors)
        except PrivilegeError:
            self.closed[namespace.inode] = namespace, "entering a namespace needs CAP_SYS_ADMIN"
        except (PktmendError, OSError):
            return None  # it is gone
        else:
            self.closed.pop(namespace.inode, None)
            return found
        return None


def risen(before: Counters, now: Counters) -> Counters:
    """Return by how much each counter rose, without those that did not."""
    return {name: n - before.get(name, 0) for name, n in now.items() if n > before.get(name, 0)}
