# What becomes of checks beyond their counts, ext/observe: flows, and rows for Parquet.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from pktmend._core.engine cimport *

cdef extern from "observe/flow_count.h" nogil:
    enum: PP_FLOWS_MOST, PP_NEWS_UNREAD, PP_NEWS_BAD, PP_NEWS_FIRST
    ctypedef struct pp_counted_flow:
        pp_flow flow
        uint64_t packets, causes
    ctypedef struct pp_flow_counts:
        uint32_t count, is_over, shown, news
        uint64_t bad[PP_CAUSES]
        uint64_t unfinished[PP_PROTOS]
        uint32_t *used
        pp_counted_flow *slots
    pp_flow_counts *pp_flow_counts_new() noexcept
    void pp_flow_counts_free(pp_flow_counts *) noexcept
    int pp_stage_count_flows(pp_batch *, void *) noexcept

cdef extern from "observe/rows.h" nogil:
    enum: PP_ROWS_CHUNK, PP_ROW_ALWAYS
    ctypedef struct pp_rows:
        uint32_t count, texts
        uint32_t there[8]
        uint8_t *has[8]
        int *text_at
        char *text
    ctypedef struct pp_row_filler:
        pp_rows *rows[PP_STATUSES]
        int is_by_packet
        uint32_t is_full
    ctypedef struct pp_row_column:
        const char *name
        size_t offset
        uint32_t size, group
    const pp_row_column pp_row_columns[]
    const size_t pp_row_column_count
    pp_rows *pp_rows_new() noexcept
    void pp_rows_free(pp_rows *) noexcept
    void pp_rows_clear(pp_rows *) noexcept
    int pp_stage_fill_rows(pp_batch *, void *) noexcept


cdef class News:
    cdef const uint32_t *at
    cdef uint32_t wanted
    cdef object keep


cdef class FlowCounts:
    cdef pp_flow_counts *c


cdef class RowChunk:
    cdef pp_rows *c


cdef class RowFiller:
    cdef pp_row_filler c
    cdef list chunks
