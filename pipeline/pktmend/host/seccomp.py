"""A seccomp filter: what a running bridge or monitor may still ask of the kernel, and nothing else.

Rules of this file:
1. An allow-list by name; numbers come from the kernel's headers (pktmend._kernel).
2. What is not on it fails with EPERM, and with ENOSYS where the call is so new that its callers know how to do without.
   Nothing is killed for it: a call that was forgotten here must not end a bridge.  A foreign system call table is.
3. It holds for every thread of the process (TSYNC), for those to come, and for good.

Not here: privileges (pktmend.host.privileges), and which files are read; a filter cannot see what a path points to.

Source: seccomp(2); Linux Documentation/userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import termios
from collections.abc import Collection
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
# Moving frames, asking for an interface's state, binding again.
PACKETS: Final = """
    socket bind listen getsockname getpeername getsockopt setsockopt shutdown socketpair
    sendmmsg sendmsg sendto recvmsg recvmmsg recvfrom
"""
SERVE: Final = PACKETS + "accept4"  # on a socket that listens already
WRITE: Final = "open openat rename renameat renameat2 unlink unlinkat ftruncate fsync fdatasync mkdirat pwrite64"
CAPTURE: Final = PACKETS  # and to make packet sockets, with CAP_NET_RAW
GROUPS: Final = {"packets": PACKETS, "capture": CAPTURE, "serve": SERVE, "write": WRITE}

FIRST_UNIFIED: Final = 424  # from here on numbers are the same everywhere, and callers fall back on ENOSYS
FOREIGN_TABLE: Final = 0x40000000  # x32
NR, ARCH, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; an argument takes 8 bytes, the low half first
OPEN_FLAGS: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Rule(NamedTuple):
    """When a call is allowed by the low half of one argument: an int to the kernel, or flags that fit into it.

    argument: its number.    values: one of these.    bits: all zero, or, with is_wanted, at least one set.
    """

    argument: int
    values: tuple[int, ...] = ()
    bits: int = 0
    is_wanted: bool = False


def rules(groups: Collection[str]) -> dict[str, Rule]:
    """Return the calls that are allowed only with certain arguments."""
    families = (socket.AF_UNIX, socket.AF_INET, socket.AF_NETLINK)
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
    ourselves = (os.getpid(),)
    return {
        "clone": Rule(0, bits=lib.CLONE_THREAD, is_wanted=True),  # threads, no processes
        "prctl": Rule(0, values=(lib.PR_SET_NAME, lib.PR_GET_NAME, lib.PR_SET_VMA, lib.PR_SET_TIMERSLACK)),
        "socket": Rule(0, values=(*families, socket.AF_PACKET) if "capture" in groups else families),
        "ioctl": Rule(1, values=asks + terminal),
        "open": Rule(1, bits=OPEN_FLAGS),
        "openat": Rule(2, bits=OPEN_FLAGS),
        "kill": Rule(0, values=ourselves),
        "tgkill": Rule(0, values=ourselves),
    }


def is_supported() -> bool:
    """Is there a filter for this architecture?"""
    return bool(lib.THIS_AUDIT_ARCH)


def assemble(groups: Collection[str]) -> list[Instruction]:
    """Return the classic BPF program for BASE and *groups* of GROUPS."""
    names = dict.fromkeys(" ".join([BASE, *(GROUPS[group] for group in groups)]).split())
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
    """Add what ends with *allow* if an argument of the call *name* is as *rule* says, and goes on if not."""
    a.emit(lib.BPF_LD | lib.BPF_W | lib.BPF_ABS, ARGUMENTS + 8 * rule.argument)
    for value in rule.values:
        a.jump_if(lib.BPF_JEQ, value & 0xFFFFFFFF, false=f"{name} not {value}")
        a.ret(allow)
        a.label(f"{name} not {value}")
    if rule.bits:
        otherwise = f"{name} otherwise"
        a.jump_if(lib.BPF_JSET, rule.bits, **{"false" if rule.is_wanted else "true": otherwise})
        a.ret(allow)
        a.label(otherwise)


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
