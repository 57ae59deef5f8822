/* clearing.c - see clearing.h. */
#include "run/clearing.h"

#include <string.h>

void pp_clearing_init(pp_clearing *c, const uint64_t *issued, uint64_t *clear)
{
    memset(c, 0, sizeof *c);
    c->issued = issued;
    c->clear = clear;
}

void pp_clearing_add(pp_clearing *c, uint64_t n) { atomic_fetch_add_explicit(&c->done, n, memory_order_acq_rel); }

uint64_t pp_clearing_done(pp_clearing *c) { return atomic_load(&c->done); }

void pp_clearing_set_lost(pp_clearing *c, uint64_t n) { atomic_store(&c->lost, n); }

/* In this order: what is done was issued before; so many, and nothing is under way. */
static int is_through(const pp_clearing *c, uint64_t *issued)
{
    uint64_t done = atomic_load(&c->done) + atomic_load(&c->lost);
    *issued = __atomic_load_n(c->issued, __ATOMIC_SEQ_CST);
    return done >= *issued;
}

int pp_clearing_is_through(const pp_clearing *c)
{
    uint64_t issued;
    return is_through(c, &issued);
}

int pp_clearing_look(pp_clearing *c, uint64_t now)
{
    if (atomic_flag_test_and_set_explicit(&c->is_looked_at, memory_order_acquire))
        return 1; /* another worker does */
    if (c->candidate && now - c->candidate_ns >= PP_SETTLE_NS) {
        __atomic_store_n(c->clear, c->candidate, __ATOMIC_RELEASE);
        c->candidate = 0;
    }
    uint64_t issued;
    int is_all = is_through(c, &issued), is_behind = *c->clear != issued;
    if (!c->candidate && is_behind && is_all) {
        c->candidate = issued;
        c->candidate_ns = now;
    }
    atomic_flag_clear_explicit(&c->is_looked_at, memory_order_release);
    return is_behind;
}
