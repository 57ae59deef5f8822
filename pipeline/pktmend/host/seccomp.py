"""A seccomp filter: what a running bridge or monitor may still ask of the kernel, and nothing else.

Rules of this file:
1. An allow-list by name; numbers come from the kernel's headers (pktmend._kernel).
2. What is not on it fails with EPERM, and with ENOSYS where the call is so new that its callers know how to do without.
   Nothing is killed for it: a call that was forgotten here must not end a bridge.  A foreign system call table is.
3. It holds for every thread of the process (TSYNC), for those to come, and for good.

4. Nothing becomes code any more: no memory is made executable.  What is imported later must be Python, see preload().

Not here: privileges (pktmend.host.privileges), and which files are read (pktmend.host.landlock); a filter cannot see
what a path points to.

Source: seccomp(2); Linux Documentation/userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import importlib
import mmap
import os
import socket
import termios
from collections.abc import Collection
from contextlib import suppress
from typing import Final, NamedTuple

from pktmend._kernel import ffi, lib
from pktmend.host.bpf_asm import Assembler, Instruction

# What a Python process with threads needs to live, to read files and to end.
BASE: Final = """
    read write readv writev pread64 close fstat newfstatat stat lstat statx lseek access faccessat faccessat2
    readlink readlinkat getcwd getdents64 open openat fcntl dup dup3 pipe2 eventfd2 poll ppoll select pselect6
    epoll_create1 epoll_ctl epoll_wait epoll_pwait mmap munmap mprotect mremap madvise brk futex set_robust_list
    rseq membarrier sched_yield sched_getaffinity clone exit exit_group restart_syscall rt_sigaction rt_sigprocmask
    rt_sigreturn rt_sigpending rt_sigtimedwait sigaltstack tgkill kill clock_gettime clock_getres clock_nanosleep
    nanosleep gettimeofday time getrandom getpid gettid getppid getpgrp getpgid getuid geteuid getgid getegid
    getrusage uname sysinfo prlimit64 prctl wait4 waitid ioctl
"""
# Asking for an interface's state, binding again, speaking through what is connected.
LINKS: Final = "socket bind getsockname getsockopt setsockopt shutdown sendto recvmsg recvfrom"
PACKETS: Final = LINKS + " sendmmsg sendmsg recvmmsg"  # moving frames
SERVE: Final = LINKS + " accept4 getpeername"  # on a socket that listens already
WRITE: Final = "open openat rename renameat renameat2 unlink unlinkat ftruncate fsync fdatasync pwrite64 fchmod"
ATTACH: Final = PACKETS + " bpf"  # what is loaded already, to interfaces; with CAP_NET_ADMIN
CAPTURE: Final = LINKS  # and to make packet sockets, with CAP_NET_RAW
GROUPS: Final = {
    "links": LINKS,
    "packets": PACKETS,
    "capture": CAPTURE,
    "attach": ATTACH,
    "serve": SERVE,
    "write": WRITE,
}

FIRST_UNIFIED: Final = 424  # from here on numbers are the same everywhere, and callers fall back on ENOSYS
FOREIGN_TABLE: Final = 0x40000000  # x32
NR, ARCH, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; an argument takes 8 bytes, the low half first
ALL: Final = 0xFFFFFFFF
OPEN_FLAGS: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_ASYNC
SEND_FLAGS: Final = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL  # not MSG_FASTOPEN, which connects
SOCKADDR_NL: Final = 12  # bytes; those of other families are longer
THREAD: Final = (  # of clone(), as the C libraries ask for it: no process, no namespace, nobody who traces it
    lib.CLONE_VM
    | lib.CLONE_FS
    | lib.CLONE_FILES
    | lib.CLONE_SIGHAND
    | lib.CLONE_THREAD
    | lib.CLONE_SYSVSEM
    | lib.CLONE_SETTLS
    | lib.CLONE_PARENT_SETTID
    | lib.CLONE_CHILD_CLEARTID
)


# Modules in machine code that others import when they are first used: of the standard library, and what writes JSON.
LATER: Final = """
    _bisect _bz2 _contextvars _csv _ctypes _datetime _decimal _heapq _json _opcode _pickle _queue _random _socket
    _statistics _struct _suggestions _typing _zoneinfo array binascii fcntl grp math mmap msgspec resource select
    termios unicodedata zlib
""".split()  # noqa: SIM905


class Condition(NamedTuple):
    """What the low half of one argument has to be: an int to the kernel, or flags that fit into it.

    argument: its number.    values: one of these, of the bits in mask.
    """

    argument: int
    values: tuple[int, ...]
    mask: int = ALL


Rule = tuple[tuple[Condition, ...], ...]  # one of these, with all its conditions


def _none_of(argument: int, bits: int) -> Rule:
    return ((Condition(argument, (0,), bits),),)


def rules(groups: Collection[str]) -> dict[str, Rule]:
    """Return the calls that are allowed only with certain arguments."""
    asks = (
        lib.SIOCGIFFLAGS,
        lib.SIOCGIFMTU,
        lib.SIOCGIFNAME,
        lib.SIOCGIFINDEX,
        lib.SIOCGIFHWADDR,
        lib.SIOCETHTOOL,
    )
    terminal = (
        termios.TCGETS,
        termios.TCSETS,
        termios.TCSETSW,
        termios.TCSETSF,
        termios.TIOCGWINSZ,
        termios.TIOCGPGRP,
        termios.FIONBIO,
        termios.FIONREAD,
        termios.FIOCLEX,
    )
    ourselves = ((Condition(0, (os.getpid(),)),),)
    names = (lib.PR_SET_NAME, lib.PR_GET_NAME, lib.PR_SET_VMA, lib.PR_SET_TIMERSLACK)
    descriptors = (fcntl.F_DUPFD_CLOEXEC, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL)
    netlink = (Condition(0, (socket.AF_NETLINK,)), Condition(2, (lib.NETLINK_ROUTE, lib.NETLINK_SOCK_DIAG)))
    attaching = (
        lib.BPF_PROG_QUERY,
        lib.BPF_LINK_CREATE,
        lib.BPF_LINK_UPDATE,
        lib.BPF_LINK_DETACH,
        lib.BPF_OBJ_GET_INFO_BY_FD,
    )
    return {
        "bpf": ((Condition(0, attaching),),),
        "clone": ((Condition(0, (THREAD, THREAD | lib.CLONE_DETACHED)),),),
        "prctl": ((Condition(0, names),),),
        "socket": (netlink, (Condition(0, (socket.AF_PACKET,)),)) if "capture" in groups else (netlink,),
        "setsockopt": ((Condition(1, (socket.SOL_SOCKET, lib.SOL_PACKET, lib.SOL_NETLINK)),),),
        "sendto": ((Condition(3, (0,), ALL & ~SEND_FLAGS), Condition(5, (0, SOCKADDR_NL))),),
        "sendmsg": _none_of(2, ALL & ~SEND_FLAGS),
        "sendmmsg": _none_of(3, ALL & ~SEND_FLAGS),
        "ioctl": ((Condition(1, asks + terminal),),),
        "open": _none_of(1, OPEN_FLAGS),
        "openat": _none_of(2, OPEN_FLAGS),
        "kill": ourselves,
        "tgkill": ourselves,
        "prlimit64": ((Condition(0, (0, os.getpid())),),),
        "fcntl": ((Condition(1, descriptors),), (Condition(1, (fcntl.F_SETFL,)), Condition(2, (0,), os.O_ASYNC))),
        "mmap": _none_of(2, mmap.PROT_EXEC),
        "mprotect": _none_of(2, mmap.PROT_EXEC),
    }


def is_supported() -> bool:
    """Is there a filter for this architecture?"""
    return bool(lib.THIS_AUDIT_ARCH)


def assemble(groups: Collection[str]) -> list[Instruction]:
    """Return the classic BPF program for BASE and *groups* of GROUPS.

    What is asked for the most comes first; calls without a condition the kernel remembers by their number (Linux 5.11).
    """
    listed = " ".join([BASE, *(GROUPS[group] for group in groups)]).split()
    names = sorted(dict.fromkeys(listed), key=lambda name: name not in ("sendmmsg", "sendmsg"))
    free = ("open", "openat") if "write" in groups else ()
    limits = {name: rule for name, rule in rules(groups).items() if name not in free}
    load = lib.BPF_LD | lib.BPF_W | lib.BPF_ABS
    allow, refuse = lib.SECCOMP_RET_ALLOW, lib.SECCOMP_RET_ERRNO | errno.EPERM
    unknown = lib.SECCOMP_RET_ERRNO | errno.ENOSYS
    a = Assembler()
    a.emit(load, ARCH)
    a.jump_if(lib.BPF_JEQ, lib.THIS_AUDIT_ARCH, true="ours")
    a.ret(lib.SECCOMP_RET_KILL_PROCESS)
    a.label("ours")
    a.emit(load, NR)
    a.jump_if(lib.BPF_JGE, FOREIGN_TABLE, false="listed")
    a.ret(unknown)
    a.label("listed")
    for name in names:
        number = getattr(lib, f"__NR_{name}")
        if number < 0:
            continue
        a.jump_if(lib.BPF_JEQ, number, false=f"not {name}")
        if name in limits:
            _limit(a, name, limits[name], allow)
            a.ret(refuse)
        else:
            a.ret(allow)
        a.label(f"not {name}")
    a.jump_if(lib.BPF_JGE, FIRST_UNIFIED, false="known")
    a.ret(unknown)
    a.label("known")
    a.ret(refuse)
    return list(a.instructions())


def _limit(a: Assembler, name: str, rule: Rule, allow: int) -> None:
    """Add what ends with *allow* if the arguments of the call *name* are as *rule* says, and goes on if not."""
    for n, conditions in enumerate(rule):
        otherwise = f"{name} otherwise {n}"
        for argument, values, mask in conditions:
            holds = f"{name} {n} {argument}"
            a.emit(lib.BPF_LD | lib.BPF_W | lib.BPF_ABS, ARGUMENTS + 8 * argument)
            if mask != ALL:
                a.emit(lib.BPF_ALU | lib.BPF_AND | lib.BPF_K, mask)
            for value in values[:-1]:
                a.jump_if(lib.BPF_JEQ, value & ALL, true=holds)
            a.jump_if(lib.BPF_JEQ, values[-1] & ALL, false=otherwise)
            a.label(holds)
        a.ret(allow)
        a.label(otherwise)


def preload() -> None:
    """Load what is machine code and would be loaded later, by an import or at the end of a thread."""
    for name in LATER:
        with suppress(ImportError):
            importlib.import_module(name)
    with suppress(OSError):  # the GNU C library wants it to end a thread
        ctypes.CDLL("libgcc_s.so.1")
    libc = ctypes.CDLL(None)
    persona = libc.personality(ctypes.c_ulong(ALL))
    if persona != -1 and persona & lib.READ_IMPLIES_EXEC:
        libc.personality(ctypes.c_ulong(persona & ~lib.READ_IMPLIES_EXEC))


def install(groups: Collection[str] = ()) -> None:
    """Put the filter on every thread of this process.  Needs PR_SET_NO_NEW_PRIVS, which is the caller's to set.

    groups: of GROUPS, beside BASE.
    Raises: OSError: the kernel has no seccomp filters, or they are not for us (ENOSYS: not for this architecture).
    """
    if not is_supported():
        raise OSError(errno.ENOSYS, "no filter for this architecture")
    program = assemble(groups)
    filters = ffi.new("struct sock_filter[]", [tuple(each) for each in program])
    header = ffi.new("struct sock_fprog *", {"len": len(program), "filter": filters})
    libc = ctypes.CDLL(None, use_errno=True)
    flags = lib.SECCOMP_FILTER_FLAG_TSYNC | lib.SECCOMP_FILTER_FLAG_SPEC_ALLOW  # no slower branches for its sake
    answer = libc.syscall(
        ctypes.c_long(lib.__NR_seccomp),
        ctypes.c_ulong(lib.SECCOMP_SET_MODE_FILTER),
        ctypes.c_ulong(flags),
        ctypes.c_void_p(int(ffi.cast("uintptr_t", header))),
    )
    if answer:
        number = ctypes.get_errno() if answer < 0 else errno.ESRCH
        raise OSError(number, os.strerror(number) if answer < 0 else f"thread {answer} cannot be joined to the filter")
