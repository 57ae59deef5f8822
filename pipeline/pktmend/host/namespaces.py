"""Network namespaces of this machine: list them, enter one, and say how a person reaches it.

Rules of this file:
1. A namespace is its inode: a name in /run/netns, a bind mount and a process are ways to the same one.
2. Code runs in another namespace on a thread of its own that ends afterwards; the caller's thread never moves.
3. What could not be read is counted, never guessed.
4. A command may move as a whole, before it has other threads: move_to().  What it prints is still for the shell that
   started it, so "own" is that shell's namespace, wherever the command has gone.

Source: network_namespaces(7), ip-netns(8), setns(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import shlex
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from pktmend._kernel import lib
from pktmend.errors import OSFailure, PrivilegeError
from pktmend.host.processes import processes, program_of

if TYPE_CHECKING:
    from pktmend.host.workloads import Workload

T = TypeVar("T")
NAMED: Final = Path("/run/netns")
OWN: Final = "/proc/thread-self/ns/net"
NO_SUCH: Final = "a name that `ip netns` lists, a process id, a container or a pod"
_moved: list[Namespace] = []  # the shell's namespace and the one that this command has moved to; empty if it has not


@dataclass(frozen=True)
class Namespace:
    """One network namespace and the ways to reach it.

    inode:  its identity on this machine, as `readlink /proc/PID/ns/net` shows it.
    path:   a file to enter it by.
    name:   of /run/netns, as `ip netns` knows it; else empty.
    mount:  a bind mount elsewhere (container runtimes make some); else empty.
    pids:   processes in it, lowest first; empty if only a name or a mount keeps it.
    is_own: the shell is in it that the caller was started from.
    workloads: the containers in it, where they were asked for (pktmend.host.workloads).
    """

    inode: int
    path: str
    name: str = ""
    mount: str = ""
    pids: tuple[int, ...] = ()
    is_own: bool = False
    workloads: tuple[Workload, ...] = field(default=(), compare=False)

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
        """A name for people: `this`, `netns a`, `pid 4711 (nginx)`, and whose it is: `netns a, pod default/web-0`."""
        if self.is_own:
            return "this"
        owner = self.owner
        if self.name:
            return f"netns {self.name}, {owner}" if owner else f"netns {self.name}"
        if self.pids:
            return (
                f"{owner}, pid {self.pids[0]}" if owner else f"pid {self.pids[0]} ({program_of(self.pids[0]) or '?'})"
            )
        return f"{self.mount or self.path}{f', {owner}' if owner else ''}"

    @property
    def owner(self) -> str:
        """`pod default/web-0`, `container web`, `container web and 2 more`; "" if it is nobody's, or was not asked."""
        if not self.workloads:
            return ""
        from pktmend.host.workloads import label_of

        return label_of(self.workloads)


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
    inode = Path(OWN).stat().st_ino
    known = next((each for each in _moved if each.inode == inode), None)
    return known or Namespace(inode, OWN, is_own=not _moved, pids=(os.getpid(),))


def shell_namespace() -> Namespace:
    """Return the namespace that this command was started in."""
    return _moved[0] if _moved else own_namespace()


def move_to(namespace: Namespace) -> None:
    """Move this command into *namespace*, for good.  To be called before it has a second thread.

    Raises PrivilegeError without CAP_SYS_ADMIN.
    """
    shell = shell_namespace()
    kept = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)  # the way back: /proc/PID leads to the other from now on
    try:
        enter(namespace.path)
    except BaseException:
        os.close(kept)
        raise
    shell = shell if _moved else replace(shell, path=f"/proc/{os.getpid()}/fd/{kept}", pids=())
    _moved[:] = [shell, replace(namespace, path=OWN, is_own=namespace.inode == shell.inode)]


def list_namespaces() -> Listing:
    """Return every network namespace that has a name, a mount or a process we may look at."""
    own, shell = own_namespace().inode, shell_namespace().inode
    names, mounts = _mounted()
    pids: dict[int, list[int]] = {}
    unreadable = 0
    for pid in processes():
        try:
            pids.setdefault(Path(f"/proc/{pid}/ns/net").stat().st_ino, []).append(pid)
        except PermissionError:
            unreadable += 1
        except OSError:
            continue  # it ended
    everything = {own, *names, *mounts, *pids}
    found = [_make(inode, own, names, mounts, pids, is_own=inode == shell) for inode in everything]
    if shell not in everything:
        found.append(shell_namespace())  # nobody else is in it
    found.sort(key=lambda n: (n.inode != own, not n.is_own, not n.name, n.name, n.pids, n.mount))
    return Listing(tuple(found), unreadable)


def _make(
    inode: int, own: int, names: dict[int, str], mounts: dict[int, str], pids: dict[int, list[int]], *, is_own: bool
) -> Namespace:
    name, mount, processes = names.get(inode, ""), mounts.get(inode, ""), tuple(pids.get(inode, ()))
    if inode == own:
        path = f"/proc/{os.getpid()}/ns/net" if os.getpid() in processes else OWN
    else:
        path = str(NAMED / name) if name else mount or f"/proc/{processes[0]}/ns/net"
    return Namespace(inode, path, name, mount, processes, is_own)


def _mounted() -> tuple[dict[int, str], dict[int, str]]:
    """Return names and other mounts of namespaces (field 5 of mountinfo, octal escapes undone), by inode."""
    names: dict[int, str] = {}
    mounts: dict[int, str] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if not fields[3].startswith("net:["):
            continue
        path = Path(fields[4].encode().decode("unicode_escape"))
        try:
            inode = path.stat().st_ino
        except OSError:
            continue  # hidden by another mount, or gone
        is_named = path.parent.resolve() == NAMED.resolve()
        (names if is_named else mounts).setdefault(inode, path.name if is_named else str(path))
    return names, mounts


def mounted_namespaces() -> list[Namespace]:
    """Return the namespaces that have a name or a mount: what list_namespaces() finds without looking at processes."""
    own, shell = own_namespace().inode, shell_namespace().inode
    names, mounts = _mounted()
    return [_make(inode, own, names, mounts, {}, is_own=inode == shell) for inode in {*names, *mounts} - {own}]


def find_namespace(word: str) -> Namespace:
    """Return what --netns NAME|PID|CONTAINER|POD|PATH means; OSFailure if there is none such.

    A name of /run/netns comes before a process id of the same digits, and that before a container's name or id, or the
    name of a pod (POD or NAMESPACE/POD).  ConfigError if several containers or pods have it.
    """
    named = NAMED / word
    if word.startswith(("/", ".")) or ("/" in word and _exists(Path(word))):
        path = Path(word)
    elif "/" not in word and _exists(named):
        path = named
    elif word.isdecimal() and _exists(Path(f"/proc/{word}")):
        path = Path(f"/proc/{word}/ns/net")
    else:
        from pktmend.host.workload_lookup import namespace_of

        return namespace_of(word)
    try:
        inode = path.stat().st_ino
    except PermissionError as error:
        raise PrivilegeError(
            f"looking at the namespace of process {word}: {error.strerror}",
            "needs root or CAP_SYS_PTRACE",
            error.errno or 0,
        ) from error
    except OSError as error:
        detail = f"there is no network namespace {word!r}: {error.strerror}"
        raise OSFailure(detail, NO_SUCH, error.errno or 0) from error
    return Namespace(
        inode,
        str(path),
        name=word if path == named else "",
        mount=word if path == Path(word) else "",
        pids=(int(word),) if path not in (named, Path(word)) else (),
        is_own=inode == shell_namespace().inode,
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long for a name
        return False


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
