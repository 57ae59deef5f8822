/* conversation.h - who talks with whom, and what became of packets whose checksum was unfinished.
 *
 * A capture alone does not say where it was taken; what happened next does: a segment that was acknowledged has been
 * finished by someone, one that is sent again and again has not.
 *
 * Rules:
 *   1. Fixed memory, allocated once.  A full table gives up conversations without unfinished or bad packets first, the
 *      one that was silent longest before others, and counts them in `lost`.
 *   2. One table per worker: it is not locked, and must not be shared between threads.
 *   3. A packet counts for its innermost IP header: tunnels are looked through.  Fragments are left out.
 *   4. An acknowledgment proves nothing where a finished copy of the same octets was seen too.
 */
#ifndef PP_CONVERSATION_H
#define PP_CONVERSATION_H

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

#define PP_CONVERSATIONS 4096u
#define PP_AGAIN_NS                                                                                                    \
    150000000u /* the shortest retransmission timer is 200 ms; what comes sooner is a second tap's copy */

/* What a packet of one direction carried. */
enum pp_way_kind {
    PP_WAY_GOOD = 0,
    PP_WAY_ABSENT,
    PP_WAY_UNCHECKED,
    PP_WAY_NOTED,  /* unfinished, and the source says so */
    PP_WAY_BARE,   /* unfinished, and the source cannot say */
    PP_WAY_LEAKED, /* unfinished, and the source would have said */
    PP_WAY_BLANK,  /* 0 where a sum is mandatory */
    PP_WAY_BAD,    /* wrong in another way */
    PP_WAY_KINDS
};

/* One direction of a conversation. */
typedef struct pp_way {
    uint64_t packets, octets;
    uint64_t kind[PP_WAY_KINDS];
    uint64_t outgoing;     /* sent by the host of the tap */
    uint64_t vouched;      /* bad although the source vouched for it */
    uint64_t super_frames; /* as the source says */
    uint64_t short_frames; /* below Ethernet's 60 octets: not received from a wire */
    uint64_t accepted; /* TCP: unfinished segments that were acknowledged; others: unfinished packets with an answer */
    uint64_t again;    /* TCP: unfinished segments sent again, unacknowledged, after PP_AGAIN_NS */
    uint64_t first, last; /* packet numbers */
    uint64_t first_unfinished;
    uint8_t mac[12]; /* target and source of the first packet, as on the wire; zero where there are none */
    uint32_t interface;
    uint32_t largest;            /* octets of its longest frame */
    uint32_t open_from, open_to; /* TCP: octets that were sent unfinished and not acknowledged yet */
    uint64_t open_ns;            /* since when */
    uint8_t is_open, largest_depth;
} pp_way;

typedef struct pp_conversation {
    uint8_t address[2][16]; /* of end 0 and end 1; IPv4 in the first four octets */
    uint16_t port[2];       /* ICMP echo: its identifier, twice */
    uint8_t version, protocol;
    uint8_t is_used;
    uint64_t last;
    pp_way way[2]; /* way[0] is from end 0 to end 1 */
} pp_conversation;

typedef struct pp_conversations {
    pp_conversation at[PP_CONVERSATIONS];
    uint64_t lost;
    uint64_t clock;
} pp_conversations;

pp_conversations *pp_conversations_new(void); /* null: no memory */
void pp_conversations_free(pp_conversations *c);

/* A stage: note each packet of a judged and classified batch.  context: pp_conversations.
 * Reads: status, checks, l3, l4, version, protocol, frames.  Writes: its table. */
int pp_stage_converse(pp_batch *batch, void *context);

/* What stays of a packet whoever rewrites its addresses, ports, TTL, MAC and checksums on the way, or wraps it into a
 * tunnel: a hash over the innermost transport, never 0; 0 where there is nothing to know it by (no IP).
 * TCP: numbers, flags, window and whether there is a payload, not what it is, so that a damaged segment is still known,
 * and a super-frame by its first segment.  Others: the length, and the first and last octets of the payload. */
void pp_fingerprints(const pp_batch *batch, uint64_t *out);

#pragma GCC visibility pop
#endif
