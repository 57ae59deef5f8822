/* flow_count.h - bad packets by flow, exactly, up to a bound, and by cause: counts of parts add up to those of the whole, in any
 * order.  And whether a batch has anything that somebody else has to look at.
 *
 * Rules:
 *   1. A stage that looks at bad and pending packets only; where there are none it costs two memchr() of the status column, and
 *      one of the reasons why packets were not looked into.
 *   2. Fixed memory, of which what is not used costs none: no allocation, no system call.
 *   3. With more than PP_FLOWS_MOST flows it says so and counts no further: a count that is wrong by an unknown amount, or that
 *      depends on who came first, is none.  For live traffic there is the table of sample.h, which keeps the heaviest.
 */
#ifndef PP_FLOW_COUNT_H
#define PP_FLOW_COUNT_H

#include "observe/sample.h"

#pragma GCC visibility push(default)

#define PP_FLOWS_MOST 65536u
#define PP_FLOW_SLOTS (2 * PP_FLOWS_MOST)

typedef struct pp_counted_flow {
    pp_flow flow;
    uint64_t packets; /* bad ones; 0: the slot is free */
    uint64_t causes;  /* a bit for each, 1 << enum pp_cause */
} pp_counted_flow;

/* What the batch that was counted last has. */
enum pp_news {
    PP_NEWS_UNREAD = 1, /* a packet that was not looked into */
    PP_NEWS_BAD = 2,    /* a bad packet */
    PP_NEWS_FIRST = 4   /* one of the first `shown` of its cause */
};

typedef struct pp_flow_counts {
    uint32_t count;   /* of flows */
    uint32_t is_over; /* there were more */
    uint32_t shown;
    uint32_t news;
    uint64_t bad[PP_CAUSES];        /* packets */
    uint64_t unfinished[PP_PROTOS]; /* checks that are pending where no metadata says whether that is healthy */
    uint32_t used[PP_FLOWS_MOST];   /* the slots of flows, in the order in which they came */
    pp_counted_flow slots[PP_FLOW_SLOTS];
} pp_flow_counts;

pp_flow_counts *pp_flow_counts_new(void); /* null: no memory */
void pp_flow_counts_free(pp_flow_counts *counts);
/* The stage; context is the pp_flow_counts.  Reads: status, cause, verdict, checks, unread, frames.  Writes: nothing. */
pp_stage_fn pp_stage_count_flows;

#pragma GCC visibility pop
#endif
