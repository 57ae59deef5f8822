"""Packet sockets: what Ring (a source) and Emit (a sink) share.

Rules of this file and of both:
1. Control only: sockets are made, set up, bound and closed here; ext/io/ring.c and ext/io/emit.c move the packets.
2. Every failure is an OSFailure that names the interface, and the capability if that is what is missing.

Source: Linux Documentation/networking/packet_mmap.rst, packet(7).
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import struct
from typing import TYPE_CHECKING, Final, Protocol

from pktmend._kernel import ffi, lib
from pktmend.errors import OSFailure, PrivilegeError
from pktmend.host.interfaces import index_of, name_of

if TYPE_CHECKING:
    import ctypes

SOCKET_BUFFER: Final = 64 << 20
SOCKADDR_LL: Final = struct.Struct("=HHiH10x")  # family, protocol, index, kind of the frames


class HasFileno(Protocol):
    """A socket, or what has one."""

    def fileno(self) -> int: ...


@functools.cache
def _libc() -> ctypes.CDLL:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def open_packet_socket(interface: str) -> socket.socket:
    """Return a packet socket that receives nothing until it is bound.  *interface* is for the error's words."""
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    except PermissionError as error:
        raise PrivilegeError(
            f"opening a packet socket on {interface!r} needs CAP_NET_RAW",
            "run as root, or give the command CAP_NET_RAW by setpriv: `pktmend help operating`",
            errno.EPERM,
            interface,
        ) from error


def set_option(s: HasFileno, option: int, value: int | bytes, what: str, interface: str) -> None:
    """Set an option of packet(7), without the GIL: the kernel waits for an RCU grace period to set up a ring."""
    import ctypes

    data = value if isinstance(value, bytes) else struct.pack("=i", value)
    if _libc().setsockopt(s.fileno(), lib.SOL_PACKET, option, data, len(data)) < 0:
        number = ctypes.get_errno()
        raise OSFailure(f"{what} on {interface!r}: {os.strerror(number)}", "", number, interface)


def attach_filter(s: socket.socket, program: bytes) -> None:
    """Let the kernel run a classic BPF program (struct sock_filter after struct sock_filter) on each frame."""
    instructions = ffi.from_buffer(program)
    first = ffi.cast("struct sock_filter *", instructions)
    attached = ffi.new("struct sock_fprog *", {"len": len(program) // 8, "filter": first})
    s.setsockopt(socket.SOL_SOCKET, lib.SO_ATTACH_FILTER, bytes(ffi.buffer(attached)))


def attach_judge(s: socket.socket, program: int) -> None:
    """Let the kernel run the socket filter of that descriptor (eBPF) on each frame."""
    s.setsockopt(socket.SOL_SOCKET, lib.SO_ATTACH_BPF, program)


def bind(s: socket.socket, interface: str, protocol: int) -> None:
    """Bind a packet socket; protocol 0 receives nothing.  Raises OSError.

    By the interface's number: socket.bind() wants a name in UTF-8, and the kernel takes any bytes.
    """
    bind_to(s, index_of(interface), protocol)


def bind_to(s: socket.socket, index: int, protocol: int) -> None:
    """Bind a packet socket to the interface of that number.  Needs no privilege.  Raises OSError."""
    import ctypes

    address = SOCKADDR_LL.pack(socket.AF_PACKET, socket.htons(protocol), index, 0)
    if _libc().bind(s.fileno(), address, len(address)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def bound_to(s: socket.socket) -> tuple[str, int]:
    """Return the interface that a packet socket is bound to now, "" if that is gone, and the ARPHRD_* of its frames."""
    import ctypes

    address = ctypes.create_string_buffer(SOCKADDR_LL.size)
    if _libc().getsockname(s.fileno(), address, ctypes.byref(ctypes.c_uint(len(address)))):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    _, _, index, kind = SOCKADDR_LL.unpack(address.raw)
    return name_of(index) if index > 0 else "", kind


def be_promiscuous(s: socket.socket, interface: str) -> None:
    """See what is addressed to others too, until the socket is closed or the interface goes."""
    index = index_of(interface)
    member = ffi.new("struct packet_mreq *", {"mr_ifindex": index, "mr_type": lib.PACKET_MR_PROMISC})
    set_option(s, lib.PACKET_ADD_MEMBERSHIP, bytes(ffi.buffer(member)), "promiscuous mode", interface)


def ask_large_buffer(s: socket.socket, force: int, plain: int) -> None:
    """Ask for a large socket buffer; without CAP_NET_ADMIN the system's limit applies."""
    try:
        s.setsockopt(socket.SOL_SOCKET, force, SOCKET_BUFFER)
    except PermissionError:
        s.setsockopt(socket.SOL_SOCKET, plain, SOCKET_BUFFER)
