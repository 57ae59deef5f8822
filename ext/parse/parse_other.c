/* parse_other.c - all that may come behind IP beside the common protocols: mostly routers' own, with an Internet checksum.
 *
 * Does: VRRP (and CARP), OSPF, PIM, EIGRP, RSVP, PGM, and HIP, the mobility header and Shim6; Ethernet in SRv6.
 * Does not: judge.  Two of them have two readings of what the sum covers, both in use: the one that fits is what the
 *           check says, and where none does, the one that the newer RFC has.
 *
 * Source: RFC 2338, 3768, 5798, 9568 (VRRP); 2328, 5340, 7166, 7949 (OSPF); 7761 (PIM); 7868 (EIGRP); 2205 (RSVP);
 *         3208 (PGM); 7401 (HIP); 6275 (mobility header); 5533 (Shim6).
 */
#include "parse/parse_internal.h"

#ifndef PP_UNREAD_WORDS /* nothing counts yet what is not looked into */
#define pp_not_understood_type(p, reason, type) ((void)(p))
#endif

static inline int is_judged(const pp_check *k) { return k && k->status == PP_STATUS_NONE; }

/* The sender computed none, and may. */
static void absent(pp_check *k)
{
    if (k && !(k->flags & PP_CHECK_QUOTED)) {
        k->status = PP_STATUS_ABSENT;
        k->reason = PP_REASON_NONE;
    } else if (k) {
        pp_unchecked(k, PP_REASON_QUOTED);
    }
}

/* A sum over all that follows, pseudo header or not, as most of them have it. */
static pp_check *whole(pp_packet *p, const pp_cursor *c, uint8_t proto, uint32_t field, int protocol)
{
    uint32_t length = c->end - c->at;
    return pp_cover(p, c, proto, c->at + field, c->at, length, protocol, length);
}

/* Version 2 has no pseudo header.  Of version 3 over IPv4 RFC 5798 could be read both ways, and was; OpenBSD's CARP, which
 * has its field at the same place, goes without one over IPv6 too. */
static void vrrp(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, VRRP_LEN))
        return;
    int is_version_2 = p->data[c->at] >> 4 < 3;
    pp_check *k = whole(p, c, PP_PROTO_VRRP, VRRP_SUM, is_version_2 && c->version == 4 ? -1 : IPPROTO_VRRP);
    if (is_judged(k) && (k->flags & PP_CHECK_HAS_PSEUDO) && pp_sum_fits(p, k->start, k->length, 0)) {
        k->flags &= (uint8_t)~PP_CHECK_HAS_PSEUDO;
        k->seed = 0;
    }
}

/* Version 2: the eight bytes of authentication are left out of the sum, which the seed does by taking them away;
 * with cryptographic authentication there is no sum. */
static pp_check *ospf_2(pp_packet *p, pp_cursor *c, uint32_t length)
{
    uint32_t key = c->at + OSPF_KEY;
    pp_check *k = pp_cover(p, c, PP_PROTO_OSPF, c->at + OSPF_SUM, c->at, length, -1, 0);
    if (pp_get16(p->data + c->at + OSPF_AUTHENTICATION) >= OSPF_CRYPTOGRAPHIC) {
        absent(k);
        return k;
    }
    uint16_t left_out = pp_fold((uint64_t)pp_load32(p->data + key) + pp_load32(p->data + key + 4));
    if (k && left_out)
        k->seed = pp_wire16((uint16_t)~left_out);
    return k;
}

/* Does an authentication trailer follow the packet of so many bytes, or the block of local signaling behind it?  Where it
 * does nobody looks at the sum, which is 0 or whatever (RFC 7166 section 4.3, erratum 3568). */
static int has_trailer(const pp_packet *p, const pp_cursor *c, uint32_t length)
{
    for (int i = 0; i < 2 && pp_within(c, length + OSPF_TRAILER_LEAST); i++) {
        const uint8_t *h = p->data + c->at + length;
        uint32_t left = c->end - c->at - length;
        if (pp_get16(h) == OSPF_TRAILER_HMAC && pp_get16(h + 2) >= OSPF_TRAILER_LEAST && pp_get16(h + 2) <= left)
            return 1;
        length += pp_get16(h + 2) * 4u; /* of the other block, in words */
    }
    return 0;
}

static void ospf(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, OSPF_LEAST))
        return;
    const uint8_t *h = p->data + c->at;
    uint32_t length = pp_get16(h + OSPF_LENGTH), span = c->end - c->at, header = h[0] == 2 ? OSPF2_LEN : OSPF3_LEN;
    if (h[0] != 2 && h[0] != 3) {
        pp_not_understood_type(p, PP_UNREAD_IP_PROTOCOL, IPPROTO_OSPFIGP);
        return;
    }
    if (!pp_need(p, c, header))
        return;
    int contradiction = length < header || (length > span && !c->fragment);
    if (contradiction || length > span)
        length = span;
    pp_check *k;
    if (h[0] == 2) {
        k = ospf_2(p, c, length);
    } else {
        k = pp_cover(p, c, PP_PROTO_OSPF, c->at + OSPF_SUM, c->at, length, IPPROTO_OSPFIGP, length);
        if (k && length < span && (k->stored == 0 || has_trailer(p, c, length)))
            absent(k);
        else if (is_judged(k) && span - length >= OSPF_TRAILER_LEAST && !pp_within(c, length + OSPF_TRAILER_LEAST))
            pp_unchecked(k, PP_REASON_TRUNCATED); /* there may be a trailer */
    }
    if (contradiction)
        pp_contradict(p, c, k);
}

/* The sum of a Register ends before the packet that it carries; of old it did not, and that is accepted still. */
static void pim(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, PIM_LEAST))
        return;
    const uint8_t *h = p->data + c->at;
    if (h[0] >> 4 != 2) {
        pp_not_understood_type(p, PP_UNREAD_IP_PROTOCOL, IPPROTO_PIM);
        return;
    }
    int protocol = c->version == 6 ? IPPROTO_PIM : -1;
    if ((h[0] & 15) != PIM_REGISTER) {
        whole(p, c, PP_PROTO_PIM, PIM_SUM, protocol);
        return;
    }
    pp_cursor part = *c;
    if (!c->quoted)
        part.fragment = 0; /* its sum is here whole: of the first fragment only the header is needed */
    pp_check *k =
        pp_cover(p, &part, PP_PROTO_PIM, c->at + PIM_SUM, c->at, PIM_REGISTER_LEN, protocol, PIM_REGISTER_LEN);
    if (is_judged(k) && !pp_sum_fits(p, k->start, k->length, k->seed)) {
        pp_check header = *k;
        p->count--;
        k = whole(p, c, PP_PROTO_PIM, PIM_SUM, protocol); /* which need not be all here */
        if (is_judged(k) && !pp_sum_fits(p, k->start, k->length, k->seed))
            *k = header;
    }
    if (!pp_need(p, c, PIM_REGISTER_LEN))
        return;
    if (!(h[PIM_REGISTER_BITS] & PIM_NULL) && pp_descend(c, PIM_REGISTER_LEN))
        pp_parse_by_version(p, c);
}

/* 0 says that there is none. */
static void rsvp(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, RSVP_LEN))
        return;
    uint32_t length = pp_get16(p->data + c->at + RSVP_LENGTH), span = c->end - c->at;
    int contradiction = length < RSVP_LEN || (length > span && !c->fragment);
    pp_check *k =
        pp_cover(p, c, PP_PROTO_RSVP, c->at + RSVP_SUM, c->at, contradiction || length > span ? span : length, -1, 0);
    if (k && k->stored == 0)
        absent(k);
    else if (contradiction)
        pp_contradict(p, c, k);
}

static void pgm(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, PGM_LEN))
        return;
    pp_check *k = whole(p, c, PP_PROTO_PGM, PGM_SUM, -1);
    if (k && k->stored == 0)
        absent(k);
}

static void eigrp(pp_packet *p, pp_cursor *c)
{
    if (pp_need(p, c, EIGRP_LEN))
        whole(p, c, PP_PROTO_EIGRP, EIGRP_SUM, -1);
}

void pp_parse_extension_sum(pp_packet *p, const pp_cursor *c, uint8_t protocol, uint32_t length)
{
    switch (protocol) {
    case IPPROTO_MH:
        pp_cover(p, c, PP_PROTO_MOBILITY, c->at + EXT_SUM, c->at, length, IPPROTO_MH, length);
        break;
    case IPPROTO_HIP:
        pp_cover(p, c, PP_PROTO_HIP, c->at + EXT_SUM, c->at, length, IPPROTO_HIP, length);
        break;
    case IPPROTO_SHIM6:
        if (!(p->data[c->at + SHIM6_BITS] & SHIM6_IS_PAYLOAD))
            pp_cover(p, c, PP_PROTO_SHIM6, c->at + EXT_SUM, c->at, length, -1, 0);
        break;
    default:
        break;
    }
}

/* Over IPv4, where it is no extension header. */
static void hip(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, EXT_UNIT))
        return;
    uint32_t length = EXT_UNIT + p->data[c->at + EXT_LENGTH] * (uint32_t)EXT_UNIT;
    if (length <= c->end - c->at)
        pp_parse_extension_sum(p, c, IPPROTO_HIP, length);
    else
        pp_malformed(p, c);
}

void pp_parse_other(pp_packet *p, pp_cursor *c, uint8_t protocol)
{
    switch (protocol) {
    case IPPROTO_VRRP:
        vrrp(p, c);
        break;
    case IPPROTO_OSPFIGP:
        ospf(p, c);
        break;
    case IPPROTO_PIM:
        pim(p, c);
        break;
    case IPPROTO_EIGRP:
        eigrp(p, c);
        break;
    case IPPROTO_RSVP:
        rsvp(p, c);
        break;
    case IPPROTO_PGM:
        pgm(p, c);
        break;
    case IPPROTO_HIP:
        hip(p, c);
        break;
    case IPPROTO_ETHERNET_SRV6: /* RFC 8986 section 10.1 */
        if (pp_descend(c, 0))
            pp_parse_ethernet(p, c);
        break;
    case IPPROTO_NONE:
        break;
    case IPPROTO_ESP:
        pp_not_understood_type(p, PP_UNREAD_ENCRYPTED, protocol);
        break;
    default:
        pp_not_understood_type(p, PP_UNREAD_IP_PROTOCOL, protocol);
        break;
    }
}
