from libc.stdint cimport uint32_t

from pktmend._core.engine cimport pp_select
from pktmend._core.views cimport Exporter
from pktmend.stage cimport pp_batch


cdef class Batch(Exporter):
    cdef pp_batch c
    cdef object owner   # keeps the memory that data points at; never the source, which knows its batch
    cdef public object keep  # a stage may leave something here for the next one; cleared at release
    cdef bint opened    # octets of a frame were handed out, writable
    cdef dict undo      # packet: its octets as they were when they were handed out; None: nobody will want them back

    cdef object view(self, void *at, Py_ssize_t count, Py_ssize_t size, bytes format, bint readonly=*)
    cdef uint32_t head(self, Py_ssize_t i) noexcept
    cdef int open(self, Py_ssize_t i) except -1
    cdef pp_select selection(self, status, cause, version, protocol, port, flags)
