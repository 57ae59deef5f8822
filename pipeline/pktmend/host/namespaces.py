"""Network namespaces of this machine: list them, enter one, and say how a person reaches it.

Rules of this file:
1. A namespace is its inode: a name in /run/netns, a bind mount and a process are ways to the same one.
2. Code runs in another namespace on a thread of its own that ends afterwards; the caller's thread never moves.
3. What could not be read is counted, never guessed.

Source: network_namespaces(7), ip-netns(8), setns(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import shlex
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from pktmend._kernel import lib
from pktmend.errors import OSFailure, PrivilegeError

T = TypeVar("T")
NAMED: Final = Path("/run/netns")
OWN: Final = "/proc/thread-self/ns/net"


@dataclass(frozen=True)
class Namespace:
    """One network namespace and the ways to reach it.

    inode:  its identity on this machine, as `readlink /proc/PID/ns/net` shows it.
    path:   a file to enter it by.
    name:   of /run/netns, as `ip netns` knows it; else empty.
    mount:  a bind mount elsewhere (container runtimes make some); else empty.
    pids:   processes in it, lowest first; empty if only a name or a mount keeps it.
    is_own: the caller was in it when it was listed.
    """

    inode: int
    path: str
    name: str = ""
    mount: str = ""
    pids: tuple[int, ...] = ()
    is_own: bool = False

    @property
    def prefix(self) -> str:
        """What to put before a command, so that it runs in here: empty for our own, else `ip netns exec NAME` or so."""
        if self.is_own:
            return ""
        if self.name:
            return f"ip netns exec {shlex.quote(self.name)}"
        if self.mount:
            return f"nsenter --net={shlex.quote(self.mount)}"
        if self.pids:
            return f"nsenter -t {self.pids[0]} -n"
        return f"nsenter --net={shlex.quote(self.path)}"

    def command(self, words: str) -> str:
        """Return the shell command that does *words* in here."""
        return f"{self.prefix} {words}" if self.prefix else words

    @property
    def word(self) -> str:
        """What `--netns` takes to mean this one: its name, a process id or a path; empty for our own."""
        if self.is_own:
            return ""
        return self.name or self.mount or (str(self.pids[0]) if self.pids else self.path)

    @property
    def label(self) -> str:
        """A name for people: `this`, `netns a`, `pid 4711 (nginx)`."""
        if self.is_own:
            return "this"
        if self.name:
            return f"netns {self.name}"
        if self.pids:
            return f"pid {self.pids[0]} ({program_of(self.pids[0]) or '?'})"
        return self.mount or self.path


@dataclass(frozen=True)
class Listing:
    """All namespaces found, our own first, and how many processes could not be read."""

    found: tuple[Namespace, ...]
    unreadable: int

    @property
    def own(self) -> Namespace:
        """The caller's."""
        return self.found[0]


def own_namespace() -> Namespace:
    """Return the namespace of the calling thread."""
    return Namespace(Path(OWN).stat().st_ino, OWN, is_own=True, pids=(os.getpid(),))


def list_namespaces() -> Listing:
    """Return every network namespace that has a name, a mount or a process we may look at."""
    own = own_namespace().inode
    names: dict[int, str] = {}
    mounts: dict[int, str] = {}
    pids: dict[int, list[int]] = {}
    for path in _mounts():
        try:
            inode = Path(path).stat().st_ino
        except OSError:
            continue  # hidden by another mount, or gone
        if Path(path).parent.resolve() == NAMED.resolve():
            names.setdefault(inode, Path(path).name)
        else:
            mounts.setdefault(inode, path)
    unreadable = 0
    for pid in processes():
        try:
            pids.setdefault(Path(f"/proc/{pid}/ns/net").stat().st_ino, []).append(pid)
        except PermissionError:
            unreadable += 1
        except OSError:
            continue  # it ended
    everything = {own, *names, *mounts, *pids}
    found = [_make(inode, own, names, mounts, pids) for inode in everything]
    found.sort(key=lambda n: (not n.is_own, not n.name, n.name, n.pids, n.mount))
    return Listing(tuple(found), unreadable)


def _make(inode: int, own: int, names: dict[int, str], mounts: dict[int, str], pids: dict[int, list[int]]) -> Namespace:
    name, mount, processes = names.get(inode, ""), mounts.get(inode, ""), tuple(pids.get(inode, ()))
    if inode == own:
        path = f"/proc/{os.getpid()}/ns/net" if os.getpid() in processes else OWN
    else:
        path = str(NAMED / name) if name else mount or f"/proc/{processes[0]}/ns/net"
    return Namespace(inode, path, name, mount, processes, inode == own)


def _mounts() -> list[str]:
    """Return where network namespaces are bind-mounted (field 5 of mountinfo, octal escapes undone)."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[3].startswith("net:["):
            found.append(fields[4].encode().decode("unicode_escape"))
    return found


def find_namespace(word: str) -> Namespace:
    """Return what --netns NAME|PID|PATH means; OSFailure if there is none such.

    A name of /run/netns comes before a process id of the same digits.
    """
    named = NAMED / word
    if "/" in word:
        path = Path(word)
    elif named.exists():
        path = named
    elif word.isdigit():
        path = Path(f"/proc/{word}/ns/net")
    else:
        raise OSFailure(f"there is no network namespace {word!r}", "a name that `ip netns` lists, or a process id")
    try:
        inode = path.stat().st_ino
    except PermissionError as error:
        raise PrivilegeError(
            f"looking at the namespace of process {word}: {error.strerror}",
            "needs root or CAP_SYS_PTRACE",
            error.errno or 0,
        ) from error
    except OSError as error:
        raise OSFailure(
            f"there is no network namespace {word!r}: {error.strerror}",
            "a name that `ip netns` lists, or a process id",
            error.errno or 0,
        ) from error
    return Namespace(
        inode,
        str(path),
        name=word if path == named else "",
        mount=word if "/" in word else "",
        pids=(int(word),) if path not in (named, Path(word)) else (),
        is_own=inode == own_namespace().inode,
    )


def enter(path: str | Path) -> None:
    """Move the calling thread into the namespace behind *path* (os.setns comes with Python 3.12)."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        detail = f"there is no network namespace at {path}: {error.strerror}"
        raise OSFailure(detail, error=error.errno or 0) from error
    try:
        if libc.setns(descriptor, lib.CLONE_NEWNET):
            number = ctypes.get_errno()
            kind = PrivilegeError if number == errno.EPERM else OSFailure
            hint = "needs CAP_SYS_ADMIN" if number == errno.EPERM else ""
            raise kind(f"entering the network namespace {path}: {os.strerror(number)}", hint, number)
    finally:
        os.close(descriptor)


def call(namespace: Namespace | str | Path, function: Callable[[], T]) -> T:
    """Return function() as called by a thread inside *namespace*; sockets made there stay there."""
    if isinstance(namespace, Namespace):
        if namespace.inode == own_namespace().inode:
            return function()
        path: str | Path = namespace.path
    else:
        path = namespace
    result: list[T] = []
    fault: list[BaseException] = []

    def inside() -> None:
        try:
            enter(path)
            result.append(function())
        except BaseException as error:
            fault.append(error)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if fault:
        raise fault[0]
    return result[0]


def processes() -> list[int]:
    """Return the ids of all processes, lowest first."""
    return sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def program_of(pid: int) -> str:
    """Return the name of a process, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
