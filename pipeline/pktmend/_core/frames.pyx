"""Batches of frames that the program has: a source, and a way to judge a single frame."""

from libc.errno cimport EIO, ENODATA
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from pktmend._core.batch cimport Batch
from pktmend._core.engine cimport *
from pktmend._core.sources cimport Source
from pktmend.stage cimport *

from pktmend.enums import PacketFlag, Status
from pktmend.errors import ConfigError, StageError
from pktmend.records import Inspected


cdef class FramesSource(Source):
    """Fills batches from *frames*, an iterable of buffers or of (time_ns, buffer); each is copied when it is asked for.

    link:    LINKTYPE_* number.        flags: PacketFlag bits of the source.
    vnet:    ten bytes of virtio-net header before each frame, or None.
    wirelen: bytes a frame had; None: all are here.
    tpid, tci: the VLAN tag that was stripped (with PacketFlag.VLAN).

    The copies live until the next batch, or as long as a view of theirs.
    """
    cdef object frames, vnet, wirelen
    cdef pp_arrival packet  # of the packet that came last
    cdef object error       # of the iterator; raised after the packets before it

    def __cinit__(self, frames, *, uint32_t capacity=256, link=1, uint16_t flags=0, vnet=None, wirelen=None,
                  uint16_t tpid=0, uint16_t tci=0):
        if not 0 <= link <= 0xffff:
            raise ConfigError(f"link type {link}", "0 to 65535")
        if vnet is not None and len(vnet) != PP_VNET_LEN:
            raise ConfigError(f"a virtio-net header has {PP_VNET_LEN} bytes, not {len(vnet)}")
        if capacity == 0:
            raise ConfigError("a batch needs a capacity above 0")
        self.frames, self.capacity, self.memory, self.wirelen = iter(frames), capacity, [], wirelen
        self.vnet = bytes(PP_VNET_LEN) if vnet is None else bytes(vnet)
        memset(&self.packet, 0, sizeof(self.packet))
        self.packet.link, self.packet.vlan_tpid, self.packet.vlan_tci = link, tpid, tci
        self.packet.flags = flags | (PP_PKT_VNET if vnet is not None else 0)
        self.c.next, self.c.release, self.c.context, self.c.fd = frames_next, frames_release, <void *>self, -1

    cdef int pull(self, pp_batch *b) except -1:
        """Copy what the iterator gives next into *b*; -ENODATA at its end, -EIO if it failed."""
        cdef list copies = []
        if not self.batch.exports:
            self.memory.clear()
        self.memory.append(copies)
        b.count = b.checks_used = 0
        try:
            while self.error is None and b.count < self.capacity:
                item = next(self.frames, self)
                if item is self:
                    break
                self.append(b, item, copies)
        except BaseException as error:
            self.error = error
        if b.count == 0:
            return -ENODATA if self.error is None else -EIO
        pp_batch_fresh(b)
        return b.count

    cdef int append(self, pp_batch *b, item, list copies) except -1:
        """Add a packet to *b*, whose copy *copies* keeps alive."""
        cdef bytearray copy
        self.packet.time_ns, item = item if isinstance(item, tuple) else (0, item)
        copy = bytearray(self.vnet + bytes(memoryview(item)))
        copies.append(copy)
        self.packet.data = <uint8_t *><char *>copy + PP_VNET_LEN
        self.packet.caplen = <uint32_t>(len(copy) - PP_VNET_LEN)
        self.packet.wirelen = self.packet.caplen if self.wirelen is None else self.wirelen
        self.packet.number += 1
        pp_batch_append(b, &self.packet)
        return 0

    cdef int fault(self, int rc) except -1:
        if rc < 0 and self.error is not None:
            error, self.error = self.error, None
            raise StageError(f"source of frames: {type(error).__name__}: {error}", stage="frames") from error
        return raise_for_errno(rc, "reading frames")

    def close(self):
        """Let go of the copies.  BufferError while a view of a batch is alive."""
        self.detach()
        self.memory.clear()


cdef int frames_next(pp_batch *b, void *context) noexcept with gil:
    try:
        return (<FramesSource>context).pull(b)
    except BaseException as error:
        (<FramesSource>context).error = error
        return -EIO


cdef void frames_release(void *context) noexcept nogil:
    pass


def inspect(frame, *, link=1, flags=0, vnet=None, wirelen=None, expected=True, at_wire=False):
    """Judge one frame, given as bytes; the arguments are those of FramesSource and of verify."""
    cdef FramesSource source = FramesSource([frame], capacity=1, link=link, flags=flags, vnet=vnet, wirelen=wirelen)
    cdef Batch b = Batch(1)
    cdef uint32_t options = (PP_VERIFY_EXPECTED if expected else 0) | (PP_VERIFY_AT_WIRE if at_wire else 0)
    source.next(b)
    pp_stage_verify(&b.c, &options)
    pp_stage_classify(&b.c, NULL)
    return Inspected(PacketFlag(b.c.flags[0]), Status(b.c.status[0]), b.checks_of(0))
