/* conversation.h - the flows of a capture, both directions together, and what became of packets whose checksum was partial.
 *
 * A capture alone does not say where it was taken; what happened next does: a segment that was acknowledged has been
 * completed by someone, one that is sent again and again has not.
 *
 * Rules:
 *   1. Fixed memory, allocated once.  A full table gives up conversations without partial or bad checksums first, the
 *      one that was silent longest before others, and counts them in `lost`.
 *   2. One table per worker: it is not locked, and must not be shared between threads.
 *   3. A packet counts for its innermost IP header: tunnels are looked through.  Fragments are left out.
 *   4. An acknowledgment proves nothing where a complete copy of the same bytes was seen too.
 */
#ifndef PP_CONVERSATION_H
#define PP_CONVERSATION_H

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

#define PP_CONVERSATIONS 4096u
#define PP_RETRANSMISSION_NS                                                                                           \
    150000000u /* the shortest retransmission timer is 200 ms; what comes sooner is a second tap's copy */

/* What a packet of one direction carried. */
enum pp_direction_kind {
    PP_DIRECTION_GOOD = 0,
    PP_DIRECTION_ABSENT,
    PP_DIRECTION_UNCHECKED,
    PP_DIRECTION_PENDING_FLAGGED, /* partial, and the source says so */
    PP_DIRECTION_PENDING_UNKNOWN, /* partial, and the source cannot say */
    PP_DIRECTION_LEAKED,          /* partial, and the source would have said */
    PP_DIRECTION_NEVER_FILLED,    /* 0 where a sum is mandatory */
    PP_DIRECTION_BAD,             /* wrong in another way */
    PP_DIRECTION_KINDS
};

#define PP_SEGMENTS 8u /* segments that are remembered of a direction, the latest */

/* TCP: one segment with a partial checksum, [from, to), and when it was sent last.  length: bytes of its frame, 0: none. */
typedef struct pp_segment {
    uint32_t from, to, length;
    uint8_t is_arrived;
    uint64_t ns;
} pp_segment;

/* One direction of a conversation. */
typedef struct pp_direction {
    uint64_t packets;
    uint64_t kind[PP_DIRECTION_KINDS];
    uint64_t outgoing;     /* sent by the host of the tap */
    uint64_t short_frames; /* below Ethernet's 60 bytes: not received from a wire */
    uint64_t
        acked; /* of partial checksums; TCP: segments acknowledged, also selectively; others: packets with an answer */
    uint64_t
        retransmitted; /* TCP: segments with a partial checksum sent again, unacknowledged, after PP_RETRANSMISSION_NS */
    uint8_t mac[12];   /* target and source of the first packet, as on the wire; zero where there are none */
    uint32_t largest;  /* bytes of its longest frame */
    uint32_t in_flight_from, in_flight_to; /* TCP: bytes sent with a partial checksum, not acknowledged yet */
    uint64_t in_flight_ns;                 /* since when */
    uint8_t is_in_flight;
    uint8_t is_mixed;       /* TCP: segments with a complete checksum were seen as well */
    uint8_t is_syn;         /* TCP: it begins with the SYN */
    uint8_t has_ack;        /* TCP: the next four are set */
    uint16_t ack_window;    /* what this direction acknowledged last, with which window */
    uint32_t ack, ack_next; /* and where it goes on */
    uint64_t ack_ns;        /* and when */
    uint64_t duplicates;    /* TCP: partial segments for which a duplicate acknowledgment came */
    uint64_t in_vain;       /* TCP: of those sent again, how many since something last arrived */
    uint32_t again_shortest,
        passed_longest; /* TCP: bytes of the shortest frame sent again, of the longest that arrived */
    uint32_t next_sent;
    pp_segment sent[PP_SEGMENTS];
} pp_direction;

typedef struct pp_conversation {
    uint8_t address[2][16]; /* of end 0 and end 1; IPv4 in the first four bytes */
    uint16_t port[2];       /* ICMP echo: its identifier, twice */
    uint8_t version, protocol;
    uint8_t is_used;
    uint64_t last;
    pp_direction direction[2]; /* direction[0] is from end 0 to end 1 */
} pp_conversation;

typedef struct pp_conversations {
    pp_conversation at[PP_CONVERSATIONS];
    uint64_t lost;
    uint64_t clock;
} pp_conversations;

pp_conversations *pp_conversations_new(void); /* null: no memory */
void pp_conversations_free(pp_conversations *c);

/* A stage: enter each packet of a judged and classified batch.  context: pp_conversations.
 * Reads: status, checks, l3, l4, version, protocol, frames.  Writes: its table. */
int pp_stage_track_conversations(pp_batch *batch, void *context);

/* What stays of a packet when a hop rewrites its addresses, ports, TTL, MAC and checksums on the way, or wraps it into a
 * tunnel: a hash over the innermost transport, never 0; 0 where there is nothing to know it by (no IP).
 * TCP: numbers, flags, window and whether there is a payload, not what it is, so that a damaged segment is still known,
 * and a super-frame by its first segment.  Others: the length, and the first and last bytes of the payload. */
void pp_fingerprints(const pp_batch *batch, uint64_t *out);

#pragma GCC visibility pop
#endif
