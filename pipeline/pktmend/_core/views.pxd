from libc.stdint cimport uintptr_t

from pktmend.stage cimport pp_check


cdef class Check:
    cdef pp_check c


cdef class Exporter:
    cdef Py_ssize_t exports  # views that are alive
    cdef uintptr_t call      # number of the stage's call that is on
    cdef Py_ssize_t fresh    # of the exports, those made in it


cdef class _View:
    cdef Exporter batch
    cdef void *at
    cdef Py_ssize_t shape[2]
    cdef Py_ssize_t strides[2]
    cdef int dimensions
    cdef bytes format
    cdef bint readonly
    cdef bint is_given


cdef Check make_check(const pp_check *k)
