/* ring.h - walk an mmapped AF_PACKET receive ring, TPACKET_V3 or V2.
 *
 * Rules:
 *   1. A block (V3) or slot (V2) belongs to the kernel until its status says USER, and again after release.
 *      Each goes back exactly once, in order.
 *   2. Whoever made the socket and the mapping owns them; nothing here opens, binds or maps.
 *   3. Nothing here parses packets; it only says where they lie.
 *
 * Source: Linux Documentation/networking/packet_mmap.rst, net/packet/af_packet.c tpacket_rcv().
 */
#ifndef PP_RING_H
#define PP_RING_H

#include "run/loop.h"

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

#define PP_RING_ARENA (1u << 20) /* bytes for frames that did not fit their V2 slot, per batch */

typedef struct pp_ring {
    uint8_t *map;
    int fd;
    int version;         /* 2 or 3 */
    uint32_t block_size; /* V3: of a block; V2: of the memory blocks behind the slots (tp_block_size) */
    uint32_t block_count;
    uint32_t frame_size; /* V2: of a slot */
    uint32_t frame_count;
    int has_vnet;     /* PACKET_VNET_HDR is set */
    uint8_t *arena;   /* V2: PP_RING_ARENA bytes */
    int queue_fd;     /* V2: a packet socket like fd, without a ring and bound to no protocol, to go on with; 0: none */
    int is_by_queue;  /* it went on with queue_fd; other threads read it atomically */
    pp_losses losses; /* see pp_source */
    /* private */
    uint32_t cursor;          /* next block or slot */
    uint32_t holding;         /* V2: slots given out; V3: 1 while a block is */
    uint64_t number;          /* packets given out so far */
    uint32_t packet, packets; /* V3: progress within the block */
    uint32_t packet_at;
    uint32_t fetched_to; /* V3: bytes of the block that were asked for ahead */
} pp_ring;

/* Fill batch with what is ready.  Returns the number of packets, 0 if nothing is; -EPROTO if the ring's memory contradicts
 * itself.  The batch is valid until pp_ring_release. */
int pp_ring_next(pp_ring *ring, pp_batch *batch);
/* Hand back what the last pp_ring_next gave out. */
void pp_ring_release(pp_ring *ring);
/* V2: go on after a frame whose GSO type the virtio-net header cannot express (UFO, SCTP): it leaves its slot reserved for
 * ever, and the kernel drops all that comes after (net/packet/af_packet.c tpacket_rcv, rx_owner_map).  From now on frames come
 * through the queue of queue_fd, which is bound to what fd is bound to; fd goes on counting until its owner stops it.  Without
 * queue_fd the ring is set up anew on the same socket, at the same address.  Nothing may be held.  queue_fd if that is what it
 * goes on with, 0, or -errno; the ring is dead then if that came from the kernel. */
int pp_ring_recover(pp_ring *ring);
/* A bound for the packets of one batch: the capacity to give it. */
uint32_t pp_ring_capacity(const pp_ring *ring);
/* LINKTYPE_* of the frames of an interface of this kind (ARPHRD_*). */
uint16_t pp_ring_link(uint16_t hatype);

#pragma GCC visibility pop
#endif
