"""Ring, a source: a packet socket with a receive ring.  Its rules are those of afpacket.py."""

from __future__ import annotations

import mmap
import select
import socket
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final

from pktmend import _core
from pktmend._kernel import ffi, lib
from pktmend.errors import ConfigError, OSFailure
from pktmend.host.interfaces import require_interface
from pktmend.packetio.afpacket import (
    ask_large_buffer,
    attach_filter,
    attach_judge,
    be_promiscuous,
    bind,
    bound_to,
    open_packet_socket,
    set_option,
)
from pktmend.packetio.iterate import batches_of

ETHERNET_KINDS: Final = (1, 772)  # ARPHRD_ETHER, ARPHRD_LOOPBACK


def _v3_request(block_size: int, blocks: int, retire_blk_tov_ms: int) -> bytes:
    """A struct tpacket_req3: frames lie densely in a block."""
    request = {
        "tp_block_size": block_size,
        "tp_block_nr": blocks,
        "tp_frame_size": block_size,
        "tp_frame_nr": blocks,
        "tp_retire_blk_tov": retire_blk_tov_ms,
    }
    return bytes(ffi.buffer(ffi.new("struct tpacket_req3 *", request)))


def _v2_request(block_size: int, blocks: int, slot_size: int, slots: int) -> bytes:
    """A struct tpacket_req: a slot for each frame."""
    request = {
        "tp_block_size": block_size,
        "tp_block_nr": blocks,
        "tp_frame_size": slot_size,
        "tp_frame_nr": slots,
    }
    return bytes(ffi.buffer(ffi.new("struct tpacket_req *", request)))


class Ring:
    """A receive ring on *interface*; a source of batches.

    ring:          "v3": blocks, densest, for monitors (a block is handed over when full or after retire_blk_tov_ms).
                   "v2": slots, each frame wakes the reader at once, for bridges.
    block_size:    bytes of a v3 block, a multiple of the page size; also the longest frame, headers included.
    blocks:        number of v3 blocks.
    slot_size:     bytes of a v2 slot; longer frames travel through the socket's queue, whole.
    slots:         number of v2 slots.
    outgoing:      also see what this host sends out of the interface (never for a bridge: it would read its own).
    promiscuous:   also see what is addressed to others.
    packet_filter: only see packets that match this expression in tcpdump's language; needs libpcap.
    program:       a classic BPF program that the kernel runs on each frame, instead of an expression.

    A v2 ring stops for good with a super-frame of a type that packet sockets do not support (UFO, SCTP).  A pipeline
    notices, and goes on without the ring, through the queue of a second socket: each frame takes a call and a copy
    then.  That one frame is lost.

    A context manager; close() gives ring and sockets back.
    Raises: OSFailure if there is no such interface, PrivilegeError without CAP_NET_RAW, ConfigError.
    """

    def __init__(
        self,
        interface: str,
        *,
        ring: str = "v3",
        block_size: int = 1 << 20,
        blocks: int = 32,
        retire_blk_tov_ms: int = 1,
        slot_size: int = 2048,
        slots: int = 8192,
        outgoing: bool = True,
        promiscuous: bool = True,
        packet_filter: str = "",
        program: bytes = b"",
    ) -> None:
        if ring not in ("v2", "v3"):
            raise ConfigError(f"ring {ring!r}", "v2 or v3")
        require_interface(interface)
        self.interface = interface
        self.ring = ring
        if packet_filter:
            from pktmend.packetio import bpf_filter

            program = bpf_filter.for_interface(packet_filter, interface)
        self._socket = open_packet_socket(interface)
        self._queue: socket.socket | None = None
        self._watch: select.epoll | None = None
        try:
            self._set_up(block_size, blocks, retire_blk_tov_ms, slot_size, slots, outgoing, promiscuous, program)
        except BaseException:
            self._close_sockets()
            raise

    def _set_up(
        self,
        block_size: int,
        blocks: int,
        retire_blk_tov_ms: int,
        slot_size: int,
        slots: int,
        outgoing: bool,
        promiscuous: bool,
        program: bytes,
    ) -> None:
        s, name = self._socket, self.interface
        is_v3 = self.ring == "v3"
        set_option(s, lib.PACKET_VERSION, lib.TPACKET_V3 if is_v3 else lib.TPACKET_V2, "ring version", name)
        set_option(s, lib.PACKET_VNET_HDR, 1, "virtio-net header", name)
        if not outgoing:
            set_option(s, lib.PACKET_IGNORE_OUTGOING, 1, "ignoring outgoing frames (Linux 4.20)", name)
        if is_v3:
            size = block_size * blocks
            request = _v3_request(block_size, blocks, retire_blk_tov_ms)
        else:
            size = slot_size * slots
            block_size = min(size, 1 << 18)
            blocks = size // block_size
            set_option(s, lib.PACKET_COPY_THRESH, 1, "copying of large frames", name)
            ask_large_buffer(s, lib.SO_RCVBUFFORCE, socket.SO_RCVBUF)
            self._stand_by(outgoing)
            request = _v2_request(block_size, blocks, slot_size, slots)
        set_option(s, lib.PACKET_RX_RING, request, f"a ring of {size} bytes", name)
        self._map = mmap.mmap(s.fileno(), size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        self._source = _core.RingSource(
            s.fileno(),
            self._map,
            version=int(self.ring[1:]),
            block_size=block_size,
            block_count=blocks,
            frame_size=slot_size,
            frame_count=slots,
            has_vnet=True,
            queue_fd=self._queue.fileno() if self._queue is not None else 0,
            watch_fd=self._watch.fileno() if self._watch is not None else 0,
        )
        if program:  # before bind: no frame gets in without it
            self.attach(program)
        self._ignores_outgoing = not outgoing
        self._promiscuous = promiscuous
        self.rebind()

    def _stand_by(self, outgoing: bool) -> None:
        """Make the socket that a v2 ring goes on with where it loses its way, and what notices that it has."""
        q, name = open_packet_socket(self.interface), self.interface
        self._queue = q
        set_option(q, lib.PACKET_VNET_HDR, 1, "virtio-net header", name)
        set_option(q, lib.PACKET_AUXDATA, 1, "metadata of frames", name)
        if not outgoing:
            set_option(q, lib.PACKET_IGNORE_OUTGOING, 1, "ignoring outgoing frames (Linux 4.20)", name)
        ask_large_buffer(q, lib.SO_RCVBUFFORCE, socket.SO_RCVBUF)
        self._watch = select.epoll()

    @property
    def _active(self) -> socket.socket:
        """The socket that frames come through now."""
        return self._queue if self._queue is not None and self._source.is_by_queue else self._socket

    @property
    def name(self) -> str:
        """The interface's name, as counters have it."""
        return self.interface

    def open(self) -> _core.Source:
        """Return the engine's side, which ends with close()."""
        return self._source

    def attach(self, program: bytes) -> None:
        """Let the kernel run another classic BPF program on each frame from now on.  Needs no privilege."""
        for s in {self._active, self._queue or self._socket}:
            attach_filter(s, program)

    def attach_judge(self, program: int) -> None:
        """Let the kernel run the eBPF socket filter of that descriptor instead.  Needs no privilege."""
        for s in {self._active, self._queue or self._socket}:
            attach_judge(s, program)

    def rebind(self) -> None:
        """Bind to the interface of that name, also after the one before was deleted.  Needs no privilege."""
        try:
            bind(self._active, self.interface, lib.ETH_P_ALL)
        except OSError as error:
            raise OSFailure(
                f"binding to {self.interface!r}: {error.strerror}", "", error.errno or 0, self.interface
            ) from error
        if self._promiscuous:
            be_promiscuous(self._active, self.interface)

    def bound_to(self) -> str:
        """Return the name of the interface that the socket is bound to now; "" if that is gone."""
        return bound_to(self._active)[0]

    def renamed(self, name: str) -> None:
        """Take the interface's new name."""
        self.interface = name

    def join_fanout(self, group: int) -> None:
        """Share the interface's frames with the other rings of *group*, flow by flow (PACKET_FANOUT_HASH): v3 rings.

        The socket that a v2 ring would go on with is in no group.
        """
        flags = lib.PACKET_FANOUT_HASH  # the hash is symmetric: both directions of a flow meet in one ring
        if self._ignores_outgoing:  # in a group, the group's own flag counts
            flags |= lib.PACKET_FANOUT_FLAG_IGNORE_OUTGOING
        set_option(self._socket, lib.PACKET_FANOUT, (flags << 16) | (group & 0xFFFF), "fanout", self.interface)

    @property
    def link(self) -> int:
        """The LINKTYPE_* of the interface's frames: 1 Ethernet, 101 raw IP."""
        return _core.link_of(bound_to(self._active)[1])

    def require_ethernet(self) -> None:
        """Raise ConfigError if the interface's frames have no Ethernet header."""
        kind = bound_to(self._active)[1]
        if kind not in ETHERNET_KINDS:
            raise ConfigError(
                f"interface {self.interface!r} carries no Ethernet frames (ARPHRD {kind})", "bridge a veth, tap or NIC"
            )

    def fileno(self) -> int:
        """Return the socket's descriptor, for poll."""
        return self._active.fileno()

    def batches(self, *stages: Callable[[_core.Batch], Any], timeout: float | None = None) -> Iterator[_core.Batch]:
        """Yield batches as they come, each after *stages* ran; a batch is released when the next is asked for.

        timeout: seconds of silence after which the iteration ends; None waits for ever.
        Raises:  BufferError at the next step if a view of the batch is still alive: a column, a frame, an array of one.
        """
        return batches_of(self._source, stages, self.fileno(), timeout)

    def close(self) -> None:
        """Give ring and socket back.  Idempotent.  BufferError while a view of a batch is alive."""
        self._source.close()
        self._map.close()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for each in (self._watch, self._queue, self._socket):
            if each is not None:
                each.close()

    def __enter__(self) -> Ring:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
