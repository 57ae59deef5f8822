/* verify.c - the stage, and the fast path that most packets take; see judge.c for all others.
 *
 * Source: RFC 1071.
 */
#include "check/verify.h"

#include "check/judge.h"
#include "parse/tunnel.h"
#include <pktmend/parse.h>

#define L3 ((uint32_t)ETH_HLEN) /* of a common packet */

/* Most packets are like this: Ethernet, IPv4 without options or IPv6 without extension headers, whole, and TCP, or UDP that
 * carries a sum and no tunnel.  For them there is a fast path, inlined for each version. */

/* Does it go on as TCP or UDP of so many bytes do?  h holds those bytes, and UDP_LEN at least. */
static inline int is_common_transport(const uint8_t *h, uint8_t protocol, uint32_t length)
{
    if (protocol == IPPROTO_TCP)
        return length >= TCP_LEN && (h[TCP_OFFSET] >> 4) * 4u >= TCP_LEN && (h[TCP_OFFSET] >> 4) * 4u <= length;
    return protocol == IPPROTO_UDP && length >= UDP_LEN && pp_get16(h + UDP_LENGTH) == length &&
           pp_load16(h + UDP_SUM) != 0 && !pp_is_tunnel(pp_get16(h + PORT_SOURCE), pp_get16(h + PORT_TARGET)) &&
           (length < UDP_LEN + TUNNEL_LEAST || !pp_may_be_tunnel(h + UDP_LEN, length - UDP_LEN));
}

/* The bytes of the transport header and what follows in a common packet of this version, else 0. */
static inline uint32_t common_ip4(const uint8_t *data, uint32_t cap)
{
    if (cap < L3 + IP4_LEN + UDP_LEN || pp_load16(data + ETH_TYPE) != pp_wire16(ETH_P_IP))
        return 0;
    const uint8_t *ip = data + L3;
    uint32_t total = pp_get16(ip + IP4_TOTAL), length = total - IP4_LEN;
    int is_common = (ip[0] == IP4_PLAIN) & ((pp_load16(ip + IP4_FRAGMENT) & pp_wire16(IP4_IS_FRAGMENT)) == 0) &
                    (total <= cap - L3) & (total > IP4_LEN);
    return is_common && is_common_transport(ip + IP4_LEN, ip[IP4_PROTO], length) ? length : 0;
}

static inline uint32_t common_ip6(const uint8_t *data, uint32_t cap)
{
    if (cap < L3 + IP6_LEN + UDP_LEN || pp_load16(data + ETH_TYPE) != pp_wire16(ETH_P_IPV6))
        return 0;
    const uint8_t *ip = data + L3;
    uint32_t length = pp_get16(ip + IP6_PAYLOAD);
    int is_common = ip[0] >> 4 == 6 && length <= cap - L3 - IP6_LEN;
    return is_common && is_common_transport(ip + IP6_LEN, ip[IP6_NEXT], length) ? length : 0;
}

/* Write a check that is right.  Every field is named: a literal with fields left out is cleared by `rep stos` first. */
static inline void put_good(pp_check *k, uint8_t proto, uint32_t offset, uint32_t start, uint32_t length,
                            uint16_t field, uint16_t seed, uint8_t flags)
{
    *k = (pp_check){ .offset = offset,
                     .start = start,
                     .length = length,
                     .stored = pp_wire16(field),
                     .expected = pp_wire16(field),
                     .seed = pp_wire16(seed),
                     .proto = proto,
                     .status = PP_STATUS_GOOD,
                     .cause = 0,
                     .reason = 0,
                     .flags = flags,
                     .depth = 0 };
}

/* What is left to do where a sum of a common packet is not right. */
static __attribute__((noinline)) uint8_t settle_common(pp_check *first, pp_check *last, uint16_t ip_folded,
                                                       uint16_t folded, uint16_t flags, uint32_t options)
{
    int has_metadata = (flags & PP_PKT_METADATA) || (options & PP_VERIFY_AT_WIRE);
    uint8_t highest = PP_STATUS_NONE;
    for (pp_check *k = first; k <= last; k++) {
        pp_conclude(k, k->proto == PP_PROTO_IP ? ip_folded : folded, pp_wire16((uint16_t)k->stored));
        if (k->status == PP_STATUS_BAD)
            pp_settle_bad(k, flags, has_metadata);
        if (k->status > highest)
            highest = k->status;
    }
    return highest;
}

/* Judge packet i, a common one, and write its columns; return how many checks it has.  What verify_packet()
 * comes to, without the way there, which takes two thirds of the time of a short packet.  tests/c/test_verify.c holds one to
 * the other. */
static inline __attribute__((always_inline)) uint8_t verify_common(const pp_batch *b, uint32_t i, pp_check *k,
                                                                   uint8_t version, uint32_t length, uint32_t options,
                                                                   pp_sum_fn *sum)
{
    const uint8_t *data = b->data[i], *ip = data + L3;
    uint32_t l4 = L3 + (version == 4 ? IP4_LEN : IP6_LEN);
    uint8_t protocol = ip[version == 4 ? IP4_PROTO : IP6_NEXT];
    uint32_t at = l4 + (protocol == IPPROTO_TCP ? TCP_SUM : UDP_SUM);
    uint16_t ip_folded = 0xffff;
    uint64_t pseudo = (uint64_t)pp_wire16(protocol) + pp_wire16((uint16_t)length);
    pp_check *last = k;
    if (version == 4) {
        pseudo += (uint64_t)pp_load32(ip + IP4_SOURCE) + pp_load32(ip + IP4_TARGET);
        ip_folded = pp_fold(pp_sum_ip4(ip, IP4_LEN));
        put_good(last++, PP_PROTO_IP, L3 + IP4_SUM, L3, IP4_LEN, pp_load16(ip + IP4_SUM), 0, PP_CHECK_HAS_EXPECTED);
    } else {
        pseudo += pp_sum_ip6(ip + IP6_SOURCE) + pp_sum_ip6(ip + IP6_TARGET);
    }
    put_good(last, protocol == IPPROTO_TCP ? PP_PROTO_TCP : PP_PROTO_UDP, at, l4, length, pp_load16(data + at),
             pp_fold(pseudo), PP_CHECK_HAS_EXPECTED | PP_CHECK_HAS_PSEUDO);
    b->l3[i] = L3;
    b->l4[i] = (uint16_t)l4;
    b->version[i] = version;
    b->protocol[i] = protocol;
    uint16_t folded = pp_fold(sum(data + l4, length) + pseudo);
    b->status[i] = PP_STATUS_GOOD;
    if (__builtin_expect((ip_folded & folded) != 0xffff, 0))
        b->status[i] = settle_common(k, last, ip_folded, folded, b->flags[i], options);
    return version == 4 ? 2 : 1;
}

/* Any packet: parse it, judge it and write its columns; return how many checks it has.  In this file, where the compiler sees
 * that the batch is not kept. */
static __attribute__((noinline)) uint8_t verify_packet(const pp_batch *b, uint32_t i, pp_check *checks,
                                                       uint32_t options, pp_sum_fn *sum)
{
    pp_packet p = { .data = b->data[i],
                    .cap = b->caplen[i],
                    .wire = b->wirelen[i],
                    .link = b->link[i],
                    .flags = b->flags[i],
                    .checks = checks };
    pp_parse(&p);
    b->status[i] = pp_judge_packet(&p, options, sum);
    b->flags[i] = p.flags;
    b->l3[i] = p.l3;
    b->l4[i] = p.l4;
    b->version[i] = p.version;
    b->protocol[i] = p.protocol;
    b->unread[i] = p.unread;
    b->unread_type[i] = p.unread_type;
    return p.count;
}

int pp_stage_verify(pp_batch *batch, void *context)
{
    const pp_batch b = *batch; /* a store of a byte might change *batch, for all the compiler knows */
    pp_sum_fn *sum = pp_kernel_active()->sum;
    uint32_t options = context ? *(const uint32_t *)context : 0, used = 0;
    memset(b.unread, PP_UNREAD_NONE, b.count); /* a common packet leaves it alone */
    for (uint32_t i = 0; i < b.count; i++) {
        const uint8_t *data = b.data[i];
        pp_check *k = b.checks + used;
        int is_plain = b.link[i] == PP_LINK_ETHERNET && b.caplen[i] == b.wirelen[i] && !(b.flags[i] & PP_PKT_NOT_READY);
        uint32_t cap = is_plain ? b.caplen[i] : 0, length;
        uint8_t checks;
        if ((length = common_ip4(data, cap)))
            checks = verify_common(&b, i, k, 4, length, options, sum);
        else if ((length = common_ip6(data, cap)))
            checks = verify_common(&b, i, k, 6, length, options, sum);
        else
            checks = verify_packet(&b, i, k, options, sum);
        b.check_first[i] = used;
        b.check_count[i] = checks;
        used += checks;
    }
    memset(b.cause, PP_CAUSE_NONE, b.count);
    batch->checks_used = used;
    return 0;
}
