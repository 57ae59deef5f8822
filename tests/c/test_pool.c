/* test_pool.c - many loops on few threads: each packet once, in its own loop's counters; loops come and end while others work.
 * Built twice, as test_threads.c is: with AddressSanitizer, and with ThreadSanitizer.
 */
#define _GNU_SOURCE
#include "run/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "check.h"
#include "columns.h"

enum { LOOPS = 100, THREADS = 3, CAPACITY = 8, ROUNDS = 30 };

/* A loop whose source is a pipe: each byte is a packet. */
typedef struct member {
    pp_loop loop;
    int ends[2];
    uint8_t frame[CAPACITY];
    uint64_t put;
} member;

static member members[LOOPS];
static pp_pool pool;
static _Atomic uint64_t beats[THREADS];

static int next(pp_batch *b, void *context)
{
    member *m = context;
    ssize_t n = read(m->ends[0], m->frame, CAPACITY);
    b->count = n > 0 ? (uint32_t)n : 0;
    b->checks_used = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        b->data[i] = &m->frame[i];
        b->caplen[i] = b->wirelen[i] = 1;
        b->flags[i] = 0;
        b->verdict[i] = PP_VERDICT_PASS;
        b->drop[i] = PP_DROP_NONE;
    }
    return n < 0 && errno == EAGAIN ? 0 : n < 0 ? -errno : n == 0 ? -ENODATA : (int)n;
}

static void release(void *context) { (void)context; }

static void *serve(void *context)
{
    pp_batch batch = columns(CAPACITY);
    pp_pool_serve(&pool, &batch, context);
    columns_free(&batch);
    return NULL;
}

static void add(member *m)
{
    CHECK_EQ(pipe2(m->ends, O_NONBLOCK | O_CLOEXEC), 0);
    CHECK_EQ(pp_loop_init(&m->loop), 0);
    m->loop.source = (pp_source){ .next = next, .release = release, .context = m, .fd = m->ends[0] };
    m->loop.sink.take = pp_null_take;
    CHECK_EQ(pp_pool_add(&pool, &m->loop), 0);
}

static void put(member *m, size_t count)
{
    static const uint8_t bytes[64];
    while (count) {
        ssize_t n = write(m->ends[1], bytes, count < sizeof bytes ? count : sizeof bytes);
        if (n > 0) {
            count -= (size_t)n;
            m->put += (uint64_t)n;
        }
    }
}

static void await_end(const member *m)
{
    for (int i = 0; i < 100000 && !pp_loop_has_ended(&m->loop); i++)
        usleep(100);
    CHECK_EQ(pp_loop_has_ended(&m->loop), 1);
}

int main(void)
{
    pthread_t threads[THREADS];
    CHECK_EQ(pp_pool_init(&pool), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, serve, &beats[i]);
    for (unsigned n = 0; n < LOOPS; n++) {
        add(&members[n]);
        put(&members[n], n);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        put(&members[0], 5000); /* one is busy */
        for (unsigned n = 1; n < LOOPS; n++)
            put(&members[n], n % 7);
        pp_loop_stop(&members[LOOPS - 1 - round].loop); /* and some end meanwhile */
        pp_loop_stop(&members[LOOPS - 1 - round].loop); /* asked twice */
        await_end(&members[LOOPS - 1 - round]);
    }
    close(members[1].ends[1]); /* its source ends by itself */
    await_end(&members[1]);
    for (unsigned n = 0; n < LOOPS; n++)
        pp_loop_stop(&members[n].loop);
    for (unsigned n = 0; n < LOOPS; n++) {
        pp_ledger ledger;
        pp_tally tally;
        await_end(&members[n]);
        pp_loop_snapshot(&members[n].loop, &ledger, &tally);
        CHECK_EQ(members[n].loop.rc, 0);
        /* what was put in after it had ended is still in its pipe */
        uint64_t left = 0;
        uint8_t rest[64];
        for (ssize_t got; (got = read(members[n].ends[0], rest, sizeof rest)) > 0;)
            left += (uint64_t)got;
        CHECK_EQ(ledger.read + left, members[n].put);
        CHECK_EQ(ledger.read, ledger.dropped[PP_DROP_NO_SINK]);
    }
    for (unsigned i = 0; i < THREADS; i++)
        CHECK_EQ(atomic_load(&beats[i]) > 0, 1);
    pp_pool_close(&pool);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pp_pool_destroy(&pool);
    for (unsigned n = 0; n < LOOPS; n++) {
        pp_loop_destroy(&members[n].loop);
        close(members[n].ends[0]);
        if (n != 1)
            close(members[n].ends[1]);
    }
    return DONE;
}
