/* partial_csum.c - see partial_csum.h. */
#include "offload/partial_csum.h"

const pp_check *pp_partial_csum_check(const pp_batch *b, uint32_t i)
{
    const pp_check *k = b->checks + b->check_first[i];
    for (unsigned j = 0; j < b->check_count[i]; j++, k++)
        if ((k->flags & PP_CHECK_FLAGGED) && k->start + k->length <= b->caplen[i])
            return k;
    return NULL;
}

pp_vnet pp_partial_csum_in_file(const pp_batch *b, uint32_t i)
{
    pp_vnet v = { 0 };
    if (b->flags[i] & PP_PKT_NOT_READY) {
        const pp_check *k = pp_partial_csum_check(b, i);
        if (k && k->status == PP_STATUS_PENDING && k->start <= UINT16_MAX - VLAN_LEN) /* a tag may be put back */
            v = (pp_vnet){ .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                           .csum_start = (uint16_t)k->start,
                           .csum_offset = (uint16_t)(k->offset - k->start) };
    }
    return v;
}

/* The source calls a checksum partial, and that field is not the seed or one before it is wrong.  Given that metadata the
 * receiver's kernel would look at none up to there (skb_csum_unnecessary), and damaged data would reach the application.
 * An outer one that has leaked holds what a sender left to others: it is no damage. */
int pp_partial_csum_misleads(const pp_batch *b, uint32_t i, const pp_vnet *v)
{
    if (b->status[i] != PP_STATUS_BAD || !pp_needs_csum(v))
        return 0;
    const pp_check *k = b->checks + b->check_first[i];
    for (unsigned j = 0; j < b->check_count[i]; j++, k++)
        if (k->status == PP_STATUS_BAD && k->proto != PP_PROTO_IP && k->cause != PP_CAUSE_LEAKED &&
            k->start <= v->csum_start && (!v->gso_type || (k->flags & PP_CHECK_FLAGGED)))
            return 1;
    return 0;
}

void pp_partial_csum_correct(pp_batch *b, uint32_t i)
{
    const pp_check *k = b->flags[i] & PP_PKT_NOT_READY ? pp_partial_csum_check(b, i) : NULL;
    pp_vnet v = pp_vnet_get(b->data[i]);
    v.flags &= (uint8_t)~VIRTIO_NET_HDR_F_NEEDS_CSUM;
    v.csum_start = v.csum_offset = 0;
    if (k && k->status == PP_STATUS_PENDING && k->start <= UINT16_MAX - VLAN_LEN) {
        v.flags |= VIRTIO_NET_HDR_F_NEEDS_CSUM;
        v.csum_start = (uint16_t)k->start;
        v.csum_offset = (uint16_t)(k->offset - k->start);
    }
    pp_vnet_put(b->data[i], &v);
}

void pp_partial_csum_clear(pp_batch *b, uint32_t i)
{
    static const pp_vnet none;
    if (b->flags[i] & PP_PKT_VNET)
        pp_vnet_put(b->data[i], &none);
    else
        b->flags[i] &= (uint16_t)~PP_PKT_NOT_READY;
}
