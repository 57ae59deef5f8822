# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=True, auto_pickle=False
"""The one extension: owns memory and lifetimes, turns the engine's return codes into exceptions.

One module with one set of the engine's globals, written in the parts of core/ that stand at the end of this file.

Rules of all parts:
1. No Python object inside a packet loop; the loops are in ext/.
2. What the engine points at is kept alive here, and released only when no view of it is.
3. C returns >= 0 or -errno; check() converts, here and nowhere else.
4. What a part imports, it imports here.
"""

import os
import stat
import traceback
cimport cython
from cpython.buffer cimport (PyBUF_FORMAT, PyBUF_ND, PyBUF_SIMPLE, PyBUF_STRIDES, PyBUF_WRITABLE,
                             PyBuffer_Release, PyObject_GetBuffer)
from cpython.pycapsule cimport PyCapsule_CheckExact, PyCapsule_GetName, PyCapsule_GetPointer
from libc.errno cimport EBADMSG, EIO, ENODATA
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from pktmend._engine cimport *
from pktmend.stage cimport *

from pktmend.errors import OSFailure, ConfigError, FormatError, StageError, ViewError

ABI = PP_ABI
CAPSULE = "pktmend.stage/1"
CYTHON_CAPSULE = "int (pp_batch *, void *)"  # the name that Cython gives to an exported function of this type
SIZES = {"statuses": PP_STATUSES, "causes": PP_CAUSES, "reasons": PP_REASONS, "protos": PP_PROTOS, "drops": PP_DROPS}


cdef int check(int rc, str what) except -1:
    """Turn -errno into OSFailure."""
    if rc < 0:
        raise OSFailure(f"{what}: {os.strerror(-rc)}", error=-rc)
    return rc


include "core/sums.pxi"           # checksum, crc32c, the SIMD kernels
include "core/views.pxi"          # Check; columns and frames as buffers
include "core/batch.pxi"          # Batch
include "core/batch_of.pxi"       # a batch of given frames
include "core/stages.pxi"         # NativeStage: the engine's stages and a user's in C
include "core/conversations.pxi"  # Conversations: who talks with whom
include "core/python_stage.pxi"   # a user's stage in Python
include "core/sources.pxi"        # RingSource, CaptureSource, PacketFilter
include "core/sinks.pxi"          # EmitSink, CopySink, WriterSink, PythonSink, NullSink
include "core/samples.pxi"        # Sampler, Spool: what a monitor takes along
include "core/loop.pxi"           # Loop: source, stages, sink on a thread
