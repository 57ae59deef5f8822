"""Hear of links in every namespace, and of namespaces that are new, without looking again and again.

Rules of this file:
1. No namespace is held: a socket or a descriptor in it would keep it alive after its last process.  One socket in ours
   hears of the links of all that have a number here (NETLINK_LISTEN_ALL_NSID); give_nsid() gives them one.
2. What is heard is a reason to look, not the truth: events get lost when many come at once, and that is said (`lost`).
3. A new namespace shows by a mount (`ip netns add`, container runtimes), by a process that was started (fork, exec), or
   by a link that is moved into it.  A process that makes one later and starts nothing in it shows by nothing of these:
   who must know looks from time to time as well.

Source: netlink(7); proc_pid_mountinfo(5); Linux drivers/connector/cn_proc.c, net/core/net_namespace.c.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pktmend._kernel import ffi, lib
from pktmend.errors import PktmendError, PrivilegeError
from pktmend.host.bpf_asm import Assembler, encode
from pktmend.host.namespaces import call
from pktmend.host.netlink import HEADER, attributes, number

ROOM: Final = 1 << 16
AT_ONCE: Final = 10_000  # datagrams
BUFFER: Final = 4 << 20  # bytes of events that may wait
NOT_HERE: Final = -1  # the number of our own namespace, which needs none
CONNECTOR: Final = struct.Struct("=IIIIHH")  # struct cn_msg
EVENT: Final = HEADER.size + CONNECTOR.size  # of struct proc_event: what, processor, time, then the pids


@dataclass
class News:
    """What was heard.  Namespaces are the numbers by which ours knows them, NOT_HERE for ours.

    links:      {(namespace, interface number)} that came or changed.
    gone:       {(namespace, interface number): where it was moved to, None if it was deleted}.
    appeared, vanished: namespaces.
    pids:       processes that were started.
    mounts:     file systems were mounted or unmounted.
    lost:       so many events came that some are missing.
    """

    links: set[tuple[int, int]] = field(default_factory=set)
    gone: dict[tuple[int, int], tuple[int, int] | None] = field(default_factory=dict)
    appeared: set[int] = field(default_factory=set)
    vanished: set[int] = field(default_factory=set)
    pids: set[int] = field(default_factory=set)
    mounts: bool = False
    lost: bool = False


class NamespaceNews:
    """Sockets that hear; a context manager.

    hears_processes: False where the kernel does not tell of them (another user or process namespace than the first).
    """

    def __init__(self) -> None:
        self._links = _link_socket()
        self._processes = _process_socket()
        self.hears_processes = self._processes is not None
        self._mounts = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self._is_mounted = False
        self._poll = select.poll()
        self._poll.register(self._links, select.POLLIN)
        self._poll.register(self._mounts, select.POLLPRI)
        if self._processes is not None:
            self._poll.register(self._processes, select.POLLIN)
        self._signals, self._signalled = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll.register(self._signals, select.POLLIN)

    @property
    def signalled(self) -> int:
        """A descriptor that ends wait() when something is written to it: for signal.set_wakeup_fd()."""
        return self._signalled

    def wait(self, seconds: float) -> bool:
        """Let so much time pass, less if there is something to read."""
        return bool(self._ready(seconds))

    def _ready(self, seconds: float) -> list[tuple[int, int]]:
        """Poll.  That something was mounted is told once, so it is kept until it is read."""
        ready = self._poll.poll(max(0.0, seconds) * 1000)
        self._is_mounted |= any(fd == self._mounts for fd, _ in ready)
        return ready

    def read(self) -> News:
        """Return all that there is.

        Processes come first: what became of a namespace before such an event is then among what comes after.
        """
        news = News()
        self._ready(0)
        with suppress(BlockingIOError):
            os.read(self._signals, ROOM)
        news.mounts, self._is_mounted = self._is_mounted, False
        if self._processes is not None:
            for data, _ in _datagrams(self._processes, news):
                _read_process(data, news)
        for data, space in _datagrams(self._links, news):
            _read_links(data, space, news)
        return news

    def close(self) -> None:
        """Close what it hears by."""
        self._links.close()
        if self._processes is not None:
            self._processes.close()
        for descriptor in (self._mounts, self._signals, self._signalled):
            os.close(descriptor)

    def __enter__(self) -> NamespaceNews:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _link_socket() -> socket.socket:
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, lib.NETLINK_ROUTE)
    _enlarge(s)
    try:
        s.setsockopt(lib.SOL_NETLINK, lib.NETLINK_LISTEN_ALL_NSID, 1)
    except OSError as error:
        s.close()
        if error.errno != errno.EPERM:
            raise
        raise PrivilegeError("hearing of links in every namespace", "needs CAP_NET_BROADCAST", errno.EPERM) from error
    s.bind((0, 1 << lib.RTNLGRP_LINK - 1 | 1 << lib.RTNLGRP_NSID - 1))
    s.setblocking(False)
    return s


def _process_socket() -> socket.socket | None:
    """The kernel's side of it is in the first namespace alone, which may not be ours."""
    with suppress(OSError):
        return _listening()
    with suppress(OSError, PktmendError):
        return call(Path("/proc/1/ns/net"), _listening)
    return None


def _listening() -> socket.socket:
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, lib.NETLINK_CONNECTOR)
    try:
        _enlarge(s)
        s.bind((0, lib.CN_IDX_PROC))
        _attach_filter(s)
        request = struct.pack("=I", lib.PROC_CN_MCAST_LISTEN)
        body = CONNECTOR.pack(lib.CN_IDX_PROC, lib.CN_VAL_PROC, 0, 0, len(request), 0) + request
        s.send(HEADER.pack(HEADER.size + len(body), lib.NLMSG_DONE, 0, 0, 0) + body)
        s.settimeout(1)
        _require_acknowledged(s.recv(ROOM))
        s.setblocking(False)
    except BaseException:
        s.close()
        raise
    return s


def _require_acknowledged(data: bytes) -> None:
    """The first event is the kernel's answer: an errno, with `what` 0.  Another one shows that it tells already."""
    what, error = struct.unpack_from("=I12xI", data, EVENT)
    if what == 0 and error:
        raise OSError(error, os.strerror(error))


def _attach_filter(s: socket.socket) -> None:
    """Have the kernel keep exits, threads and what else nobody asks for: their events would wake us for nothing."""
    load = lib.BPF_LD | lib.BPF_W | lib.BPF_ABS  # in network byte order
    a = Assembler()
    a.emit(load, EVENT)
    a.jump_if(lib.BPF_JEQ, socket.htonl(lib.PROC_EVENT_EXEC), true="keep")
    a.jump_if(lib.BPF_JEQ, 0, true="keep")  # the acknowledgement
    a.jump_if(lib.BPF_JEQ, socket.htonl(lib.PROC_EVENT_FORK), false="drop")
    a.emit(load, EVENT + 24)  # the new process, and what it is a thread of
    a.emit(lib.BPF_MISC | lib.BPF_TAX)
    a.emit(load, EVENT + 28)
    a.jump_if(lib.BPF_JEQ | lib.BPF_X, 0, false="drop")
    a.label("keep")
    a.ret(ROOM)
    a.label("drop")
    a.ret(0)
    program = encode(a.instructions())
    instructions = ffi.from_buffer(program)
    first = ffi.cast("struct sock_filter *", instructions)
    attached = ffi.new("struct sock_fprog *", {"len": len(program) // 8, "filter": first})
    s.setsockopt(socket.SOL_SOCKET, lib.SO_ATTACH_FILTER, bytes(ffi.buffer(attached)))


def _enlarge(s: socket.socket) -> None:
    with suppress(OSError):  # without CAP_NET_ADMIN it stays as it is: events may get lost, which is said
        s.setsockopt(socket.SOL_SOCKET, lib.SO_RCVBUFFORCE, BUFFER)


def _datagrams(s: socket.socket, news: News) -> list[tuple[bytes, int]]:
    """Return what there is, each with the number of the namespace that it is about; of a flood, the beginning."""
    found: list[tuple[bytes, int]] = []
    while len(found) < AT_ONCE:
        try:
            data, extra, _, _ = s.recvmsg(ROOM, socket.CMSG_SPACE(4))
        except BlockingIOError:
            return found
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            news.lost = True
            continue
        space = NOT_HERE
        for level, kind, value in extra:
            if (level, kind) == (lib.SOL_NETLINK, lib.NETLINK_LISTEN_ALL_NSID) and len(value) >= 4:
                space = struct.unpack("=i", value[:4])[0]
        found.append((data, space))
    return found


def _read_process(data: bytes, news: News) -> None:
    if len(data) < EVENT + 32:
        return
    what = struct.unpack_from("=I", data, EVENT)[0]
    if what == lib.PROC_EVENT_FORK:
        news.pids.add(struct.unpack_from("=I", data, EVENT + 28)[0])
    elif what == lib.PROC_EVENT_EXEC:
        news.pids.add(struct.unpack_from("=I", data, EVENT + 20)[0])


def _read_links(data: bytes, space: int, news: News) -> None:
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, _, _, _ = HEADER.unpack_from(data, at)
        body = data[at + HEADER.size : at + length]
        at += max(HEADER.size, (length + 3) & ~3)
        if kind in (lib.RTM_NEWLINK, lib.RTM_DELLINK) and len(body) >= 16:
            where = space, struct.unpack_from("=i", body, 4)[0]
            if kind == lib.RTM_NEWLINK:
                news.links.add(where)
                news.gone.pop(where, None)
            elif body[0] == socket.AF_UNSPEC:  # not a bridge's, of a port that leaves it
                news.links.discard(where)
                news.gone[where] = _moved_to(body, where[1])
        elif kind in (lib.RTM_NEWNSID, lib.RTM_DELNSID) and space == NOT_HERE:
            value = attributes(body[4:]).get(lib.NETNSA_NSID)
            if value is not None:
                (news.appeared if kind == lib.RTM_NEWNSID else news.vanished).add(struct.unpack("=i", value[:4])[0])


def _moved_to(body: bytes, index: int) -> tuple[int, int] | None:
    found = attributes(body[16:])
    if lib.IFLA_NEW_NETNSID not in found:
        return None
    return struct.unpack("=i", found[lib.IFLA_NEW_NETNSID][:4])[0], number(found.get(lib.IFLA_NEW_IFINDEX), index)
