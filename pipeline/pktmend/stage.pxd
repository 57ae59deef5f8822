# <pktmend/stage.h> for Cython: what a native stage written in Cython cimports.  Build it with include_dirs=[pktmend.include_dir()].
#
#     from pktmend.stage cimport PP_VERDICT_DROP, pp_batch
#
#     cdef api int drop_udp(pp_batch *b, void *context) noexcept nogil: ...

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "pktmend/stage.h" nogil:
    enum: PP_ABI, PP_OUTCOMES, PP_CHECKS_PER_PACKET, PP_VNET_LEN, PP_MAX_LINK
    enum: PP_STATUS_NONE, PP_STATUS_GOOD, PP_STATUS_ABSENT, PP_STATUS_UNCHECKED, PP_STATUS_PENDING
    enum: PP_STATUS_BAD, PP_STATUSES
    enum: PP_CAUSE_NONE, PP_CAUSE_LEAKED, PP_CAUSE_NEVER_FILLED, PP_CAUSE_ILLEGAL_ZERO, PP_CAUSE_BAD_SEED
    enum: PP_CAUSE_INNER_PENDING, PP_CAUSE_NOT_COMPLEMENTED, PP_CAUSE_BYTE_SWAPPED, PP_CAUSE_LENGTH
    enum: PP_CAUSE_HEADER_DELTA, PP_CAUSE_NAT_DELTA, PP_CAUSE_NAT_ON_ZERO, PP_CAUSE_BIT_FLIP
    enum: PP_CAUSE_CORRUPT, PP_CAUSES
    enum: PP_REASON_NONE, PP_REASON_TRUNCATED, PP_REASON_FRAGMENT, PP_REASON_QUOTED
    enum: PP_REASON_UNKNOWN_PROTOCOL, PP_REASON_LENGTH, PP_REASON_NO_METADATA, PP_REASONS
    enum: PP_PROTO_IP, PP_PROTO_TCP, PP_PROTO_UDP, PP_PROTO_UDPLITE, PP_PROTO_ICMP, PP_PROTO_ICMPV6
    enum: PP_PROTO_IGMP, PP_PROTO_SCTP, PP_PROTO_DCCP, PP_PROTO_GRE, PP_PROTOS
    enum: PP_VERDICT_PASS, PP_VERDICT_DROP
    enum: PP_DROP_NONE, PP_DROP_STAGE, PP_DROP_CORRUPT, PP_DROP_UNSPLITTABLE, PP_DROP_NO_SINK
    enum: PP_DROP_STAGE_ERROR, PP_DROPS
    enum: PP_PKT_METADATA, PP_PKT_NOT_READY, PP_PKT_CLAIMED_VALID, PP_PKT_SUPER_FRAME, PP_PKT_OUTGOING
    enum: PP_PKT_VLAN, PP_PKT_VNET, PP_PKT_TRUNCATED, PP_PKT_MALFORMED, PP_PKT_FRAGMENT, PP_PKT_REPAIRED
    enum: PP_PKT_EDITED
    enum: PP_CHECK_QUOTED, PP_CHECK_CLAIMED_VALID, PP_CHECK_HAS_EXPECTED, PP_CHECK_HAS_PSEUDO
    enum: PP_CHECK_CRC32C, PP_CHECK_NO_FIELD, PP_CHECK_FLAGGED, PP_CHECK_REPAIRED
    ctypedef struct pp_check:
        uint32_t offset, start, length, stored, expected
        uint16_t seed
        uint8_t proto, status, cause, reason, flags, depth
    ctypedef struct pp_vnet:
        uint8_t flags, gso_type
        uint16_t hdr_len, gso_size, csum_start, csum_offset
    ctypedef struct pp_tally:
        uint64_t packets, octets, truncated, malformed, super_frames
        uint64_t status[6]
        uint64_t checks[10][20]
        uint64_t repaired[14]
        uint64_t claimed_valid, finished, split
    ctypedef struct pp_batch:
        uint32_t abi, count, capacity, checks_used
        uint8_t **data
        uint32_t *caplen
        uint32_t *wirelen
        uint64_t *time_ns
        uint64_t *number
        uint16_t *flags
        uint16_t *link
        uint16_t *vlan_tpid
        uint16_t *vlan_tci
        uint32_t *interface
        uint16_t *l3
        uint16_t *l4
        uint8_t *version
        uint8_t *protocol
        uint8_t *status
        uint8_t *cause
        uint32_t *check_first
        uint8_t *check_count
        pp_check *checks
        uint8_t *verdict
        uint8_t *drop
        pp_tally *tally
    ctypedef int (*pp_stage_fn "pp_stage_fn *")(pp_batch *, void *) noexcept
