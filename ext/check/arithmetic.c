/* arithmetic.c - see arithmetic.h.
 *
 * Does: ask a handful of mistakes that programs make, each of which gives exactly one value.
 * Does not: look at several packets: one mistake too many fits by chance in each 65,536th damaged packet.
 *
 * Source: RFC 1071 section 4.1, whose example shows what to do with an odd last byte; RFC 8200 section 8.1.
 */
#include "check/arithmetic.h"

#include "parse/headers.h"
#include "sum/bytes.h"
#include <pktmend/sum.h>

/* stored - expected, with one zero only. */
static uint16_t off_by(const pp_check *k)
{
    uint16_t d = pp_difference((uint16_t)k->stored, (uint16_t)k->expected);
    return d == 0xffff ? 0 : d;
}

static int is_sum(const pp_check *k, uint64_t sum)
{
    return pp_difference((uint16_t)k->stored, pp_wire16((uint16_t)~pp_fold(sum))) % 0xffff == 0;
}

static uint8_t protocol_of(const pp_check *k)
{
    return k->proto == PP_PROTO_TCP       ? IPPROTO_TCP
           : k->proto == PP_PROTO_UDP     ? IPPROTO_UDP
           : k->proto == PP_PROTO_ICMPV6  ? IPPROTO_ICMPV6
           : k->proto == PP_PROTO_UDPLITE ? IPPROTO_UDPLITE
                                          : 0;
}

/* A number too small in the sum makes the checksum too large by as much. */
static int is_number(const pp_check *k, uint8_t other)
{
    uint8_t own = protocol_of(k);
    return own && own != other && off_by(k) == pp_difference(own, other);
}

/* Without a pseudo header, or with the number of a protocol that is like this one. */
static int is_pseudo_header(const uint8_t *data, const pp_check *k)
{
    uint16_t field = pp_load16(data + k->offset);
    if (!(k->flags & PP_CHECK_HAS_PSEUDO))
        return 0;
    if (is_sum(k, pp_kernel_active()->sum(data + k->start, k->length) + (uint16_t)~field))
        return 1;
    return is_number(k, k->proto == PP_PROTO_UDP      ? IPPROTO_TCP
                        : k->proto == PP_PROTO_ICMPV6 ? IPPROTO_ICMP
                                                      : IPPROTO_UDP);
}

/* The odd last byte left out, or taken for the lower half of its word. */
static int is_last_byte(const uint8_t *data, const pp_check *k)
{
    uint8_t last = data[k->start + k->length - 1];
    uint16_t d = off_by(k);
    return (k->length & 1) && last && (d == last << 8 || d == (last << 8) - last);
}

static uint32_t header_of(const uint8_t *data, const pp_check *k)
{
    switch (k->proto) {
    case PP_PROTO_TCP:
        return k->length < TCP_LEN ? 0 : (data[k->start + TCP_OFFSET] >> 4) * 4u;
    case PP_PROTO_UDP:
        return UDP_LEN;
    case PP_PROTO_ICMP:
    case PP_PROTO_ICMPV6:
        return ICMP_LEN;
    default:
        return 0;
    }
}

/* Are there two words in it that count?  One alone may be a word that was damaged. */
static int is_worth_summing(const uint8_t *data, uint32_t length)
{
    unsigned found = 0;
    for (uint32_t i = 0; i < length && found < 2; i += 2)
        found += data[i] || (i + 1 < length && data[i + 1]);
    return found >= 2;
}

/* Nothing but the transport header: with the length of the whole in the pseudo header, or with its own. */
static int is_header_only(const uint8_t *data, const pp_check *k)
{
    uint32_t header = header_of(data, k);
    if (header < ICMP_LEN || header >= k->length || !is_worth_summing(data + k->start + header, k->length - header))
        return 0;
    uint16_t field = pp_load16(data + k->offset);
    uint64_t sum = pp_kernel_active()->sum(data + k->start, header) + (uint16_t)~field + pp_wire16(k->seed);
    if (is_sum(k, sum))
        return 1;
    return (k->flags & PP_CHECK_HAS_PSEUDO) &&
           is_sum(k, sum + pp_wire16((uint16_t)header) + (uint16_t)~pp_wire16((uint16_t)k->length) +
                         (uint16_t)~pp_wire16((uint16_t)(k->length >> 16)));
}

uint8_t pp_arithmetic_cause(const uint8_t *data, const pp_check *k)
{
    if (k->proto == PP_PROTO_IP || !k->length || !off_by(k))
        return PP_CAUSE_NONE;
    if (is_pseudo_header(data, k))
        return PP_CAUSE_PSEUDO_HEADER;
    return is_last_byte(data, k) || is_header_only(data, k) ? PP_CAUSE_COVERAGE : PP_CAUSE_NONE;
}

/* The number alone, or with the length that the IPv6 header says, which counts the extension headers. */
int pp_is_first_header(const uint8_t *data, const pp_check *k, const pp_layer *layer)
{
    uint8_t own = protocol_of(k), first = data[layer->l3 + IP6_NEXT];
    if (layer->version != 6 || layer->l4 != k->start || !(k->flags & PP_CHECK_HAS_PSEUDO) || !own || first == own)
        return 0;
    uint16_t headers = (uint16_t)(layer->l4 - layer->l3 - IP6_LEN);
    return is_number(k, first) || off_by(k) == pp_difference(own, (uint16_t)(first + headers));
}
