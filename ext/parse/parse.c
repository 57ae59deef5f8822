/* parse.c - from the first byte of a frame to its transport headers: the way of most of them, and IPv4.
 *
 * Does: IPv4 with options, fragments.  Links: parse_link.c; IPv6: parse_ip6.c; transport: parse_transport.c; tunnels:
 *       parse_tunnel.c.
 * Does not: judge, copy, allocate.
 *
 * Source: RFC 791.
 */
#include "parse/parse_internal.h"

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
            return h + i + (length - 3) / 4 * 4 - 1; /* 3 bytes, then whole addresses */
        i += length;
    }
    return h + IP4_TARGET;
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
    if (total == 0 && pp_is_super_frame(p, span))
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

void pp_parse(pp_packet *p)
{
    pp_cursor whole = { .limit = p->cap, .end = p->wire };
    p->version = p->protocol = p->count = p->layer_count = p->framing_count = p->unread = 0;
    p->unread_type = 0;
    p->l3 = p->l4 = 0;
    if (p->wire < p->cap)
        whole.end = p->wire = p->cap;
    if (p->cap < p->wire)
        p->flags |= PP_PKT_TRUNCATED;
    if (p->link == PP_LINK_ETHERNET && pp_within(&whole, ETH_HLEN) && pp_get16(p->data + ETH_TYPE) == ETH_P_IP) {
        pp_cursor at = whole; /* as pp_parse_ethernet() would, inlined */
        at.at = ETH_HLEN;
        ip4(p, at);
    } else {
        pp_parse_link(p, &whole, p->link);
    }
    if (__builtin_expect(p->count == 0, 0) && (p->flags & PP_PKT_MALFORMED))
        pp_not_understood(p, PP_UNREAD_MALFORMED);
}
