/* verify.c - the arithmetic: is each check right, pending or bad?
 *
 * Does: sum, compare, honour what the source says of unfinished fields.
 * Does not: name causes (classify.c), write to frames (repair.c).
 *
 * Source: RFC 1071; Linux include/linux/skbuff.h "Checksumming of transmitted/received packets" for CHECKSUM_PARTIAL
 *         and local checksum offload (Documentation/networking/checksum-offloads.rst).
 */
#include "verify.h"

#include "bytes.h"

/* An IPv4 header, or any multiple of four octets of that size: too short for a SIMD kernel to pay. */
static inline uint64_t sum_words(const uint8_t *data, uint32_t length)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < length; i += 4)
        sum += pp_load32(data + i);
    return sum;
}

/* Sum of the covered octets and the pseudo header, field included, host order. */
static inline uint64_t total(const uint8_t *data, const pp_check *k, pp_sum_fn *sum)
{
    if (k->proto == PP_PROTO_IP)
        return sum_words(data + k->start, k->length);
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

void pp_judge(const uint8_t *data, pp_check *k, pp_sum_fn *sum)
{
    if (k->flags & PP_CHECK_CRC32C) {
        judge_crc(data, k);
        return;
    }
    uint16_t field = pp_load16(data + k->offset);
    uint16_t folded = pp_fold(total(data, k, sum));
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

/* Where the source says an unfinished field lies: 0 nowhere, UINT32_MAX somewhere in this packet. */
static uint32_t unfinished_field(const uint8_t *data, uint16_t flags, uint32_t *start)
{
    if (!(flags & PP_PKT_NOT_READY))
        return 0;
    if (flags & PP_PKT_VNET) {
        pp_vnet v;
        memcpy(&v, data - PP_VNET_LEN, sizeof v);
        if (v.flags & 1) { /* VIRTIO_NET_HDR_F_NEEDS_CSUM */
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
static int is_right_once_finished(const uint8_t *data, const pp_check *k, uint32_t start, uint32_t field, pp_sum_fn *sum)
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
    if (k->status == PP_STATUS_BAD && ((is_super_frame && k->stored == k->seed) ||
                                       is_right_once_finished(data, k, start, field, sum))) {
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

static uint8_t judge_packet(pp_packet *p, uint32_t options, pp_sum_fn *sum)
{
    uint32_t start = 0, field = unfinished_field(p->data, p->flags, &start);
    int has_metadata = ((p->flags & PP_PKT_METADATA) && field != UINT32_MAX) || (options & PP_VERIFY_AT_WIRE);
    uint8_t highest = PP_STATUS_NONE;
    for (unsigned i = 0; i < p->count; i++) {
        pp_check *k = &p->checks[i];
        if (k->status == PP_STATUS_NONE) {
            if (__builtin_expect(field == 0 || field == UINT32_MAX, 1))
                pp_judge(p->data, k, sum);
            else if (k->offset == field)
                judge_flagged(p->data, k, sum, options);
            else if (k->start < start && field + 2 <= k->start + k->length && k->proto != PP_PROTO_SCTP)
                judge_over_unfinished(p->data, k, start, field, sum, p->flags & PP_PKT_SUPER_FRAME);
            else
                pp_judge(p->data, k, sum);
            if (__builtin_expect(k->status == PP_STATUS_BAD, 0)) {
                if (holds_seed(k) && !has_metadata) {
                    k->status = PP_STATUS_PENDING;
                    k->reason = PP_REASON_NO_METADATA;
                } else if ((p->flags & PP_PKT_CLAIMED_VALID) && k->proto != PP_PROTO_IP) {
                    k->flags |= PP_CHECK_CLAIMED_VALID;
                }
            }
        } else if (k->status == PP_STATUS_BAD && k->reason == PP_REASON_NONE) {
            pp_judge(p->data, k, sum); /* an illegal zero: only for what it should have been */
            k->status = PP_STATUS_BAD;
            if (k->expected == 0)
                k->expected = 0xffff; /* the arithmetic takes both zeros for right, the receiver does not */
        }
        if (__builtin_expect(k->flags & PP_CHECK_QUOTED, 0)) {
            k->status = PP_STATUS_UNCHECKED;
            k->reason = PP_REASON_QUOTED;
            continue;
        }
    }
    if (__builtin_expect(field == UINT32_MAX, 0))
        settle_unlocated(p->checks, p->count);
    for (unsigned i = 0; i < p->count; i++)
        if (p->checks[i].status > highest && !(p->checks[i].flags & PP_CHECK_QUOTED))
            highest = p->checks[i].status;
    return highest;
}

int pp_stage_verify(pp_batch *b, void *context)
{
    pp_sum_fn *sum = pp_kernel_active()->sum;
    uint32_t options = context ? *(const uint32_t *)context : 0;
    b->checks_used = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        pp_packet p = { .data = b->data[i], .cap = b->caplen[i], .wire = b->wirelen[i], .link = b->link[i],
                        .flags = b->flags[i], .checks = b->checks + b->checks_used };
        pp_parse(&p);
        b->status[i] = judge_packet(&p, options, sum);
        b->cause[i] = PP_CAUSE_NONE;
        b->flags[i] = p.flags;
        b->l3[i] = p.l3;
        b->l4[i] = p.l4;
        b->version[i] = p.version;
        b->protocol[i] = p.protocol;
        b->check_first[i] = b->checks_used;
        b->check_count[i] = p.count;
        b->checks_used += p.count;
    }
    return 0;
}
