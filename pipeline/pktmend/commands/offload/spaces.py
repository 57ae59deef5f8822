"""The namespaces that a policy watches: found by what is heard, known by inode, and by number in the kernel's events.

No namespace is held open: one that ends, ends.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from pktmend.errors import PrivilegeError
from pktmend.host.namespace_news import NOT_HERE
from pktmend.host.namespaces import Namespace, list_namespaces, mounted_namespaces, own_namespace
from pktmend.host.rtnetlink import give_nsid, read_nsid

AGAIN: Final = 1.0  # seconds after which a process that was started is looked at again: it may have moved since
BETWEEN_SCANS: Final = 0.3
SCANS: Final = 3  # after so many a number without a namespace is unreachable
MOST_PIDS: Final = 10_000


class Spaces:
    """Known namespaces; a number is that by which ours knows another, NOT_HERE for ours."""

    def __init__(self) -> None:
        self._known: dict[int, Namespace] = {}
        self._numbers: dict[int, int] = {}  # number: inode
        self._missed: dict[int, int] = {}  # number: scans that did not find it
        self._unreachable: list[int] = []
        self._again: list[tuple[float, set[int]]] = []
        self._lost: set[int] = set()  # whose path leads there no more
        self._scanned = self._mounted = 0.0
        self._is_mounted = False

    def __len__(self) -> int:
        return len(self._known)

    def inodes(self) -> list[int]:
        """Return all that are known."""
        return list(self._known)

    def inode_of(self, number: int) -> int | None:
        """Return the namespace of that number."""
        return self._numbers.get(number)

    def number_of(self, inode: int) -> int | None:
        """Return the number of a namespace."""
        return next((number for number, each in self._numbers.items() if each == inode), None)

    def namespace_of(self, inode: int) -> Namespace | None:
        """Return what is known of a namespace."""
        return self._known.get(inode)

    def miss(self, number: int) -> None:
        """Something was heard of a namespace that is not known."""
        self._missed.setdefault(number, 0)

    def lose_way(self, inode: int) -> None:
        """It cannot be entered by its path; another may be found."""
        self._lost.add(inode)

    def wants_scan(self, now: float) -> bool:
        """Is there a reason to look at all processes, and was that not only just done?"""
        is_wanted = bool(self._lost) or any(n < SCANS for n in self._missed.values())
        return is_wanted and now - self._scanned >= BETWEEN_SCANS

    def unreachable(self) -> list[int]:
        """Return numbers that nothing leads to, each once."""
        found, self._unreachable = self._unreachable, []
        return found

    def forget(self, number: int) -> int | None:
        """A namespace has ended; return its inode if it was known, and its number is not another's by now."""
        self._missed.pop(number, None)
        inode = self._numbers.get(number)
        if inode is not None and self._is_numbered(self._known[inode]):
            return None
        self._numbers.pop(number, None)
        if inode is not None:
            self._known.pop(inode, None)
            self._lost.discard(inode)
        return inode

    def scan(self) -> list[int]:
        """Look at all names, mounts and processes; return the namespaces that are new or found again."""
        self._scanned = time.monotonic()
        fresh = []
        for namespace in list_namespaces().found:
            if namespace.inode in self._known and self._is_numbered(namespace):
                self._known[namespace.inode] = namespace
                if namespace.inode in self._lost:
                    fresh.append(namespace.inode)
            elif self._add(namespace):
                fresh.append(namespace.inode)
        self._lost.clear()
        for number in list(self._missed):
            if number in self._numbers:
                del self._missed[number]
                continue
            self._missed[number] += 1
            if self._missed[number] == SCANS:
                self._unreachable.append(number)
        return fresh

    def hear(self, pids: Collection[int], *, mounts: bool) -> list[int]:
        """Look at processes that were started, now and a moment later, and at mounts; return what is new."""
        now = time.monotonic()
        due = [each for each in self._again if each[0] <= now]
        self._again = [each for each in self._again if each[0] > now]
        found = [inode for inode in (self._look_at(pid) for pid in {*pids, *(p for _, s in due for p in s)}) if inode]
        if pids and sum(len(s) for _, s in self._again) < MOST_PIDS:
            self._again.append((now + AGAIN, {pid for pid in pids if Path(f"/proc/{pid}").exists()}))
        self._is_mounted |= mounts
        if self._is_mounted and now - self._mounted >= BETWEEN_SCANS:
            self._is_mounted, self._mounted = False, now
            found += [each.inode for each in mounted_namespaces() if self._is_news(each)]
        return found

    def namespaces(self, inodes: Iterable[int]) -> list[Namespace]:
        """Return what is known of several."""
        return [self._known[inode] for inode in inodes if inode in self._known]

    def _is_news(self, namespace: Namespace) -> bool:
        """Know a namespace by its name or mount; was it not known, or not by that?  Rules may ask for it."""
        known = self._known.get(namespace.inode)
        if known is None or not self._is_numbered(namespace):
            return self._add(namespace)
        self._known[namespace.inode] = replace(namespace, pids=known.pids)
        return (known.name, known.mount) != (namespace.name, namespace.mount)

    def _look_at(self, pid: int) -> int | None:
        path = f"/proc/{pid}/ns/net"
        try:
            inode = Path(path).stat().st_ino
        except OSError:
            return None  # it has ended
        if inode in self._known:
            return None
        namespace = Namespace(inode, path, pids=(pid,), is_own=inode == own_namespace().inode)
        return inode if self._add(namespace) else None

    def _is_numbered(self, namespace: Namespace) -> bool:
        """Is it still the one of that inode?  One that has ended takes its number along."""
        if namespace.is_own:
            return True
        with suppress(OSError):
            number = read_nsid(namespace.path)
            return number >= 0 and self._numbers.get(number) == namespace.inode
        return False

    def _add(self, namespace: Namespace) -> bool:
        """Know it, and have events of it; False if it has gone meanwhile."""
        if namespace.is_own:
            self._numbers[NOT_HERE] = namespace.inode
            if (number := read_nsid(namespace.path)) >= 0:  # events of ours have it too, then
                self._numbers[number] = namespace.inode
        else:
            try:
                self._numbers[self._numbered(namespace)] = namespace.inode
            except PermissionError as error:
                raise PrivilegeError(
                    "hearing of links in other namespaces", "needs CAP_NET_ADMIN and CAP_SYS_PTRACE", errno.EPERM
                ) from error
            except OSError:
                return False
        self._known[namespace.inode] = namespace
        return True

    def _numbered(self, namespace: Namespace) -> int:
        """Give it a number, if what its path leads to is still that namespace."""
        descriptor = os.open(namespace.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_ino != namespace.inode:
                raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
            number = give_nsid(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        if number < 0:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return number
