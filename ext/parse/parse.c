/* parse.c - layer 2 and IP: from the first octet of a frame to its transport headers.
 *
 * Does: Ethernet, 802.1Q/802.1ad, 802.2 SNAP, MPLS, PPPoE/PPP, cooked and raw links; IPv4 with options, IPv6 with
 *       extension headers, fragments.  Transport and tunnels: parse_transport.c.
 * Does not: judge, copy, allocate.
 *
 * Source: RFC 791, 8200, 2675, 6275, 8754, 6554, 3032, 2516, 1661; Linux Documentation for the cooked headers.
 */
#include <linux/if_arp.h>
#include <sys/socket.h>

#include "parse/parse_internal.h"

/* Home of the innermost guess: what follows an MPLS stack has no type field.  IP by its version; Ethernet, with or
 * without a pseudowire control word (RFC 4385), only if the type it would then carry fits what follows. */
static int looks_like_ethernet(const pp_packet *p, pp_cursor *c)
{
    if (!pp_within(c, ETH_HLEN + 1))
        return 0;
    uint16_t type = pp_get16(p->data + c->at + ETH_TYPE);
    uint8_t nibble = p->data[c->at + ETH_HLEN] >> 4;
    return (type == ETH_P_IP && nibble == 4) || (type == ETH_P_IPV6 && nibble == 6) || type == ETH_P_ARP ||
           type == ETH_P_8021Q || type == ETH_P_8021AD;
}

void pp_parse_mpls(pp_packet *p, pp_cursor *c)
{
    for (unsigned i = 0; i < PP_MAX_LABELS; i++) {
        if (!pp_need(p, c, MPLS_LEN))
            return;
        int bottom = p->data[c->at + MPLS_BOTTOM] & 1;
        c->at += MPLS_LEN;
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
        } else if (nibble == 0 && pp_within(c, CONTROL_WORD_LEN)) {
            c->at += CONTROL_WORD_LEN;
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
    if (p->data[c->at] == PPP_ALLSTATIONS && p->data[c->at + 1] == PPP_UI) {
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
    if (protocol == PPP_IP)
        pp_parse_ip4(p, c);
    else if (protocol == PPP_IPV6)
        pp_parse_ip6(p, c);
    else if (protocol == PPP_MPLS_UC)
        pp_parse_mpls(p, c);
}

static void pppoe(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, PPPOE_LEN))
        return;
    if (p->data[c->at] != PPPOE_VERSION_TYPE || p->data[c->at + PPPOE_CODE] != 0) /* 0: session data */
        return;
    uint32_t length = pp_get16(p->data + c->at + PPPOE_LENGTH);
    c->at += PPPOE_LEN;
    if (length > c->end - c->at) {
        pp_malformed(p, c);
        return;
    }
    pp_add_framing(p, c, c->at - PPPOE_LEN + PPPOE_LENGTH, c->at, UINT16_MAX);
    pp_bound(p, c, c->at + length);
    pp_parse_ppp(p, c);
}

static void snap(pp_packet *p, pp_cursor *c)
{
    static const uint8_t rfc1042[SNAP_TYPE] = { 0xaa, 0xaa, 0x03, 0, 0, 0 };
    if (!pp_within(c, SNAP_LEN) || memcmp(p->data + c->at, rfc1042, sizeof rfc1042) != 0)
        return;
    uint16_t type = pp_get16(p->data + c->at + SNAP_TYPE);
    c->at += SNAP_LEN;
    if (type >= ETH_P_802_3_MIN)
        pp_parse_ethertype(p, c, type);
}

void pp_parse_ethertype(pp_packet *p, pp_cursor *c, uint16_t type)
{
    for (unsigned tags = 0;; tags++) {
        switch (type) {
        case ETH_P_IP:
            pp_parse_ip4(p, c);
            return;
        case ETH_P_IPV6:
            pp_parse_ip6(p, c);
            return;
        case ETH_P_MPLS_UC:
        case ETH_P_MPLS_MC:
            pp_parse_mpls(p, c);
            return;
        case ETH_P_PPP_SES:
            pppoe(p, c);
            return;
        case ETH_P_8021Q:
        case ETH_P_8021AD:
        case ETH_P_QINQ1:
        case ETH_P_QINQ2:
        case ETH_P_QINQ3:
            if (tags == PP_MAX_VLAN) {
                pp_malformed(p, c);
                return;
            }
            if (!pp_need(p, c, VLAN_LEN))
                return;
            type = pp_get16(p->data + c->at + VLAN_TYPE);
            c->at += VLAN_LEN;
            break;
        default:
            if (type < ETH_P_802_3_MIN) { /* an 802.3 length */
                pp_add_framing(p, c, c->at - 2, c->at, ETH_DATA_LEN);
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
    if (!pp_need(p, c, ETH_HLEN))
        return;
    uint16_t type = pp_get16(p->data + c->at + ETH_TYPE);
    c->at += ETH_HLEN;
    pp_parse_ethertype(p, c, type);
}

/* With a source route that is not used up the last address of the route is the destination that the
 * transport checksum covers (RFC 791 section 3.1, RFC 1122 section 3.2.1.8). */
static const uint8_t *ip4_destination(const uint8_t *h, uint32_t header)
{
    for (uint32_t i = IP4_LEN; i < header;) {
        uint8_t type = h[i];
        if (type == IPOPT_EOL)
            break;
        if (type == IPOPT_NOP) {
            i++;
            continue;
        }
        if (i + 2 > header || h[i + 1] < 2 || i + h[i + 1] > header)
            break;
        uint32_t length = h[i + 1];
        if ((type == IPOPT_LSRR || type == IPOPT_SSRR) && length >= 7 && h[i + 2] <= length)
            return h + i + (length - 3) / 4 * 4 - 1; /* 3 octets, then whole addresses */
        i += length;
    }
    return h + IP4_TARGET;
}

/* May a length field of 0 mean "as long as the frame"?  Beyond 64 KiB the field cannot hold the length (BIG TCP); captures
 * of segmentation offload have it too, and no frame of a network carries 0. */
static int is_super_frame(const pp_packet *p, uint32_t span)
{
    return (p->flags & PP_PKT_SUPER_FRAME) || span > UINT16_MAX ||
           (!(p->flags & PP_PKT_METADATA) && span > ETH_DATA_LEN);
}

/* Takes the cursor by value: inlined, it stays in registers. */
static inline __attribute__((always_inline)) void ip4(pp_packet *p, pp_cursor c)
{
    if (!pp_need(p, &c, IP4_LEN))
        return;
    const uint8_t *h = p->data + c.at;
    uint32_t header = (h[0] & 15u) * 4, span = c.end - c.at, total = pp_get16(h + IP4_TOTAL);
    if (h[0] >> 4 != 4 || header < IP4_LEN || header > span) {
        pp_malformed(p, &c);
        return;
    }
    int outermost = p->version == 0;
    if (outermost) {
        p->version = 4;
        p->l3 = (uint16_t)c.at;
        p->protocol = h[IP4_PROTO];
    }
    pp_check *k = pp_add_check(p, &c, PP_PROTO_IP, c.at + IP4_SUM, c.at, header);
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
    uint16_t fragment = pp_get16(h + IP4_FRAGMENT);
    if (fragment & IP4_IS_FRAGMENT) {
        pp_fragment(p, &c);
        if (fragment & IP4_FRAGMENT_OFFSET)
            return;
        c.fragment = 1;
    }
    const uint8_t *destination = header == IP4_LEN ? h + IP4_TARGET : ip4_destination(h, header);
    c.pseudo = (uint64_t)pp_load16(h + IP4_SOURCE) + pp_load16(h + IP4_SOURCE + 2) + pp_load16(destination) +
               pp_load16(destination + 2);
    c.version = 4;
    c.at += header;
    pp_add_layer(p, &c, c.at - header, h[IP4_PROTO]);
    if (outermost)
        p->l4 = (uint16_t)c.at;
    if (h[IP4_PROTO] == IPPROTO_TCP) {
        pp_parse_tcp(p, &c);
    } else {
        pp_cursor rest = c;
        pp_parse_transport(p, &rest, h[IP4_PROTO]);
    }
}

void pp_parse_ip4(pp_packet *p, pp_cursor *c) { ip4(p, *c); }

/* The destination at the end of a routing header that is not used up; null if it cannot be told.
 * Types 0 and 2 list addresses in order, 4 (SRv6, RFC 8754) in reverse, 3 (RPL, RFC 6554) compressed: room for one. */
static const uint8_t *routing_destination(const uint8_t *h, uint32_t length, const uint8_t *now,
                                          uint8_t room[IP6_ADDRESS_LEN])
{
    uint8_t type = h[ROUTING_TYPE], left = h[ROUTING_LEFT];
    if (left == 0)
        return now;
    if (type == ROUTING_SOURCE || type == ROUTING_MOBILE) {
        if (length < ROUTING_ADDRESSES + IP6_ADDRESS_LEN)
            return NULL;
        return h + ROUTING_ADDRESSES +
               (length - ROUTING_ADDRESSES - IP6_ADDRESS_LEN) / IP6_ADDRESS_LEN * IP6_ADDRESS_LEN;
    }
    if (type == ROUTING_SEGMENTS)
        return length >= ROUTING_ADDRESSES + IP6_ADDRESS_LEN ? h + ROUTING_ADDRESSES : NULL;
    if (type == ROUTING_RPL) {
        uint32_t last = IP6_ADDRESS_LEN - (h[4] & 15u), pad = h[5] >> 4; /* CmprE and Pad: RFC 6554 section 3 */
        if (length < ROUTING_ADDRESSES + pad + last)
            return NULL;
        memmove(room, now, IP6_ADDRESS_LEN); /* now may be room already: a second such header */
        memcpy(room + IP6_ADDRESS_LEN - last, h + length - pad - last, last);
        return room;
    }
    return NULL;
}

const uint8_t *pp_ip6_option(const uint8_t *h, uint32_t length, uint8_t type, uint8_t size)
{
    for (uint32_t i = EXT_OPTIONS; i < length;) {
        if (h[i] == IP6OPT_PAD1) {
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
    if (!pp_need(p, c, IP6_LEN))
        return;
    const uint8_t *h = p->data + c->at, *source = h + IP6_SOURCE, *destination = h + IP6_TARGET;
    uint8_t room[IP6_ADDRESS_LEN], next = h[IP6_NEXT];
    uint32_t l3 = c->at, span = c->end - c->at - IP6_LEN, payload = pp_get16(h + IP6_PAYLOAD);
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
    c->at += IP6_LEN;
    if (payload == 0 && next == IPPROTO_HOPOPTS && pp_within(c, EXT_UNIT)) { /* RFC 2675 */
        uint32_t length = EXT_UNIT + p->data[c->at + EXT_LENGTH] * (uint32_t)EXT_UNIT;
        const uint8_t *jumbo = pp_within(c, length) ? pp_ip6_option(p->data + c->at, length, IP6OPT_JUMBO, 4) : NULL;
        if (jumbo)
            payload = pp_get32(jumbo);
    }
    if (payload == 0 && next != IPPROTO_NONE && is_super_frame(p, span))
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
        case IPPROTO_HOPOPTS:
        case IPPROTO_ROUTING:
        case IPPROTO_DSTOPTS:
        case IPPROTO_MH:
        case IPPROTO_HIP:
        case IPPROTO_SHIM6:
            if (!pp_need(p, c, EXT_UNIT))
                return;
            h = p->data + c->at;
            length = EXT_UNIT + h[EXT_LENGTH] * (uint32_t)EXT_UNIT;
            if (!pp_need(p, c, length))
                return;
            if (next == IPPROTO_ROUTING) {
                const uint8_t *last = routing_destination(h, length, destination, room);
                if (last)
                    destination = last;
                else
                    unknown_destination = 1;
            } else if (next == IPPROTO_DSTOPTS) {
                const uint8_t *home = pp_ip6_option(h, length, IP6OPT_HOME_ADDRESS, IP6_ADDRESS_LEN);
                if (home)
                    source = home;
            }
            break;
        case IPPROTO_FRAGMENT:
            if (!pp_need(p, c, FRAGMENT_LEN))
                return;
            h = p->data + c->at;
            length = FRAGMENT_LEN;
            if (pp_get16(h + FRAGMENT_OFFSET) & IP6_IS_FRAGMENT) {
                pp_fragment(p, c);
                if (outermost)
                    p->protocol = h[EXT_NEXT];
                if (pp_get16(h + FRAGMENT_OFFSET) & IP6_FRAGMENT_OFFSET)
                    return;
                c->fragment = 1;
            }
            break;
        case IPPROTO_AH:
            if (!pp_need(p, c, AH_LEAST))
                return;
            h = p->data + c->at;
            length = (h[AH_LENGTH] + 2u) * 4;
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
        next = h[EXT_NEXT];
        c->at += length;
    }
    pp_malformed(p, c);
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
        if (pp_within(c, ETH_HLEN) &&
            pp_get16(p->data + ETH_TYPE) == ETH_P_IP) { /* as pp_parse_ethernet() would, inlined */
            pp_cursor at = whole;
            at.at = ETH_HLEN;
            ip4(p, at);
        } else {
            pp_parse_ethernet(p, c);
        }
        break;
    case PP_LINK_RAW:
    case PP_LINK_RAW_BSD:
    case PP_LINK_RAW_OPENBSD:
        if (pp_need(p, c, 1) && !pp_parse_by_version(p, c))
            pp_parse_ip4(p, c); /* which finds it malformed */
        break;
    case PP_LINK_IPV4:
        pp_parse_ip4(p, c);
        break;
    case PP_LINK_IPV6:
        pp_parse_ip6(p, c);
        break;
    case PP_LINK_NULL:
    case PP_LINK_LOOP:
        if (!pp_need(p, c, NULL_LEN))
            break;
        family = pp_get32(p->data);
        if (family > 0xffff) /* written by a machine of the other byte order */
            family = __builtin_bswap32(family);
        c->at = NULL_LEN;
        if (family == AF_INET)
            pp_parse_ip4(p, c);
        else if (family == AF_INET6 || family == 24 || family == 28 || family == 30) /* of the BSDs and macOS */
            pp_parse_ip6(p, c);
        break;
    case PP_LINK_SLL:
        if (!pp_need(p, c, SLL_LEN))
            break;
        c->at = SLL_LEN;
        if (pp_get16(p->data + SLL_HATYPE) == ARPHRD_NETLINK)
            break;
        if (pp_get16(p->data + SLL_TYPE) == ETH_P_802_2)
            snap(p, c);
        else if (pp_get16(p->data + SLL_TYPE) >= ETH_P_802_3_MIN)
            pp_parse_ethertype(p, c, pp_get16(p->data + SLL_TYPE));
        break;
    case PP_LINK_SLL2:
        if (!pp_need(p, c, SLL2_LEN))
            break;
        c->at = SLL2_LEN;
        if (pp_get16(p->data + SLL2_HATYPE) == ARPHRD_NETLINK)
            break;
        if (pp_get16(p->data + SLL2_TYPE) == ETH_P_802_2)
            snap(p, c);
        else if (pp_get16(p->data + SLL2_TYPE) >= ETH_P_802_3_MIN)
            pp_parse_ethertype(p, c, pp_get16(p->data + SLL2_TYPE));
        break;
    case PP_LINK_PPP:
    case PP_LINK_PPP_HDLC:
        if (p->link == PP_LINK_PPP_HDLC && pp_within(c, HDLC_LEN) &&
            (p->data[0] == HDLC_UNICAST || p->data[0] == HDLC_MULTICAST)) {
            c->at = HDLC_LEN; /* Cisco HDLC in the same framing, RFC 4349 */
            pp_parse_ethertype(p, c, pp_get16(p->data + HDLC_TYPE));
            break;
        }
        pp_parse_ppp(p, c);
        break;
    case PP_LINK_PPPOE:
        pppoe(p, c);
        break;
    case PP_LINK_C_HDLC:
        if (!pp_need(p, c, HDLC_LEN))
            break;
        c->at = HDLC_LEN;
        if (pp_get16(p->data + HDLC_TYPE) >= ETH_P_802_3_MIN)
            pp_parse_ethertype(p, c, pp_get16(p->data + HDLC_TYPE));
        break;
    default:
        break;
    }
}
