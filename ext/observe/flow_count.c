/* flow_count.c - see flow_count.h. */
#include "observe/flow_count.h"

#include <string.h>

#include "parse/endpoints.h"
#include "sum/bytes.h"
#include "sum/pages.h"

pp_flow_counts *pp_flow_counts_new(void) { return pp_pages_new(sizeof(pp_flow_counts)); }

void pp_flow_counts_free(pp_flow_counts *counts) { pp_pages_free(counts, sizeof *counts); }

_Static_assert(PP_CAUSES <= 64, "a flow has a bit for each cause");

static uint32_t slot_of(const pp_flow *flow)
{
    uint64_t words[sizeof *flow / 8], h = 0;
    memcpy(words, flow, sizeof words);
    for (unsigned i = 0; i < sizeof *flow / 8; i++)
        h = pp_mix(words[i], h);
    return (uint32_t)(h >> 40) % PP_FLOW_SLOTS;
}

/* Half of the slots are free at least, so the walk ends. */
static void count_one(pp_flow_counts *counts, const pp_flow *flow, uint8_t cause)
{
    uint32_t at = slot_of(flow);
    while (counts->slots[at].packets && memcmp(&counts->slots[at].flow, flow, sizeof *flow) != 0)
        at = (at + 1) % PP_FLOW_SLOTS;
    pp_counted_flow *slot = &counts->slots[at];
    if (!slot->packets) {
        if (counts->count == PP_FLOWS_MOST) {
            counts->is_over = 1;
            return;
        }
        counts->used[counts->count++] = at;
        slot->flow = *flow;
    }
    slot->packets++;
    slot->causes |= (uint64_t)1 << cause;
}

static void count_unfinished(pp_flow_counts *counts, const pp_batch *b)
{
    for (uint32_t i = 0; i < b->checks_used; i++)
        if (b->checks[i].reason == PP_REASON_NO_METADATA && b->checks[i].proto < PP_PROTOS)
            counts->unfinished[b->checks[i].proto]++;
}

static void count_bad(pp_flow_counts *counts, const pp_batch *b, uint32_t i)
{
    uint8_t cause = b->cause[i] < PP_CAUSES ? b->cause[i] : PP_CAUSE_CORRUPT;
    pp_flow flow = { .version = b->version[i], .protocol = b->protocol[i] };
    counts->news |= PP_NEWS_BAD | (counts->bad[cause] < counts->shown ? PP_NEWS_FIRST : 0);
    counts->bad[cause]++;
    if (counts->is_over)
        return;
    pp_endpoints_of(b, i, flow.source, flow.target, &flow.source_port, &flow.target_port);
    count_one(counts, &flow, cause);
}

static int has_unread(const pp_batch *b)
{
    uint8_t any = 0;
    for (uint32_t i = 0; i < b->count; i++)
        any |= b->unread[i];
    return any != PP_UNREAD_NONE;
}

int pp_stage_count_flows(pp_batch *b, void *context)
{
    pp_flow_counts *counts = context;
    const uint8_t *at = memchr(b->status, PP_STATUS_BAD, b->count), *end = b->status + b->count;
    counts->news = has_unread(b) ? PP_NEWS_UNREAD : 0;
    if (at || memchr(b->status, PP_STATUS_PENDING, b->count))
        count_unfinished(counts, b);
    for (; at; at = memchr(at + 1, PP_STATUS_BAD, (size_t)(end - at - 1))) {
        uint32_t i = (uint32_t)(at - b->status);
        if (b->verdict[i] == PP_VERDICT_PASS)
            count_bad(counts, b, i);
    }
    return 0;
}
