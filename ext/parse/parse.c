/* parse.c - layer 2 and IP: from the first octet of a frame to its transport headers.
 *
 * Does: Ethernet, 802.1Q/802.1ad, 802.2 SNAP, MPLS, PPPoE/PPP, cooked and raw links; IPv4 with options, IPv6 with
 *       extension headers, fragments.  Transport and tunnels: parse_transport.c.
 * Does not: judge, copy, allocate.
 *
 * Source: RFC 791, 8200, 2675, 6275, 8754, 6554, 3032, 2516, 1661; Linux Documentation for the cooked headers.
 */
#include "parse/parse_internal.h"

/* Home of the innermost guess: what follows an MPLS stack has no type field.  IP by its version; Ethernet, with or
 * without a pseudowire control word (RFC 4385), only if the type it would then carry fits what follows. */
static int looks_like_ethernet(const pp_packet *p, pp_cursor *c)
{
    if (!pp_within(c, 15))
        return 0;
    uint16_t type = pp_get16(p->data + c->at + 12);
    uint8_t nibble = p->data[c->at + 14] >> 4;
    return (type == ETHERTYPE_IP4 && nibble == 4) || (type == ETHERTYPE_IP6 && nibble == 6) || type == 0x0806 ||
           type == 0x8100 || type == 0x88a8;
}

void pp_parse_mpls(pp_packet *p, pp_cursor *c)
{
    for (unsigned i = 0; i < PP_MAX_LABELS; i++) {
        if (!pp_need(p, c, 4))
            return;
        int bottom = p->data[c->at + 2] & 1;
        c->at += 4;
        if (!bottom)
            continue;
        if (!pp_within(c, 1))
            return;
        uint8_t nibble = p->data[c->at] >> 4;
        if (nibble == 4) {
            pp_parse_ip4(p, c);
        } else if (nibble == 6) {
            pp_parse_ip6(p, c);
        } else if (looks_like_ethernet(p, c)) {
            pp_parse_ethernet(p, c);
        } else if (nibble == 0 && pp_within(c, 4)) {
            c->at += 4;
            if (looks_like_ethernet(p, c))
                pp_parse_ethernet(p, c);
        }
        return;
    }
    pp_malformed(p, c);
}

/* A PPP frame from its address field (which HDLC-like framing has and PPPoE has not) or its protocol field on. */
void pp_parse_ppp(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, 2))
        return;
    if (p->data[c->at] == 0xff && p->data[c->at + 1] == 0x03) {
        c->at += 2;
        if (!pp_need(p, c, 2))
            return;
    }
    uint16_t protocol = p->data[c->at];
    if (protocol & 1) { /* protocol field compression, RFC 1661 section 6.5 */
        c->at += 1;
    } else {
        protocol = pp_get16(p->data + c->at);
        c->at += 2;
    }
    if (protocol == 0x0021)
        pp_parse_ip4(p, c);
    else if (protocol == 0x0057)
        pp_parse_ip6(p, c);
    else if (protocol == 0x0281)
        pp_parse_mpls(p, c);
}

static void pppoe(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, 6))
        return;
    if (p->data[c->at] != 0x11 || p->data[c->at + 1] != 0) /* version 1 type 1, session data */
        return;
    uint32_t length = pp_get16(p->data + c->at + 4);
    c->at += 6;
    if (length > c->end - c->at) {
        pp_malformed(p, c);
        return;
    }
    pp_add_framing(p, c, c->at - 2, c->at, 65535);
    pp_bound(p, c, c->at + length);
    pp_parse_ppp(p, c);
}

static void snap(pp_packet *p, pp_cursor *c)
{
    static const uint8_t rfc1042[6] = { 0xaa, 0xaa, 0x03, 0, 0, 0 };
    if (!pp_within(c, 8) || memcmp(p->data + c->at, rfc1042, sizeof rfc1042) != 0)
        return;
    uint16_t type = pp_get16(p->data + c->at + 6);
    c->at += 8;
    if (type >= 0x0600)
        pp_parse_ethertype(p, c, type);
}

void pp_parse_ethertype(pp_packet *p, pp_cursor *c, uint16_t type)
{
    for (unsigned tags = 0;; tags++) {
        switch (type) {
        case ETHERTYPE_IP4:
            pp_parse_ip4(p, c);
            return;
        case ETHERTYPE_IP6:
            pp_parse_ip6(p, c);
            return;
        case 0x8847:
        case 0x8848:
            pp_parse_mpls(p, c);
            return;
        case 0x8864:
            pppoe(p, c);
            return;
        case 0x8100:
        case 0x88a8:
        case 0x9100:
        case 0x9200:
        case 0x9300:
            if (tags == PP_MAX_VLAN) {
                pp_malformed(p, c);
                return;
            }
            if (!pp_need(p, c, 4))
                return;
            type = pp_get16(p->data + c->at + 2);
            c->at += 4;
            break;
        default:
            if (type < 0x0600) { /* an 802.3 length */
                pp_add_framing(p, c, c->at - 2, c->at, 1500);
                if (type <= c->end - c->at)
                    pp_bound(p, c, c->at + type);
                snap(p, c);
            }
            return;
        }
    }
}

void pp_parse_ethernet(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, 14))
        return;
    uint16_t type = pp_get16(p->data + c->at + 12);
    c->at += 14;
    pp_parse_ethertype(p, c, type);
}

/* With a source route that is not used up the last address of the route is the destination that the
 * transport checksum covers (RFC 791 section 3.1, RFC 1122 section 3.2.1.8). */
static const uint8_t *ip4_destination(const uint8_t *h, uint32_t header)
{
    for (uint32_t i = 20; i < header;) {
        uint8_t type = h[i];
        if (type == 0)
            break;
        if (type == 1) {
            i++;
            continue;
        }
        if (i + 2 > header || h[i + 1] < 2 || i + h[i + 1] > header)
            break;
        uint32_t length = h[i + 1];
        if ((type == 131 || type == 137) && length >= 7 && h[i + 2] <= length)
            return h + i + (length - 3) / 4 * 4 - 1; /* 3 octets, then whole addresses */
        i += length;
    }
    return h + 16;
}

/* May a length field of 0 mean "as long as the frame"?  Beyond 64 KiB the field cannot hold the length (BIG TCP); captures
 * of segmentation offload have it too, and no frame of a network carries 0. */
static int is_super_frame(const pp_packet *p, uint32_t span)
{
    return (p->flags & PP_PKT_SUPER_FRAME) || span > 65535 || (!(p->flags & PP_PKT_METADATA) && span > 1500);
}

/* Takes the cursor by value: inlined, it stays in registers. */
static inline __attribute__((always_inline)) void ip4(pp_packet *p, pp_cursor c)
{
    if (!pp_need(p, &c, 20))
        return;
    const uint8_t *h = p->data + c.at;
    uint32_t header = (h[0] & 15u) * 4, span = c.end - c.at, total = pp_get16(h + 2);
    if (h[0] >> 4 != 4 || header < 20 || header > span) {
        pp_malformed(p, &c);
        return;
    }
    int outermost = p->version == 0;
    if (outermost) {
        p->version = 4;
        p->l3 = (uint16_t)c.at;
        p->protocol = h[9];
    }
    pp_check *k = pp_add_check(p, &c, PP_PROTO_IP, c.at + 10, c.at, header);
    if (!pp_within(&c, header)) {
        if (k)
            pp_unchecked(k, PP_REASON_TRUNCATED);
        return;
    }
    if (total == 0 && is_super_frame(p, span))
        total = span;
    if (total < header) {
        pp_malformed(p, &c);
        return;
    }
    if (total > span) {
        c.contradiction = 1;
        pp_malformed(p, &c);
    } else {
        pp_bound(p, &c, c.at + total);
    }
    uint16_t fragment = pp_get16(h + 6);
    if (fragment & 0x3fff) {
        pp_fragment(p, &c);
        if (fragment & 0x1fff)
            return;
        c.fragment = 1;
    }
    const uint8_t *destination = header == 20 ? h + 16 : ip4_destination(h, header);
    c.pseudo = (uint64_t)pp_load16(h + 12) + pp_load16(h + 14) + pp_load16(destination) + pp_load16(destination + 2);
    c.version = 4;
    c.at += header;
    pp_add_layer(p, &c, c.at - header, h[9]);
    if (outermost)
        p->l4 = (uint16_t)c.at;
    if (h[9] == 6) {
        pp_parse_tcp(p, &c);
    } else {
        pp_cursor rest = c;
        pp_parse_transport(p, &rest, h[9]);
    }
}

void pp_parse_ip4(pp_packet *p, pp_cursor *c) { ip4(p, *c); }

/* The destination at the end of a routing header that is not used up; null if it cannot be told.
 * Types 0 and 2 list addresses in order, 4 (SRv6, RFC 8754) in reverse, 3 (RPL, RFC 6554) compressed: room for one. */
static const uint8_t *routing_destination(const uint8_t *h, uint32_t length, const uint8_t *now, uint8_t room[16])
{
    uint8_t type = h[2], left = h[3];
    if (left == 0)
        return now;
    if (type == 0 || type == 2) {
        if (length < 24)
            return NULL;
        return h + 8 + (length - 24) / 16 * 16;
    }
    if (type == 4)
        return length >= 24 ? h + 8 : NULL;
    if (type == 3) {
        uint32_t last = 16u - (h[4] & 15u), pad = h[5] >> 4;
        if (length < 8 + pad + last)
            return NULL;
        memmove(room, now, 16); /* now may be room already: a second such header */
        memcpy(room + 16 - last, h + length - pad - last, last);
        return room;
    }
    return NULL;
}

const uint8_t *pp_ip6_option(const uint8_t *h, uint32_t length, uint8_t type, uint8_t size)
{
    for (uint32_t i = 2; i < length;) {
        if (h[i] == 0) { /* Pad1 */
            i++;
            continue;
        }
        if (i + 2 > length || i + 2 + h[i + 1] > length)
            break;
        if (h[i] == type && h[i + 1] == size)
            return h + i + 2;
        i += 2u + h[i + 1];
    }
    return NULL;
}

void pp_parse_ip6(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, 40))
        return;
    const uint8_t *h = p->data + c->at, *source = h + 8, *destination = h + 24;
    uint8_t room[16], next = h[6];
    uint32_t l3 = c->at, span = c->end - c->at - 40, payload = pp_get16(h + 4);
    if (h[0] >> 4 != 6) {
        pp_malformed(p, c);
        return;
    }
    int outermost = p->version == 0, unknown_destination = 0;
    if (outermost) {
        p->version = 6;
        p->l3 = (uint16_t)c->at;
        p->protocol = next;
    }
    c->at += 40;
    if (payload == 0 && next == 0 && pp_within(c, 8)) { /* RFC 2675 */
        uint32_t length = 8u + p->data[c->at + 1] * 8u;
        const uint8_t *jumbo = pp_within(c, length) ? pp_ip6_option(p->data + c->at, length, 0xc2, 4) : NULL;
        if (jumbo)
            payload = pp_get32(jumbo);
    }
    if (payload == 0 && next != 59 && is_super_frame(p, span))
        payload = span;
    if (payload > span) {
        c->contradiction = 1;
        pp_malformed(p, c);
    } else {
        pp_bound(p, c, c->at + payload);
    }
    for (unsigned i = 0; i < PP_MAX_EXTENSIONS; i++) {
        uint32_t length;
        switch (next) {
        case 0:
        case 43:
        case 60:
        case 135:
        case 139:
        case 140:
            if (!pp_need(p, c, 8))
                return;
            h = p->data + c->at;
            length = 8u + h[1] * 8u;
            if (!pp_need(p, c, length))
                return;
            if (next == 43) {
                const uint8_t *last = routing_destination(h, length, destination, room);
                if (last)
                    destination = last;
                else
                    unknown_destination = 1;
            } else if (next == 60) { /* Home Address, RFC 6275 section 6.3 */
                const uint8_t *home = pp_ip6_option(h, length, 0xc9, 16);
                if (home)
                    source = home;
            }
            break;
        case 44:
            if (!pp_need(p, c, 8))
                return;
            h = p->data + c->at;
            length = 8;
            if (pp_get16(h + 2) & 0xfff9) {
                pp_fragment(p, c);
                if (outermost)
                    p->protocol = h[0];
                if (pp_get16(h + 2) & 0xfff8)
                    return;
                c->fragment = 1;
            }
            break;
        case 51: /* AH counts in 32-bit words, RFC 4302 */
            if (!pp_need(p, c, 8))
                return;
            h = p->data + c->at;
            length = (h[1] + 2u) * 4;
            if (!pp_need(p, c, length))
                return;
            break;
        default:
            c->pseudo = pp_sum_ip6(source) + pp_sum_ip6(destination);
            c->version = 6;
            c->contradiction |= (uint8_t)unknown_destination;
            pp_add_layer(p, c, l3, next);
            if (outermost) {
                p->protocol = next;
                p->l4 = (uint16_t)c->at;
            }
            pp_parse_transport(p, c, next);
            return;
        }
        next = h[0];
        c->at += length;
    }
    pp_malformed(p, c);
}

static void by_version(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, 1))
        return;
    if (p->data[c->at] >> 4 == 6)
        pp_parse_ip6(p, c);
    else
        pp_parse_ip4(p, c);
}

void pp_parse(pp_packet *p)
{
    pp_cursor whole = { .limit = p->cap, .end = p->wire }, *c = &whole;
    uint32_t family;
    p->version = p->protocol = p->count = p->layer_count = p->framing_count = 0;
    p->l3 = p->l4 = 0;
    if (p->wire < p->cap)
        c->end = p->wire = p->cap;
    if (p->cap < p->wire)
        p->flags |= PP_PKT_TRUNCATED;
    switch (p->link) {
    case PP_LINK_ETHERNET:
        if (pp_within(c, 14) && pp_get16(p->data + 12) == ETHERTYPE_IP4) { /* as pp_parse_ethernet() would, inlined */
            pp_cursor at = whole;
            at.at = 14;
            ip4(p, at);
        } else {
            pp_parse_ethernet(p, c);
        }
        break;
    case PP_LINK_RAW:
    case PP_LINK_RAW_BSD:
    case PP_LINK_RAW_OPENBSD:
        by_version(p, c);
        break;
    case PP_LINK_IPV4:
        pp_parse_ip4(p, c);
        break;
    case PP_LINK_IPV6:
        pp_parse_ip6(p, c);
        break;
    case PP_LINK_NULL:
    case PP_LINK_LOOP:
        if (!pp_need(p, c, 4))
            break;
        family = pp_get32(p->data);
        if (family > 0xffff) /* written by a machine of the other byte order */
            family = __builtin_bswap32(family);
        c->at = 4;
        if (family == 2)
            pp_parse_ip4(p, c);
        else if (family == 10 || family == 24 || family == 28 || family == 30)
            pp_parse_ip6(p, c);
        break;
    case PP_LINK_SLL:
        if (!pp_need(p, c, 16))
            break;
        c->at = 16;
        if (pp_get16(p->data + 2) == 824) /* netlink */
            break;
        if (pp_get16(p->data + 14) == 4)
            snap(p, c);
        else if (pp_get16(p->data + 14) >= 0x0600)
            pp_parse_ethertype(p, c, pp_get16(p->data + 14));
        break;
    case PP_LINK_SLL2:
        if (!pp_need(p, c, 20))
            break;
        c->at = 20;
        if (pp_get16(p->data + 8) == 824)
            break;
        if (pp_get16(p->data) == 4)
            snap(p, c);
        else if (pp_get16(p->data) >= 0x0600)
            pp_parse_ethertype(p, c, pp_get16(p->data));
        break;
    case PP_LINK_PPP:
    case PP_LINK_PPP_HDLC:
        if (p->link == PP_LINK_PPP_HDLC && pp_within(c, 4) && (p->data[0] == 0x0f || p->data[0] == 0x8f)) {
            c->at = 4; /* Cisco HDLC in the same framing, RFC 4349 */
            pp_parse_ethertype(p, c, pp_get16(p->data + 2));
            break;
        }
        pp_parse_ppp(p, c);
        break;
    case PP_LINK_PPPOE:
        pppoe(p, c);
        break;
    case PP_LINK_C_HDLC:
        if (!pp_need(p, c, 4))
            break;
        c->at = 4;
        if (pp_get16(p->data + 2) >= 0x0600)
            pp_parse_ethertype(p, c, pp_get16(p->data + 2));
        break;
    default:
        break;
    }
}
