/* judge.c - the arithmetic of any packet: is each check right, pending or bad?
 *
 * Does: sum, compare, honour what the source says of partial fields.
 * Does not: name causes (classify.c), write to frames (repair.c).
 *
 * Source: RFC 1071; Linux include/linux/skbuff.h "Checksumming of transmitted/received packets" for CHECKSUM_PARTIAL
 *         and local checksum offload (Documentation/networking/checksum-offloads.rst).
 */
#include "check/judge.h"

#include "offload/partial_csum.h"
#include <pktmend/parse.h>

void pp_judge(const uint8_t *data, pp_check *k, pp_sum_fn *sum) { pp_judge_check(data, k, sum); }

/* Where the source says a partial field lies: 0 nowhere, UINT32_MAX somewhere in this packet. */
static uint32_t partial_field(const uint8_t *data, uint16_t flags, uint32_t *start)
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

/* The check whose field the source named.  What the sender left undone is the complement alone: F must be S. */
static void judge_flagged(const uint8_t *data, pp_check *k, pp_sum_fn *sum, uint32_t options)
{
    k->flags |= PP_CHECK_FLAGGED;
    if (k->flags & PP_CHECK_CRC32C)
        k->stored = pp_get32(data + k->offset);
    int is_seed = pp_holds_seed(k);
    if (!is_seed || (options & PP_VERIFY_EXPECTED))
        pp_judge(data, k, sum);
    k->status = is_seed ? PP_STATUS_PENDING : PP_STATUS_BAD;
}

/* An outer sum written while the inner one is partial (local checksum offload): the bytes from csum_start on will sum
 * to the complement of the inner seed once the inner field is complete. */
static int is_right_once_complete(const uint8_t *data, const pp_check *k, uint32_t start, uint32_t field,
                                  pp_sum_fn *sum)
{
    uint64_t inner = (uint16_t)~pp_load16(data + field);
    if ((start - k->start) & 1)
        inner = pp_swap16((uint16_t)inner);
    return pp_fold(sum(data + k->start, start - k->start) + inner + pp_wire16(k->seed)) == 0xffff;
}

static void judge_over_partial(const uint8_t *data, pp_check *k, uint32_t start, uint32_t field, pp_sum_fn *sum,
                               int is_super_frame)
{
    pp_judge(data, k, sum);
    /* over a super-frame each segment will get an outer sum of its own: until then the seed is all there is */
    if (k->status == PP_STATUS_BAD &&
        ((is_super_frame && k->stored == k->seed) || is_right_once_complete(data, k, start, field, sum))) {
        k->status = PP_STATUS_PENDING;
        k->cause = PP_CAUSE_INNER_PENDING;
    }
}

/* The source says "partial" without saying where: the innermost check that holds its seed. */
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

uint8_t pp_judge_packet(pp_packet *p, uint32_t options, pp_sum_fn *sum)
{
    uint32_t start = 0, field = partial_field(p->data, p->flags, &start);
    /* a source that says "somewhere" knows that one field is partial, wherever the capture was taken */
    int has_metadata = field != UINT32_MAX && ((p->flags & PP_PKT_METADATA) || (options & PP_VERIFY_AT_WIRE));
    uint8_t highest = PP_STATUS_NONE;
    for (unsigned i = 0; i < p->count; i++) {
        pp_check *k = &p->checks[i];
        if (__builtin_expect(k->status == PP_STATUS_NONE, 1)) {
            if (__builtin_expect(field == 0 || field == UINT32_MAX, 1))
                pp_judge_check(p->data, k, sum);
            else if (k->offset == field)
                judge_flagged(p->data, k, sum, options);
            else if (k->start < start && field + 2 <= k->start + k->length && k->proto != PP_PROTO_SCTP)
                judge_over_partial(p->data, k, start, field, sum, p->flags & PP_PKT_SUPER_FRAME);
            else
                pp_judge(p->data, k, sum);
            if (__builtin_expect(k->status == PP_STATUS_BAD, 0))
                pp_settle_bad(k, p->flags, has_metadata);
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
