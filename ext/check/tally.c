/* tally.c - count what was found; and the verdict for what stays bad.
 *
 * Does not: judge, name causes, write to frames.
 */
#include "check/tally.h"

int pp_stage_drop_corrupt(pp_batch *b, void *context)
{
    (void)context;
    for (uint32_t i = 0; i < b->count; i++)
        if (b->status[i] == PP_STATUS_BAD && b->verdict[i] == PP_VERDICT_PASS) {
            b->verdict[i] = PP_VERDICT_DROP;
            b->drop[i] = PP_DROP_CORRUPT;
        }
    return 0;
}

/* Rarely called: most batches hold nothing that is not understood. */
static __attribute__((noinline)) void count_unread(const pp_batch *b, pp_tally *t)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (b->unread[i] != PP_UNREAD_NONE)
            t->unread[b->unread[i]]++;
}

int pp_stage_count(pp_batch *b, void *context)
{
    (void)context;
    pp_tally *t = b->tally;
    if (!t)
        return 0;
    uint64_t bytes = 0;
    uint32_t truncated = 0, malformed = 0, super_frames = 0, claimed_valid = 0;
    uint8_t unread = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        uint16_t flags = b->flags[i];
        bytes += b->wirelen[i];
        truncated += (flags & PP_PKT_TRUNCATED) != 0;
        malformed += (flags & PP_PKT_MALFORMED) != 0;
        super_frames += (flags & PP_PKT_SUPER_FRAME) != 0;
        unread |= b->unread[i];
    }
    if (__builtin_expect(unread != 0, 0))
        count_unread(b, t);
    for (uint32_t i = 0; i < b->count; i++) {
        t->status[b->status[i]]++;
        const pp_check *k = b->checks + b->check_first[i];
        for (unsigned j = 0; j < b->check_count[i]; j++, k++) {
            size_t outcome = k->status == PP_STATUS_BAD ? (size_t)PP_STATUS_BAD + k->cause : k->status;
            t->checks[k->proto][outcome]++;
            claimed_valid += (k->flags & PP_CHECK_CLAIMED_VALID) != 0;
        }
    }
    t->wire_bytes += bytes;
    t->truncated += truncated;
    t->malformed += malformed;
    t->super_frames += super_frames;
    t->claimed_valid += claimed_valid;
    t->packets += b->count;
    return 0;
}
