/* parse_log.c - links that hosts make up to hand packets to a program: NFLOG, pflog, enc, PKTAP.
 *
 * Source: https://www.tcpdump.org/linktypes.html; linux/netfilter/nfnetlink_log.h.
 */
#include <sys/socket.h>

#include "parse/parse_internal.h"

static void by_family(pp_packet *p, pp_cursor *c, uint32_t family)
{
    if (family == AF_INET)
        pp_parse_ip4(p, c);
    else if (family == AF_INET6 || family == 24 || family == 28 || family == 30) /* of the BSDs and macOS */
        pp_parse_ip6(p, c);
    else
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
}

enum { NFLOG_LEN = 4, NFLOG_ATTRIBUTE_LEN = 4, NFLOG_PACKET = 1, NFLOG_PAYLOAD = 9, NFLOG_TYPE = 0x7fff };

/* The log may hold less than the packet had, and its own lengths do not say so. */
static void bound_logged(pp_packet *p, pp_cursor *c, uint32_t length)
{
    const uint8_t *h = p->data + c->at;
    uint32_t whole = 0;
    if (length >= IP4_LEN && h[0] >> 4 == 4)
        whole = pp_get16(h + IP4_TOTAL);
    else if (length >= IP6_LEN && h[0] >> 4 == 6)
        whole = IP6_LEN + (uint32_t)pp_get16(h + IP6_PAYLOAD);
    if (whole > length) {
        p->cap = c->limit = c->at + length;
        p->flags |= PP_PKT_TRUNCATED;
        c->end = c->at + whole;
    } else {
        pp_bound(p, c, c->at + length);
    }
}

/* Attributes as netlink has them, in the byte order of the host that wrote them: theirs is the one in which the first fits. */
void pp_parse_nflog(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, NFLOG_LEN + NFLOG_ATTRIBUTE_LEN))
        return;
    uint8_t family = p->data[c->at];
    uint16_t type = 0;
    c->at += NFLOG_LEN;
    int is_little = pp_get_le16(p->data + c->at) <= pp_get16(p->data + c->at);
    while (c->end - c->at >= NFLOG_ATTRIBUTE_LEN) {
        if (!pp_need(p, c, NFLOG_ATTRIBUTE_LEN))
            return;
        const uint8_t *h = p->data + c->at;
        uint32_t size = is_little ? pp_get_le16(h) : pp_get16(h);
        uint16_t kind = (is_little ? pp_get_le16(h + 2) : pp_get16(h + 2)) & NFLOG_TYPE;
        if (size < NFLOG_ATTRIBUTE_LEN || !pp_need(p, c, size)) {
            pp_not_understood(p, PP_UNREAD_MALFORMED);
            return;
        }
        if (kind == NFLOG_PACKET && size >= NFLOG_ATTRIBUTE_LEN + 2)
            type = pp_get16(h + NFLOG_ATTRIBUTE_LEN);
        if (kind == NFLOG_PAYLOAD) {
            c->at += NFLOG_ATTRIBUTE_LEN;
            bound_logged(p, c, size - NFLOG_ATTRIBUTE_LEN);
            if (family == AF_INET || family == AF_INET6)
                by_family(p, c, family);
            else
                pp_parse_ethertype(p, c, type);
            return;
        }
        uint32_t step = (size + 3) & ~3u;
        if (step > c->end - c->at)
            return;
        c->at += step;
    }
}

enum { PFLOG_FAMILY = 1, PFLOG_LEAST = 48, ENC_LEN = 12, PKTAP_RECORD = 4, PKTAP_LINK = 8, PKTAP_LEAST = 12 };

void pp_parse_pflog(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, PFLOG_LEAST))
        return;
    uint32_t length = (p->data[c->at] + 3u) & ~3u;
    uint8_t family = p->data[c->at + PFLOG_FAMILY];
    if (length >= PFLOG_LEAST && pp_skip(p, c, length))
        by_family(p, c, family);
    else
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
}

/* OpenBSD's IPsec device, its family in the byte order of the host. */
void pp_parse_enc(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, ENC_LEN))
        return;
    uint32_t family = pp_get32(p->data + c->at);
    c->at += ENC_LEN;
    by_family(p, c, family > 0xffff ? __builtin_bswap32(family) : family);
}

/* Of macOS: a length, the kind of record (1 a packet), the link of the frame behind. */
void pp_parse_pktap(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, PKTAP_LEAST))
        return;
    const uint8_t *h = p->data + c->at;
    uint32_t length = pp_get_le32(h), link = pp_get_le32(h + PKTAP_LINK);
    if (pp_get_le32(h + PKTAP_RECORD) != 1)
        return;
    if (length < PKTAP_LEAST || c->nested++ == PP_MAX_NESTED)
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
    else if (pp_skip(p, c, length))
        pp_parse_link(p, c, link);
}
