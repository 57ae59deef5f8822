"""Sums, and the SIMD kernels that make them.  On import the active one is compared with portable."""

import os
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.errno cimport EOPNOTSUPP
from libc.stdint cimport uint32_t, uint64_t, uintptr_t

from pktmend._core.engine cimport *

from pktmend.errors import ConfigError
from pktmend.records import Kernel


def checksum(data, initial=0):
    """Return the Internet checksum of *data* (RFC 1071)."""
    cdef Py_buffer view
    cdef uint64_t total
    if initial < 0:
        raise ConfigError(f"initial is a sum, not {initial}")
    while initial >> 48:
        initial = (initial & 0xffffffffffff) + (initial >> 48)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    total = initial
    try:
        with nogil:
            total = pp_wire16(pp_fold(total)) + pp_kernel_active().sum(view.buf, <size_t>view.len)
    finally:
        PyBuffer_Release(&view)
    return 0xffff ^ pp_wire16(pp_fold(total))


def crc32c(data, initial=0):
    """Return the CRC32c of *data* (RFC 9260 appendix A), continuing from *initial*."""
    cdef Py_buffer view
    cdef uint32_t crc = initial
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            crc = pp_crc32c(crc, view.buf, <size_t>view.len)
    finally:
        PyBuffer_Release(&view)
    return crc


def kernels():
    """Return every SIMD kernel compiled in, the slowest first."""
    cdef size_t count = 0
    cdef const pp_kernel *all_kernels = pp_kernels(&count)
    cdef const pp_kernel *active = pp_kernel_active()
    return [Kernel((<bytes>all_kernels[i].name).decode(), bool(all_kernels[i].supported()), &all_kernels[i] == active)
            for i in range(count)]


def use_kernel(name=None):
    """Force the SIMD kernel *name*, or choose the best again with None."""
    cdef bytes wanted = b"" if name is None else name.encode()
    cdef int rc = pp_kernel_use(NULL) if name is None else pp_kernel_use(wanted)
    if rc < 0:
        known = ", ".join(each.name for each in kernels() if each.supported)
        raise ConfigError(f"SIMD kernel {name!r} is not {'supported by this machine' if rc == -EOPNOTSUPP else 'known'}",
                          f"there are: {known}")


def kernel_address(name=None):
    """Return the address of the function of the SIMD kernel *name*, or of the active one: for the bench, to call it."""
    cdef size_t count = 0
    cdef const pp_kernel *all_kernels = pp_kernels(&count)
    if name is None:
        return <uintptr_t>pp_kernel_active().sum
    for i in range(count):
        if (<bytes>all_kernels[i].name).decode() == name and all_kernels[i].supported():
            return <uintptr_t>all_kernels[i].sum
    raise ConfigError(f"SIMD kernel {name!r} is not there")


def self_test():
    """Compare the active kernel with portable; raises OSFailure(EIO) at the first difference."""
    raise_for_errno(pp_kernel_self_test(), f"SIMD kernel {pp_kernel_active().name.decode()} differs from portable")


if os.environ.get("PKTMEND_KERNEL"):
    try:
        use_kernel(os.environ["PKTMEND_KERNEL"])
    except ConfigError as error:  # not asked for by a call: say where it comes from
        raise ConfigError(f"PKTMEND_KERNEL: {error.detail}", error.hint) from None
self_test()
