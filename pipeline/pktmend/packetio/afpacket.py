"""Packet sockets: what Ring (a source) and Emit (a sink) share.

Rules of this file and of both:
1. Control only: sockets are made, set up, bound and closed here; ext/io/ring.c and ext/io/emit.c move the packets.
2. Every failure is an OSFailure that names the interface, and the capability if that is what is missing.

Source: Linux Documentation/networking/packet_mmap.rst, packet(7).
"""

from __future__ import annotations

import errno
import socket
from typing import Final

from pktmend._kernel import lib
from pktmend.errors import OSFailure, PrivilegeError

SOCKET_BUFFER: Final = 64 << 20


def open_packet_socket(interface: str) -> socket.socket:
    """Return a packet socket that receives nothing until it is bound.  *interface* is for the error's words."""
    try:
        return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    except PermissionError as error:
        raise PrivilegeError(
            f"opening a packet socket on {interface!r} needs CAP_NET_RAW",
            "run as root, or: setcap cap_net_raw+ep on the Python in use",
            errno.EPERM,
            interface,
        ) from error


def set_option(s: socket.socket, option: int, value: int | bytes, what: str, interface: str) -> None:
    """Set an option of packet(7)."""
    try:
        s.setsockopt(lib.SOL_PACKET, option, value)
    except OSError as error:
        raise OSFailure(f"{what} on {interface!r}: {error.strerror}", "", error.errno or 0, interface) from error


def ask_large_buffer(s: socket.socket, force: int, plain: int) -> None:
    """Ask for a large socket buffer; without CAP_NET_ADMIN the system's limit applies."""
    try:
        s.setsockopt(socket.SOL_SOCKET, force, SOCKET_BUFFER)
    except PermissionError:
        s.setsockopt(socket.SOL_SOCKET, plain, SOCKET_BUFFER)
