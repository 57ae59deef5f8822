"""Rings of one interface, of which one gets the frames: one takes over from another, no frame in both or neither.

A fanout group of the kernel's, whose choice is a classic BPF program: 0, the first to join, until there is one.
A member cannot be bound again to an interface that was made anew.

Source: packet(7), PACKET_FANOUT; Linux net/packet/af_packet.c fanout_demux_bpf().
"""

from __future__ import annotations

import socket
import struct

from pktmend._kernel import ffi, lib
from pktmend.host.bpf_asm import encode, ret
from pktmend.packetio.afpacket import set_option
from pktmend.packetio.ring import Ring


class RingGroup:
    """Begins with *first*; the others join.  Raises OSFailure where the kernel has no such groups."""

    def __init__(self, first: Ring, *, outgoing: bool) -> None:
        self._first = first
        # in a group, the group's own flag counts
        self._type = lib.PACKET_FANOUT_CBPF | (0 if outgoing else lib.PACKET_FANOUT_FLAG_IGNORE_OUTGOING)
        self._join(first, 0, lib.PACKET_FANOUT_FLAG_UNIQUEID)
        with socket.socket(fileno=first.fileno()) as s:
            try:
                self._number = s.getsockopt(lib.SOL_PACKET, lib.PACKET_FANOUT) & 0xFFFF
            finally:
                s.detach()
        self._size = 1

    def join(self, ring: Ring) -> int:
        """Let *ring* join; return its place.  It gets nothing yet."""
        self._join(ring, self._number)
        self._size += 1
        return self._size - 1

    def choose(self, place: int) -> None:
        """From now on the ring at that place gets the frames."""
        program = encode([ret(place)])
        code = ffi.from_buffer(program)
        first = ffi.cast("struct sock_filter *", code)
        attached = ffi.new("struct sock_fprog *", {"len": len(program) // 8, "filter": first})
        set_option(
            self._first, lib.PACKET_FANOUT_DATA, bytes(ffi.buffer(attached)), "choosing a ring", self._first.interface
        )

    def _join(self, ring: Ring, number: int, more: int = 0) -> None:
        value = struct.unpack("=i", struct.pack("=I", (self._type | more) << 16 | number))[0]
        set_option(ring, lib.PACKET_FANOUT, value, "a group of rings", ring.interface)
