/* coalesce.h - consecutive segments of one flow within a batch become one super-frame, as the kernel's GRO makes them.
 *
 * Rules:
 *   1. Only what a split would give back byte for byte is coalesced: same headers but for lengths, sequence, IPv4 id and sums;
 *      sequence contiguous, id rising by one, equal payloads but the last, PSH on the last only; no padding, no tunnel.
 *   2. Only packets whose every check is good or known to be pending; nothing corrupt is covered by a new sum.  UDP whose sum
 *      came complete leaves complete: programs that read it past the kernel (DHCP) check it themselves.
 *   3. Order within a flow is kept: whatever cannot be coalesced closes its flow.  No packet waits for another batch.
 *   4. Nothing is copied but the header; payloads stay in the ring.
 *
 * Source: Linux net/ipv4/tcp_offload.c tcp_gro_receive, udp_offload.c udp_gro_receive_segment, af_inet.c inet_gro_receive.
 */
#ifndef PP_COALESCE_H
#define PP_COALESCE_H

#include <pktmend/stage.h>

#define PP_GRO_SLOTS 512u    /* between two resets: as many messages as are sent at once */
#define PP_GRO_BUCKETS 1024u /* of the hash table, a power of two; a flow that collides is closed */
#define PP_COALESCE_HEAD                                                                                               \
    134u /* bytes of header a coalesced packet may have: Ethernet, IPv6, TCP with options, and spare */
#define PP_COALESCE_UDP 64u    /* datagrams (UDP_MAX_SEGMENTS of older kernels) */
#define PP_COALESCE_MOST 1023u /* packets: with the header they are the vectors of a message (UIO_MAXIOV) */

/* A segment that may be coalesced; offsets in its frame. */
typedef struct pp_gro_segment {
    uint32_t l3, l4, payload_at, payload;
    uint32_t sequence;
    uint16_t id;
    uint8_t version, is_udp, is_last; /* is_last: PSH */
} pp_gro_segment;

typedef struct pp_gro_slot {
    uint32_t first, last; /* packets of the batch */
    uint32_t count;
    uint32_t payload;  /* bytes in all */
    uint32_t size;     /* of each but the last */
    uint32_t sequence; /* expected next */
    uint16_t id;
    uint8_t open, is_udp;
    uint8_t l3, l4, payload_at; /* of the first */
    uint32_t owner;             /* the caller's: which message it is */
} pp_gro_slot;

typedef struct pp_coalesce {
    uint32_t generation;
    uint32_t mtu;     /* of the egress: a segment above it is left alone, and fails as it would have */
    uint8_t tcp, udp; /* wanted */
    uint32_t used;    /* flows since the reset */
    uint32_t barrier; /* those before it are closed */
    uint32_t bucket_generation[PP_GRO_BUCKETS];
    uint16_t bucket[PP_GRO_BUCKETS]; /* index of a flow */
    pp_gro_slot slots[PP_GRO_SLOTS];
} pp_coalesce;

/* Forget all flows: at the end of a batch and whenever their messages were sent. */
void pp_coalesce_reset(pp_coalesce *coalesce);

/* Look at packet i.  Returns the slot it was coalesced into, or null: then *opened is the slot that it begins (set its owner) or null
 * if it is not one that can be coalesced; a slot of the same addresses and ports is closed. */
pp_gro_slot *pp_coalesce_add(pp_coalesce *coalesce, const pp_batch *batch, uint32_t i, pp_gro_slot **opened);

/* Packet i goes out without being looked at: coalesce nothing of its flow any more with what went before it. */
void pp_coalesce_close(pp_coalesce *coalesce, const pp_batch *batch, uint32_t i);

/* Write the super-frame's header for flow (count >= 2): virtio-net header, Ethernet with the stripped tag put back, IP,
 * transport.  head: PP_VNET_LEN + 4 + PP_COALESCE_HEAD bytes of room.  Returns its bytes. */
uint32_t pp_coalesce_head(const pp_gro_slot *flow, const pp_batch *batch, uint8_t *head);

#endif
