from libc.stdint cimport uint8_t, uint32_t, uintptr_t

from pktmend._core.engine cimport pp_column, pp_select
from pktmend._core.views cimport Exporter
from pktmend.stage cimport pp_batch


cdef class Batch(Exporter):
    cdef pp_batch c
    cdef object owner        # keeps the memory that data points at; never the source, which knows its batch
    cdef bint opened         # bytes of a frame were handed out, writable
    cdef dict undo           # packet: its bytes as they were when they were handed out; None: they will not be put back
    cdef uint8_t *endpoints  # src, dst, sport, dport, each of capacity elements; null: never asked for
    cdef bint located        # endpoints are of this fill and this call:
    cdef uint32_t located_fill
    cdef uintptr_t located_call

    cdef object view(self, void *at, Py_ssize_t count, Py_ssize_t size, bytes format, bint readonly=*,
                     Py_ssize_t width=*)
    cdef uint8_t *locate(self, Py_ssize_t offset) except NULL
    cdef uint32_t headroom(self, Py_ssize_t i) noexcept
    cdef int open(self, Py_ssize_t i) except -1
    cdef pp_select selection(self, status, cause, version, protocol, port, flags)
    cdef int require_no_views(self) except -1


cdef class _Column:
    cdef const pp_column *column
    cdef readonly str __name__
