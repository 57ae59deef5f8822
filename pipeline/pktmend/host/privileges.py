"""Give up what is not needed once sockets and rings exist: moving frames, and binding again, take no capability.

harden() is the whole of it, for a command that has made its sockets and has not started a thread yet.

Source: capabilities(7), capset(2), prctl(2), seccomp(2), landlock(7).
"""

from __future__ import annotations

import ctypes
import os
import pwd
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pktmend._kernel import lib
from pktmend.errors import ConfigError, OSFailure, PrivilegeError

CAP_DAC_OVERRIDE: Final = lib.CAP_DAC_OVERRIDE
CAP_NET_ADMIN: Final = lib.CAP_NET_ADMIN
CAP_NET_RAW: Final = lib.CAP_NET_RAW
CAP_SYS_PTRACE: Final = lib.CAP_SYS_PTRACE


def find_user(name: str) -> pwd.struct_passwd:
    """Return the account that -Z names; ConfigError if there is none."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(
            f"there is no user {name!r}", "-Z takes a name that `getent passwd` knows", options=("user",)
        ) from None


def become(user: pwd.struct_passwd) -> None:
    """Change to *user* and its groups, for good.  Raises PrivilegeError."""
    if os.getresuid() == (user.pw_uid,) * 3:
        return
    try:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    except PermissionError as error:
        raise PrivilegeError(
            f"changing to user {user.pw_name!r} needs CAP_SETUID and CAP_SETGID", "run as root", error.errno or 0
        ) from error


def drop(*keep: int) -> None:
    """Drop the capabilities of the calling thread but those in *keep*, for good.

    Threads that it starts later have no others either.  What it does not have is not gained.
    """
    wanted = sum(1 << bit for bit in keep) & _permitted()
    low, high = wanted & 0xFFFFFFFF, wanted >> 32
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", lib._LINUX_CAPABILITY_VERSION_3, 0)
    sets = struct.pack("=6I", low, low, 0, high, high, 0)  # effective, permitted, inheritable; low and high halves
    if libc.prctl(lib.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.capset(header, sets):
        error = ctypes.get_errno()
        raise OSFailure(f"dropping privileges: {os.strerror(error)}", "", error)


def _permitted() -> int:
    """Return the permitted capabilities of this thread, a bit each."""
    for line in Path("/proc/thread-self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16)
    return 0


def harden(
    *,
    user: str = "",
    keep: Sequence[int] = (),
    seccomp: bool = True,
    groups: Sequence[str] = (),
    writes: Sequence[str] | None = None,
    patterns: bool = False,
) -> str:
    """Change to *user*, drop capabilities, leave no file but those that are needed (Landlock, where the kernel
    has it), and put the seccomp filter on; return why there is no filter, or "".

    keep:    capabilities that stay; without any if *user* is another one.
    seccomp: False ends after the capabilities: for code of others, which may need anything.
    groups:  what the filter allows beside living and reading files: see pktmend.host.seccomp.GROUPS.
    writes, patterns: files that will be opened for writing, as pktmend.host.landlock.restrict has it; None: leave
             files alone.
    Call it before the first thread: capabilities and files belong to threads.  What is imported afterwards must be
    Python, in a place that is on sys.path now, and readable by *user*.  Raises PrivilegeError, ConfigError.
    """
    from pktmend.host import landlock
    from pktmend.host import seccomp as filters

    if seccomp:  # while everything can be read
        filters.preload()
    if user:
        become(find_user(user))
    drop(*keep)
    if not seccomp:
        return ""
    if writes is not None:
        landlock.restrict(writes, patterns=patterns)
    try:
        filters.install(groups)
    except OSError as error:
        return f"no seccomp filter: {error.strerror}"
    return ""


def close_inherited() -> None:
    """Close what came from whoever began this process: of descriptors above 2 all that would outlive an execve.

    Python and the engine open theirs with O_CLOEXEC.
    """
    for text in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers, no paths
        number = int(text)
        with suppress(OSError):  # that of the directory itself is gone
            if number > 2 and os.get_inheritable(number):
                os.close(number)


@dataclass(frozen=True)
class ThreadState:
    """What one thread may do, as /proc/PID/task/TID/status says, and what it says itself of Landlock.

    cap_eff: 16 hex digits.    no_new_privs: 0 or 1.    seccomp: 0 off, 1 strict, 2 filter.    user: effective id.
    landlock: the version of the interface that holds it, 0 for none: the kernel tells that to nobody.
    """

    id: int
    name: str
    user: int
    cap_eff: str
    no_new_privs: int
    seccomp: int
    landlock: int = 0

    def __str__(self) -> str:
        mode = {0: "off", 1: "strict", 2: "filter"}.get(self.seccomp, "unknown")
        return (
            f"thread {self.id} ({self.name}): uid {self.user}, CapEff {self.cap_eff},"
            f" NoNewPrivs {self.no_new_privs}, Seccomp {self.seccomp} ({mode}),"
            f" Landlock {self.landlock or 'off'}"
        )


def thread_states(pid: int | str = "self", landlock: int = 0) -> list[ThreadState]:
    """Return the state of every thread of a process, ours by default.

    landlock: what another process says of itself.
    """
    from pktmend.host.landlock import covers

    found = []
    with suppress(FileNotFoundError, ProcessLookupError):  # the process has ended meanwhile
        for task in sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda path: int(path.name)):
            number = int(task.name)
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread has
                found.append(_state(number, task / "status", covers(number) if pid == "self" else landlock))
    return found


def _state(number: int, status: Path, landlock: int) -> ThreadState:
    lines = (line.split(":", 1) for line in status.read_text().splitlines())
    fields = {words[0]: words[1].strip() for words in lines if len(words) == 2}
    return ThreadState(
        number,
        fields["Name"],
        int(fields["Uid"].split()[1]),
        fields["CapEff"],
        int(fields.get("NoNewPrivs", "0")),
        int(fields.get("Seccomp", "0")),
        landlock,
    )
