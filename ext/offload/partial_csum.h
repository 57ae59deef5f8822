/* note.h - the note that goes with a packet: its checksum is unfinished, and this is where (struct virtio_net_hdr).
 *
 * Rules:
 *   1. A ring has it before the frame.  A file says only that there is one (epb_flags): where, verify finds out.
 *   2. Nothing here writes to a frame but pp_note_clear(), to the header before it.
 */
#ifndef PP_NOTE_H
#define PP_NOTE_H

#include <string.h>

#include <pktmend/stage.h>

#define PP_NOTE_NEEDS_CSUM 1u /* VIRTIO_NET_HDR_F_NEEDS_CSUM */

/* pp_note_of for a packet of a file. */
pp_vnet pp_note_in_file(const pp_batch *batch, uint32_t i);
/* The note of packet i, all zero if it has none.  Reads: flags, checks. */
static inline pp_vnet pp_note_of(const pp_batch *batch, uint32_t i)
{
    if (!(batch->flags[i] & PP_PKT_VNET))
        return pp_note_in_file(batch, i);
    pp_vnet v;
    memcpy(&v, batch->data[i] - PP_VNET_LEN, sizeof v);
    return v;
}
/* The check whose field the source named as unfinished, whole within the frame; null without one. */
const pp_check *pp_note_check(const pp_batch *batch, uint32_t i);
/* Would a receiver that is given the note take damage for good? */
int pp_note_misleads(const pp_batch *batch, uint32_t i, const pp_vnet *note);
/* Packet i goes without one from here on. */
void pp_note_clear(pp_batch *batch, uint32_t i);

#endif
