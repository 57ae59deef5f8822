/* ledger.c - the ends of a packet that no sink has to know about; see loop.h. */
#include "run/loop.h"

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
    (void)context;
    for (uint32_t i = 0; i < b->count; i++)
        if (!pp_account_unsent(b, i, ledger))
            ledger->dropped[PP_DROP_NO_SINK]++;
    return 0;
}
