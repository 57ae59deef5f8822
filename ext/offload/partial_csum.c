/* note.c - see note.h. */
#include "offload/partial_csum.h"

#define TAG 4u /* octets that a stripped VLAN tag will add to csum_start */

const pp_check *pp_note_check(const pp_batch *b, uint32_t i)
{
    const pp_check *k = b->checks + b->check_first[i];
    for (unsigned j = 0; j < b->check_count[i]; j++, k++)
        if ((k->flags & PP_CHECK_FLAGGED) && k->start + k->length <= b->caplen[i])
            return k;
    return NULL;
}

pp_vnet pp_note_in_file(const pp_batch *b, uint32_t i)
{
    pp_vnet v = { 0 };
    if (b->flags[i] & PP_PKT_NOT_READY) {
        const pp_check *k = pp_note_check(b, i);
        if (k && k->status == PP_STATUS_PENDING && k->start <= UINT16_MAX - TAG)
            v = (pp_vnet){ .flags = PP_NOTE_NEEDS_CSUM,
                           .csum_start = (uint16_t)k->start,
                           .csum_offset = (uint16_t)(k->offset - k->start) };
    }
    return v;
}

/* The source calls a checksum unfinished, and that field is not the seed or one before it is wrong.  With that note the
 * receiver's kernel would look at none up to there (skb_csum_unnecessary), and damaged data would reach the application.
 * An outer one that has leaked holds what a sender left to others: it is no damage. */
int pp_note_misleads(const pp_batch *b, uint32_t i, const pp_vnet *v)
{
    if (b->status[i] != PP_STATUS_BAD || !(v->flags & PP_NOTE_NEEDS_CSUM))
        return 0;
    const pp_check *k = b->checks + b->check_first[i];
    for (unsigned j = 0; j < b->check_count[i]; j++, k++)
        if (k->status == PP_STATUS_BAD && k->proto != PP_PROTO_IP && k->cause != PP_CAUSE_LEAKED &&
            k->start <= v->csum_start && (!v->gso_type || (k->flags & PP_CHECK_FLAGGED)))
            return 1;
    return 0;
}

void pp_note_clear(pp_batch *b, uint32_t i)
{
    if (b->flags[i] & PP_PKT_VNET)
        memset(b->data[i] - PP_VNET_LEN, 0, PP_VNET_LEN);
    else
        b->flags[i] &= (uint16_t)~PP_PKT_NOT_READY;
}
