/* ring_internal.h - what the ways of reading a packet socket share: a frame and its marks put into a batch. */
#ifndef PP_RING_INTERNAL_H
#define PP_RING_INTERNAL_H

#include <linux/if_packet.h>

#include "io/batch.h"
#include "io/ring.h"
#include "offload/partial_csum.h"
#include "parse/headers.h"

#define PP_V2_BATCH 256u /* frames a batch takes at most: enough to fill a sendmmsg, few enough to stay in cache */

static inline uint16_t pp_ring_flags(uint32_t status, uint32_t caplen, uint32_t wirelen, const uint8_t *frame,
                                     int has_vnet, uint8_t pkttype)
{
    uint16_t flags = PP_PKT_METADATA;
    if (status & TP_STATUS_CSUMNOTREADY)
        flags |= PP_PKT_NOT_READY;
    if (status & TP_STATUS_CSUM_VALID)
        flags |= PP_PKT_CLAIMED_VALID;
    if (status & TP_STATUS_VLAN_VALID)
        flags |= PP_PKT_VLAN;
    if (caplen < wirelen)
        flags |= PP_PKT_TRUNCATED;
    if (pkttype == PACKET_OUTGOING)
        flags |= PP_PKT_OUTGOING;
    if (has_vnet) {
        flags |= PP_PKT_VNET;
        pp_vnet v = pp_vnet_get(frame);
        flags |= pp_vnet_flags(&v);
    }
    return flags;
}

static inline void pp_ring_add(pp_ring *r, pp_batch *b, uint8_t *frame, uint32_t caplen, uint32_t wirelen,
                               uint64_t time_ns, uint16_t flags, uint16_t link, uint16_t tpid, uint16_t tci)
{
    pp_batch_append(b, &(pp_arrival){ .data = frame,
                                      .caplen = caplen,
                                      .wirelen = wirelen,
                                      .time_ns = time_ns,
                                      .number = ++r->number,
                                      .flags = flags,
                                      .link = link,
                                      .vlan_tpid = tpid,
                                      .vlan_tci = tci });
}

/* pp_ring_next for a socket that is read without its ring. */
int pp_ring_next_of_queue(pp_ring *ring, pp_batch *batch);

#endif
