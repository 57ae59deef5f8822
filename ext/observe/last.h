/* last.h - the last bad packets of each flow with their first bytes: what a view shows of the flow that somebody looks at.
 *
 * Rules:
 *   1. One for all rings, and of fixed size: 1,024 flows, the last 4 bad packets of each, 192 bytes of a packet.  1.1 MB,
 *      of which pages that no bad packet needs are never touched.
 *   2. Nothing but bad packets comes here, from any thread; the lock is held for those of a batch.
 *   3. A flood costs a look at its flow's key for each packet, and one copy each millisecond: with four packets kept, one that
 *      comes sooner after the last one kept is left out.
 *   4. Where more flows meet in a set than it has ways, the one that had no bad packet for longest is forgotten.
 */
#ifndef PP_LAST_H
#define PP_LAST_H

#include <pthread.h>

#include <pktmend/parse.h>
#include <pktmend/stage.h>

#include "observe/flow.h"

#pragma GCC visibility push(default)

#define PP_LAST_SETS 128u
#define PP_LAST_WAYS 8u
#define PP_LAST_EACH 4u
#define PP_LAST_APART_NS 1000000u
#define PP_LAST_BYTES 192u /* an inner transport header behind two IPv6 headers and VXLAN ends at 166 */

typedef struct pp_last_packet {
    uint64_t time_ns;
    uint32_t caplen, wirelen;
    pp_check check; /* its first bad one */
    uint16_t flags, link;
    uint16_t kept; /* bytes of frame */
    uint8_t frame[PP_LAST_BYTES];
} pp_last_packet;

typedef struct pp_last_key {
    pp_flow flow;
    uint64_t last_ns, kept_ns; /* of its last bad packet, of the last one kept */
    uint32_t interface;
    uint32_t turn; /* which packet the next one replaces: one more for each, so that 0 is a free way */
} pp_last_key;

typedef struct pp_last {
    pthread_mutex_t lock;
    pp_last_key keys[PP_LAST_SETS][PP_LAST_WAYS];
    pp_last_packet packets[PP_LAST_SETS][PP_LAST_WAYS][PP_LAST_EACH];
} pp_last;

pp_last *pp_last_new(void); /* null: no memory */
void pp_last_free(pp_last *last);
/* Keep packet i, which is bad, or see rule 3; the caller holds the lock.
 * interface: a number of the caller's, by which it asks.  hash: pp_flow_hash(flow).
 * Reads: checks, flags, link, frames. */
void pp_last_put(pp_last *last, uint32_t interface, const pp_flow *flow, uint32_t hash, const pp_batch *batch,
                 uint32_t i);
/* Copy what is kept of a flow to out (room for PP_LAST_EACH), the latest first; returns how many. */
uint32_t pp_last_find(pp_last *last, uint32_t interface, const pp_flow *flow, pp_last_packet *out);
/* Find the IP header that the check belongs to; 0 if it has none. */
int pp_last_layer(const pp_last_packet *packet, pp_layer *layer);

#pragma GCC visibility pop
#endif
