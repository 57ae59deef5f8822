/* judge.h - what verify.c and judge.c share: one check's arithmetic, inlined where packets pass.
 */
#ifndef PP_JUDGE_H
#define PP_JUDGE_H

#include "check/verify.h"
#include "parse/headers.h"
#include <pktmend/parse.h>
#include "sum/bytes.h"

/* An IPv4 header: too short for a SIMD kernel to pay.  A multiple of four bytes, at least 20. */
static inline uint64_t pp_sum_ip4(const uint8_t *h, uint32_t length)
{
    uint64_t sum = (uint64_t)pp_load32(h) + pp_load32(h + 4) + pp_load32(h + 8) + pp_load32(h + 12) + pp_load32(h + 16);
    for (uint32_t i = IP4_LEN; i < length; i += 4)
        sum += pp_load32(h + i);
    return sum;
}

/* Sum of the covered bytes and the pseudo header, field included, host order. */
static inline uint64_t pp_total(const uint8_t *data, const pp_check *k, pp_sum_fn *sum)
{
    if (k->proto == PP_PROTO_IP)
        return pp_sum_ip4(data + k->start, k->length);
    return sum(data + k->start, k->length) + pp_wire16(k->seed);
}

/* The field as it should be, given the folded total that includes field as it is. */
static inline uint16_t pp_expected_of(const pp_check *k, uint16_t folded, uint16_t field)
{
    if (folded == 0)
        return 0xffff; /* nothing but zeros, whose sum is +0; the subtraction below would make it -0 */
    uint16_t without = pp_fold((uint64_t)folded + (uint16_t)~field);
    uint16_t want = (uint16_t)~without;
    if (want == 0 && (k->proto == PP_PROTO_UDP || k->proto == PP_PROTO_UDPLITE))
        want = 0xffff; /* a computed zero is sent as all ones: RFC 768, RFC 3828 */
    return pp_wire16(want);
}

static inline void pp_judge_crc(const uint8_t *data, pp_check *k)
{
    k->expected = pp_crc32c_around(data + k->start, k->length, k->offset - k->start);
    k->stored = pp_get32(data + k->offset);
    k->flags |= PP_CHECK_HAS_EXPECTED;
    k->status = k->stored == k->expected ? PP_STATUS_GOOD : PP_STATUS_BAD;
}

/* folded: the total that includes field as it is. */
static inline void pp_conclude(pp_check *k, uint16_t folded, uint16_t field)
{
    k->stored = pp_wire16(field);
    k->flags |= PP_CHECK_HAS_EXPECTED;
    if (__builtin_expect(folded == 0xffff, 1)) {
        k->expected = k->stored;
        k->status = PP_STATUS_GOOD;
    } else {
        k->expected = pp_expected_of(k, folded, field);
        k->status = PP_STATUS_BAD;
    }
}

/* Is there nothing but zeros beside the field? */
static inline int pp_is_alone(const uint8_t *data, const pp_check *k)
{
    uint8_t any = k->seed != 0;
    for (uint32_t at = k->start; at < k->start + k->length; at++)
        any |= at == k->offset || at == k->offset + 1 ? 0 : data[at];
    return !any;
}

static inline void pp_judge_check(const uint8_t *data, pp_check *k, pp_sum_fn *sum)
{
    if (__builtin_expect(k->flags & PP_CHECK_CRC32C, 0)) {
        pp_judge_crc(data, k);
        return;
    }
    pp_conclude(k, pp_fold(pp_total(data, k, sum)), pp_load16(data + k->offset));
    if (__builtin_expect(k->expected == 0 && k->status == PP_STATUS_BAD, 0) && pp_is_alone(data, k))
        k->expected = 0xffff; /* the rest is +0, whose complement is -0; the subtraction has taken it for -0 */
}

/* Does the field hold S without the length, as Windows leaves it in a frame that the card will split?  Each segment has a
 * length of its own (NDIS: large send offload of TCP, and its like of UDP). */
static inline int pp_is_large_send(const pp_check *k)
{
    uint16_t length = pp_fold((uint64_t)(k->length & 0xffffu) + (k->length >> 16));
    return (k->proto == PP_PROTO_TCP || k->proto == PP_PROTO_UDP) && (k->flags & PP_CHECK_HAS_PSEUDO) &&
           k->stored == pp_difference(k->seed, length);
}

/* Does the field hold what a sender leaves there for "hardware": the pseudo-header sum, or 0 where there is none? */
static inline int pp_holds_seed(const pp_check *k)
{
    if (k->flags & (PP_CHECK_CRC32C | PP_CHECK_FLAGGED))
        return k->stored == k->seed; /* without a pseudo header the seed is 0: SCTP, GRE */
    return (k->flags & PP_CHECK_HAS_PSEUDO) && (k->stored == k->seed || pp_is_large_send(k));
}

/* A check that was found wrong: partial rather, for all the source knows, or bad though the source claimed it valid. */
static inline void pp_settle_bad(pp_check *k, uint16_t flags, int has_metadata)
{
    if (pp_holds_seed(k) && !has_metadata) {
        k->status = PP_STATUS_PENDING;
        k->reason = PP_REASON_NO_METADATA;
    } else if ((flags & PP_PKT_CLAIMED_VALID) && k->proto != PP_PROTO_IP) {
        k->flags |= PP_CHECK_CLAIMED_VALID;
    }
}

/* Judge the checks that pp_parse found; returns the packet's status. */
uint8_t pp_judge_packet(pp_packet *packet, uint32_t options, pp_sum_fn *sum);

#endif
