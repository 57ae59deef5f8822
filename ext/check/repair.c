/* repair.c - complete what is provably partial, in place, innermost first.
 *
 * Does: write checksum fields of packets that still pass; check by check: one that was judged is whole, whatever else of its
 *       packet is a fragment, cut or malformed.
 * Does not: touch what was not judged or is quoted, or lies under a sum that was not judged and would not be right any more;
 *           change any byte but the field; sign corruption as good unless told to by name (PP_REPAIR_ALL).
 */
#include "check/repair.h"

#include "check/classify.h"
#include "check/judge.h"
#include "check/tally.h"
#include "check/verify.h"
#include "offload/partial_csum.h"
#include "sum/bytes.h"

_Static_assert(PP_CAUSES <= 24, "an option has a bit for each cause");

/* Bad or pending, and of this packet itself. */
static int is_wanting(const pp_check *k)
{
    return (k->status == PP_STATUS_BAD || k->status == PP_STATUS_PENDING) &&
           !(k->flags & (PP_CHECK_QUOTED | PP_CHECK_NO_FIELD));
}

static int may_repair(const pp_check *k, uint32_t option)
{
    uint32_t policy = option & PP_REPAIR_POLICY;
    if (!is_wanting(k) || !(k->flags & PP_CHECK_HAS_EXPECTED) || (option & PP_REPAIR_EXCEPT(k->cause)))
        return 0;
    if (k->cause == PP_CAUSE_INNER_PENDING)
        return 0; /* right once the inner one is: writing it now would make it wrong then */
    if (k->status == PP_STATUS_PENDING)
        return policy == PP_REPAIR_UNFINISHED || policy == PP_REPAIR_ALL;
    return policy == PP_REPAIR_ALL || k->cause == PP_CAUSE_LEAKED;
}

static void store(uint8_t *data, pp_check *k)
{
    if (k->flags & PP_CHECK_CRC32C) {
        pp_put32(data + k->offset, k->expected);
    } else {
        pp_put16(data + k->offset, (uint16_t)k->expected);
    }
}

/* Judge again what covers a field that was just rewritten; keeps what the source had said of it.  What was right over
 * the partial field and is not any more follows it: it verified before our own write, so nothing is laundered. */
static void judge_again(uint8_t *data, pp_check *k, pp_sum_fn *sum, pp_tally *tally)
{
    uint8_t status = k->status;
    if (status != PP_STATUS_BAD && status != PP_STATUS_GOOD && status != PP_STATUS_PENDING)
        return;
    pp_judge(data, k, sum);
    if (status == PP_STATUS_GOOD && k->status == PP_STATUS_BAD) {
        store(data, k);
        k->status = PP_STATUS_GOOD;
        k->flags |= PP_CHECK_REPAIRED;
        if (tally)
            tally->repaired[PP_CAUSE_INNER_PENDING]++;
        return;
    }
    if (k->status == PP_STATUS_BAD && status == PP_STATUS_PENDING && (k->stored == k->seed || pp_is_large_send(k)))
        k->status = PP_STATUS_PENDING;
    else if (k->status == PP_STATUS_GOOD && status != PP_STATUS_GOOD)
        k->flags |= PP_CHECK_REPAIRED;
}

static int covers(const pp_check *outer, const pp_check *inner)
{
    return inner->offset >= outer->start && inner->offset < outer->start + outer->length;
}

/* Does checks[index] cover a field that is still to be written? */
static int covers_partial(const pp_check *checks, unsigned count, unsigned index)
{
    for (unsigned j = index + 1; j < count; j++)
        if ((checks[j].flags & PP_CHECK_FLAGGED) && !(checks[j].flags & PP_CHECK_REPAIRED) &&
            covers(&checks[index], &checks[j]))
            return 1;
    return 0;
}

/* Was what checks[index] covers damaged on the way, by what a sum around it says? */
static int is_within_damage(const pp_check *checks, unsigned index)
{
    for (unsigned j = 0; j < index; j++)
        if (checks[j].status == PP_STATUS_BAD &&
            (checks[j].cause == PP_CAUSE_CORRUPT || checks[j].cause == PP_CAUSE_BIT_FLIP) &&
            covers(&checks[j], &checks[index]))
            return 1;
    return 0;
}

/* Is checks[index] covered by a sum that cannot be made again, for it was not judged: of a fragment, cut? */
static int is_within_unjudged(const pp_check *checks, unsigned index)
{
    for (unsigned j = 0; j < index; j++)
        if (checks[j].status == PP_STATUS_UNCHECKED && !(checks[j].flags & (PP_CHECK_QUOTED | PP_CHECK_NO_FIELD)) &&
            covers(&checks[j], &checks[index]))
            return 1;
    return 0;
}

/* The source said that this field is partial.  Either it is complete from now on and the metadata goes, or, in a
 * super-frame, whose segments each get their own, the seed is what belongs there. */
static void release_flag(uint8_t *data, uint16_t *flags, pp_check *k)
{
    if (*flags & PP_PKT_VNET) { /* a file's is changed where the file is written */
        pp_vnet v = pp_vnet_get(data);
        if (v.gso_type) {
            k->expected = k->seed;
            return;
        }
        v.flags &= (uint8_t)~VIRTIO_NET_HDR_F_NEEDS_CSUM;
        pp_vnet_put(data, &v);
        *flags &= (uint16_t)~PP_PKT_NOT_READY;
    }
}

/* Would its own sum, or one around it, sign or be broken by what nobody can vouch for?  A header whose lengths contradict
 * each other would be signed by its sum. */
static int is_unsafe(uint16_t flags, const pp_check *checks, unsigned i)
{
    if (!(flags & (PP_PKT_MALFORMED | PP_PKT_TRUNCATED | PP_PKT_FRAGMENT)))
        return 0;
    return (checks[i].proto == PP_PROTO_IP && (flags & PP_PKT_MALFORMED)) || is_within_unjudged(checks, i);
}

static int repair_packet(uint8_t *data, uint16_t *flags, pp_check *checks, unsigned count, uint32_t option,
                         pp_sum_fn *sum, pp_tally *tally)
{
    int changed = 0, is_all = (option & PP_REPAIR_POLICY) == PP_REPAIR_ALL;
    for (unsigned i = count; i-- > 0;) {
        pp_check *k = &checks[i];
        for (unsigned j = i + 1; j < count; j++)
            if ((checks[j].flags & PP_CHECK_REPAIRED) && covers(k, &checks[j])) {
                judge_again(data, k, sum, tally);
                break;
            }
        if (!may_repair(k, option) || covers_partial(checks, count, i) || is_unsafe(*flags, checks, i))
            continue;
        if (!is_all && is_within_damage(checks, i))
            continue; /* behind the tunnel nothing would show it any more */
        if (k->flags & PP_CHECK_FLAGGED)
            release_flag(data, flags, k);
        store(data, k);
        k->status = PP_STATUS_GOOD;
        k->flags |= PP_CHECK_REPAIRED;
        changed = 1;
        if (tally)
            tally->repaired[k->cause]++;
    }
    return changed;
}

int pp_stage_repair(pp_batch *b, void *context)
{
    uint32_t option = context ? *(const uint32_t *)context : PP_REPAIR_LEAKED, policy = option & PP_REPAIR_POLICY;
    if (policy == PP_REPAIR_NONE)
        return 0;
    pp_sum_fn *sum = pp_kernel_active()->sum;
    uint8_t least = policy == PP_REPAIR_LEAKED ? PP_STATUS_BAD : PP_STATUS_PENDING;
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->status[i] < least || b->verdict[i] != PP_VERDICT_PASS)
            continue;
        pp_check *checks = b->checks + b->check_first[i];
        unsigned count = b->check_count[i];
        for (unsigned j = 0; j < count; j++) /* cheap, and a pipeline without classify still repairs */
            if (checks[j].status == PP_STATUS_BAD && checks[j].cause == PP_CAUSE_NONE)
                pp_classify_check(b->data[i], b->caplen[i], checks, count, j);
        if (!repair_packet(b->data[i], &b->flags[i], checks, count, option, sum, b->tally))
            continue;
        b->flags[i] |= PP_PKT_REPAIRED;
        b->status[i] = PP_STATUS_NONE;
        b->cause[i] = PP_CAUSE_NONE;
        for (unsigned j = 0; j < count; j++) {
            if (checks[j].status > b->status[i] && !(checks[j].flags & PP_CHECK_QUOTED))
                b->status[i] = checks[j].status;
            if (b->cause[i] == PP_CAUSE_NONE && checks[j].status == PP_STATUS_BAD)
                b->cause[i] = checks[j].cause;
        }
    }
    return 0;
}

static enum pp_left why_left(uint16_t flags, const pp_check *checks, unsigned count, unsigned i, uint32_t option)
{
    const pp_check *k = &checks[i];
    uint32_t policy = option & PP_REPAIR_POLICY;
    int waits = k->cause == PP_CAUSE_INNER_PENDING || covers_partial(checks, count, i);
    if ((option & PP_REPAIR_EXCEPT(k->cause)) || (waits && option > PP_REPAIR_POLICY))
        return PP_LEFT_CHOICE;
    if (policy == PP_REPAIR_ALL || (waits && policy == PP_REPAIR_UNFINISHED))
        return PP_LEFT_UNABLE;
    if (waits)
        return PP_LEFT_POLICY;
    return !(k->flags & PP_CHECK_HAS_EXPECTED) || is_unsafe(flags, checks, i) ? PP_LEFT_UNABLE : PP_LEFT_POLICY;
}

int pp_stage_count_left(pp_batch *b, void *context)
{
    uint32_t option = context ? *(const uint32_t *)context : PP_REPAIR_LEAKED;
    if (!b->tally)
        return 0;
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->status[i] < PP_STATUS_PENDING || b->verdict[i] != PP_VERDICT_PASS)
            continue;
        const pp_check *checks = b->checks + b->check_first[i];
        for (unsigned j = 0; j < b->check_count[i]; j++)
            if (is_wanting(&checks[j]))
                b->tally->left[why_left(b->flags[i], checks, b->check_count[i], j, option)][checks[j].cause]++;
    }
    return 0;
}
