# The engine's C interface as Cython sees it: ext/*/*.h.  Everything there is noexcept nogil.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from pktmend.stage cimport *

# Raises OSFailure if rc is an -errno, and else returns it.
cdef int raise_for_errno(int rc, str what) except -1

cdef extern from "pktmend/sum.h" nogil:
    ctypedef uint64_t (*pp_sum_fn "pp_sum_fn *")(const void *, size_t) noexcept
    ctypedef struct pp_kernel:
        const char *name
        pp_sum_fn sum
        int (*supported)() noexcept
    const pp_kernel *pp_kernels(size_t *count) noexcept
    const pp_kernel *pp_kernel_active() noexcept
    int pp_kernel_use(const char *name) noexcept
    int pp_kernel_self_test() noexcept
    uint16_t pp_fold(uint64_t value) noexcept
    uint32_t pp_crc32c(uint32_t crc, const void *data, size_t length) noexcept

cdef extern from "sum/bytes.h" nogil:
    uint16_t pp_wire16(uint16_t value) noexcept

cdef extern from "check/tally.h" nogil:
    enum: PP_OUTCOMES
    ctypedef struct pp_tally:
        uint64_t packets, wire_bytes, truncated, malformed, super_frames
        uint64_t status[PP_STATUSES]
        uint64_t checks[PP_PROTOS][PP_OUTCOMES]
        uint64_t repaired[PP_CAUSES]
        uint64_t claimed_valid, completed, split, stray_csum_metadata, unread[PP_UNREADS]
        uint64_t left[3][PP_CAUSES]
    enum: PP_LEFTS
    int pp_stage_count(pp_batch *, void *) noexcept
    int pp_stage_drop_corrupt(pp_batch *, void *) noexcept

cdef extern from "io/batch.h" nogil:
    int pp_batch_init(pp_batch *, uint32_t) noexcept
    void pp_batch_free(pp_batch *) noexcept
    void pp_batch_fresh(pp_batch *) noexcept
    enum: PP_COLUMN_HIDDEN, PP_COLUMN_WRITE
    ctypedef struct pp_column:
        const char *name
        size_t offset
        uint32_t size, access
    const pp_column pp_columns[]
    const size_t pp_column_count
    const pp_column pp_heads[]
    const size_t pp_head_count
    ctypedef struct pp_word:
        const char *kind
        const char *word
        int value
    const pp_word pp_words[]
    const size_t pp_word_count
    ctypedef struct pp_arrival:
        uint8_t *data
        uint32_t caplen, wirelen
        uint64_t time_ns, number
        uint16_t flags, link, vlan_tpid, vlan_tci
    void pp_batch_append(pp_batch *, const pp_arrival *) noexcept

cdef extern from "parse/endpoints.h" nogil:
    enum: PP_ADDRESS_LEN
    void pp_endpoints(const pp_batch *, uint8_t *, uint8_t *, uint16_t *, uint16_t *) noexcept

cdef extern from "check/verify.h" nogil:
    enum: PP_VERIFY_EXPECTED, PP_VERIFY_AT_WIRE
    int pp_stage_verify(pp_batch *, void *) noexcept

cdef extern from "check/classify.h" nogil:
    int pp_stage_classify(pp_batch *, void *) noexcept

cdef extern from "check/repair.h" nogil:
    int pp_stage_repair(pp_batch *, void *) noexcept
    int pp_stage_count_left(pp_batch *, void *) noexcept
    unsigned int PP_REPAIR_EXCEPT(unsigned int) noexcept

cdef extern from "check/witness.h" nogil:
    ctypedef struct pp_witnesses:
        pass
    pp_witnesses *pp_witnesses_new() noexcept
    void pp_witnesses_free(pp_witnesses *) noexcept

cdef extern from "parse/layers.h" nogil:
    enum: PP_MAX_DEPTH
    ctypedef struct pp_layer:
        uint32_t l3, l4
        uint8_t version, protocol
    unsigned int pp_layers_of(const pp_batch *, uint32_t, pp_layer *) noexcept

cdef extern from "observe/conversation.h" nogil:
    enum: PP_CONVERSATIONS
    ctypedef struct pp_direction:
        uint64_t packets
        uint64_t kind[8]
        uint64_t outgoing, short_frames, acked, retransmitted
        uint8_t mac[12]
        uint32_t largest
        uint64_t duplicates, in_vain
        uint32_t again_shortest, passed_longest
    ctypedef struct pp_conversation:
        uint8_t address[2][16]
        uint16_t port[2]
        uint8_t version, protocol, is_used
        pp_direction direction[2]
    ctypedef struct pp_conversations:
        pp_conversation at[4096]
        uint64_t lost
    pp_conversations *pp_conversations_new() noexcept
    void pp_conversations_free(pp_conversations *) noexcept
    int pp_stage_track_conversations(pp_batch *, void *) noexcept
    void pp_fingerprints(const pp_batch *, uint64_t *) noexcept

cdef extern from "check/select.h" nogil:
    ctypedef struct pp_select:
        int status, cause, version, protocol, port
        uint16_t flags
    uint32_t pp_where(const pp_batch *, const pp_select *, uint32_t *) noexcept
    uint32_t pp_mark(pp_batch *, const pp_select *, uint8_t, uint8_t) noexcept
    enum: PP_FILTER_LINKS
    ctypedef unsigned int (*pp_bpf_fn)(const void *, const uint8_t *, unsigned int, unsigned int) noexcept
    ctypedef struct pp_filter:
        pp_bpf_fn run
        uint32_t count
        uint16_t link[16]
        void *program[16]
    int pp_filter_match(void *, uint16_t, const uint8_t *, uint32_t, uint32_t) noexcept

cdef extern from "io/ring.h" nogil:
    ctypedef struct pp_losses:
        pass
    enum: PP_RING_ARENA
    ctypedef struct pp_ring:
        uint8_t *map, *arena
        int fd, version, has_vnet, queue_fd, is_by_queue
        uint32_t block_size, block_count, frame_size, frame_count
        pp_losses losses
    int pp_ring_next(pp_ring *, pp_batch *) noexcept
    void pp_ring_release(pp_ring *) noexcept
    int pp_ring_recover(pp_ring *) noexcept
    uint32_t pp_ring_capacity(const pp_ring *) noexcept
    uint16_t pp_ring_link(uint16_t) noexcept

cdef extern from "run/guard.h" nogil:
    enum: PP_ON_ERROR_END, PP_ON_ERROR_PASS, PP_ON_ERRORS
    ctypedef struct pp_guard:
        pp_stage_fn run
        void *context
        void (*undo)(pp_batch *, void *) noexcept
        pp_stage_fn judge
        void *judge_context
        int on_error, edited
    int pp_guard_init(pp_guard *, uint32_t) noexcept
    void pp_guard_free(pp_guard *) noexcept
    int pp_guard_run(pp_batch *, void *) noexcept
    void pp_guard_read(const pp_guard *, uint64_t *, uint64_t *, uint64_t *, int *) noexcept

cdef extern from "run/loop.h" nogil:
    enum: PP_ERRNOS, PP_MAX_STAGES, PP_MAX_LOOPS
    ctypedef struct pp_ledger:
        uint64_t kernel_seen, kernel_drops, read, sent, sent_frames, truncated, held
        uint64_t dropped[6]
        uint64_t tx_error[160]
        uint64_t rebuilds, link_events, unsupported_gso
    ctypedef struct pp_source:
        int (*next)(pp_batch *, void *) noexcept nogil
        void (*release)(void *) noexcept nogil
        int (*rebuild)(void *) noexcept
        void *context
        int fd, watch_fd
        uint32_t room
        const pp_losses *losses
    ctypedef struct pp_sink:
        int (*take)(pp_batch *, pp_ledger *, void *) noexcept
        void (*give_up)(void *) noexcept
        int fd
        void *context
    ctypedef struct pp_stage:
        pp_stage_fn run
        void *context
    ctypedef struct pp_loop:
        pp_source source
        pp_sink sink
        pp_stage stages[32]
        uint32_t stage_count
        pp_batch *batch
        int wake_fd, failed_stage, sink_failed, rc
        unsigned int clock_interval
        uint64_t limit, busy_ns, poll_interval_ns
        void *clearing
    int pp_loop_init(pp_loop *) noexcept
    void pp_loop_destroy(pp_loop *) noexcept
    int pp_loops_run(pp_loop **, unsigned int) noexcept
    void pp_loop_stop(pp_loop *) noexcept
    int pp_loop_has_ended(const pp_loop *) noexcept
    uint64_t pp_loop_published_ns(pp_loop *) noexcept
    void pp_loop_snapshot(pp_loop *, pp_ledger *, pp_tally *) noexcept
    int pp_null_take(pp_batch *, pp_ledger *, void *) noexcept
    int pp_account_unsent(const pp_batch *, uint32_t, pp_ledger *) noexcept

cdef extern from "io/emit.h" nogil:
    ctypedef struct pp_emit:
        pass
    enum: PP_COALESCE_WANT_TCP, PP_COALESCE_WANT_UDP
    pp_emit *pp_emit_new(int fd, uint32_t capacity, uint32_t mtu, int complete, int coalesce) noexcept
    uint32_t pp_emit_coalesces(const pp_emit *) noexcept
    void pp_emit_set_mtu(pp_emit *, uint32_t) noexcept
    void pp_emit_set_coalesce(pp_emit *, uint32_t) noexcept
    void pp_emit_free(pp_emit *) noexcept
    int pp_emit_take(pp_batch *, pp_ledger *, void *) noexcept
    void pp_emit_give_up(void *) noexcept

cdef extern from "io/capture.h" nogil:
    ctypedef struct pp_capture_interface:
        uint16_t link
        uint64_t drops
    ctypedef struct pp_capture:
        int format
        uint64_t offset, packets, error_offset
        const char *error
        uint32_t interface_count, interface_base
        pp_capture_interface *interfaces
        int (*filter)(void *, uint16_t, const uint8_t *, uint32_t, uint32_t) noexcept
        void *filter_context

cdef extern from "io/reader.h" nogil:
    ctypedef struct pp_reader:
        pp_capture capture
        uint8_t *data
        size_t length, at
        int copy_fd, final
    int pp_reader_init(pp_reader *, int) noexcept
    int pp_reader_begin(pp_reader *) noexcept
    int pp_reader_stretch(pp_reader *, uint64_t, uint64_t, uint64_t) noexcept
    void pp_reader_free(pp_reader *) noexcept
    int pp_reader_next(pp_batch *, void *) noexcept
    void pp_reader_release(void *) noexcept
    ctypedef struct pp_copy:
        pp_reader *reader
        int fd
    int pp_copy_take(pp_batch *, pp_ledger *, void *) noexcept
    int pp_copy_finish(pp_copy *) noexcept

cdef extern from "io/writer.h" nogil:
    ctypedef struct pp_writer:
        int only_bad, comments
        uint32_t snaplen, interfaces
        uint64_t packets, bytes
    int pp_writer_init(pp_writer *, int, int) noexcept
    void pp_writer_free(pp_writer *) noexcept
    int pp_writer_section(pp_writer *, const char *, uint32_t, uint32_t) noexcept
    int pp_writer_interface(pp_writer *, uint32_t, uint16_t, const char *, const char *) noexcept
    int pp_writer_take(pp_batch *, pp_ledger *, void *) noexcept
    int pp_writer_statistics(pp_writer *, uint32_t, uint64_t, uint64_t, uint64_t) noexcept
    int pp_writer_flush(pp_writer *) noexcept

cdef extern from "observe/sample.h" nogil:
    enum: PP_SAMPLE_MOST
    ctypedef struct pp_flow:
        uint8_t source[16]
        uint8_t target[16]
        uint16_t source_port, target_port
        uint8_t version, protocol
    ctypedef struct pp_sampled:
        pp_flow flow
        uint64_t time_ns
        uint32_t caplen, wirelen
        uint16_t flags
        uint8_t cause, check_count
        pp_check checks[24]
    ctypedef struct pp_bad_flow:
        pp_flow flow
        uint64_t packets, over, last_ns
        uint8_t cause
    ctypedef struct pp_sample:
        pass
    pp_sample *pp_sample_new() noexcept
    void pp_sample_free(pp_sample *) noexcept
    int pp_stage_sample(pp_batch *, void *) noexcept
    uint32_t pp_sample_take(pp_sample *, pp_sampled *) noexcept
    uint32_t pp_sample_flows(pp_sample *, pp_bad_flow *, uint32_t) noexcept

cdef extern from "io/spool.h" nogil:
    ctypedef struct pp_spool:
        uint32_t interface, snaplen
        int only_bad, comments
    ctypedef struct pp_spooled:
        uint64_t bytes, packets
    int pp_spool_init(pp_spool *, uint64_t) noexcept
    void pp_spool_free(pp_spool *) noexcept
    int pp_stage_spool(pp_batch *, void *) noexcept
    int pp_spool_drain(pp_spool *, int, uint64_t, pp_spooled *) noexcept
    uint64_t pp_spool_pending(const pp_spool *) noexcept
    uint64_t pp_spool_discard(pp_spool *) noexcept
    void pp_spool_stop(pp_spool *, int) noexcept
    void pp_spool_counts(const pp_spool *, uint64_t *, uint64_t *, uint64_t *) noexcept
    void pp_spool_give_up(pp_spool *) noexcept
