from cpython.buffer cimport Py_buffer
from libc.stdint cimport uint64_t


cdef extern from "run/clearing.h" nogil:
    ctypedef struct pp_clearing:
        const uint64_t *issued
        uint64_t *clear
    void pp_clearing_init(pp_clearing *, const uint64_t *issued, uint64_t *clear) noexcept
    void pp_clearing_set_lost(pp_clearing *, uint64_t) noexcept
    uint64_t pp_clearing_done(pp_clearing *) noexcept
    int pp_clearing_is_through(const pp_clearing *) noexcept


cdef class Clearing:
    cdef pp_clearing c
    cdef Py_buffer view
    cdef bint is_open
    cdef uint64_t none[2]  # what it looks at once it is closed
