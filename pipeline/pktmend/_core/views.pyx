"""What a batch shows of itself: a check of a packet as an object, a column or a frame as a buffer.

A view counts itself in its batch, which is not released while one is alive.
"""

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBUF_STRIDES, PyBUF_WRITABLE
from libc.stdint cimport uintptr_t

from pktmend.stage cimport PP_CHECK_CRC32C, pp_check


cdef class Check:
    """One checksum of one packet; offsets in octets from the start of the captured frame."""

    @property
    def width(self):
        """Octets of the field: 2, or 4 for SCTP."""
        return 4 if self.flags & PP_CHECK_CRC32C else 2

    def __repr__(self):
        return f"<Check proto={self.proto} offset={self.offset} status={self.status} cause={self.cause}>"


cdef Check make_check(const pp_check *k):
    cdef Check c = Check.__new__(Check)
    c.proto, c.status, c.cause, c.reason, c.flags, c.depth = k.proto, k.status, k.cause, k.reason, k.flags, k.depth
    c.offset, c.start, c.length, c.stored, c.expected, c.seed = k.offset, k.start, k.length, k.stored, k.expected, k.seed
    return c


cdef class Exporter:
    """What views are made of: a batch.  It knows how many of its views are alive."""


@cython.no_gc_clear  # the collector may take a cycle apart before the buffer is released, which needs the batch
cdef class _View:
    """Exports one column, or one frame, through the buffer protocol, once, and counts itself in its batch."""

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        if self.is_given:  # the frame may be gone by now: only what was counted without a gap is sure to be there
            raise BufferError("this view was given out already; ask the batch for another")
        if self.readonly and flags & PyBUF_WRITABLE:
            raise BufferError("this column is read-only")
        buffer.buf = self.at
        buffer.obj = self
        buffer.itemsize = self.strides[0]
        buffer.len = self.shape[0] * self.strides[0]
        buffer.readonly = self.readonly
        buffer.ndim = 1
        buffer.format = <char *>self.format if flags & PyBUF_FORMAT else NULL
        buffer.shape = self.shape if flags & PyBUF_ND else NULL
        buffer.strides = self.strides if (flags & PyBUF_STRIDES) == PyBUF_STRIDES else NULL
        buffer.suboffsets = NULL
        buffer.internal = <void *><uintptr_t>self.batch.call
        self.is_given = True
        self.batch.exports += 1
        self.batch.fresh += 1

    def __releasebuffer__(self, Py_buffer *buffer):
        self.batch.exports -= 1
        if <uintptr_t>buffer.internal == self.batch.call:
            self.batch.fresh -= 1


CHECK_FORMAT = ("T{=I:offset:=I:start:=I:length:=I:stored:=I:expected:=H:seed:"
                "B:proto:B:status:B:cause:B:reason:B:flags:B:depth:}")
