"""DHCP messages with a leaked checksum, as a client's raw socket gets them: no counter of the kernel shows those.

One packet socket in each namespace, with a filter that lets UDP to port 68 through and nothing else.

Source: packet(7) (PACKET_AUXDATA), RFC 2131 section 4.1.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from pktmend import _core
from pktmend._kernel import lib
from pktmend.enums import Proto, Status
from pktmend.errors import PktmendError
from pktmend.host.bpf_asm import Assembler, encode
from pktmend.host.namespaces import Namespace, call
from pktmend.packetio.afpacket import attach_filter, bind_to

ETH_P_IP: Final = 0x0800
RAW_IP: Final = 101
CLIENT_PORT: Final = 68
LONGEST: Final = 2048
ANCILLARY: Final = 64


def _program() -> bytes:
    """Unfragmented UDP over IPv4 to the client's port; the frame begins with the IP header."""
    a = Assembler()
    a.emit(lib.BPF_LD | lib.BPF_B | lib.BPF_ABS, 9)
    a.jump_if(lib.BPF_JEQ, socket.IPPROTO_UDP, false="other")
    a.emit(lib.BPF_LD | lib.BPF_H | lib.BPF_ABS, 6)
    a.jump_if(lib.BPF_JSET, 0x1FFF, true="other")
    a.emit(lib.BPF_LDX | lib.BPF_B | lib.BPF_MSH, 0)
    a.emit(lib.BPF_LD | lib.BPF_H | lib.BPF_IND, 2)
    a.jump_if(lib.BPF_JEQ, CLIENT_PORT, false="other")
    a.ret(LONGEST)
    a.label("other")
    a.ret(0)
    return encode(a.instructions())


def _open() -> socket.socket:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        attach_filter(s, _program())
        s.setsockopt(lib.SOL_PACKET, lib.PACKET_AUXDATA, 1)
        bind_to(s, 0, ETH_P_IP)
    except OSError:
        s.close()
        raise
    return s


class Offers:
    """The sockets of all namespaces that can be entered.  A context manager."""

    def __init__(self, namespaces: Iterable[Namespace]) -> None:
        self.failed: dict[str, int] = {}  # by why: in how many namespaces
        self._sockets: dict[int, socket.socket] = {}
        for namespace in namespaces:
            try:
                self._sockets[namespace.inode] = call(namespace, _open)
            except (OSError, PktmendError) as error:
                if isinstance(error, OSError) and error.errno == errno.ENOENT:
                    continue  # it is gone
                why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                self.failed[why] = self.failed.get(why, 0) + 1

    def leaked(self) -> list[int]:
        """Return the inodes of the namespaces in which one has arrived since the last call."""
        return [inode for inode, s in self._sockets.items() if _has_leaked(s)]

    def close(self) -> None:
        """Close all."""
        for s in self._sockets.values():
            s.close()

    def __enter__(self) -> Offers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _has_leaked(s: socket.socket) -> bool:
    found = False
    with suppress(OSError):  # nothing more is there, or the link went down
        while True:
            data, ancillary, _, sender = s.recvmsg(LONGEST, ANCILLARY)
            if sender[2] != lib.PACKET_OUTGOING and not _is_partial(ancillary):
                checks = _core.inspect(data, link=RAW_IP, at_wire=True)[2]
                found = found or any(k.proto == Proto.UDP and k.status == Status.BAD for k in checks)
    return found


def _is_partial(ancillary: list[tuple[int, int, bytes]]) -> bool:
    """Does the kernel say that the checksum is partial?  Clients ask the same."""
    for level, kind, data in ancillary:
        if level == lib.SOL_PACKET and kind == lib.PACKET_AUXDATA:
            return bool(struct.unpack_from("=I", data)[0] & lib.TP_STATUS_CSUMNOTREADY)
    return False
