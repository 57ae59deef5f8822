from libc.stdint cimport uint32_t

from pktmend._core.batch cimport Batch
from pktmend._core.clearing cimport Clearing
from pktmend._core.engine cimport PP_MAX_STAGES, pp_guard, pp_loop
from pktmend._core.results cimport News
from pktmend._core.sinks cimport Sink
from pktmend._core.sources cimport Source
from pktmend._core.stages cimport NativeStage, _Witnesses
from pktmend.stage cimport pp_stage_fn


cdef struct Gate:  # before a stage that has only_for
    pp_stage_fn run
    void *context
    const uint32_t *news
    uint32_t wanted


cdef class Loop:
    cdef pp_loop c
    cdef bint ready
    cdef Source source
    cdef Sink sink
    cdef Batch batch
    cdef list stages, news
    cdef _Witnesses witnesses
    cdef Clearing clearing
    cdef pp_guard guards[PP_MAX_STAGES]  # of users' stages; run is null for the engine's own
    cdef Gate gates[PP_MAX_STAGES]

    cdef int guard(self, Py_ssize_t i, NativeStage judge, int on_error) except -1
    cdef int gate(self, Py_ssize_t i, News news) except -1
    cdef int begin(self) except -1
    cdef int end(self) except -1
    cdef list stage_counts(self)
