/* test_loop.c - a worker without a ring: it reads no further than its limit, and every packet ends in one counter. */
#include "run/loop.h"

#include <errno.h>

#include "check.h"
#include "columns.h"

enum { EACH = 4, BATCHES = 10 };

static pp_batch batch;
static unsigned asked; /* how often the source was asked for more */

static int next(pp_batch *b, void *context)
{
    (void)context;
    if (asked++ == BATCHES)
        return -ENODATA;
    b->count = EACH;
    b->checks_used = 0;
    return EACH;
}

static void release(void *context) { (void)context; }

/* A stage that sees how many packets there are. */
static int count(pp_batch *b, void *context)
{
    *(uint32_t *)context += b->count;
    return 0;
}

static int fails(pp_batch *b, void *context)
{
    (void)b, (void)context;
    return asked == 3 ? -EPERM : 0;
}

static int refuses(pp_batch *b, pp_ledger *ledger, void *context)
{
    (void)context, (void)b, (void)ledger;
    return -ENOSPC;
}

static int run(pp_loop *loop)
{
    loop->batch = &batch;
    loop->source = (pp_source){ .next = next, .release = release, .fd = -1 };
    asked = 0;
    CHECK_EQ(pp_loops_run(&loop, 1), 0);
    CHECK_EQ(pp_loop_has_ended(loop), 1);
    return loop->rc;
}

/* What lies beyond the limit is not asked for. */
static void test_limit(void)
{
    static const struct {
        uint64_t limit, read;
        unsigned asked;
    } cases[] = { { 0, 40, 11 }, { 1, 1, 1 }, { 4, 4, 1 }, { 5, 5, 2 }, { 8, 8, 2 }, { 40, 40, 10 }, { 41, 40, 11 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pp_loop loop;
        pp_ledger ledger;
        pp_tally tally;
        uint32_t seen = 0;
        CHECK_EQ(pp_loop_init(&loop), 0);
        loop.limit = cases[i].limit;
        loop.sink.take = pp_null_take;
        loop.stages[loop.stage_count++] = (pp_stage){ count, &seen };
        CHECK_EQ(run(&loop), 0);
        pp_loop_snapshot(&loop, &ledger, &tally);
        CHECK_EQ(asked, cases[i].asked);
        CHECK_EQ(seen, cases[i].read);
        CHECK_EQ(ledger.read, cases[i].read);
        CHECK_EQ(ledger.dropped[PP_DROP_NO_SINK], cases[i].read);
        CHECK_EQ(ledger.held, 0);
        pp_loop_destroy(&loop);
    }
}

/* What a stage or the sink failed on is held, and it is known who failed. */
static void test_failures(void)
{
    for (int by_sink = 0; by_sink < 2; by_sink++) {
        pp_loop loop;
        pp_ledger ledger;
        pp_tally tally;
        CHECK_EQ(pp_loop_init(&loop), 0);
        loop.sink.take = by_sink ? refuses : pp_null_take;
        if (!by_sink)
            loop.stages[loop.stage_count++] = (pp_stage){ fails, NULL };
        CHECK(run(&loop) == (by_sink ? -ENOSPC : -EPERM));
        CHECK(loop.failed_stage == (by_sink ? -1 : 0));
        CHECK_EQ(loop.sink_failed, by_sink);
        pp_loop_snapshot(&loop, &ledger, &tally);
        CHECK_EQ(ledger.read, by_sink ? EACH : 3 * EACH);
        CHECK_EQ(ledger.held, EACH);
        pp_loop_destroy(&loop);
    }
}

int main(void)
{
    batch = columns(EACH);
    test_limit();
    test_failures();
    columns_free(&batch);
    return DONE;
}
