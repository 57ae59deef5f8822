/* test_threads.c - two workers while other threads read their counters, take their samples, write their spool and change
 * their sink.  Built twice: with AddressSanitizer as all tests are, and with ThreadSanitizer (`make -C tests/c tsan`), which
 * fails on any access that two threads make without order.
 */
#define _GNU_SOURCE
#include "run/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "check/classify.h"
#include "check/tally.h"
#include "check/verify.h"
#include "columns.h"
#include "io/emit.h"
#include "io/spool.h"
#include "observe/sample.h"
#include "run/guard.h"

enum { CAPACITY = 64, BATCHES = 400, LENGTH = 60, L4 = 34 };

/* A UDP datagram of 18 bytes over IPv4, from 10.7.0.1 to 10.7.0.2, each of whose sums is right. */
static const uint8_t datagram[LENGTH] = {
    2,    0,    0,    0,    0,  2,  2,    0,    0,  0,  0,    1,    0x08, 0x00, /* Ethernet */
    0x45, 0,    0,    46,   0,  0,  0,    0,    64, 17, 0x66, 0xaf, /* IPv4: 4500 + 002e + 4011 + 0a07 + 1 + 0a07 + 2 = 9950, ~66af */
    10,   7,    0,    1,    10, 7,  0,    2,                        /* */
    0x03, 0xe8, 0x13, 0x88, 0,  26, 0xd4, 0x39, /* UDP: 0a07 + 1 + 0a07 + 2 + 11 + 1a + 03e8 + 1388 + 1a = 2bc6, ~d439 */
};

typedef struct worker {
    pp_loop loop;
    pp_batch batch;
    pp_sample *sample;
    pp_spool spool;
    pp_guard guard;
    pp_emit *emit;
    uint32_t options;
    uint32_t batches, given;
    uint8_t frame[CAPACITY][PP_VNET_LEN + LENGTH];
    pthread_t thread;
} worker;

static _Atomic int is_over;
static _Atomic unsigned failures; /* of calls that threads make: check.h counts on one thread */

/* A source that is never empty; every fourth frame is damaged. */
static int next(pp_batch *b, void *context)
{
    worker *w = context;
    if (w->batches == BATCHES)
        return -ENODATA;
    w->batches++;
    b->count = CAPACITY;
    b->checks_used = 0;
    for (uint32_t i = 0; i < CAPACITY; i++) {
        uint8_t *frame = w->frame[i] + PP_VNET_LEN;
        memset(w->frame[i], 0, PP_VNET_LEN);
        memcpy(frame, datagram, LENGTH);
        if (i % 4 == 3)
            frame[LENGTH - 1] ^= 0x55;
        b->data[i] = frame;
        b->caplen[i] = b->wirelen[i] = LENGTH;
        b->link[i] = 1;
        b->flags[i] = PP_PKT_METADATA | PP_PKT_VNET;
        b->number[i] = ++w->given;
        b->verdict[i] = PP_VERDICT_PASS;
        b->drop[i] = PP_DROP_NONE;
    }
    return CAPACITY;
}

static void release(void *context) { (void)context; }

/* A user's stage: drops one packet of each batch. */
static int users_stage(pp_batch *b, void *context)
{
    (void)context;
    b->verdict[0] = PP_VERDICT_DROP;
    b->drop[0] = PP_DROP_STAGE;
    return 0;
}

static void *work(void *context)
{
    worker *w = context;
    pp_loop *loop = &w->loop;
    failures += pp_loops_run(&loop, 1) != 0;
    return NULL;
}

static void make(worker *w, int socket)
{
    w->batch = columns(CAPACITY);
    CHECK_EQ(pp_loop_init(&w->loop), 0);
    CHECK_EQ(pp_spool_init(&w->spool, 65536), 0);
    CHECK_EQ(pp_guard_init(&w->guard, CAPACITY), 0);
    w->sample = pp_sample_new();
    w->guard.run = users_stage;
    w->loop.batch = &w->batch;
    w->loop.source = (pp_source){ .next = next, .release = release, .context = w, .fd = -1 };
    w->loop.stages[w->loop.stage_count++] = (pp_stage){ pp_stage_verify, &w->options };
    w->loop.stages[w->loop.stage_count++] = (pp_stage){ pp_stage_classify, NULL };
    w->loop.stages[w->loop.stage_count++] = (pp_stage){ pp_stage_count, NULL };
    w->loop.stages[w->loop.stage_count++] = (pp_stage){ pp_stage_sample, w->sample };
    w->loop.stages[w->loop.stage_count++] = (pp_stage){ pp_stage_spool, &w->spool };
    w->loop.stages[w->loop.stage_count++] = (pp_stage){ pp_guard_run, &w->guard };
    w->loop.sink.take = pp_null_take;
    if (socket >= 0) {
        w->emit = pp_emit_new(socket, CAPACITY, 1500, 0, PP_COALESCE_WANT_UDP);
        w->loop.sink = (pp_sink){ .take = pp_emit_take, .context = w->emit };
    }
}

static void check_and_free(worker *w)
{
    pp_ledger ledger;
    pp_tally tally;
    uint64_t put, full, stopped, calls, errors, ns;
    int fault;
    pp_loop_snapshot(&w->loop, &ledger, &tally);
    uint64_t gone = ledger.sent;
    for (unsigned i = 0; i < PP_DROPS; i++)
        gone += ledger.dropped[i];
    for (unsigned i = 0; i < PP_ERRNOS; i++)
        gone += ledger.tx_error[i];
    CHECK_EQ(w->loop.rc, 0);
    CHECK_EQ(ledger.read, w->given);
    CHECK_EQ(gone, w->given);
    CHECK_EQ(tally.packets, w->given);
    CHECK_EQ(tally.status[PP_STATUS_BAD], w->given / 4);
    pp_spool_counts(&w->spool, &put, &full, &stopped);
    CHECK_EQ(put + full + stopped, w->given);
    pp_guard_read(&w->guard, &calls, &errors, &ns, &fault);
    CHECK_EQ(calls, w->batches);
    CHECK_EQ(errors, 0);
    if (w->emit)
        pp_emit_free(w->emit);
    pp_sample_free(w->sample);
    pp_spool_free(&w->spool);
    pp_guard_free(&w->guard);
    pp_loop_destroy(&w->loop);
    columns_free(&w->batch);
}

static worker workers[2];

/* As Python's main thread does: statistics, samples, the heart beat of the watchdog. */
static void *watch(void *context)
{
    pp_sampled *taken = calloc(PP_SAMPLE_MOST, sizeof *taken);
    pp_bad_flow flows[8];
    (void)context;
    while (!atomic_load(&is_over))
        for (unsigned n = 0; n < 2; n++) {
            worker *w = &workers[n];
            pp_ledger ledger;
            pp_tally tally;
            uint64_t calls, errors, ns, put, full, stopped;
            int fault;
            pp_loop_snapshot(&w->loop, &ledger, &tally);
            pp_loop_has_ended(&w->loop);
            pp_loop_published_ns(&w->loop);
            pp_guard_read(&w->guard, &calls, &errors, &ns, &fault);
            pp_sample_take(w->sample, taken);
            pp_sample_flows(w->sample, flows, 8);
            pp_spool_counts(&w->spool, &put, &full, &stopped);
            pp_spool_pending(&w->spool);
            if (w->emit) {
                pp_emit_set_mtu(w->emit, 1400);
                pp_emit_set_coalesce(w->emit, PP_COALESCE_WANT_TCP | PP_COALESCE_WANT_UDP);
                pp_emit_coalesces(w->emit);
            }
        }
    free(taken);
    return NULL;
}

/* As the writer of a capture does. */
static void *drain(void *context)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    pp_spooled done;
    (void)context;
    for (unsigned turn = 0; !atomic_load(&is_over); turn++)
        for (unsigned n = 0; n < 2; n++) {
            pp_spool_stop(&workers[n].spool, turn % 16 == 15);
            failures += pp_spool_drain(&workers[n].spool, fd, UINT64_MAX, &done) != 0;
            pp_spool_discard(&workers[n].spool);
        }
    close(fd);
    return NULL;
}

static void *receive(void *context)
{
    static uint8_t got[65536];
    int fd = *(int *)context;
    while (recv(fd, got, sizeof got, 0) > 0) {}
    return NULL;
}

int main(void)
{
    pthread_t others[3];
    int ends[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
    make(&workers[0], -1);
    make(&workers[1], ends[0]);
    pthread_create(&others[0], NULL, watch, NULL);
    pthread_create(&others[1], NULL, drain, NULL);
    pthread_create(&others[2], NULL, receive, &ends[1]);
    for (unsigned n = 0; n < 2; n++)
        pthread_create(&workers[n].thread, NULL, work, &workers[n]);
    while (!pp_loop_has_ended(&workers[0].loop))
        usleep(100);
    pp_loop_stop(&workers[1].loop); /* the other may be in the middle of it */
    for (unsigned n = 0; n < 2; n++)
        pthread_join(workers[n].thread, NULL);
    atomic_store(&is_over, 1);
    shutdown(ends[1], SHUT_RDWR);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(others[i], NULL);
    for (unsigned n = 0; n < 2; n++)
        check_and_free(&workers[n]);
    CHECK_EQ(failures, 0);
    close(ends[0]), close(ends[1]);
    return DONE;
}
