"""Where batches come from: a receive ring, a capture.

The memory that a source walks is an object of its own, which source and batch hold: close() gives it back, or else the
last of the two.  So no cycle is needed for a view to keep what it shows.
"""

import os
import stat
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.errno cimport ENODATA
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free

from pktmend._core.batch cimport Batch
from pktmend._core.engine cimport *
from pktmend.stage cimport *

from pktmend.errors import ConfigError, FormatError


cdef class Source:
    """Where batches come from; see RingSource and CaptureSource.

    One batch at a time is filled from a source; it is emptied when the source is closed, and a source cannot be closed
    while a loop runs on it or a view of its batch is alive.
    """

    cdef int fault(self, int rc) except -1:
        """Raise what ended reading with *rc*."""
        return raise_for_errno(rc, "reading")

    def next(self, Batch batch not None):
        """Fill *batch*; return the number of packets, 0 if none is there now, None if no more will come."""
        cdef int n
        if self.is_closed():
            raise ConfigError("this source is closed")
        if self.running:
            raise ConfigError("a pipeline runs on this source")
        batch.require_no_views()
        if batch.c.capacity < self.capacity:
            raise ConfigError(f"a batch of capacity {batch.c.capacity} for a source that needs {self.capacity}")
        if self.batch is not batch or batch.owner is not self.memory:
            self.attach(batch)
        with nogil:
            n = self.c.next(&batch.c, self.c.context)
        if n <= 0:
            batch.c.count = 0
        if n == -ENODATA:
            return None
        return self.fault(n)

    def release(self, Batch batch not None):
        """Give back what the last next() gave.  BufferError while a view of it is alive."""
        batch.require_no_views()
        batch.c.count = 0
        if not self.is_closed():
            self.c.release(self.c.context)

    cdef bint is_closed(self):
        return False

    cdef int attach(self, Batch batch) except -1:
        """Fill *batch* from now on; BufferError while a view of the one before is alive."""
        self.detach()
        batch.require_no_views()
        self.batch, batch.owner = batch, self.memory
        return 0

    cdef int detach(self) except -1:
        cdef Batch batch = self.batch
        if self.running:
            raise ConfigError("a pipeline still runs on this source; stop it and wait first")
        if batch is not None and batch.owner is self.memory:  # else another source fills it now
            batch.require_no_views()
            batch.c.count = 0
            batch.owner = None
        self.batch = None
        return 0


cdef int ring_next(pp_batch *b, void *context) noexcept nogil:
    return pp_ring_next(<pp_ring *>context, b)


cdef void ring_release(void *context) noexcept nogil:
    pp_ring_release(<pp_ring *>context)


cdef int ring_rebuild(void *context) noexcept nogil:
    return pp_ring_recover(<pp_ring *>context)


def link_of(uint16_t hatype):
    """Return the LINKTYPE_* of the frames of an interface of this kind (ARPHRD_*)."""
    return pp_ring_link(hatype)


cdef class _RingMemory:
    """A ring's mapping, and the room beside it for frames that no slot holds."""

    def __cinit__(self, memory, bint has_arena):
        PyObject_GetBuffer(memory, &self.map, PyBUF_SIMPLE | PyBUF_WRITABLE)
        self.mapped = True
        if has_arena:
            self.arena = <uint8_t *>calloc(1, PP_RING_ARENA)
            if self.arena == NULL:
                raise MemoryError

    cdef void unmap(self) noexcept:
        if self.mapped:
            self.mapped = False
            PyBuffer_Release(&self.map)

    def __dealloc__(self):
        self.unmap()
        free(self.arena)


cdef class RingSource(Source):
    """Walks a receive ring that lies in *memory* (an mmap of socket *fd*), which stays alive as long as this does.

    queue_fd: a socket to go on with where a v2 ring loses its way, 0 for none.
    watch_fd: an epoll by which a loop is woken for frames that are dropped as well, 0 for none.
    """

    def __cinit__(self, int fd, memory, *, int version, uint32_t block_size, uint32_t block_count,
                  uint32_t frame_size, uint32_t frame_count, bint has_vnet, int queue_fd=0, int watch_fd=0):
        cdef pp_ring *r = &self.ring
        cdef _RingMemory held
        if version not in (2, 3):
            raise ConfigError(f"TPACKET version {version}: 2 or 3")
        self.memory = held = _RingMemory(memory, version == 2)
        if (version == 3 and <Py_ssize_t>block_size * block_count > held.map.len) or (
                version == 2 and <Py_ssize_t>frame_size * frame_count > held.map.len):
            raise ConfigError("the ring's geometry exceeds its mapping")
        r.map, r.arena = <uint8_t *>held.map.buf, held.arena
        r.fd, r.version, r.has_vnet = fd, version, has_vnet
        r.block_size, r.block_count, r.frame_size, r.frame_count = block_size, block_count, frame_size, frame_count
        self.capacity = pp_ring_capacity(r)
        self.c.next, self.c.release, self.c.context, self.c.fd = ring_next, ring_release, r, fd
        self.c.losses = &r.losses
        if version == 2:
            r.queue_fd, self.c.watch_fd = queue_fd, watch_fd
            self.c.rebuild, self.c.room = ring_rebuild, frame_count // 2

    def close(self):
        """Give the memory back; the mapping can be closed then.  BufferError while a view of a batch is alive."""
        cdef _RingMemory held = self.memory
        if held.mapped:  # also where the ring was lost while it was rebuilt
            self.detach()
            self.ring.map = NULL
            held.unmap()

    @property
    def is_by_queue(self):
        """Has it lost its way, and goes on with queue_fd?"""
        return bool(self.ring.is_by_queue)

    cdef int fault(self, int rc) except -1:
        return raise_for_errno(rc, "reading the ring")

    cdef bint is_closed(self):
        return self.ring.map == NULL


FORMATS = ("", "pcap", "pcapng")  # by the engine's number: not known yet, classic pcap, pcapng


cdef class _CaptureMemory:
    """A reader and the chunk of the file that it holds."""

    def __dealloc__(self):
        pp_reader_free(&self.reader)


cdef class CaptureSource(Source):
    """Walks the capture that comes out of *fd*: a file, a pipe, a socket.  It stays the caller's, and open as long as this is."""

    def __cinit__(self, int fd, *, uint32_t capacity=1024, filter=None):
        cdef _CaptureMemory held = _CaptureMemory()
        self.memory, self.reader = held, &held.reader
        raise_for_errno(pp_reader_init(self.reader, fd), "a buffer")
        if filter is not None:
            if not isinstance(filter, PacketFilter):
                raise ConfigError(f"{filter!r} is not a packet filter")
            self.filter = filter
            self.reader.capture.filter = pp_filter_match
            self.reader.capture.filter_context = &(<PacketFilter>filter).c
        self.capacity = capacity
        self.c.next, self.c.release, self.c.context = pp_reader_next, pp_reader_release, self.reader
        self.c.fd = -1 if stat.S_ISREG(os.fstat(fd).st_mode) else fd  # a file never has to be waited for

    def close(self):
        """Give the memory back.  BufferError while a view of a batch is alive."""
        self.detach()
        pp_reader_free(self.reader)

    def begin(self):
        """Return the format, "pcap" or "pcapng", once enough has come to know it; "" until then.  FormatError if it is none."""
        cdef int rc
        with nogil:
            rc = pp_reader_begin(self.reader)
        return FORMATS[self.fault(rc)]

    def stretch(self, uint64_t start, uint64_t end, uint64_t before=0):
        """Read the bytes [start, end) only, of a classic capture; before the first batch.  A pipe has to bring just these.

        start is where a record begins, before which lie *before* of them: the first packet's number is one more.
        FormatError while reading if none ends at end.
        """
        cdef int rc
        with nogil:
            rc = pp_reader_stretch(self.reader, start, end, before)
        self.fault(rc)

    cdef int fault(self, int rc) except -1:
        if rc < 0 and self.reader.capture.error != NULL:
            what, offset = self.error
            raise FormatError(f"{what} at byte {offset}", offset=offset)
        return raise_for_errno(rc, "reading")

    cdef bint is_closed(self):
        return self.reader.data == NULL

    @property
    def error(self):
        """(what, byte offset in the file) of the fault that ended reading, or None."""
        if self.reader.capture.error == NULL:
            return None
        return (<bytes>self.reader.capture.error).decode(), self.reader.capture.error_offset

    @property
    def offset(self):
        """Bytes of the file that are done."""
        return self.reader.capture.offset

    @property
    def ended_at(self):
        """Bytes that came in all, once no more will come; else None."""
        if not self.reader.final:
            return None
        return self.reader.capture.offset + self.reader.length - self.reader.at

    @property
    def format(self):
        """"pcap", "pcapng", or "" where it is not known yet."""
        return FORMATS[self.reader.capture.format]

    @property
    def interfaces(self):
        """(link type, drops or None) of each interface of the current section."""
        cdef pp_capture_interface *i = self.reader.capture.interfaces
        return [(i[n].link, None if i[n].drops == <uint64_t>-1 else i[n].drops)
                for n in range(self.reader.capture.interface_count)]


cdef class PacketFilter:
    """Classic BPF programs by link type, run by libpcap's own interpreter; made by pktmend.packetio.bpf_filter."""

    def __cinit__(self, interpreter, programs, keep):
        cdef uint32_t n = 0
        if len(programs) > PP_FILTER_LINKS:
            raise ConfigError(f"{len(programs)} link types; {PP_FILTER_LINKS} at most")
        self.c.run = <pp_bpf_fn><uintptr_t>interpreter
        for link, address in programs:
            self.c.link[n] = link
            self.c.program[n] = <void *><uintptr_t>address
            n += 1
        self.c.count = n
        self.keep = keep
