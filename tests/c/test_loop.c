/* test_loop.c - a worker without a ring: it reads no further than its limit, and every packet ends in one counter. */
#include "run/loop.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

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

static int never_ends(pp_batch *b, void *context)
{
    *(unsigned *)context += 1;
    b->count = EACH;
    b->checks_used = 0;
    return EACH;
}

/* A sink without room: it waits, with a part of the batch dropped already, until it is told to give up. */
static int has_given_up;
static void give_up(void *context) { (void)context, has_given_up = 1; }
static int waits(pp_batch *b, pp_ledger *ledger, void *context)
{
    (void)context;
    if (!has_given_up) {
        ledger->dropped[PP_DROP_STAGE] = 1;
        ledger->held = b->count - 1;
        return PP_SINK_WAITS;
    }
    ledger->tx_error[EAGAIN] += b->count - 1;
    return 0;
}

static pp_loop *to_stop, *watched;
static uint64_t held_meanwhile;

/* After a while both are stopped. */
static int stop_both(pp_batch *b, pp_ledger *ledger, void *context)
{
    static unsigned batches;
    pp_tally tally;
    pp_ledger seen;
    usleep(1000);
    if (++batches == 300) { /* the other's counters were published while it waits */
        pp_loop_snapshot(watched, &seen, &tally);
        held_meanwhile = seen.held;
        CHECK_EQ(seen.read, seen.held + seen.dropped[PP_DROP_STAGE]);
        pp_loop_stop(watched);
        pp_loop_stop(to_stop);
    }
    return pp_null_take(b, ledger, context);
}

/* Two on one thread: the one whose sink waits keeps the other from nothing, and a stop ends it within its time. */
static void test_waiting_sink(void)
{
    pp_loop loops[2], *both[2] = { &loops[0], &loops[1] };
    unsigned turns[2] = { 0, 0 };
    pp_batch other = columns(EACH);
    struct timespec began, ended;
    pp_ledger ledger;
    pp_tally tally;
    int room[2];
    CHECK_EQ(pipe(room), 0);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(pp_loop_init(both[i]), 0);
        loops[i].source = (pp_source){ .next = never_ends, .release = release, .context = &turns[i], .fd = -1 };
        loops[i].batch = i ? &other : &batch;
    }
    loops[0].sink = (pp_sink){ .take = waits, .give_up = give_up, .fd = room[0] };
    loops[1].sink = (pp_sink){ .take = stop_both };
    watched = &loops[0], to_stop = &loops[1];
    clock_gettime(CLOCK_MONOTONIC, &began);
    CHECK_EQ(pp_loops_run(both, 2), 0);
    clock_gettime(CLOCK_MONOTONIC, &ended);
    CHECK_EQ(turns[0], 1);
    CHECK_EQ(turns[1], 300);
    CHECK_EQ(held_meanwhile, EACH - 1);
    CHECK(ended.tv_sec - began.tv_sec <= 3);
    pp_loop_snapshot(&loops[0], &ledger, &tally);
    CHECK_EQ(ledger.read, EACH);
    CHECK_EQ(ledger.held, 0);
    CHECK_EQ(ledger.tx_error[EAGAIN], EACH - 1);
    for (unsigned i = 0; i < 2; i++)
        pp_loop_destroy(both[i]);
    columns_free(&other);
    close(room[0]), close(room[1]);
}

static unsigned *ahead[2], most_ahead;

static int compares(pp_batch *b, void *context)
{
    unsigned gap = *ahead[0] > *ahead[1] ? *ahead[0] - *ahead[1] : *ahead[1] - *ahead[0];
    (void)b, (void)context;
    most_ahead = gap > most_ahead ? gap : most_ahead;
    return 0;
}

/* Two that are never empty are served in turn, a batch each. */
static void test_turns(void)
{
    pp_loop loops[2], *both[2] = { &loops[0], &loops[1] };
    unsigned turns[2] = { 0, 0 };
    pp_batch other = columns(EACH);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(pp_loop_init(both[i]), 0);
        loops[i].source = (pp_source){ .next = never_ends, .release = release, .context = &turns[i], .fd = -1 };
        loops[i].batch = i ? &other : &batch;
        loops[i].sink.take = pp_null_take;
    }
    ahead[0] = &turns[0], ahead[1] = &turns[1];
    loops[0].stages[loops[0].stage_count++].run = compares;
    loops[0].limit = loops[1].limit = 1000 * EACH;
    pp_loops_run(both, 2);
    CHECK_EQ(turns[0] + turns[1], 2000);
    CHECK_EQ(most_ahead, 1);
    for (unsigned i = 0; i < 2; i++)
        pp_loop_destroy(both[i]);
    columns_free(&other);
}

int main(void)
{
    batch = columns(EACH);
    test_limit();
    test_failures();
    test_waiting_sink();
    test_turns();
    columns_free(&batch);
    return DONE;
}
