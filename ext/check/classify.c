/* classify.c - why is a check bad?  First that fits, and nothing that would be a guess.
 *
 * Does: name the cause of each bad check from its own packet, or from what others have witnessed (witness.c).
 * Does not: judge; write to frames.
 *
 * Each test asks whether one particular mistake explains the stored value exactly.  A random value passes a single
 * test once in 65,536 times; tests that would accept many values are not made.
 */
#include "check/classify.h"

#include "check/arithmetic.h"
#include "check/judge.h"
#include "check/witness.h"
#include "parse/headers.h"
#include "parse/layers.h"
#include "sum/bytes.h"
#include <pktmend/sum.h>

/* Flipping one bit of a covered byte or of the field changes the sum by +-2^k. */
static int is_bit_flip(uint16_t stored, uint16_t expected)
{
    uint16_t d = pp_difference(stored, expected);
    return pp_is_power_of_two(d) || pp_is_power_of_two((uint16_t)~d);
}

/* An IPv4 header sum left over from before the TTL fell by one, or from before ToS was set from 0 or ECN marked. */
static int is_header_delta(const uint8_t *data, const pp_check *k)
{
    if (k->proto != PP_PROTO_IP)
        return 0;
    uint16_t d = pp_difference((uint16_t)k->stored, (uint16_t)k->expected);
    uint8_t tos = data[k->start + IP4_TOS], ecn = tos & 3;
    /* the header now has less (TTL) or more (ToS) than the one the sum was made for; the sum is a complement */
    if (d == (uint16_t)~0x0100u)
        return 1;
    if (tos && d == tos)
        return 1;
    return ecn == 3 && (d == 1 || d == 2);
}

static uint16_t right_for(uint64_t sum) { return pp_wire16((uint16_t)~pp_fold(sum)); }

/* Right over another length: trailing bytes of the frame included, or the length left out of the pseudo header. */
static int is_length(const uint8_t *data, uint32_t cap, const pp_check *k)
{
    if (k->flags & PP_CHECK_CRC32C)
        return 0;
    pp_sum_fn *sum = pp_kernel_active()->sum;
    uint16_t field = pp_load16(data + k->offset);
    uint64_t seed = pp_wire16(k->seed), without = (uint16_t)~field;
    uint32_t to_end = cap - k->start;
    if (k->proto == PP_PROTO_IP) {
        if (k->length > IP4_LEN && right_for(sum(data + k->start, IP4_LEN) + without) == k->stored)
            return 1; /* options left out */
        return 0;
    }
    if (k->flags & PP_CHECK_HAS_PSEUDO) {
        uint64_t no_length =
            seed + (uint16_t)~pp_wire16((uint16_t)k->length) + (uint16_t)~pp_wire16((uint16_t)(k->length >> 16));
        if (right_for(sum(data + k->start, k->length) + without + no_length) == k->stored)
            return 1;
        if (to_end > k->length &&
            right_for(sum(data + k->start, to_end) + without + no_length + pp_wire16((uint16_t)to_end)) == k->stored)
            return 1;
    }
    return to_end > k->length && right_for(sum(data + k->start, to_end) + without + seed) == k->stored;
}

/* Would this check be right if the partial checks inside it were complete? */
static int is_inner_pending(const pp_check *checks, unsigned count, unsigned index)
{
    const pp_check *k = &checks[index];
    uint16_t expected = (uint16_t)k->expected;
    int found = 0;
    if (k->flags & PP_CHECK_CRC32C)
        return 0;
    for (unsigned i = index + 1; i < count; i++) {
        const pp_check *in = &checks[i];
        int partial = in->status == PP_STATUS_PENDING || (in->status == PP_STATUS_BAD && pp_holds_seed(in));
        if (!partial || !(in->flags & PP_CHECK_HAS_PSEUDO) || !(in->flags & PP_CHECK_HAS_EXPECTED) ||
            in->offset < k->start || in->offset >= k->start + k->length)
            continue;
        uint16_t change = pp_difference((uint16_t)in->expected, (uint16_t)in->stored);
        if ((in->offset - k->start) & 1)
            change = pp_swap16(change);
        expected = pp_difference(expected, change); /* a larger sum has a smaller complement */
        found = 1;
    }
    return found && pp_difference((uint16_t)k->stored, expected) % 0xffff == 0;
}

void pp_classify_check(const uint8_t *data, uint32_t cap, pp_check *checks, unsigned count, unsigned index)
{
    pp_check *k = &checks[index];
    if (k->flags & PP_CHECK_FLAGGED) {
        k->cause = PP_CAUSE_BAD_SEED;
    } else if (pp_holds_seed(k)) {
        k->cause = PP_CAUSE_LEAKED; /* verify calls it pending where the source has no metadata */
    } else if (k->stored == 0) {
        k->cause = k->proto == PP_PROTO_UDP ? PP_CAUSE_ILLEGAL_ZERO : PP_CAUSE_NEVER_FILLED;
    } else if (!(k->flags & PP_CHECK_HAS_EXPECTED)) {
        k->cause = PP_CAUSE_CORRUPT;
    } else if (is_inner_pending(checks, count, index)) {
        k->cause = PP_CAUSE_INNER_PENDING;
    } else if (k->flags & PP_CHECK_CRC32C) {
        k->cause = k->stored == __builtin_bswap32(k->expected) ? PP_CAUSE_BYTE_SWAPPED
                   : k->stored == ~k->expected                 ? PP_CAUSE_NOT_COMPLEMENTED
                                                               : PP_CAUSE_CORRUPT;
    } else if (pp_difference((uint16_t)k->stored, (uint16_t)~k->expected) % 0xffff == 0) {
        k->cause = PP_CAUSE_NOT_COMPLEMENTED;
    } else if (k->stored == pp_swap16((uint16_t)k->expected)) {
        k->cause = PP_CAUSE_BYTE_SWAPPED;
    } else if (is_length(data, cap, k)) {
        k->cause = PP_CAUSE_LENGTH;
    } else if (is_header_delta(data, k)) {
        k->cause = PP_CAUSE_HEADER_DELTA;
    } else if (is_bit_flip((uint16_t)k->stored, (uint16_t)k->expected)) {
        k->cause = PP_CAUSE_BIT_FLIP;
    } else {
        k->cause = pp_arithmetic_cause(data, k);
        if (k->cause == PP_CAUSE_NONE)
            k->cause = PP_CAUSE_CORRUPT;
    }
}

/* What the packet's IPv6 headers explain; they are parsed again for it. */
static void ask_headers(const pp_batch *b, uint32_t i, pp_check *checks, unsigned count)
{
    pp_layer layers[PP_MAX_DEPTH];
    unsigned found = 0;
    for (unsigned j = 0; j < count; j++) {
        pp_check *k = &checks[j];
        if (k->status != PP_STATUS_BAD || (k->cause != PP_CAUSE_CORRUPT && k->cause != PP_CAUSE_BIT_FLIP) ||
            !(k->flags & PP_CHECK_HAS_PSEUDO))
            continue;
        if (k->depth == 0 && (b->version[i] != 6 || b->l4[i] == b->l3[i] + IP6_LEN))
            continue; /* no extension header */
        if (!found && !(found = pp_layers_of(b, i, layers)))
            return;
        for (unsigned l = 0; l < found; l++)
            if (pp_is_first_header(b->data[i], k, &layers[l]))
                k->cause = PP_CAUSE_PSEUDO_HEADER;
    }
}

/* A check that will be right once the partial ones inside it are: pending like them when they are pending. */
static void follow_inner(pp_check *checks, unsigned count, unsigned index)
{
    for (unsigned i = index + 1; i < count; i++)
        if (checks[i].status == PP_STATUS_BAD && (checks[i].stored == checks[i].seed || pp_is_large_send(&checks[i])))
            return;
    checks[index].status = PP_STATUS_PENDING;
    checks[index].reason = PP_REASON_NO_METADATA;
}

/* Causes that a witness may still overrule: nat-delta and nat-on-zero come before them. */
static int is_unexplained(const pp_check *k)
{
    return k->status == PP_STATUS_BAD &&
           (k->cause == PP_CAUSE_BIT_FLIP || k->cause == PP_CAUSE_CORRUPT || k->cause >= PP_CAUSE_PSEUDO_HEADER) &&
           (k->proto == PP_PROTO_TCP || k->proto == PP_PROTO_UDP);
}

/* Ask the witnesses; 1 if a check stays unexplained. */
static int ask(pp_witnesses *witnesses, pp_batch *b, uint32_t i, int is_first)
{
    int open = 0;
    pp_check *checks = b->checks + b->check_first[i];
    for (unsigned j = b->check_count[i]; j-- > 0;) {
        pp_check *k = &checks[j];
        if (is_unexplained(k)) {
            uint8_t cause = pp_witness_cause(witnesses, b, i, k, is_first);
            if (cause != PP_CAUSE_NONE)
                k->cause = cause;
            else
                open = 1;
        }
        if (k->status == PP_STATUS_BAD)
            b->cause[i] = k->cause;
    }
    return open;
}

static void classify_packet(pp_batch *b, uint32_t i)
{
    pp_check *checks = b->checks + b->check_first[i];
    unsigned count = b->check_count[i];
    uint8_t highest = PP_STATUS_NONE;
    for (unsigned j = count; j-- > 0;) {
        pp_check *k = &checks[j];
        if (k->status == PP_STATUS_BAD) {
            pp_classify_check(b->data[i], b->caplen[i], checks, count, j);
            if (k->cause == PP_CAUSE_INNER_PENDING)
                follow_inner(checks, count, j);
        }
        if (k->status > highest && !(k->flags & PP_CHECK_QUOTED))
            highest = k->status;
    }
    ask_headers(b, i, checks, count);
    b->status[i] = highest;
    for (unsigned j = count; j-- > 0;)
        if (checks[j].status == PP_STATUS_BAD)
            b->cause[i] = checks[j].cause;
}

int pp_stage_classify(pp_batch *b, void *context)
{
    pp_witnesses *witnesses = context;
    uint32_t entered = 0;
    int open = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->status[i] != PP_STATUS_BAD)
            continue;
        classify_packet(b, i);
        if (witnesses) {
            pp_witnesses_add(witnesses, b, entered, i);
            entered = i + 1;
            open |= ask(witnesses, b, i, 1);
        }
    }
    if (witnesses)
        pp_witnesses_add(witnesses, b, entered, b->count);
    for (uint32_t i = 0; open && i < b->count; i++) /* captures of two taps: the witness may come after */
        if (b->status[i] == PP_STATUS_BAD)
            ask(witnesses, b, i, 0);
    return 0;
}
