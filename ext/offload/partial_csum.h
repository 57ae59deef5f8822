/* partial_csum.h - partial-checksum metadata: the kernel's CHECKSUM_PARTIAL mark, "this checksum is partial, and it lies there".
 *
 * On a ring it is the struct virtio_net_hdr before the frame (NEEDS_CSUM, csum_start, csum_offset); in a file it is one bit
 * of epb_flags that says "somewhere", and verify finds out where.
 *
 * Rules:
 *   1. Nothing else reads or writes a virtio-net header.
 *   2. Nothing here writes to a frame, only to the header before it.
 */
#ifndef PP_PARTIAL_CSUM_H
#define PP_PARTIAL_CSUM_H

#include <string.h>

#include "parse/headers.h"
#include <pktmend/stage.h>

/* The virtio-net header that ends where frame begins. */
static inline pp_vnet pp_vnet_get(const uint8_t *frame)
{
    pp_vnet v;
    memcpy(&v, frame - PP_VNET_LEN, sizeof v);
    return v;
}
static inline void pp_vnet_put(uint8_t *frame, const pp_vnet *v) { memcpy(frame - PP_VNET_LEN, v, sizeof *v); }

static inline int pp_needs_csum(const pp_vnet *v) { return v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM; }

/* What the header says of its packet: PP_PKT_NOT_READY, PP_PKT_SUPER_FRAME. */
static inline uint16_t pp_vnet_flags(const pp_vnet *v)
{
    return (uint16_t)((pp_needs_csum(v) ? PP_PKT_NOT_READY : 0) | (v->gso_type ? PP_PKT_SUPER_FRAME : 0));
}

/* pp_partial_csum_of for a packet of a file. */
pp_vnet pp_partial_csum_in_file(const pp_batch *batch, uint32_t i);
/* The metadata of packet i as a virtio-net header, all zero if it has none.  Reads: flags, checks. */
static inline pp_vnet pp_partial_csum_of(const pp_batch *batch, uint32_t i)
{
    return batch->flags[i] & PP_PKT_VNET ? pp_vnet_get(batch->data[i]) : pp_partial_csum_in_file(batch, i);
}
/* The check whose field the source named as partial, whole within the frame; null without one. */
const pp_check *pp_partial_csum_check(const pp_batch *batch, uint32_t i);
/* Would a receiver that is given the metadata take damage for good? */
int pp_partial_csum_misleads(const pp_batch *batch, uint32_t i, const pp_vnet *vnet);
/* Make the metadata of a packet whose metadata was stray name the field that verify found, or none. */
void pp_partial_csum_correct(pp_batch *batch, uint32_t i);
/* Packet i goes without metadata from here on. */
void pp_partial_csum_clear(pp_batch *batch, uint32_t i);

#endif
