from pktmend._core.engine cimport pp_copy, pp_emit, pp_sink, pp_writer
from pktmend._core.python_stage cimport _PythonStage
from pktmend._core.sources cimport CaptureSource


cdef class Sink:
    cdef pp_sink c


cdef class NullSink(Sink):
    pass


cdef class EmitSink(Sink):
    cdef pp_emit *emit


cdef class CopySink(Sink):
    cdef pp_copy copy
    cdef CaptureSource source
    cdef bint is_under_way
    cdef object memory  # where its reader lies: of a source in a reference cycle the collector takes it away first

    cdef void stop(self) noexcept


cdef class WriterSink(Sink):
    cdef pp_writer writer


cdef class PythonSink(Sink):
    cdef _PythonStage stage
