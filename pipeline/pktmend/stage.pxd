# <pktmend/stage.h> for Cython: what a native stage written in Cython cimports; the header says what each thing is.
# Build it with include_dirs=[pktmend.include_dir()].
#
#     from libc.stdint cimport uint32_t
#     from pktmend.stage cimport pktmend_drop, pktmend_get16, pktmend_transport, pp_batch, stage_capsule
#
#     cdef int drop(pp_batch *batch, void *context) noexcept nogil: ...
#
#     drop_dns = stage_capsule(drop)    # pktmend bridge --stage ./module.so:drop_dns

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.pycapsule cimport PyCapsule_Destructor, PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "pktmend/stage.h" nogil:
    enum: PP_ABI, PP_CHECKS_PER_PACKET, PP_VNET_LEN
    enum: PP_STATUS_NONE, PP_STATUS_GOOD, PP_STATUS_ABSENT, PP_STATUS_UNCHECKED, PP_STATUS_PENDING
    enum: PP_STATUS_BAD, PP_STATUSES
    enum: PP_CAUSE_NONE, PP_CAUSE_LEAKED, PP_CAUSE_NEVER_FILLED, PP_CAUSE_ILLEGAL_ZERO, PP_CAUSE_BAD_SEED
    enum: PP_CAUSE_INNER_PENDING, PP_CAUSE_NOT_COMPLEMENTED, PP_CAUSE_BYTE_SWAPPED, PP_CAUSE_LENGTH
    enum: PP_CAUSE_HEADER_DELTA, PP_CAUSE_NAT_DELTA, PP_CAUSE_NAT_ON_ZERO, PP_CAUSE_BIT_FLIP
    enum: PP_CAUSE_CORRUPT, PP_CAUSE_PSEUDO_HEADER, PP_CAUSE_COVERAGE, PP_CAUSES
    enum: PP_REASON_NONE, PP_REASON_TRUNCATED, PP_REASON_FRAGMENT, PP_REASON_QUOTED
    enum: PP_REASON_UNKNOWN_PROTOCOL, PP_REASON_LENGTH, PP_REASON_NO_METADATA, PP_REASONS
    enum: PP_PROTO_IP, PP_PROTO_TCP, PP_PROTO_UDP, PP_PROTO_UDPLITE, PP_PROTO_ICMP, PP_PROTO_ICMPV6
    enum: PP_PROTO_IGMP, PP_PROTO_SCTP, PP_PROTO_DCCP, PP_PROTO_GRE, PP_PROTO_VRRP, PP_PROTO_OSPF
    enum: PP_PROTO_PIM, PP_PROTO_EIGRP, PP_PROTO_RSVP, PP_PROTO_PGM, PP_PROTO_MOBILITY, PP_PROTO_HIP
    enum: PP_PROTO_SHIM6, PP_PROTOS
    enum: PP_VERDICT_PASS, PP_VERDICT_DROP, PP_VERDICTS
    enum: PP_DROP_NONE, PP_DROP_STAGE, PP_DROP_CORRUPT, PP_DROP_UNSPLITTABLE, PP_DROP_NO_SINK
    enum: PP_DROP_STAGE_ERROR, PP_DROP_LOOP, PP_DROPS
    enum: PP_PKT_METADATA, PP_PKT_NOT_READY, PP_PKT_CLAIMED_VALID, PP_PKT_SUPER_FRAME, PP_PKT_OUTGOING
    enum: PP_PKT_VLAN, PP_PKT_VNET, PP_PKT_TRUNCATED, PP_PKT_MALFORMED, PP_PKT_FRAGMENT, PP_PKT_REPAIRED
    enum: PP_PKT_EDITED, PP_PKT_STRAY_METADATA
    enum: PP_CHECK_QUOTED, PP_CHECK_CLAIMED_VALID, PP_CHECK_HAS_EXPECTED, PP_CHECK_HAS_PSEUDO
    enum: PP_CHECK_CRC32C, PP_CHECK_NO_FIELD, PP_CHECK_FLAGGED, PP_CHECK_REPAIRED
    enum: PP_UNREAD_NONE, PP_UNREAD_LINK_TYPE, PP_UNREAD_ETHER_TYPE, PP_UNREAD_ENCAPSULATION
    enum: PP_UNREAD_IP_PROTOCOL, PP_UNREAD_ENCRYPTED, PP_UNREAD_DAMAGED, PP_UNREAD_MALFORMED
    enum: PP_UNREAD_TRUNCATED, PP_UNREAD_TUNNEL, PP_UNREAD_PSEUDOWIRE, PP_UNREAD_DEPTH, PP_UNREADS
    ctypedef struct pp_check:
        uint32_t offset, start, length, stored, expected
        uint16_t seed
        uint8_t proto, status, cause, reason, flags, depth
    ctypedef struct pp_vnet:
        uint8_t flags, gso_type
        uint16_t hdr_len, gso_size, csum_start, csum_offset
    ctypedef struct pp_batch:
        uint32_t size, abi, count, capacity, checks_used, fills
        void *tally
        pp_check *checks
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
        uint8_t *verdict
        uint8_t *drop
        uint8_t *unread
        uint16_t *unread_type
    ctypedef int (*pp_stage_fn "pp_stage_fn *")(pp_batch *, void *) noexcept
    ctypedef struct pktmend_stage:
        uint32_t size, abi
        pp_stage_fn run
    const char *PKTMEND_CAPSULE
    const char *PKTMEND_CAPSULE_PREFIX
    uint16_t pktmend_get16(const uint8_t *at) noexcept
    uint32_t pktmend_get32(const uint8_t *at) noexcept
    void pktmend_put16(uint8_t *at, uint16_t value) noexcept
    uint8_t *pktmend_packet(const pp_batch *batch, uint32_t i, uint32_t *length) noexcept
    uint8_t *pktmend_network(const pp_batch *batch, uint32_t i, uint32_t length) noexcept
    uint8_t *pktmend_transport(const pp_batch *batch, uint32_t i, int protocol, uint32_t length) noexcept
    bint pktmend_passes(const pp_batch *batch, uint32_t i) noexcept
    void pktmend_drop(pp_batch *batch, uint32_t i) noexcept
    void pktmend_edited(pp_batch *batch, uint32_t i) noexcept


cdef inline void free_stage(object capsule) noexcept:
    PyMem_Free(PyCapsule_GetPointer(capsule, PKTMEND_CAPSULE))


cdef inline object stage_capsule(pp_stage_fn run):
    """Return *run* as pktmend takes it: a PyCapsule that says for which ABI, and which size of pp_batch, it was built."""
    cdef pktmend_stage *stage = <pktmend_stage *>PyMem_Malloc(sizeof(pktmend_stage))
    if stage == NULL:
        raise MemoryError
    stage.size, stage.abi, stage.run = <uint32_t>sizeof(pp_batch), PP_ABI, run
    return PyCapsule_New(stage, PKTMEND_CAPSULE, <PyCapsule_Destructor>free_stage)
