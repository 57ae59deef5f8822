from pktmend._core.batch cimport Batch
from pktmend._core.engine cimport pp_guard
from pktmend.stage cimport pp_batch


cdef class _PythonStage:
    cdef object call
    cdef Batch batch
    cdef pp_guard *guard  # null for a sink
    cdef object error     # what ends the pipeline
    cdef readonly str name
    cdef readonly str fault  # of the first failure, in words

    cdef bint goes_on(self) noexcept
    cdef int fail(self, error) except -1


cdef int run_python(pp_batch *b, void *context) noexcept with gil
cdef void undo_python(pp_batch *b, void *context) noexcept with gil
