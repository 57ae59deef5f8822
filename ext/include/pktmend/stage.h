/* <pktmend/stage.h> - the public data of pktmend's engine: a batch of packets, their checks, and the words for both.
 *
 * Purpose: everything a source, a stage or a sink may see.  A native stage needs this header and nothing else.
 * Rules:
 *   1. Plain data.  No Python, no system header beyond stdint and stddef.
 *   2. Columns run in parallel: element i of every column belongs to packet i, for i < count.
 *   3. Frame bytes belong to the source until the batch is released; a stage may write them in place,
 *      never move or keep them.
 *   4. A change of layout or of a number here raises PP_ABI.
 */
#ifndef PP_H
#define PP_H

#include <stddef.h>
#include <stdint.h>

#define PP_ABI 1

/* Status of one check, and of a packet (the highest of its checks, which is why the order matters). */
enum pp_status {
    PP_STATUS_NONE = 0,      /* no check found */
    PP_STATUS_GOOD = 1,      /* the arithmetic is right */
    PP_STATUS_ABSENT = 2,    /* the sender computed none, and may */
    PP_STATUS_UNCHECKED = 3, /* cannot be judged; see reason */
    PP_STATUS_PENDING = 4,   /* unfinished and known to be: the field holds S */
    PP_STATUS_BAD = 5,       /* wrong; see cause */
    PP_STATUSES = 6
};

/* Why a check is bad, first that fits. */
enum pp_cause {
    PP_CAUSE_NONE = 0,
    PP_CAUSE_LEAKED,           /* F == S, the source has metadata and no flag is set */
    PP_CAUSE_NEVER_FILLED,     /* 0 where a sum is mandatory */
    PP_CAUSE_ILLEGAL_ZERO,     /* UDP over IPv6 with 0 outside a tunnel (RFC 8200 section 8.1, RFC 6935) */
    PP_CAUSE_BAD_SEED,         /* flagged unfinished, but F != S */
    PP_CAUSE_INNER_PENDING,    /* right once the inner one is finished */
    PP_CAUSE_NOT_COMPLEMENTED, /* F == S + P */
    PP_CAUSE_BYTE_SWAPPED,
    PP_CAUSE_LENGTH,       /* right over another length, or with the length left out of S */
    PP_CAUSE_HEADER_DELTA, /* differs by a small header change: TTL, ToS */
    PP_CAUSE_NAT_DELTA,    /* differs by an address or port change seen in the flow */
    PP_CAUSE_NAT_ON_ZERO,  /* an incremental update applied to 0 */
    PP_CAUSE_BIT_FLIP,     /* differs by one bit */
    PP_CAUSE_CORRUPT,      /* none of the above */
    PP_CAUSES
};

/* Why a check is unchecked; PP_REASON_NO_METADATA goes with pending. */
enum pp_reason {
    PP_REASON_NONE = 0,
    PP_REASON_TRUNCATED,        /* the capture holds less than the headers promise */
    PP_REASON_FRAGMENT,         /* the sum covers a datagram of which this is a part */
    PP_REASON_QUOTED,           /* inside an ICMP error: not this packet's own */
    PP_REASON_UNKNOWN_PROTOCOL, /* reserved: what is not known has no field that could be named */
    PP_REASON_LENGTH,           /* the lengths in the headers contradict each other */
    PP_REASON_NO_METADATA,      /* F == S, and the source cannot say whether that is known to the sender */
    PP_REASONS
};

enum pp_proto {
    PP_PROTO_IP = 0,
    PP_PROTO_TCP,
    PP_PROTO_UDP,
    PP_PROTO_UDPLITE,
    PP_PROTO_ICMP,
    PP_PROTO_ICMPV6,
    PP_PROTO_IGMP,
    PP_PROTO_SCTP,
    PP_PROTO_DCCP,
    PP_PROTO_GRE,
    PP_PROTOS
};

enum pp_verdict { PP_VERDICT_PASS = 0, PP_VERDICT_DROP = 1 };

/* Why a packet was dropped here; each has its counter. */
enum pp_drop {
    PP_DROP_NONE = 0,
    PP_DROP_STAGE,        /* a user's stage said so */
    PP_DROP_CORRUPT,      /* bad and not repaired, by choice (--corrupt drop) */
    PP_DROP_UNSPLITTABLE, /* a super-frame that has to be split and cannot be */
    PP_DROP_NO_SINK,      /* the pipeline ends in a sink that keeps nothing */
    PP_DROP_STAGE_ERROR,  /* a user's stage failed on its batch, by choice (--on-error drop) */
    PP_DROPS
};

/* What the source and the parser say of a packet. */
enum pp_packet_flag {
    PP_PKT_METADATA = 0x0001,      /* the source can tell pending from leaked */
    PP_PKT_NOT_READY = 0x0002,     /* it says: checksum unfinished */
    PP_PKT_CLAIMED_VALID = 0x0004, /* it says: checksum verified; a claim (kernels before Nov 2022 were too generous) */
    PP_PKT_SUPER_FRAME = 0x0008,   /* a GSO/GRO stack hands it over whole */
    PP_PKT_OUTGOING = 0x0010,      /* sent by this host, seen by a tap */
    PP_PKT_VLAN = 0x0020,          /* a tag was stripped into vlan_tpid and vlan_tci */
    PP_PKT_VNET = 0x0040,          /* struct pp_vnet lies directly before data */
    PP_PKT_TRUNCATED = 0x0080,     /* caplen < wirelen */
    PP_PKT_MALFORMED = 0x0100,     /* headers contradict each other or end too early */
    PP_PKT_FRAGMENT = 0x0200,
    PP_PKT_REPAIRED = 0x0400, /* at least one field was rewritten here */
    PP_PKT_EDITED = 0x0800    /* a native stage sets it where it wrote octets: the packet is verified again */
};

enum pp_check_flag {
    PP_CHECK_QUOTED = 0x01,        /* inside an ICMP error */
    PP_CHECK_CLAIMED_VALID = 0x02, /* bad although the source vouched for it */
    PP_CHECK_HAS_EXPECTED = 0x04,  /* expected was computed */
    PP_CHECK_HAS_PSEUDO = 0x08,    /* the sum includes a pseudo header; seed is S */
    PP_CHECK_CRC32C = 0x10,        /* stored and expected are 32 bits */
    PP_CHECK_NO_FIELD = 0x20,      /* the header carries no such field (GRE without the bit) */
    PP_CHECK_FLAGGED = 0x40,       /* the source named this very field as unfinished */
    PP_CHECK_REPAIRED = 0x80
};

/* One checksum of one packet.  Offsets and lengths are octets from the start of the captured frame.
 * stored, expected and seed are numbers whose hex digits are the octets in wire order. */
typedef struct pp_check {
    uint32_t offset;   /* of the checksum field */
    uint32_t start;    /* of the summed bytes */
    uint32_t length;   /* of the summed bytes */
    uint32_t stored;   /* F */
    uint32_t expected; /* ~(S+P), valid with PP_CHECK_HAS_EXPECTED */
    uint16_t seed;     /* S, folded; 0 without a pseudo header */
    uint8_t proto;     /* enum pp_proto */
    uint8_t status;    /* enum pp_status */
    uint8_t cause;     /* enum pp_cause, set by classify for bad checks */
    uint8_t reason;    /* enum pp_reason */
    uint8_t flags;     /* enum pp_check_flag */
    uint8_t depth;     /* 0 outermost, +1 per tunnel */
} pp_check;

/* struct virtio_net_hdr of <linux/virtio_net.h>, legacy layout, host byte order as AF_PACKET uses it. */
typedef struct pp_vnet {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t hdr_len;
    uint16_t gso_size;
    uint16_t csum_start;
    uint16_t csum_offset;
} pp_vnet;

#define PP_VNET_LEN 10u
#define PP_CHECKS_PER_PACKET 24u /* bound of the parser; later checks of one packet are not listed */
#define PP_MAX_LINK 4096u

/* Tallies of what was found and done; one per worker, 64-bit, only ever rising.
 * outcome: a status below PP_STATUS_BAD as is, a bad check as PP_STATUS_BAD + its cause. */
#define PP_OUTCOMES ((size_t)PP_STATUSES + (size_t)PP_CAUSES)
typedef struct pp_tally {
    uint64_t packets;
    uint64_t octets; /* of wirelen */
    uint64_t truncated;
    uint64_t malformed;
    uint64_t super_frames;
    uint64_t status[PP_STATUSES]; /* packets by status */
    uint64_t checks[PP_PROTOS][PP_OUTCOMES];
    uint64_t repaired[PP_CAUSES]; /* checks rewritten, by cause */
    uint64_t claimed_valid;       /* bad checks the source had vouched for */
    uint64_t finished;            /* packets whose pending checksum was completed in user space */
    uint64_t split;               /* super-frames split in user space */
} pp_tally;

typedef struct pp_batch {
    uint32_t abi;      /* PP_ABI */
    uint32_t count;    /* packets in this batch */
    uint32_t capacity; /* of every column */
    uint32_t checks_used;
    /* columns, set by the source */
    uint8_t **data;
    uint32_t *caplen;  /* octets at data */
    uint32_t *wirelen; /* octets the frame had; >= caplen but for malformed captures */
    uint64_t *time_ns; /* since the epoch */
    uint64_t *number;  /* from 1; in a file Wireshark's frame number, whatever a filter leaves out */
    uint16_t *flags;   /* enum pp_packet_flag */
    uint16_t *link;    /* LINKTYPE_* of the frame (1 Ethernet) */
    uint16_t *vlan_tpid;
    uint16_t *vlan_tci;
    uint32_t *interface; /* index of the interface in the source; 0 for a ring */
    /* columns, set by verify */
    uint16_t *l3;          /* offset of the outermost IP header, 0 none */
    uint16_t *l4;          /* offset of the outermost transport header, 0 none */
    uint8_t *version;      /* 4, 6, or 0 */
    uint8_t *protocol;     /* transport protocol number of the outermost IP header */
    uint8_t *status;       /* highest of the checks that are the packet's own (not quoted) */
    uint8_t *cause;        /* of its first bad check, outermost first */
    uint32_t *check_first; /* index into checks */
    uint8_t *check_count;
    pp_check *checks; /* all packets', outer first within a packet */
    /* columns, set by stages */
    uint8_t *verdict; /* enum pp_verdict */
    uint8_t *drop;    /* enum pp_drop, set with PP_VERDICT_DROP */
    pp_tally *tally;  /* of the worker that runs this batch; may be null */
} pp_batch;

/* A stage: reads columns, writes columns.  Returns 0, or -errno, which ends the pipeline.
 * Runs without the GIL on the worker's thread; context is what was registered with it. */
typedef int pp_stage_fn(pp_batch *batch, void *context);

#endif
