from libc.stdint cimport uint32_t

from pktmend._core.engine cimport pp_flow
from pktmend.stage cimport pp_stage_fn


cdef class NativeStage:
    cdef pp_stage_fn run
    cdef void *context
    cdef uint32_t option
    cdef object keep
    cdef readonly str name
    cdef readonly bint is_builtin


cdef class _Flow:
    cdef pp_flow *c


cdef NativeStage builtin(pp_stage_fn run, str name, option=*)
cdef NativeStage stage_on(pp_stage_fn run, str name, void *context, object keep)
