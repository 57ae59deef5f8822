"""Landlock: which files a running command may still open, and that it reaches no TCP port, abstract socket or process.

Rules of this file:
1. What the kernel knows of is refused, but what is named: code and tables are read, the folders of the output written.
2. Older kernels know of less; what they lack is left out.  None of it is an error: restrict() says how far it came.
3. It holds for the calling thread, and for those that it starts from then on; see covers().

Not here: system calls (pktmend.host.seccomp) and capabilities (pktmend.host.privileges).

Source: landlock(7); Linux Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
import sysconfig
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pktmend._kernel import lib

# By the version of the interface that brought it (Linux 5.13, 5.19, 6.2, 6.7, 6.10, 6.12).
ALL_FILES: Final = {
    1: 2 * lib.LANDLOCK_ACCESS_FS_MAKE_SYM - 1,
    2: lib.LANDLOCK_ACCESS_FS_REFER,
    3: lib.LANDLOCK_ACCESS_FS_TRUNCATE,
}
DEVICES_FROM, NET_FROM, SCOPE_FROM = 5, 4, 6
READ: Final = lib.LANDLOCK_ACCESS_FS_READ_FILE | lib.LANDLOCK_ACCESS_FS_READ_DIR
CHANGE: Final = lib.LANDLOCK_ACCESS_FS_WRITE_FILE | lib.LANDLOCK_ACCESS_FS_TRUNCATE
FILL: Final = READ | CHANGE | lib.LANDLOCK_ACCESS_FS_MAKE_REG | lib.LANDLOCK_ACCESS_FS_REMOVE_FILE
OF_FILES: Final = lib.LANDLOCK_ACCESS_FS_READ_FILE | CHANGE  # the rest is about what is in a directory

# Read by libraries whenever they like: time zones, terminals, names of services, the state of our own process.
TABLES: Final = """
    /proc /etc/localtime /usr/share/zoneinfo /etc/terminfo /lib/terminfo /usr/share/terminfo
    /etc/services /etc/protocols /etc/ethers /etc/networks /etc/hosts /etc/host.conf /etc/nsswitch.conf /etc/gai.conf
""".split()  # noqa: SIM905

OWN_PLACES: Final = ("/dev/", "/proc/", "/sys/")  # of the kernel's: there only what exists is written, by its name

_walls: dict[int, tuple[int, frozenset[int]]] = {}  # by process: the version, and threads that were there before


def version() -> int:
    """Return the version of the kernel's Landlock interface, 0 where there is none or it is switched off."""
    return max(0, _call(lib.__NR_landlock_create_ruleset, None, 0, lib.LANDLOCK_CREATE_RULESET_VERSION))


def covers(thread: int) -> int:
    """Return the version that holds *thread* of this process, 0 if none does."""
    found, before = _walls.get(os.getpid(), (0, frozenset()))
    return 0 if thread in before else found


def restrict(writes: Sequence[str] = (), *, patterns: bool = False) -> int:
    """Leave this thread the files that it reads as a program, and *writes*; return the version, 0 if there is none.

    writes:   files that are written: their folders, in which others may be made, or the device or pipe itself.
    patterns: they hold strftime's %-letters: the folder is the one before the first.
    It needs PR_SET_NO_NEW_PRIVS, which is the caller's to set.
    """
    abi = version()
    if not abi:
        return 0
    handled = sum(bits for since, bits in ALL_FILES.items() if since <= abi)
    handled |= lib.LANDLOCK_ACCESS_FS_IOCTL_DEV if abi >= DEVICES_FROM else 0
    net = lib.LANDLOCK_ACCESS_NET_BIND_TCP | lib.LANDLOCK_ACCESS_NET_CONNECT_TCP
    scope = lib.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | lib.LANDLOCK_SCOPE_SIGNAL
    words = [handled, net, scope][: 3 if abi >= SCOPE_FROM else 2 if abi >= NET_FROM else 1]
    attributes = struct.pack(f"={len(words)}Q", *words)
    rules = _call(lib.__NR_landlock_create_ruleset, attributes, len(attributes), 0)
    if rules < 0:
        return 0
    try:
        for place in {*TABLES, *code_places()}:
            _allow(rules, place, READ & handled)
        _allow(rules, os.devnull, OF_FILES & handled)
        for path in writes:
            for place, access in _to_write(path, patterns=patterns):
                _allow(rules, place, access & handled)
        if _call(lib.__NR_landlock_restrict_self, rules, 0) < 0:
            return 0
    finally:
        os.close(rules)
    ours = os.getpid()
    _walls[ours] = abi, frozenset(_threads()) - {threading.get_native_id()}
    return abi


def code_places() -> set[str]:
    """Return the directories and archives that Python imports from."""
    paths = (sysconfig.get_paths().get(kind, "") for kind in ("stdlib", "platstdlib", "purelib", "platlib"))
    package = str(Path(__file__).resolve().parent.parent)
    return {os.path.realpath(path) for path in (*paths, *sys.path, package) if path and Path(path).is_absolute()}


def _to_write(path: str, *, patterns: bool) -> Iterator[tuple[str, int]]:
    """Yield what to allow, and how much, so that *path* can be written, made, and followed by others beside it."""
    fixed = path.partition("%")[0] if patterns else path
    real = os.path.realpath(path)
    if fixed == path and os.path.lexists(path):
        try:
            is_file = stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 - follows links, as opening it does
        except OSError:
            is_file = True  # a link to nothing yet
        if not is_file:
            yield path, OF_FILES
            return
        yield os.path.dirname(real), FILL  # noqa: PTH120
    folder = os.path.realpath(os.path.dirname(fixed) or ".")  # noqa: PTH120 - Path drops a last slash
    if not f"{folder}/".startswith(OWN_PLACES):  # /dev/stdout is a link to somewhere else
        yield folder, FILL


def _allow(rules: int, place: str, access: int) -> None:
    """Allow *access* to a file, or to all beneath a directory; one that is not there, or not for us, is left out."""
    try:
        fd = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= OF_FILES
        beneath = struct.pack("=Qi", access, fd)
        _call(lib.__NR_landlock_add_rule, rules, lib.LANDLOCK_RULE_PATH_BENEATH, beneath, 0)
    finally:
        os.close(fd)


def _threads() -> Iterable[int]:
    return [int(path.name) for path in Path("/proc/self/task").iterdir()]


def _call(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call; -1 if it fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    given = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    return int(libc.syscall(ctypes.c_long(number), *given))
