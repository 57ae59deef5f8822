"""The userspace end of TAP devices: what a hypervisor or a VPN does with them, and what some do wrong.

    python -m pktmend.testbed.tap FD FD

copies frames between two open TAPs as they are, virtio-net header included where both have one.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable

from pktmend._kernel import lib
from pktmend.host.own_command import own_module
from pktmend.testbed.netns import Host

CHECKSUM = lib.TUN_F_CSUM
SEGMENTS = lib.TUN_F_CSUM | lib.TUN_F_TSO4 | lib.TUN_F_TSO6
Change = Callable[[bytes], Iterable[bytes]]


def open_tap(host: Host, name: str, *, header: bool, offload: int | None = 0) -> int:
    """Make the TAP *name* in *host*, or attach to it, up; return its descriptor.

    header:  frames have a virtio-net header before them (IFF_VNET_HDR), which can say NEEDS_CSUM.
    offload: what the kernel may leave undone in the frames that it hands over (TUN_F_*); None leaves what a TAP has.
    """

    def make() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR)
        flags = lib.IFF_TAP | lib.IFF_NO_PI | (lib.IFF_VNET_HDR if header else 0)
        fcntl.ioctl(fd, lib.TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        if offload is not None:
            fcntl.ioctl(fd, lib.TUNSETOFFLOAD, offload)
        return fd

    fd = host.call(make)
    host.link(name, state="up")
    return fd


def copy(host: Host, a: int, b: int) -> subprocess.Popen[bytes]:
    """Start the program that copies between two TAPs; it has their descriptors from now on."""
    program = host.spawn(*own_module("pktmend.testbed.tap", str(a), str(b)), pass_fds=(a, b))
    for fd in (a, b):
        os.close(fd)
    return program


def same(frame: bytes) -> Iterable[bytes]:
    """Hand it on as it is."""
    return (frame,)


def run(a: int, b: int, there: Change = same, back: Change = same) -> None:
    """Copy until ended; there, back: what becomes of a frame of a, and of b."""
    poll = select.poll()
    ways = {a: (b, there), b: (a, back)}
    for fd in ways:
        os.set_blocking(fd, False)
        poll.register(fd, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            target, change = ways[fd]
            for _ in range(64):
                try:
                    frame = os.read(fd, 1 << 17)
                except BlockingIOError:
                    break
                try:
                    for each in change(frame):
                        os.write(target, each)
                except OSError:  # as a cable would: the other side is down or full
                    break


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]))
