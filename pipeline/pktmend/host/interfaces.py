"""What the kernel says of an interface of this namespace, by ioctl: is it there, is it up, how large is its MTU?

Needs no privilege.  It asks through a netlink socket, the one kind that a hardened command may still make (any socket
will do): those of the C library's if_nametoindex() and of the internet could also speak to others.

Source: netdevice(7).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from typing import Final

from pktmend._kernel import lib
from pktmend.errors import OSFailure

LONGEST: Final = 15  # characters of a name (IFNAMSIZ and its end)


def interfaces() -> list[str]:
    """Return the names of this namespace's interfaces."""
    try:
        return [name for _, name in socket.if_nameindex()]
    except OSError:
        asking().close()  # the C library says ENOENT, as of what is not there, if there is no descriptor to ask with
        raise


def asking() -> socket.socket:
    """Return a socket to ask about interfaces by ioctl."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, lib.NETLINK_ROUTE)


def _ifreq(name: str, request: int) -> int:
    """Ask the kernel for the integer behind *request* (SIOCGIFMTU and the like)."""
    return int(struct.unpack_from("I", _ask(name, request), 16)[0])


def _ask(name: str, request: int) -> bytes:
    encoded = os.fsencode(name)
    if len(encoded) > LONGEST or b"\0" in encoded:  # the kernel would cut it, and answer for another
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    with asking() as s:
        return fcntl.ioctl(s, request, struct.pack("16s16x", encoded))


def index_of(name: str) -> int:
    """Return the interface's number; OSError (ENODEV) if there is none of that name."""
    return _ifreq(name, lib.SIOCGIFINDEX)


def name_of(index: int) -> str:
    """Return the name of interface number *index*, "" if it is not there.  OSError if that could not be asked."""
    with asking() as s:
        try:
            answer = fcntl.ioctl(s, lib.SIOCGIFNAME, struct.pack("16xi12x", index))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return ""
    return os.fsdecode(answer[:16].split(b"\0")[0])


def is_interface(name: str) -> bool:
    """Is there an interface of that name, and not by another name that it has?"""
    try:
        return name_of(index_of(name)) == name
    except (OSError, ValueError):
        return False


def require_interface(name: str) -> None:
    """Raise OSFailure unless *name* exists and is up."""
    if not is_interface(name):
        raise OSFailure(
            f"there is no interface {name!r} here", f"there are: {', '.join(interfaces())}", errno.ENODEV, name
        )
    if not is_up(name):
        raise OSFailure(f"interface {name!r} is down", f"ip link set dev {name} up", errno.ENETDOWN, name)


def is_up(name: str) -> bool:
    """Is the interface administratively up?"""
    return bool(_ifreq(name, lib.SIOCGIFFLAGS) & lib.IFF_UP)


def is_loopback(name: str) -> bool:
    """Is it a loopback interface, where each frame passes twice: out, and in again?"""
    return bool(_ifreq(name, lib.SIOCGIFFLAGS) & lib.IFF_LOOPBACK)


def hardware_of(name: str) -> int:
    """Return of which kind the interface's frames are: ARPHRD_*."""
    return int(struct.unpack_from("H", _ask(name, lib.SIOCGIFHWADDR), 16)[0])


def mtu_of(name: str) -> int:
    """Return the interface's MTU in bytes."""
    return _ifreq(name, lib.SIOCGIFMTU)
