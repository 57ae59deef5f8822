/* stray.c - see stray.h.
 *
 * Source: Linux net/core/skbuff.c skb_partial_csum_set, include/linux/skbuff.h skb_checksum_start; local checksum offload:
 *         Documentation/networking/checksum-offloads.rst.
 */
#include "check/stray.h"

#include "check/judge.h"
#include "offload/encap.h"
#include "offload/partial_csum.h"
#include "parse/headers.h"

/* An outer sum written while the inner one is partial (local checksum offload): the bytes from csum_start on will sum
 * to the complement of the inner seed once the inner field is complete. */
int pp_is_right_once_complete(const uint8_t *data, const pp_check *k, uint32_t start, uint32_t field, pp_sum_fn *sum)
{
    uint64_t inner = (uint16_t)~pp_load16(data + field);
    if ((start - k->start) & 1)
        inner = pp_swap16((uint16_t)inner);
    return pp_fold(sum(data + k->start, start - k->start) + inner + pp_wire16(k->seed)) == 0xffff;
}

/* Is it a checksum field of this packet, summed from where that protocol's sum begins?  An IPv4 header's sum ends with the
 * header, which no such metadata can say; a datagram without a sum is right without one. */
static int names_check(const pp_packet *p, uint32_t start, uint32_t field)
{
    for (unsigned i = 0; i < p->count; i++) {
        const pp_check *k = &p->checks[i];
        if (k->offset == field && k->start == start && k->proto != PP_PROTO_IP && k->status != PP_STATUS_ABSENT &&
            !(k->flags & (PP_CHECK_NO_FIELD | PP_CHECK_QUOTED)))
            return 1;
    }
    return 0;
}

/* The least bytes of a transport header, 0 for one that is not known here. */
static uint32_t least_of(uint8_t protocol)
{
    switch (protocol) {
    case IPPROTO_TCP:
        return TCP_LEN;
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
        return UDP_LEN;
    case IPPROTO_SCTP:
        return SCTP_LEN;
    case IPPROTO_DCCP:
        return DCCP_LEN;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
    case IPPROTO_IGMP:
    case IPPROTO_GRE:
        return ICMP_LEAST;
    default:
        return 0;
    }
}

/* Was the outermost IP header found by what names it, not by a guess as behind MPLS labels? */
static int is_named(const pp_packet *p)
{
    if (p->link != PP_LINK_ETHERNET)
        return p->link == PP_LINK_RAW;
    uint32_t after = pp_after_tags(p->data, p->l3);
    uint16_t type = after >= ETH_HLEN ? pp_get16(p->data + after - 2) : 0;
    return (after == p->l3 && (type == ETH_P_IP || type == ETH_P_IPV6)) || type == ETH_P_PPP_SES ||
           (type && type < ETH_P_802_3_MIN);
}

/* Does it lie before all that could be summed, or behind the datagram? */
static int is_outside(const pp_packet *p, uint32_t start, uint32_t field)
{
    if (field + 2 > p->wire)
        return 1;
    if (p->link == PP_LINK_ETHERNET && p->cap >= ETH_HLEN) {
        uint32_t after = pp_after_tags(p->data, p->cap);
        if (start < after || pp_get16(p->data + after - 2) == ETH_P_ARP)
            return 1;
    }
    if (!p->version || !is_named(p))
        return 0;
    const uint8_t *ip = p->data + p->l3;
    uint32_t head = p->version == 4 ? IP4_LEN : IP6_LEN;
    if (p->flags & PP_PKT_FRAGMENT)
        return 1; /* a sum is completed before its datagram is cut to pieces */
    if (start < (p->l4 ? p->l4 + least_of(p->protocol) : p->l3 + head))
        return 1;
    uint32_t counted = p->version == 4 ? pp_get16(ip + IP4_TOTAL) : pp_get16(ip + IP6_PAYLOAD);
    uint32_t end = p->l3 + (p->version == 4 ? 0u : head) + counted;
    if (end > p->wire || end < p->l4 || (counted == 0 && (p->flags & PP_PKT_SUPER_FRAME)))
        return 0; /* not its length; a super-frame may be too long to say so */
    return field + 2 > end;
}

/* Does what k covers end with an IP packet whose transport header begins where vnet says, all of it consistent? */
static int has_packet(const pp_packet *p, const pp_check *k, const pp_vnet *v)
{
    return pp_encap_inner(p->data, p->cap, k->start, k->start + k->length, v->csum_start,
                          (uint32_t)v->csum_start + v->csum_offset) >= 0;
}

/* A sum that holds its seed around a super-frame: each segment will get its own, if the super-frame is of something inside. */
static int is_left_to_segments(const pp_packet *p, const pp_check *k, const pp_vnet *v)
{
    uint8_t type = v->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    if (k->proto != PP_PROTO_UDP)
        return 0;
    return type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6 ||
           (type == VIRTIO_NET_HDR_GSO_UDP_L4 && has_packet(p, k, v));
}

/* Does it lie in, or before, what a sum covers that is right or the seed as it is?  That sum proves where its headers lie. */
static int is_covered(const pp_packet *p, const pp_vnet *v, uint32_t start, uint32_t field, pp_sum_fn *sum)
{
    for (unsigned i = 0; i < p->count; i++) {
        pp_check k = p->checks[i];
        if (k.status != PP_STATUS_NONE || k.proto == PP_PROTO_IP || (k.flags & PP_CHECK_QUOTED) ||
            field >= k.start + k.length)
            continue;
        int is_seed = (k.flags & PP_CHECK_HAS_PSEUDO) && k.stored == k.seed;
        if (is_seed && is_left_to_segments(p, &k, v))
            continue;
        if (!is_seed) {
            pp_judge(p->data, &k, sum);
            if (k.status != PP_STATUS_GOOD)
                continue;
        }
        /* right now and right once complete: a sum of nothing but zeros inside, or a rare chance; a packet tells them apart */
        if (start < k.start || (k.flags & PP_CHECK_CRC32C) || field + 2 > k.start + k.length ||
            !pp_is_right_once_complete(p->data, &k, start, field, sum) || !has_packet(p, &k, v))
            return 1;
    }
    return 0;
}

int pp_is_stray(const pp_packet *p, const pp_vnet *v, pp_sum_fn *sum)
{
    uint32_t start = v->csum_start, field = start + v->csum_offset;
    if (names_check(p, start, field))
        return 0;
    return is_outside(p, start, field) || is_covered(p, v, start, field, sum);
}
