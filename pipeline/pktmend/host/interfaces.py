"""What the kernel says of an interface of this namespace, by ioctl: is it there, is it up, how large is its MTU?

Needs no privilege.  Source: netdevice(7).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct

from pktmend._kernel import lib
from pktmend.errors import OSFailure


def interfaces() -> list[str]:
    """Return the names of this namespace's interfaces."""
    return [name for _, name in socket.if_nameindex()]


def _ifreq(name: str, request: int) -> int:
    """Ask the kernel for the integer behind *request* (SIOCGIFMTU and the like)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        answer = fcntl.ioctl(s, request, struct.pack("16s16x", os.fsencode(name)))
    return int(struct.unpack_from("I", answer, 16)[0])


def require_interface(name: str) -> None:
    """Raise OSFailure unless *name* exists and is up."""
    if name not in interfaces():
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
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        answer = fcntl.ioctl(s, lib.SIOCGIFHWADDR, struct.pack("16s16x", os.fsencode(name)))
    return int(struct.unpack_from("H", answer, 16)[0])


def mtu_of(name: str) -> int:
    """Return the interface's MTU in bytes."""
    return _ifreq(name, lib.SIOCGIFMTU)
