from libc.stdint cimport uint32_t

from pktmend._core.engine cimport pp_witnesses
from pktmend.stage cimport pp_stage_fn


cdef class NativeStage:
    cdef pp_stage_fn run
    cdef void *context
    cdef uint32_t option
    cdef object keep
    cdef readonly str name
    cdef readonly bint is_builtin


cdef class _Witnesses:
    cdef pp_witnesses *c


cdef NativeStage builtin(pp_stage_fn run, str name, option=*, kind=*)
cdef NativeStage stage_on(pp_stage_fn run, str name, void *context, object keep)
