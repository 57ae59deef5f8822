from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from pktmend._core.engine cimport pp_flow, pp_layer, pp_sample, pp_spool
from pktmend.stage cimport pp_check

cdef extern from "observe/last.h" nogil:
    enum: PP_LAST_EACH
    ctypedef struct pp_last_packet:
        uint64_t time_ns
        uint32_t caplen, wirelen
        pp_check check
        uint16_t kept
        uint8_t frame[192]
    ctypedef struct pp_last:
        pass
    pp_last *pp_last_new() noexcept
    void pp_last_free(pp_last *) noexcept
    uint32_t pp_last_find(pp_last *, uint32_t, const pp_flow *, pp_last_packet *) noexcept
    int pp_last_layer(const pp_last_packet *, pp_layer *) noexcept

cdef extern from "observe/sample.h" nogil:
    void pp_sample_keep_last(pp_sample *, pp_last *, uint32_t) noexcept


cdef class LastPackets:
    cdef pp_last *c


cdef class Sampler:
    cdef pp_sample *c
    cdef LastPackets last


cdef class Spool:
    cdef pp_spool c
