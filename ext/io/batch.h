/* batch.h - what every source does to a batch: empty it, and leave no value of the packets before. */
#ifndef PP_BATCH_H
#define PP_BATCH_H

#include <string.h>

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

/* Clear the columns that verify and the stages fill, for the count packets that are in. */
static inline void pp_batch_fresh(pp_batch *b)
{
    memset(b->verdict, PP_VERDICT_PASS, b->count);
    memset(b->drop, PP_DROP_NONE, b->count);
    memset(b->status, PP_STATUS_NONE, b->count);
    memset(b->cause, PP_CAUSE_NONE, b->count);
    memset(b->check_count, 0, b->count);
    memset(b->check_first, 0, b->count * sizeof b->check_first[0]);
    memset(b->version, 0, b->count);
    memset(b->protocol, 0, b->count);
    memset(b->l3, 0, b->count * sizeof b->l3[0]);
    memset(b->l4, 0, b->count * sizeof b->l4[0]);
}

#pragma GCC visibility pop
#endif
