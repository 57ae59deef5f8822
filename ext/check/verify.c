/* verify.c - the arithmetic: is each check right, pending or bad?
 *
 * Does: sum, compare, honour what the source says of unfinished fields.
 * Does not: name causes (classify.c), write to frames (repair.c).
 *
 * Source: RFC 1071; Linux include/linux/skbuff.h "Checksumming of transmitted/received packets" for CHECKSUM_PARTIAL
 *         and local checksum offload (Documentation/networking/checksum-offloads.rst).
 */
#include "check/verify.h"

#include "offload/partial_csum.h"
#include "parse/headers.h"
#include "parse/tunnel.h"
#include <pktmend/parse.h>
#include "sum/bytes.h"

/* An IPv4 header: too short for a SIMD kernel to pay.  A multiple of four octets, at least 20. */
static inline uint64_t sum_ip4(const uint8_t *h, uint32_t length)
{
    uint64_t sum = (uint64_t)pp_load32(h) + pp_load32(h + 4) + pp_load32(h + 8) + pp_load32(h + 12) + pp_load32(h + 16);
    for (uint32_t i = IP4_LEN; i < length; i += 4)
        sum += pp_load32(h + i);
    return sum;
}

/* Sum of the covered octets and the pseudo header, field included, host order. */
static inline uint64_t total(const uint8_t *data, const pp_check *k, pp_sum_fn *sum)
{
    if (k->proto == PP_PROTO_IP)
        return sum_ip4(data + k->start, k->length);
    return sum(data + k->start, k->length) + pp_wire16(k->seed);
}

/* The field as it should be, given the folded total that includes field as it is. */
static uint16_t expected_of(const pp_check *k, uint16_t folded, uint16_t field)
{
    if (folded == 0)
        return 0xffff; /* nothing but zeros, whose sum is +0; the subtraction below would make it -0 */
    uint16_t without = pp_fold((uint64_t)folded + (uint16_t)~field);
    uint16_t want = (uint16_t)~without;
    if (want == 0 && (k->proto == PP_PROTO_UDP || k->proto == PP_PROTO_UDPLITE))
        want = 0xffff; /* a computed zero is sent as all ones: RFC 768, RFC 3828 */
    return pp_wire16(want);
}

static void judge_crc(const uint8_t *data, pp_check *k)
{
    k->expected = pp_crc32c_around(data + k->start, k->length, k->offset - k->start);
    k->stored = pp_get32(data + k->offset);
    k->flags |= PP_CHECK_HAS_EXPECTED;
    k->status = k->stored == k->expected ? PP_STATUS_GOOD : PP_STATUS_BAD;
}

/* folded: the total that includes field as it is. */
static inline void conclude(pp_check *k, uint16_t folded, uint16_t field)
{
    k->stored = pp_wire16(field);
    k->flags |= PP_CHECK_HAS_EXPECTED;
    if (__builtin_expect(folded == 0xffff, 1)) {
        k->expected = k->stored;
        k->status = PP_STATUS_GOOD;
    } else {
        k->expected = expected_of(k, folded, field);
        k->status = PP_STATUS_BAD;
    }
}

/* Is there nothing but zeros beside the field? */
static int is_alone(const uint8_t *data, const pp_check *k)
{
    uint8_t any = k->seed != 0;
    for (uint32_t at = k->start; at < k->start + k->length; at++)
        any |= at == k->offset || at == k->offset + 1 ? 0 : data[at];
    return !any;
}

static inline void judge(const uint8_t *data, pp_check *k, pp_sum_fn *sum)
{
    if (__builtin_expect(k->flags & PP_CHECK_CRC32C, 0)) {
        judge_crc(data, k);
        return;
    }
    conclude(k, pp_fold(total(data, k, sum)), pp_load16(data + k->offset));
    if (__builtin_expect(k->expected == 0 && k->status == PP_STATUS_BAD, 0) && is_alone(data, k))
        k->expected = 0xffff; /* the rest is +0, whose complement is -0; the subtraction has taken it for -0 */
}

void pp_judge(const uint8_t *data, pp_check *k, pp_sum_fn *sum) { judge(data, k, sum); }

/* Where the source says an unfinished field lies: 0 nowhere, UINT32_MAX somewhere in this packet. */
static uint32_t unfinished_field(const uint8_t *data, uint16_t flags, uint32_t *start)
{
    if (!(flags & PP_PKT_NOT_READY))
        return 0;
    if (flags & PP_PKT_VNET) {
        pp_vnet v = pp_vnet_get(data);
        if (pp_needs_csum(&v)) {
            *start = v.csum_start;
            return (uint32_t)v.csum_start + v.csum_offset;
        }
    }
    return UINT32_MAX;
}

/* Does the field hold what a sender leaves there for "hardware": the pseudo-header sum, or 0 where there is none? */
static int holds_seed(const pp_check *k)
{
    if (k->flags & (PP_CHECK_CRC32C | PP_CHECK_FLAGGED))
        return k->stored == k->seed; /* without a pseudo header the seed is 0: SCTP, GRE */
    return (k->flags & PP_CHECK_HAS_PSEUDO) && k->stored == k->seed;
}

/* The check whose field the source named.  What the sender left undone is the complement alone: F must be S. */
static void judge_flagged(const uint8_t *data, pp_check *k, pp_sum_fn *sum, uint32_t options)
{
    k->flags |= PP_CHECK_FLAGGED;
    if (k->flags & PP_CHECK_CRC32C)
        k->stored = pp_get32(data + k->offset);
    int is_seed = holds_seed(k);
    if (!is_seed || (options & PP_VERIFY_EXPECTED))
        pp_judge(data, k, sum);
    k->status = is_seed ? PP_STATUS_PENDING : PP_STATUS_BAD;
}

/* An outer sum written while the inner one is unfinished (local checksum offload): the octets from csum_start on will sum
 * to the complement of the inner seed once the inner field is complete. */
static int is_right_once_finished(const uint8_t *data, const pp_check *k, uint32_t start, uint32_t field,
                                  pp_sum_fn *sum)
{
    uint64_t inner = (uint16_t)~pp_load16(data + field);
    if ((start - k->start) & 1)
        inner = pp_swap16((uint16_t)inner);
    return pp_fold(sum(data + k->start, start - k->start) + inner + pp_wire16(k->seed)) == 0xffff;
}

static void judge_over_unfinished(const uint8_t *data, pp_check *k, uint32_t start, uint32_t field, pp_sum_fn *sum,
                                  int is_super_frame)
{
    pp_judge(data, k, sum);
    /* over a super-frame each segment will get an outer sum of its own: until then the seed is all there is */
    if (k->status == PP_STATUS_BAD &&
        ((is_super_frame && k->stored == k->seed) || is_right_once_finished(data, k, start, field, sum))) {
        k->status = PP_STATUS_PENDING;
        k->cause = PP_CAUSE_INNER_PENDING;
    }
}

/* The source says "unfinished" without saying where: the innermost check that holds its seed. */
static void settle_unlocated(pp_check *checks, unsigned count)
{
    pp_check *last = NULL;
    for (unsigned i = count; i-- > 0;) {
        pp_check *k = &checks[i];
        if (!(k->flags & PP_CHECK_HAS_PSEUDO) || (k->flags & PP_CHECK_QUOTED))
            continue;
        if (k->status == PP_STATUS_PENDING || (k->status == PP_STATUS_UNCHECKED && k->stored == k->seed)) {
            k->flags |= PP_CHECK_FLAGGED;
            k->reason = k->status == PP_STATUS_PENDING ? PP_REASON_NONE : k->reason;
            return;
        }
        if (!last && k->status == PP_STATUS_BAD)
            last = k;
    }
    if (last)
        last->flags |= PP_CHECK_FLAGGED;
}

/* A check that was found wrong: unfinished rather, for all the source knows, or bad though the source vouched for it. */
static void settle_bad(pp_check *k, uint16_t flags, int has_metadata)
{
    if (holds_seed(k) && !has_metadata) {
        k->status = PP_STATUS_PENDING;
        k->reason = PP_REASON_NO_METADATA;
    } else if ((flags & PP_PKT_CLAIMED_VALID) && k->proto != PP_PROTO_IP) {
        k->flags |= PP_CHECK_CLAIMED_VALID;
    }
}

static uint8_t judge_packet(pp_packet *p, uint32_t options, pp_sum_fn *sum)
{
    uint32_t start = 0, field = unfinished_field(p->data, p->flags, &start);
    /* whoever says "somewhere" has it that one field is unfinished, wherever the capture was taken */
    int has_metadata = field != UINT32_MAX && ((p->flags & PP_PKT_METADATA) || (options & PP_VERIFY_AT_WIRE));
    uint8_t highest = PP_STATUS_NONE;
    for (unsigned i = 0; i < p->count; i++) {
        pp_check *k = &p->checks[i];
        if (__builtin_expect(k->status == PP_STATUS_NONE, 1)) {
            if (__builtin_expect(field == 0 || field == UINT32_MAX, 1))
                judge(p->data, k, sum);
            else if (k->offset == field)
                judge_flagged(p->data, k, sum, options);
            else if (k->start < start && field + 2 <= k->start + k->length && k->proto != PP_PROTO_SCTP)
                judge_over_unfinished(p->data, k, start, field, sum, p->flags & PP_PKT_SUPER_FRAME);
            else
                pp_judge(p->data, k, sum);
            if (__builtin_expect(k->status == PP_STATUS_BAD, 0))
                settle_bad(k, p->flags, has_metadata);
        } else if (k->status == PP_STATUS_BAD && k->reason == PP_REASON_NONE) {
            pp_judge(p->data, k, sum); /* an illegal zero: only for what it should have been */
            k->status = PP_STATUS_BAD;
            if (k->expected == 0)
                k->expected = 0xffff; /* the arithmetic takes both zeros for right, the receiver does not */
        }
        if (__builtin_expect(k->flags & PP_CHECK_QUOTED, 0)) {
            k->status = PP_STATUS_UNCHECKED;
            k->reason = PP_REASON_QUOTED;
        } else if (k->status > highest) {
            highest = k->status;
        }
    }
    if (__builtin_expect(field == UINT32_MAX, 0))
        settle_unlocated(p->checks, p->count);
    return highest;
}

#define L3 ((uint32_t)ETH_HLEN) /* of a common packet */

/* Most packets are like this: Ethernet, IPv4 without options or IPv6 without extension headers, whole, and TCP, or UDP that
 * carries a sum and no tunnel.  For them there is a short way, inlined for each version. */

/* Does it go on as TCP or UDP of so many octets do?  h holds those octets, and UDP_LEN at least. */
static inline int is_common_transport(const uint8_t *h, uint8_t protocol, uint32_t length)
{
    if (protocol == IPPROTO_TCP)
        return length >= TCP_LEN && (h[TCP_OFFSET] >> 4) * 4u >= TCP_LEN && (h[TCP_OFFSET] >> 4) * 4u <= length;
    return protocol == IPPROTO_UDP && length >= UDP_LEN && pp_get16(h + UDP_LENGTH) == length &&
           pp_load16(h + UDP_SUM) != 0 && !pp_is_tunnel(pp_get16(h + PORT_SOURCE), pp_get16(h + PORT_TARGET));
}

/* The octets of the transport header and what follows in a common packet of this version, else 0. */
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
        conclude(k, k->proto == PP_PROTO_IP ? ip_folded : folded, pp_wire16((uint16_t)k->stored));
        if (k->status == PP_STATUS_BAD)
            settle_bad(k, flags, has_metadata);
        if (k->status > highest)
            highest = k->status;
    }
    return highest;
}

/* Judge packet i, a common one, and write its columns; return how many checks it has.  What pp_parse() and judge_packet()
 * come to, without the way there, which takes two thirds of the time of a short packet.  tests/c/test_verify.c holds one to
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
        ip_folded = pp_fold(sum_ip4(ip, IP4_LEN));
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

/* Any packet: parse it, judge it and write its columns; return how many checks it has. */
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
    b->status[i] = judge_packet(&p, options, sum);
    b->flags[i] = p.flags;
    b->l3[i] = p.l3;
    b->l4[i] = p.l4;
    b->version[i] = p.version;
    b->protocol[i] = p.protocol;
    return p.count;
}

int pp_stage_verify(pp_batch *batch, void *context)
{
    const pp_batch b = *batch; /* a store of an octet might change *batch, for all the compiler knows */
    pp_sum_fn *sum = pp_kernel_active()->sum;
    uint32_t options = context ? *(const uint32_t *)context : 0, used = 0;
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
