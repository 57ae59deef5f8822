/* ledger.c - what other threads see of a worker, and the ends of a packet that no sink has to know of; see loop.h. */
#include "run/loop.h"

void pp_loop_snapshot(pp_loop *l, pp_ledger *ledger, pp_tally *tally)
{
    pthread_mutex_lock(&l->lock);
    *ledger = l->published_ledger;
    *tally = l->published_tally;
    pthread_mutex_unlock(&l->lock);
}

int pp_loop_has_ended(const pp_loop *l) { return atomic_load_explicit(&l->has_ended, memory_order_acquire); }

uint64_t pp_loop_published_ns(pp_loop *l)
{
    pthread_mutex_lock(&l->lock);
    uint64_t ns = l->published_ns;
    pthread_mutex_unlock(&l->lock);
    return ns;
}

int pp_account_unsent(const pp_batch *b, uint32_t i, pp_ledger *ledger)
{
    if (b->verdict[i] != PP_VERDICT_PASS) {
        ledger->dropped[b->drop[i] > PP_DROP_NONE && b->drop[i] < PP_DROPS ? b->drop[i] : PP_DROP_STAGE]++;
        return 1;
    }
    if (b->flags[i] & PP_PKT_TRUNCATED) {
        ledger->truncated++;
        return 1;
    }
    return 0;
}

int pp_null_take(pp_batch *b, pp_ledger *ledger, void *context)
{
    const uint32_t *enough = context;
    for (uint32_t i = 0; i < b->count; i++) {
        if (enough && b->caplen[i] == *enough && b->status[i] == PP_STATUS_PENDING)
            b->flags[i] &= (uint16_t)~PP_PKT_TRUNCATED;
        if (!pp_account_unsent(b, i, ledger))
            ledger->dropped[PP_DROP_NO_SINK]++;
    }
    return 0;
}
