"""An interface belongs to one bridge: a lock that lasts as long as the process that holds it.

It is a pair of packet sockets that are bound to the interface with protocols that no frame has: to make one takes
CAP_NET_RAW, as a bridge does, so nobody without it can keep a bridge away.  Every process of the network namespace sees
them, in every container that shares the namespace; they go with an interface that is renamed; and the kernel takes
them back whatever ends the process.  Only making them needs the privilege: move() does not.

Two that begin at once: each shows itself as a candidate first, and before and after it has become the holder gives way
to a candidate of a lower inode.  Each role has a socket of its own: one that is bound again is not seen meanwhile.

Source: packet(7), sock_diag(7); Linux net/packet/af_packet.c (packet_do_bind).
"""

from __future__ import annotations

import errno
import os
import random
import socket
import time
from typing import Final, NamedTuple

from pktmend.errors import OSFailure
from pktmend.host.bpf_asm import encode, ret
from pktmend.host.packet_sockets import holders, packet_sockets
from pktmend.packetio.afpacket import attach_filter, bind_to, open_packet_socket

TAKEN: Final = {"bridge": "bridged", "isolation": "isolated"}
WITHDRAWN: Final = 0x05BF  # a protocol too: some kernels keep the one before where 0 is asked for
TRIES: Final = 5  # where others begin at the same time


class _Protocols(NamedTuple):
    """Numbers below 0x600 are lengths in a frame, no types: nothing is ever received."""

    candidate: int
    holder: int


PROTOCOLS: Final = {"bridge": _Protocols(0x05B0, 0x05B1), "isolation": _Protocols(0x05B2, 0x05B3)}


class InterfaceLock:
    """The lock on interface number *index* for *purpose* (of TAKEN).

    name:    of the interface, for the error.
    patience: seconds to wait for a holder that is about to end.
    Raises:  OSFailure (EBUSY) that names the process that holds it, PrivilegeError without CAP_NET_RAW.
    """

    def __init__(self, purpose: str, index: int, name: str, *, patience: float = 0) -> None:
        self._protocols = PROTOCOLS[purpose]
        self.index = 0
        self._candidate = open_packet_socket(name)
        self._holder = open_packet_socket(name)
        for each in (self._candidate, self._holder):
            attach_filter(each, encode([ret(0)]))
        deadline = time.monotonic() + patience
        try:
            while not self._take(index):
                if time.monotonic() >= deadline:
                    pid = holder(purpose, index)
                    by = f" by process {pid}" if pid else ""
                    raise OSFailure(f"interface {name!r} is {TAKEN[purpose]} already{by}", "", errno.EBUSY, name)
                time.sleep(0.02)
        except BaseException:
            self.close()
            raise

    def move(self, index: int) -> bool:
        """Exchange it for the lock on another number; False, and none is held, if that is taken."""
        return index == self.index or self._take(index)

    def close(self) -> None:
        """Give it up.  Idempotent."""
        self._holder.close()
        self._candidate.close()

    def __enter__(self) -> InterfaceLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, index: int) -> bool:
        """Become the holder; False if another is."""
        for _ in range(TRIES):
            bind_to(self._candidate, index, self._protocols.candidate)
            if _inodes(index, self._protocols.holder) - {_inode(self._holder)}:
                break
            if self._is_first(index):
                bind_to(self._holder, index, self._protocols.holder)
                if self._is_first(index):  # nobody that goes before us has come meanwhile
                    self.index = index
                    return True
            self._withdraw(index)
            time.sleep(random.uniform(0, 0.05))
        self._withdraw(index)
        return False

    def _withdraw(self, index: int) -> None:
        for each in (self._holder, self._candidate):
            bind_to(each, index, WITHDRAWN)
        self.index = 0

    def _is_first(self, index: int) -> bool:
        """Of the candidates, has ours the lowest inode?"""
        return min(_inodes(index, self._protocols.candidate)) == _inode(self._candidate)


def _inode(s: socket.socket) -> int:
    return os.fstat(s.fileno()).st_ino


def _inodes(index: int, protocol: int) -> set[int]:
    """The packet sockets that are bound to that interface with that protocol."""
    return {s.inode for s in packet_sockets() if s.interface == index and s.protocol == protocol}


def holder(purpose: str, index: int) -> int:
    """Return the process that holds the lock, 0 if that cannot be found out (it is in another pid namespace, say)."""
    inodes = _inodes(index, PROTOCOLS[purpose].holder)
    return next(iter(holders(inodes, taps=False).sockets.values()), 0)
