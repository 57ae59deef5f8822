/* traffic.h - numbered frames with right or chosen wrong checksums, sent in batches; and the count at the other end.
 *
 * Rules:
 *   1. Frames are made by Python once, as templates; here a number, a port, a sequence number and a checksum are put in.
 *   2. The arithmetic is this file's own: what sends does not share code with what judges.
 *   3. A damaged frame is damaged in exactly one way: where another cause would explain the stored value too, the frame
 *      goes out undamaged and the next one takes its place.  What is counted is what was done.
 *   4. Sums are of 16-bit words as they lie on the wire, most significant byte first.
 *
 * The payload of every frame begins with TRAFFIC_MARK (2 bytes), the run (2), the frame's number in the run (4), and a
 * word that damage is done to (2).
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdint.h>

#include <pktmend/stage.h>

#define TRAFFIC_MARK 0x706du /* "pm" */
#define TRAFFIC_BATCH 64u
#define TRAFFIC_HEAD 128u /* bytes of a frame that are its own; the rest is sent from the template */
#define TRAFFIC_PROTOS 3u /* ip, tcp, udp */
#define TRAFFIC_RUNS 8u
#define TRAFFIC_WINDOW (1u << 20) /* numbers back within which a duplicate is known for one */

/* What can be done to a frame. */
enum traffic_damage {
    TRAFFIC_LEAKED,
    TRAFFIC_ZERO,
    TRAFFIC_NOT_COMPLEMENTED,
    TRAFFIC_BYTE_SWAPPED,
    TRAFFIC_LENGTH,
    TRAFFIC_HEADER_DELTA,
    TRAFFIC_BIT_FLIP,
    TRAFFIC_CORRUPT,
    TRAFFIC_BAD_SEED,
    TRAFFIC_DAMAGES
};

/* What a checksum then is; traffic_outcome_name() has the words. */
enum traffic_outcome {
    TRAFFIC_IS_GOOD,
    TRAFFIC_IS_ABSENT,
    TRAFFIC_IS_PENDING,
    TRAFFIC_IS_LEAKED,
    TRAFFIC_IS_NEVER_FILLED,
    TRAFFIC_IS_ILLEGAL_ZERO,
    TRAFFIC_IS_BAD_SEED,
    TRAFFIC_IS_NOT_COMPLEMENTED,
    TRAFFIC_IS_BYTE_SWAPPED,
    TRAFFIC_IS_LENGTH,
    TRAFFIC_IS_HEADER_DELTA,
    TRAFFIC_IS_BIT_FLIP,
    TRAFFIC_IS_CORRUPT,
    TRAFFIC_OUTCOMES
};

typedef struct traffic_template {
    const uint8_t *frame; /* checksum right for number, port and sequence number 0; UDP and TCP over IPv4 or IPv6 */
    uint32_t length;
    uint32_t head; /* bytes up to and with the word for damage; at most TRAFFIC_HEAD */
    uint16_t l3, l4, sum_at, port_at;
    uint16_t sequence_at; /* 0: none */
    uint16_t number_at;
    uint8_t version, protocol;
    uint32_t payload;     /* bytes */
    uint16_t gso_size;    /* 0, or of the segments of a super-frame, which then leaves whole, its checksum partial */
    uint32_t seed;        /* S, folded */
    uint32_t payload_sum; /* P, folded, with number, port and sequence number 0 */
} traffic_template;

typedef struct traffic traffic;

/* Templates and order must outlive it.  order: which template each frame is of, over and over.  share: of each damage, in
 * 2^-32.  offload: checksums that are not damaged leave partial, with the mark.  Null: no memory. */
traffic *traffic_new(const traffic_template *templates, const uint32_t *order, uint32_t order_length, uint32_t flows,
                     uint16_t port, double rate, const uint64_t *share, int offload);
void traffic_free(traffic *traffic);
/* Send up to frames on fd (a bound packet socket with PACKET_VNET_HDR), no longer than milliseconds.  How many, or -errno. */
int64_t traffic_send(traffic *traffic, int fd, uint64_t frames, uint32_t milliseconds);
uint64_t traffic_bytes(const traffic *traffic);
uint64_t traffic_retries(const traffic *traffic); /* ENOBUFS or a full queue: tried again */
/* How many checksums of proto (0 ip, 1 tcp, 2 udp) left in that state. */
uint64_t traffic_count(const traffic *traffic, uint32_t proto, uint32_t outcome);
const char *traffic_outcome_name(uint32_t outcome);
const char *traffic_damage_name(uint32_t damage);

/* One run of a sender as it arrives.  A super-frame that a sender made carries one number, one that a bridge coalesced several. */
typedef struct traffic_run {
    uint32_t id, used;
    uint64_t received; /* distinct numbers */
    uint64_t duplicates;
    uint64_t reordered; /* after a higher number */
    uint64_t late;      /* too long after to say whether it is a duplicate; not in received */
    uint64_t bytes;
    uint32_t lowest, highest;
    uint64_t seen[TRAFFIC_WINDOW / 64];
} traffic_run;

typedef struct traffic_arrivals {
    uint64_t foreign; /* frames without a number */
    uint32_t runs;
    traffic_run run[TRAFFIC_RUNS]; /* what comes after so many is foreign */
} traffic_arrivals;

/* A stage: record the numbers of a batch after verify; of a super-frame those of all its segments. */
int traffic_record(pp_batch *batch, void *arrivals);
/* A stage that does nothing: what a native stage costs. */
int traffic_nothing(pp_batch *batch, void *context);
extern const pktmend_stage pktmend_stage_of_traffic_record, pktmend_stage_of_traffic_nothing;

#endif
