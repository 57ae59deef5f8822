/* encap.c - see encap.h. */
#include "offload/encap.h"

#include <errno.h>

#include "parse/headers.h"
#include "parse/recognize.h"
#include "parse/tunnel.h"
#include "sum/bytes.h"
#include <pktmend/sum.h>

enum { GRE_UNSUPPORTED = GRE_HAS_ROUTING | GRE_HAS_SEQUENCE | GRE_VERSION_MASK };

uint16_t pp_ip4_difference(const uint8_t *ip)
{
    /* a right header sums to 0xffff, field included; what it has more or less is the field's error */
    uint16_t sum = pp_fold(pp_sum_portable(ip, (ip[0] & 15u) * 4));
    return sum == 0xffff ? 0 : sum;
}

void pp_ip4_write(uint8_t *ip, uint32_t length, uint32_t index, uint16_t difference)
{
    pp_put16(ip + IP4_TOTAL, (uint16_t)length);
    pp_put16(ip + IP4_ID, (uint16_t)(pp_get16(ip + IP4_ID) + index));
    memset(ip + IP4_SUM, 0, 2);
    uint16_t sum = (uint16_t)~pp_fold(pp_sum_portable(ip, (ip[0] & 15u) * 4));
    if (difference)
        sum = pp_fold((uint64_t)sum + difference);
    memcpy(ip + IP4_SUM, &sum, sizeof sum);
}

int pp_ip6_walk(const uint8_t *frame, uint32_t length, uint32_t l3, uint32_t *l4, uint8_t *protocol, uint8_t *has_jumbo)
{
    uint8_t next = frame[l3 + IP6_NEXT];
    uint32_t at = l3 + IP6_LEN;
    *has_jumbo = 0;
    for (unsigned i = 0; i < 8; i++) {
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS) {
            *l4 = at;
            *protocol = next;
            return 0;
        }
        uint32_t size = at + EXT_UNIT <= length ? EXT_UNIT + frame[at + EXT_LENGTH] * (uint32_t)EXT_UNIT : UINT32_MAX;
        if (size > length - at)
            return -EINVAL;
        if (next == IPPROTO_HOPOPTS && pp_ip6_option(frame + at, size, IP6OPT_JUMBO, 4)) {
            if (i != 0 || size != PP_JUMBO)
                return -EOPNOTSUPP;
            *has_jumbo = 1;
        }
        next = frame[at + EXT_NEXT];
        at += size;
    }
    return -EINVAL;
}

/* What the sum of a tunnel's header is off by: 0 if it is the seed, right, or right once the inner field is complete.
 * start, field: of the inner one. */
static uint16_t sum_difference(const uint8_t *frame, const pp_check *k, uint32_t start, uint32_t field)
{
    uint64_t inner = (uint16_t)~pp_load16(frame + field), seed = pp_wire16(k->seed);
    if (pp_wire16(pp_load16(frame + k->offset)) == k->seed)
        return 0;
    if ((start - k->start) & 1)
        inner = pp_swap16((uint16_t)inner);
    uint16_t sum = pp_fold(pp_sum_portable(frame + k->start, start - k->start) + inner + seed);
    if (sum == 0xffff || pp_fold(pp_kernel_active()->sum(frame + k->start, k->length) + seed) == 0xffff)
        return 0;
    return sum;
}

static const pp_check *check_at(const pp_packet *p, uint32_t offset)
{
    for (unsigned i = 0; i < p->count; i++)
        if (p->checks[i].offset == offset)
            return &p->checks[i];
    return NULL;
}

/* Does the datagram at l4 carry a tunnel that has a length or a sum of its own, which nothing here writes again? */
static int has_more_to_write(const pp_packet *p, uint32_t l4)
{
    const uint8_t *udp = p->data + l4;
    uint32_t said = pp_get16(udp + UDP_LENGTH), there = p->cap - l4;
    uint32_t length = said >= UDP_LEN && said <= there ? said : there;
    uint8_t kind =
        pp_recognize(p, l4 + UDP_LEN, length - UDP_LEN, pp_get16(udp + PORT_SOURCE), pp_get16(udp + PORT_TARGET));
    return kind == PP_TUNNEL_GTPU || kind == PP_TUNNEL_L2TP || kind == PP_TUNNEL_GRE || kind == PP_TUNNEL_SCTP;
}

static int describe(pp_encap_layer *to, const uint8_t *frame, uint32_t length, const pp_layer *from, const pp_packet *p,
                    uint32_t start, uint32_t field)
{
    const pp_check *k;
    *to = (pp_encap_layer){ .l3 = from->l3, .l4 = from->l4, .version = from->version, .protocol = from->protocol };
    if (to->version == 4) {
        to->difference = pp_ip4_difference(frame + to->l3);
    } else {
        uint32_t l4;
        uint8_t protocol;
        int rc = pp_ip6_walk(frame, length, to->l3, &l4, &protocol, &to->has_jumbo);
        if (rc < 0 || l4 != to->l4) /* an authentication header between, say */
            return -EOPNOTSUPP;
    }
    switch (to->protocol) {
    case IPPROTO_IPIP:
    case IPPROTO_IPV6:
        return 0;
    case IPPROTO_GRE:
        if (length - to->l4 < GRE_LEN + 4 || (pp_get16(frame + to->l4 + GRE_BITS) & GRE_UNSUPPORTED))
            return -EOPNOTSUPP;
        if (!(pp_get16(frame + to->l4 + GRE_BITS) & GRE_HAS_SUM))
            return 0;
        if (!(k = check_at(p, to->l4 + GRE_SUM)))
            return -EINVAL;
        to->has_sum = 1;
        to->sum_difference = sum_difference(frame, k, start, field);
        return 0;
    case IPPROTO_UDP:
        if (length - to->l4 < UDP_LEN || has_more_to_write(p, to->l4))
            return -EOPNOTSUPP;
        if (pp_get16(frame + to->l4 + UDP_SUM) == 0)
            return 0;
        if (!(k = check_at(p, to->l4 + UDP_SUM)))
            return -EINVAL;
        to->has_sum = 1;
        to->seed = pp_fold((uint64_t)pp_wire16(k->seed) + (uint16_t)~pp_wire16((uint16_t)k->length) +
                           (uint16_t)~pp_wire16((uint16_t)(k->length >> 16)));
        to->sum_difference = sum_difference(frame, k, start, field);
        return 0;
    default:
        return -EINVAL; /* no tunnel */
    }
}

/* Keep those around the IP packet at l3. */
static int keep_framings(pp_encap *e, const pp_packet *p, uint32_t l3)
{
    e->framing_count = 0;
    if (p->framing_count > PP_MAX_FRAMINGS)
        return -EOPNOTSUPP;
    while (e->framing_count < p->framing_count && p->framings[e->framing_count].from <= l3) {
        e->framings[e->framing_count] = p->framings[e->framing_count];
        e->framing_count++;
    }
    return 0;
}

/* Does the IP header at l3 fit a transport of protocol that ends at end, with the seed in its field? */
static int is_header_of(const uint8_t *frame, uint32_t l3, uint32_t l4, uint32_t end, uint8_t protocol, uint32_t field)
{
    const uint8_t *ip = frame + l3;
    uint64_t sum =
        pp_wire16(protocol) + (uint64_t)pp_wire16((uint16_t)(end - l4)) + pp_wire16((uint16_t)((end - l4) >> 16));
    uint32_t counted = l4 - l3 == IP4_LEN ? pp_get16(ip + IP4_TOTAL) : pp_get16(ip + IP6_PAYLOAD);
    if (l4 - l3 == IP4_LEN) {
        if (ip[0] != IP4_PLAIN || ip[IP4_PROTO] != protocol || (pp_get16(ip + IP4_FRAGMENT) & IP4_IS_FRAGMENT) ||
            (counted != end - l3 && (counted || end - l3 <= UINT16_MAX)))
            return 0;
        sum += pp_sum_portable(ip + IP4_SOURCE, 2 * IP4_ADDRESS_LEN);
        return pp_ip4_difference(ip) == 0 || pp_load16(frame + field) == pp_fold(sum);
    }
    if (ip[0] >> 4 != 6 || ip[IP6_NEXT] != protocol || (counted != end - l4 && (counted || end - l4 <= UINT16_MAX)))
        return 0;
    return pp_load16(frame + field) == pp_fold(sum + pp_sum_portable(ip + IP6_SOURCE, 2 * IP6_ADDRESS_LEN));
}

int pp_encap_inner(const uint8_t *frame, uint32_t length, uint32_t from, uint32_t end, uint32_t l4, uint32_t field)
{
    static const uint32_t sizes[] = { IP4_LEN, IP6_LEN };
    uint8_t protocol = field - l4 == TCP_SUM ? IPPROTO_TCP : field - l4 == UDP_SUM ? IPPROTO_UDP : 0;
    if (!protocol || end > length || l4 > end || field + 2 > end)
        return -EINVAL;
    for (unsigned i = 0; i < 2; i++)
        if (l4 >= sizes[i] && l4 - sizes[i] >= from && is_header_of(frame, l4 - sizes[i], l4, end, protocol, field))
            return (int)(l4 - sizes[i]);
    return -EINVAL;
}

/* Between a tunnel's transport header and the IP packet in it: may there be a length, which would have to be written again?
 * Ethernet addresses are none. */
static int has_length(const uint8_t *frame, uint32_t from, uint32_t to, uint32_t end)
{
    uint32_t opaque = to;
    if (to >= from + VLAN_LEN + ETH_HLEN && pp_get16(frame + to - VLAN_LEN - 2) == ETH_P_8021Q)
        opaque = to - VLAN_LEN - ETH_HLEN;
    else if (to >= from + ETH_HLEN && (pp_get16(frame + to - 2) == ETH_P_IP || pp_get16(frame + to - 2) == ETH_P_IPV6))
        opaque = to - ETH_HLEN;
    for (uint32_t at = from; at + 2 <= opaque; at++) {
        uint32_t value = pp_get16(frame + at);
        if (value && value <= end - from && end - value <= to)
            return 1;
    }
    return 0;
}

/* The IP packet in a tunnel that the parser does not know, whose transport header is the last layer's. */
static int find_unknown(pp_encap *e, const uint8_t *frame, uint32_t length, const pp_packet *p, uint32_t l4,
                        uint32_t field)
{
    const pp_encap_layer *last = e->count ? &e->layers[e->count - 1] : NULL;
    if (!last || (last->protocol != IPPROTO_UDP && last->protocol != IPPROTO_GRE))
        return -EINVAL;
    const pp_check *k = check_at(p, last->l4 + (last->protocol == IPPROTO_UDP ? (uint32_t)UDP_SUM : (uint32_t)GRE_SUM));
    if (!k || k->start != last->l4)
        return -EINVAL;
    uint32_t from = last->l4 + (last->protocol == IPPROTO_UDP ? (uint32_t)UDP_LEN : (uint32_t)GRE_LEN);
    int l3 = pp_encap_inner(frame, length, from, k->start + k->length, l4, field);
    if (l3 < 0)
        return l3;
    if (has_length(frame, from, (uint32_t)l3, k->start + k->length))
        return -EOPNOTSUPP;
    int rc = keep_framings(e, p, last->l3);
    return rc < 0 ? rc : l3;
}

int pp_encap_find(pp_encap *e, const uint8_t *frame, uint32_t length, uint32_t l4, uint32_t field)
{
    pp_layer layers[PP_MAX_DEPTH];
    pp_framing framings[PP_MAX_FRAMINGS];
    pp_check checks[PP_CHECKS_PER_PACKET];
    pp_packet p = { .data = frame,
                    .cap = length,
                    .wire = length,
                    .link = PP_LINK_ETHERNET,
                    .flags = PP_PKT_SUPER_FRAME | PP_PKT_METADATA,
                    .layers = layers,
                    .framings = framings,
                    .checks = checks };
    pp_parse(&p);
    e->count = 0;
    if (field + 2 > length || (p.flags & (PP_PKT_FRAGMENT | PP_PKT_MALFORMED)))
        return -EINVAL;
    for (unsigned i = 0; i < p.layer_count; i++) {
        if (layers[i].l4 == l4) {
            int rc = keep_framings(e, &p, layers[i].l3);
            return rc < 0 ? rc : (int)layers[i].l3;
        }
        if (layers[i].l4 > l4)
            break; /* csum_start points before the tunnel's own header: the parser has taken the tunnel for another */
        if (e->count == PP_ENCAP_LAYERS)
            return -EOPNOTSUPP;
        int rc = describe(&e->layers[e->count++], frame, length, &layers[i], &p, l4, field);
        if (rc < 0)
            return rc;
    }
    return find_unknown(e, frame, length, &p, l4, field);
}

/* The checksum field at head + field over everything from head + start on, seed included. */
static void write_sum(uint8_t *head, uint32_t start, uint32_t field, uint32_t head_length, uint16_t payload_sum,
                      uint64_t seed, uint16_t difference, int is_udp)
{
    memset(head + field, 0, 2);
    if ((head_length - start) & 1)
        payload_sum = pp_swap16(payload_sum);
    uint16_t sum = (uint16_t)~pp_fold(seed + pp_sum_portable(head + start, head_length - start) + payload_sum);
    if (difference)
        sum = pp_fold((uint64_t)sum + difference);
    if (sum == 0 && is_udp)
        sum = 0xffff; /* RFC 768 */
    memcpy(head + field, &sum, sizeof sum);
}

void pp_encap_write(const pp_encap *e, uint8_t *head, uint32_t head_length, uint32_t payload, uint16_t payload_sum,
                    uint32_t index)
{
    for (uint32_t i = 0; i < e->framing_count; i++)
        pp_put16(head + e->framings[i].field, (uint16_t)(head_length - e->framings[i].from + payload));
    for (uint32_t i = e->count; i-- > 0;) { /* inside out: an outer sum covers the inner one */
        const pp_encap_layer *o = &e->layers[i];
        uint32_t datagram = head_length - o->l4 + payload;
        if (o->protocol == IPPROTO_UDP) {
            pp_put16(head + o->l4 + UDP_LENGTH, (uint16_t)datagram);
            if (o->has_sum)
                write_sum(head, o->l4, o->l4 + UDP_SUM, head_length, payload_sum,
                          (uint64_t)o->seed + pp_wire16((uint16_t)datagram), o->sum_difference, 1);
        } else if (o->protocol == IPPROTO_GRE && o->has_sum) {
            write_sum(head, o->l4, o->l4 + GRE_SUM, head_length, payload_sum, 0, o->sum_difference, 0);
        }
        if (o->version == 4)
            pp_ip4_write(head + o->l3, head_length - o->l3 + payload, index, o->difference);
        else
            pp_put16(head + o->l3 + IP6_PAYLOAD, (uint16_t)(head_length - o->l3 - IP6_LEN + payload));
    }
}
