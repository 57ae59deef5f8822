/* judge.c - the arithmetic of any packet: is each check right, pending or bad?
 *
 * Does: sum, compare, honour what the source says of partial fields.
 * Does not: name causes (classify.c), write to frames (repair.c).
 *
 * Source: RFC 1071; Linux include/linux/skbuff.h "Checksumming of transmitted/received packets" for CHECKSUM_PARTIAL
 *         and local checksum offload.
 */
#include "check/judge.h"

#include "check/stray.h"
#include "offload/partial_csum.h"
#include <pktmend/parse.h>

void pp_judge(const uint8_t *data, pp_check *k, pp_sum_fn *sum) { pp_judge_check(data, k, sum); }

/* Where the source says a partial field lies. */
typedef struct partial {
    uint32_t start, field;
    enum { NOWHERE, THERE, SOMEWHERE } place;
} partial;

/* The innermost own check that holds what is left for "hardware"; null without one. */
static const pp_check *seed_holder(const pp_packet *p)
{
    for (unsigned i = p->count; i-- > 0;) {
        const pp_check *k = &p->checks[i];
        if ((k->flags & PP_CHECK_HAS_PSEUDO) && !(k->flags & PP_CHECK_QUOTED) && k->status == PP_STATUS_NONE &&
            k->stored == k->seed)
            return k;
    }
    return NULL;
}

/* Metadata that names no checksum field: the sum that is left undone is the one that holds its seed, if any does. */
static __attribute__((noinline)) partial settle_stray(pp_packet *p)
{
    const pp_check *k = seed_holder(p);
    p->flags |= PP_PKT_STRAY_METADATA;
    if (k)
        return (partial){ k->start, k->offset, THERE };
    p->flags &= (uint16_t)~PP_PKT_NOT_READY;
    return (partial){ 0, 0, NOWHERE };
}

static partial partial_of(pp_packet *p, pp_sum_fn *sum)
{
    if (__builtin_expect(!(p->flags & PP_PKT_NOT_READY), 1))
        return (partial){ 0, 0, NOWHERE };
    if (p->flags & PP_PKT_VNET) {
        pp_vnet v = pp_vnet_get(p->data);
        if (pp_needs_csum(&v)) {
            if (pp_is_stray(p, &v, sum))
                return settle_stray(p);
            return (partial){ v.csum_start, (uint32_t)v.csum_start + v.csum_offset, THERE };
        }
    }
    return (partial){ 0, 0, SOMEWHERE };
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

static void judge_over_partial(const uint8_t *data, pp_check *k, const partial *at, pp_sum_fn *sum, int is_super_frame)
{
    pp_judge(data, k, sum);
    /* over a super-frame each segment will get an outer sum of its own: until then the seed is all there is */
    if (k->status == PP_STATUS_BAD &&
        ((is_super_frame && k->stored == k->seed) || pp_is_right_once_complete(data, k, at->start, at->field, sum))) {
        k->status = PP_STATUS_PENDING;
        k->cause = PP_CAUSE_INNER_PENDING;
    }
}

/* The source says "partial" without saying where: the innermost check that holds its seed.  The kernel's seed has the
 * length always; without it the field was spoilt.  Returns the status that this adds to the packet's. */
static uint8_t settle_unlocated(pp_check *checks, unsigned count)
{
    pp_check *last = NULL;
    for (unsigned i = count; i-- > 0;) {
        pp_check *k = &checks[i];
        if (!(k->flags & PP_CHECK_HAS_PSEUDO) || (k->flags & PP_CHECK_QUOTED))
            continue;
        if ((k->status == PP_STATUS_PENDING || k->status == PP_STATUS_UNCHECKED) && k->stored == k->seed) {
            k->flags |= PP_CHECK_FLAGGED;
            k->reason = k->status == PP_STATUS_PENDING ? PP_REASON_NONE : k->reason;
            return PP_STATUS_NONE;
        }
        if (!last && (k->status == PP_STATUS_BAD || k->status == PP_STATUS_PENDING))
            last = k;
    }
    if (!last)
        return PP_STATUS_NONE;
    last->flags |= PP_CHECK_FLAGGED;
    last->status = PP_STATUS_BAD;
    last->reason = PP_REASON_NONE;
    return PP_STATUS_BAD;
}

/* UDP over IPv6 without a sum, and the source knows of a partial one inside: a tunnel (RFC 6935), whatever its port. */
static int is_tunnel_by_metadata(const pp_check *k, const partial *at)
{
    return k->proto == PP_PROTO_UDP && k->stored == 0 && at->start >= k->start + UDP_LEN &&
           at->field + 2 <= k->start + k->length;
}

/* Cut behind its headers, and marked by the source as partial there: what is missing is payload, which has no part in the
 * seed. */
static int is_pending_though_cut(pp_check *k, const partial *at)
{
    if (k->status != PP_STATUS_UNCHECKED || k->reason != PP_REASON_TRUNCATED || at->place != THERE ||
        k->offset != at->field || !(k->flags & PP_CHECK_HAS_PSEUDO) || k->stored != k->seed)
        return 0;
    k->flags |= PP_CHECK_FLAGGED;
    k->reason = PP_REASON_NONE;
    return 1;
}

uint8_t pp_judge_packet(pp_packet *p, uint32_t options, pp_sum_fn *sum)
{
    const partial at = partial_of(p, sum);
    /* a source that says "somewhere" knows that one field is partial, wherever the capture was taken */
    int has_metadata = at.place != SOMEWHERE && ((p->flags & PP_PKT_METADATA) || (options & PP_VERIFY_AT_WIRE));
    uint8_t highest = PP_STATUS_NONE;
    for (unsigned i = 0; i < p->count; i++) {
        pp_check *k = &p->checks[i];
        if (__builtin_expect(k->status == PP_STATUS_NONE, 1)) {
            if (__builtin_expect(at.place != THERE, 1))
                pp_judge_check(p->data, k, sum);
            else if (k->offset == at.field)
                judge_flagged(p->data, k, sum, options);
            else if (k->start < at.start && at.field + 2 <= k->start + k->length && k->proto != PP_PROTO_SCTP)
                judge_over_partial(p->data, k, &at, sum, p->flags & PP_PKT_SUPER_FRAME);
            else
                pp_judge(p->data, k, sum);
            if (__builtin_expect(k->status == PP_STATUS_BAD, 0))
                pp_settle_bad(k, p->flags, has_metadata);
        } else if (k->status == PP_STATUS_BAD && at.place == THERE && is_tunnel_by_metadata(k, &at)) {
            k->status = PP_STATUS_ABSENT;
        } else if (is_pending_though_cut(k, &at)) {
            k->status = PP_STATUS_PENDING;
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
    if (__builtin_expect(at.place == SOMEWHERE, 0)) {
        uint8_t settled = settle_unlocated(p->checks, p->count);
        return settled > highest ? settled : highest;
    }
    return highest;
}
