/* epb.h - a packet as an Enhanced Packet Block of pcapng, in parts: the frame itself is not copied.
 *
 * Rules:
 *   1. A stripped VLAN tag is put back.
 *   2. What the source knew is kept: epb_flags bits 9 (not ready), 10 (valid), 11 (TSO) and the direction.
 *   3. With comments, a packet whose checksums are not right says so (comment.h).
 *   4. The parts point into the batch and into the pp_epb itself: valid while both stay where they are.
 *
 * Source: draft-ietf-opsawg-pcapng section 4.3.
 */
#ifndef PP_EPB_H
#define PP_EPB_H

#include <sys/uio.h>

#include <pktmend/stage.h>

#include "io/comment.h"

#define PP_EPB_PARTS 5u

typedef struct pp_epb {
    uint32_t length; /* of the block, a multiple of 4 */
    unsigned parts;
    struct iovec part[PP_EPB_PARTS];
    /* private */
    uint8_t head[28], tag[4], tail[24 + 4 + PP_COMMENT_ROOM];
} pp_epb;

/* Bytes of packet i that a file gets, its tag put back, snaplen (0: all) applied; *wirelen: what the frame had. */
uint32_t pp_frame_length(const pp_batch *batch, uint32_t i, uint32_t snaplen, uint32_t *wirelen);
/* Those bytes, in up to three parts; returns how many. */
unsigned pp_frame_parts(const pp_batch *batch, uint32_t i, uint32_t caplen, uint8_t tag[4], struct iovec *part);
/* Describe packet i as a block of interface number `interface` of the file (this machine's byte order). */
void pp_epb_make(pp_epb *epb, const pp_batch *batch, uint32_t i, uint32_t interface, uint32_t snaplen, int comments);

#endif
