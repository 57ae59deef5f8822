"""What a direction's workers tell the kernel's part of cut-through: up to which frame all are through."""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t, uintptr_t

from pktmend.errors import ConfigError


cdef class Clearing:
    """Shared by the loops of one direction; close it after the last of them has ended.

    numbers: a writable buffer that the kernel shares: the last number issued, and at byte *clear_at* the one that is
        through, eight bytes each in host order.
    """

    def __cinit__(self, numbers not None, Py_ssize_t clear_at):
        PyObject_GetBuffer(numbers, &self.view, PyBUF_WRITABLE)
        self.is_open = True
        cdef char *memory = <char *>self.view.buf
        if <uintptr_t>memory % 8 or clear_at % 8 or not 0 < clear_at <= self.view.len - 8:
            raise ConfigError(f"two numbers in {self.view.len} bytes, the second at byte {clear_at}")
        pp_clearing_init(&self.c, <uint64_t *>memory, <uint64_t *>(memory + clear_at))

    @property
    def issued(self):
        """How many frames the kernel's part has sent up."""
        return self.c.issued[0]

    @property
    def cleared(self):
        """Up to which of them the flows are free again."""
        return self.c.clear[0]

    @property
    def done(self):
        """How many of them have been sent or given up here."""
        return pp_clearing_done(&self.c)

    def is_through(self):
        """Are all that were issued done or lost?"""
        return bool(pp_clearing_is_through(&self.c))

    def set_lost(self, uint64_t frames):
        """Say how many were lost so far on the way to the rings; from any thread."""
        pp_clearing_set_lost(&self.c, frames)

    def close(self):
        """Let go of the kernel's memory.  Idempotent."""
        if self.is_open:
            self.none[0], self.none[1] = self.c.issued[0], self.c.clear[0]
            self.c.issued, self.c.clear = &self.none[0], &self.none[1]
            PyBuffer_Release(&self.view)
        self.is_open = False

    def __dealloc__(self):
        self.close()
