from libc.stdint cimport uint32_t, uint64_t

from pktmend._core.engine cimport pp_copy, pp_emit, pp_reader, pp_sink, pp_writer
from pktmend._core.python_stage cimport _PythonStage
from pktmend._core.sources cimport CaptureSource

cdef extern from "io/annotate.h" nogil:
    ctypedef struct pp_annotated:
        pp_reader *reader
        pp_writer *writer
        int only_taken, room_swapped
        const char *comment
        uint32_t length, room
        uint64_t room_at, commented, uncommented
    ctypedef struct pp_annotating "pp_reader":
        pp_annotated *annotated


cdef class Sink:
    cdef pp_sink c


cdef class NullSink(Sink):
    cdef uint32_t enough


cdef class EmitSink(Sink):
    cdef pp_emit *emit


cdef class CopySink(Sink):
    cdef pp_copy copy
    cdef CaptureSource source
    cdef bint is_under_way
    cdef pp_annotated annotated
    cdef pp_writer writer  # of an annotated copy
    cdef bytes comment
    cdef object memory  # where its reader lies: of a source in a reference cycle the collector takes it away first

    cdef annotate(self, comment, uint32_t room, bint only_taken)
    cdef void stop(self) noexcept


cdef class WriterSink(Sink):
    cdef pp_writer writer


cdef class PythonSink(Sink):
    cdef _PythonStage stage
