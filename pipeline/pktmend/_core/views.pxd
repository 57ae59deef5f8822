from libc.stdint cimport uintptr_t

from pktmend.stage cimport pp_check


cdef class Check:
    cdef readonly int proto, status, cause, reason, flags, depth
    cdef readonly unsigned int offset, start, length, stored, expected, seed


cdef class Exporter:
    cdef readonly Py_ssize_t exports
    cdef uintptr_t call    # number of the stage's call that is on
    cdef Py_ssize_t fresh  # of the exports, those made in it


cdef class _View:
    cdef Exporter batch
    cdef void *at
    cdef Py_ssize_t shape[1]
    cdef Py_ssize_t strides[1]
    cdef bytes format
    cdef bint readonly
    cdef bint is_given


cdef Check make_check(const pp_check *k)
