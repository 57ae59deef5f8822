from cpython.buffer cimport Py_buffer
from libc.stdint cimport uint8_t, uint32_t

from pktmend._core.batch cimport Batch
from pktmend._core.engine cimport pp_filter, pp_reader, pp_ring, pp_source


cdef class Source:
    cdef pp_source c
    cdef readonly uint32_t capacity
    cdef int running
    cdef Batch batch
    cdef object memory  # what the frames of its batch lie in

    cdef int fault(self, int rc) except -1
    cdef bint is_closed(self)
    cdef int attach(self, Batch batch) except -1
    cdef int detach(self) except -1


cdef class _RingMemory:
    cdef Py_buffer map
    cdef bint mapped
    cdef uint8_t *arena

    cdef void unmap(self) noexcept


cdef class RingSource(Source):
    cdef pp_ring ring


cdef class _CaptureMemory:
    cdef pp_reader reader


cdef class CaptureSource(Source):
    cdef pp_reader *reader
    cdef readonly object filter


cdef class PacketFilter:
    cdef pp_filter c
    cdef object keep
