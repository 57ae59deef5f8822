"""What a batch shows of itself: a check of a packet as an object, a column or a frame as a buffer.

A view counts itself in its batch, which is not released while one is alive.
"""

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBUF_STRIDES, PyBUF_WRITABLE
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uintptr_t

from pktmend.stage cimport PP_CHECK_CRC32C, PP_CHECK_HAS_EXPECTED, PP_CHECK_NO_FIELD, pp_check

from pktmend.enums import Cause, CheckFlag, Proto, Reason, Status


# Members by number: a tenth of the time that calling the enumeration takes.
cdef tuple PROTOS = tuple(Proto), STATUSES = tuple(Status), CAUSES = tuple(Cause), REASONS = tuple(Reason)
cdef dict CHECK_FLAGS = {}  # as they are met


cdef object member(tuple members, uint8_t value):
    if value >= len(members):
        raise ValueError(f"{value} is no {type(members[0]).__name__}")
    return members[value]


cdef class Check:
    """One checksum of one packet; offsets and lengths in bytes from the start of the captured frame."""

    @property
    def proto(self):
        """Which protocol's checksum."""
        return member(PROTOS, self.c.proto)

    @property
    def status(self):
        """What arithmetic and flags say."""
        return member(STATUSES, self.c.status)

    @property
    def cause(self):
        """Why it is bad."""
        return member(CAUSES, self.c.cause)

    @property
    def reason(self):
        """Why it is unchecked, or pending."""
        return member(REASONS, self.c.reason)

    @property
    def flags(self):
        """CheckFlag bits."""
        found = CHECK_FLAGS.get(self.c.flags)
        if found is None:
            found = CHECK_FLAGS[self.c.flags] = CheckFlag(self.c.flags)
        return found

    @property
    def depth(self):
        """0 outermost, one more for each tunnel."""
        return self.c.depth

    @property
    def offset(self):
        """Of the checksum field."""
        return self.c.offset

    @property
    def start(self):
        """Of the summed bytes."""
        return self.c.start

    @property
    def length(self):
        """Of the summed bytes."""
        return self.c.length

    @property
    def stored(self):
        """What the field holds."""
        return self.c.stored

    @property
    def expected(self):
        """What it should hold, with CheckFlag.HAS_EXPECTED."""
        return self.c.expected

    @property
    def seed(self):
        """The sum of the pseudo header, with CheckFlag.HAS_PSEUDO."""
        return self.c.seed

    @property
    def width(self):
        """Bytes of the field: 2, or 4 for SCTP."""
        return sizeof(uint32_t) if self.c.flags & PP_CHECK_CRC32C else sizeof(uint16_t)

    def __repr__(self):
        digits = 2 * self.width
        words = [str(self.status)]
        words += [str(why) for why in (self.cause, self.reason) if why]
        if not self.c.flags & PP_CHECK_NO_FIELD:
            words.append(f"stored {self.c.stored:0{digits}x}")
        if self.c.flags & PP_CHECK_HAS_EXPECTED:
            words.append(f"expected {self.c.expected:0{digits}x}")
        return f"<Check {self.proto} at {self.c.offset}: {', '.join(words)}>"


cdef Check make_check(const pp_check *k):
    cdef Check c = Check.__new__(Check)
    c.c = k[0]
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
        buffer.itemsize = self.strides[self.dimensions - 1]
        buffer.len = self.shape[0] * self.strides[0]
        buffer.readonly = self.readonly
        buffer.ndim = self.dimensions
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
