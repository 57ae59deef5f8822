/* parse_ip6.c - IPv6: its extension headers, and the addresses that the transport checksum covers.
 *
 * Source: RFC 8200, 2675, 6275, 8754, 6554, 4302.
 */
#include "parse/parse_internal.h"

/* On the way from the IPv6 header to the transport header. */
typedef struct ip6 {
    const uint8_t *source, *destination; /* as the pseudo header has them */
    uint8_t room[IP6_ADDRESS_LEN];       /* for a destination that has to be put together */
    uint8_t next;                        /* what comes at the cursor */
    uint8_t is_outermost, is_destination_unknown, is_source_doubtful;
} ip6;

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

/* The option at or behind offset i of an options header, padding of one byte passed over: its offset, length at the end, or
 * more if one reaches beyond the header. */
static inline uint32_t option_at(const uint8_t *h, uint32_t length, uint32_t i)
{
    while (i < length && h[i] == IP6OPT_PAD1)
        i++;
    if (i >= length)
        return length;
    return i + 2 <= length && i + 2 + h[i + 1] <= length ? i : length + 1;
}

const uint8_t *pp_ip6_option(const uint8_t *h, uint32_t length, uint8_t type, uint8_t size)
{
    for (uint32_t i = EXT_OPTIONS; (i = option_at(h, length, i)) < length; i += 2u + h[i + 1])
        if (h[i] == type && h[i + 1] == size)
            return h + i + 2;
    return NULL;
}

/* The address that stands for the source from here on, null if none does: of several the last, and in front of what an option
 * of the drafts before RFC 3775 had behind it.  is_doubtful: it, or another, is in an option whose length cannot be. */
static const uint8_t *home_address(const uint8_t *h, uint32_t length, uint8_t *is_doubtful)
{
    const uint8_t *home = NULL;
    uint32_t i = EXT_OPTIONS;
    for (; (i = option_at(h, length, i)) < length; i += 2u + h[i + 1]) {
        if (h[i] != IP6OPT_HOME_ADDRESS)
            continue;
        *is_doubtful |= h[i + 1] < IP6_ADDRESS_LEN;
        if (i + 2 + IP6_ADDRESS_LEN <= length)
            home = h + i + 2;
    }
    *is_doubtful |= i > length;
    return home;
}

/* What a routing header and an options header say of the addresses (a home address belongs among the options for the
 * destination; senders have put it elsewhere). */
static void take_addresses(ip6 *w, const uint8_t *h, uint32_t length)
{
    if (w->next == IPPROTO_ROUTING) {
        const uint8_t *last = routing_destination(h, length, w->destination, w->room);
        if (last)
            w->destination = last;
        else
            w->is_destination_unknown = 1;
    } else if (w->next == IPPROTO_DSTOPTS || w->next == IPPROTO_HOPOPTS) {
        uint8_t is_doubtful = 0;
        const uint8_t *home = home_address(h, length, &is_doubtful);
        w->is_source_doubtful |= is_doubtful && w->next == IPPROTO_DSTOPTS;
        if (home)
            w->source = home;
    }
}

/* Step over an extension header: 1, 0 if there is none at the cursor, -1 if what follows cannot be read. */
static inline int extension(pp_packet *p, pp_cursor *c, ip6 *w)
{
    const uint8_t *h = p->data + c->at;
    uint32_t length;
    switch (w->next) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_DSTOPTS:
    case IPPROTO_MH:
    case IPPROTO_HIP:
    case IPPROTO_SHIM6:
        if (!pp_need(p, c, EXT_UNIT))
            return -1;
        length = EXT_UNIT + h[EXT_LENGTH] * (uint32_t)EXT_UNIT;
        if (w->next >= IPPROTO_MH && length <= c->end - c->at) { /* these three carry a sum */
            c->pseudo = pp_sum_ip6(w->source) + pp_sum_ip6(w->destination);
            c->version = 6;
            c->contradiction |= w->is_destination_unknown;
            pp_parse_extension_sum(p, c, w->next, length);
        }
        if (!pp_need(p, c, length))
            return -1;
        take_addresses(w, h, length);
        break;
    case IPPROTO_FRAGMENT:
        if (!pp_need(p, c, FRAGMENT_LEN))
            return -1;
        length = FRAGMENT_LEN;
        if (pp_get16(h + FRAGMENT_OFFSET) & IP6_IS_FRAGMENT) {
            pp_fragment(p, c);
            if (w->is_outermost)
                p->protocol = h[EXT_NEXT];
            if (pp_get16(h + FRAGMENT_OFFSET) & IP6_FRAGMENT_OFFSET)
                return -1;
            c->fragment = 1;
        }
        break;
    case IPPROTO_AH:
        if (!pp_need(p, c, AH_LEAST))
            return -1;
        length = (h[AH_LENGTH] + 2u) * 4;
        if (!pp_need(p, c, length))
            return -1;
        break;
    default:
        return 0;
    }
    w->next = h[EXT_NEXT];
    c->at += length;
    return 1;
}

/* Narrow the cursor, which stands behind the header, to the payload: by its length field, a jumbo option, or the frame. */
static void bound_payload(pp_packet *p, pp_cursor *c, uint8_t next, uint32_t payload)
{
    uint32_t span = c->end - c->at;
    if (payload == 0 && next == IPPROTO_HOPOPTS && pp_within(c, EXT_UNIT)) { /* RFC 2675 */
        uint32_t length = EXT_UNIT + p->data[c->at + EXT_LENGTH] * (uint32_t)EXT_UNIT;
        const uint8_t *jumbo = pp_within(c, length) ? pp_ip6_option(p->data + c->at, length, IP6OPT_JUMBO, 4) : NULL;
        if (jumbo)
            payload = pp_get32(jumbo);
    }
    if (payload == 0 && next != IPPROTO_NONE && pp_is_super_frame(p, span))
        payload = span;
    if (payload > span) {
        c->contradiction = 1;
        pp_malformed(p, c);
    } else {
        pp_bound(p, c, c->at + payload);
    }
}

/* The cursor stands at the transport header. */
static inline void transport(pp_packet *p, pp_cursor *c, uint32_t l3, uint8_t protocol, uint64_t addresses,
                             int is_outermost)
{
    c->pseudo = addresses;
    c->version = 6;
    pp_add_layer(p, c, l3, protocol);
    if (is_outermost) {
        p->protocol = protocol;
        p->l4 = (uint16_t)c->at;
    }
    pp_parse_transport(p, c, protocol);
}

/* The source is an address that a receiver would not have found: a sum that is right with it is good all the same, and of others
 * nothing can be said. */
static void doubt_source(pp_packet *p, const pp_cursor *c, unsigned first)
{
    pp_malformed(p, c);
    for (unsigned i = first; i < p->count; i++) {
        pp_check *k = &p->checks[i];
        if ((k->flags & PP_CHECK_HAS_PSEUDO) && k->depth == c->depth && !(k->flags & PP_CHECK_QUOTED) &&
            k->status == PP_STATUS_NONE && !pp_sum_fits(p, k->start, k->length, k->seed))
            pp_unchecked(k, PP_REASON_LENGTH);
    }
}

/* Through the extension headers of the IPv6 header at l3, the first of which is at the cursor. */
static __attribute__((noinline)) void walk_extensions(pp_packet *p, pp_cursor *c, uint32_t l3, int is_outermost)
{
    const uint8_t *h = p->data + l3;
    ip6 w;
    w.source = h + IP6_SOURCE;
    w.destination = h + IP6_TARGET;
    w.next = h[IP6_NEXT];
    w.is_outermost = is_outermost != 0;
    w.is_destination_unknown = w.is_source_doubtful = 0;
    unsigned first = p->count;
    int rc;
    while ((rc = extension(p, c, &w)) > 0) /* each takes eight bytes of the packet, which is what bounds their number */
        ;
    c->contradiction |= w.is_destination_unknown;
    const pp_cursor at = *c; /* what follows may go into a tunnel */
    if (rc == 0)
        transport(p, c, l3, w.next, pp_sum_ip6(w.source) + pp_sum_ip6(w.destination), is_outermost);
    if (w.is_source_doubtful)
        doubt_source(p, &at, first);
}

static inline int is_extension(uint8_t next)
{
    return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS || next == IPPROTO_FRAGMENT ||
           next == IPPROTO_AH || next == IPPROTO_MH || next == IPPROTO_HIP || next == IPPROTO_SHIM6;
}

void pp_parse_ip6(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, IP6_LEN))
        return;
    const uint8_t *h = p->data + c->at;
    uint32_t l3 = c->at;
    uint8_t next = h[IP6_NEXT];
    if (h[0] >> 4 != 6) {
        pp_malformed(p, c);
        return;
    }
    int is_outermost = p->version == 0;
    if (is_outermost) {
        p->version = 6;
        p->l3 = (uint16_t)c->at;
        p->protocol = next;
    }
    c->at += IP6_LEN;
    bound_payload(p, c, next, pp_get16(h + IP6_PAYLOAD));
    if (is_extension(next))
        walk_extensions(p, c, l3, is_outermost);
    else
        transport(p, c, l3, next, pp_sum_ip6(h + IP6_SOURCE) + pp_sum_ip6(h + IP6_TARGET), is_outermost);
}
