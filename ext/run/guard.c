/* guard.c - see guard.h. */
#include "run/guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "offload/partial_csum.h"
#include "run/clock.h"

int pp_guard_init(pp_guard *g, uint32_t capacity)
{
    memset(g, 0, sizeof *g);
    g->saved = malloc(2 * (size_t)capacity);
    return g->saved ? 0 : -ENOMEM;
}

void pp_guard_free(pp_guard *g)
{
    free(g->saved);
    g->saved = NULL;
}

/* Of the only writer: no locked instruction. */
static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

void pp_guard_read(const pp_guard *g, uint64_t *calls, uint64_t *errors, uint64_t *ns, int *fault)
{
    *calls = atomic_load_explicit(&g->calls, memory_order_relaxed);
    *errors = atomic_load_explicit(&g->errors, memory_order_relaxed);
    *ns = atomic_load_explicit(&g->ns, memory_order_relaxed);
    *fault = atomic_load_explicit(&g->fault, memory_order_relaxed);
}

static uint8_t highest(const uint8_t *column, uint32_t count)
{
    uint8_t most = 0;
    for (uint32_t i = 0; i < count; i++)
        most = column[i] > most ? column[i] : most;
    return most;
}

static int is_sane(const pp_batch *b)
{
    return highest(b->verdict, b->count) <= PP_VERDICT_DROP && highest(b->drop, b->count) < PP_DROPS &&
           highest(b->status, b->count) < PP_STATUSES && highest(b->cause, b->count) < PP_CAUSES &&
           highest(b->unread, b->count) < PP_UNREADS;
}

/* Has a packet been marked as edited?  The marks are taken off. */
static int take_edited(pp_batch *b)
{
    uint16_t all = 0;
    for (uint32_t i = 0; i < b->count; i++)
        all |= b->flags[i];
    if (!(all & PP_PKT_EDITED))
        return 0;
    for (uint32_t i = 0; i < b->count; i++)
        b->flags[i] &= (uint16_t)~PP_PKT_EDITED;
    return 1;
}

/* A stage may write the virtio-net header as well: what the source said with it is what it says now. */
static void read_headers(pp_batch *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        if (!(b->flags[i] & PP_PKT_VNET))
            continue;
        pp_vnet v = pp_vnet_get(b->data[i]);
        b->flags[i] &= (uint16_t)~(PP_PKT_NOT_READY | PP_PKT_SUPER_FRAME);
        b->flags[i] |= pp_vnet_flags(&v);
    }
}

static void judge(const pp_guard *g, pp_batch *b)
{
    read_headers(b);
    if (g->judge && g->judge(b, g->judge_context) >= 0)
        return;
    memset(b->status, PP_STATUS_NONE, b->count);
    memset(b->cause, PP_CAUSE_NONE, b->count);
    memset(b->check_count, 0, b->count);
}

static void settle(const pp_guard *g, pp_batch *b)
{
    memcpy(b->verdict, g->saved, b->count);
    memcpy(b->drop, g->saved + b->capacity, b->count);
    for (uint32_t i = 0; g->on_error == PP_ON_ERROR_DROP && i < b->count; i++)
        if (b->verdict[i] == PP_VERDICT_PASS) {
            b->verdict[i] = PP_VERDICT_DROP;
            b->drop[i] = PP_DROP_STAGE_ERROR;
        }
}

int pp_guard_run(pp_batch *b, void *context)
{
    pp_guard *g = context;
    const pp_batch given = *b;
    memcpy(g->saved, b->verdict, b->count);
    memcpy(g->saved + b->capacity, b->drop, b->count);
    g->edited = 0;
    uint64_t begin = pp_now_ns();
    int rc = g->run(b, g->context);
    add(&g->ns, pp_now_ns() - begin);
    add(&g->calls, 1);
    uint32_t checks_used = b->checks_used; /* it may have called verify */
    int moved = b->count != given.count;
    *b = given;
    if (checks_used <= (uint64_t)b->capacity * PP_CHECKS_PER_PACKET)
        b->checks_used = checks_used;
    if (rc >= 0 && (moved || !is_sane(b)))
        rc = -EBADMSG;
    int edited = take_edited(b) || g->edited;
    if (rc >= 0) {
        if (edited && g->judge)
            judge(g, b);
        return 0;
    }
    add(&g->errors, 1);
    if (!atomic_load_explicit(&g->fault, memory_order_relaxed))
        atomic_store_explicit(&g->fault, rc, memory_order_relaxed);
    if (g->on_error == PP_ON_ERROR_END)
        return rc;
    if (g->undo)
        g->undo(b, g->context);
    settle(g, b);
    judge(g, b);
    return 0;
}
