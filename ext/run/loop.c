/* loop.c - poll, read, stages, sink, release; see loop.h. */
#include "run/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "run/clock.h"
#include "run/intake.h"
#include "run/loop_parts.h"
#include "run/wait.h"

#define BULK_PAUSE_NS 10000u /* how long bulk may pause before the ring is left alone */
#define DRAIN_NS                                                                                                       \
    500000000u /* how long a stop waits for frames that the kernel has counted but not handed over, and for room */

int pp_loop_init(pp_loop *l)
{
    memset(l, 0, sizeof *l);
    l->failed_stage = -1;
    l->source.fd = -1;
    atomic_init(&l->pool_wake_fd, -1);
    l->clock_interval = 64;
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0)
        return -errno;
    return -pthread_mutex_init(&l->lock, NULL);
}

void pp_loop_destroy(pp_loop *l)
{
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    l->wake_fd = -1;
    pthread_mutex_destroy(&l->lock);
}

void pp_loop_stop(pp_loop *l)
{
    uint64_t one = 1;
    atomic_store_explicit(&l->stopping, 1, memory_order_release);
    int pool_wake_fd = atomic_load(&l->pool_wake_fd);
    if (write(pool_wake_fd < 0 ? l->wake_fd : pool_wake_fd, &one, sizeof one) < 0) {
        /* full means it is awake already */
    }
}

static void publish(pp_loop *l, uint64_t now)
{
    pp_intake_count(l);
    pthread_mutex_lock(&l->lock);
    l->published_ledger = l->ledger;
    l->published_tally = l->tally;
    l->published_ns = now;
    pthread_mutex_unlock(&l->lock);
}

/* The batch, or what is left of it, to the sink. */
static int hand_over(pp_loop *l)
{
    int rc = l->sink.take(l->batch, &l->ledger, l->sink.context);
    l->waits = rc == PP_SINK_WAITS;
    if (l->waits)
        return 0;
    if (rc < 0) {
        l->sink_failed = 1;
        return rc;
    }
    l->ledger.held = 0;
    l->source.release(l->source.context);
    if (l->clearing)
        pp_clearing_add(l->clearing, l->batch->count);
    return 0;
}

/* One batch through the stages into the sink.  A stage that fails leaves its packets in held. */
static int process_batch(pp_loop *l, int n)
{
    pp_batch *b = l->batch;
    if (l->limit && l->ledger.read + (uint64_t)n >= l->limit) {
        n = (int)(l->limit - l->ledger.read);
        b->count = (uint32_t)n;
        atomic_store_explicit(&l->stopping, 1, memory_order_release);
    }
    l->ledger.read += (uint64_t)n;
    l->ledger.held = (uint64_t)n;
    b->tally = &l->tally;
    if (l->poll_interval_ns) /* only adaptive polling asks */
        pp_load_add(&l->load, b);
    for (uint32_t i = 0; i < l->stage_count; i++) {
        int rc = l->stages[i].run(b, l->stages[i].context);
        if (rc < 0) {
            l->failed_stage = (int)i;
            return rc;
        }
    }
    return hand_over(l);
}

static void begin_drain(pp_loop *l, uint64_t now)
{
    if (l->drain_end_ns)
        return;
    l->drain_end_ns = now + DRAIN_NS;
    if (l->source.fd >= 0 && !l->limit)
        pp_intake_stop(l->source.fd);
}

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Under load a sleeper costs the sender a wake-up, an interrupt to another processor, for every frame.  Staying out of the
 * socket's wait queue for a moment lets frames gather instead, as a NIC's interrupt moderation does (ethtool -C rx-usecs).
 * Many short frames: after every batch.  Bulk is mostly TCP, which sends again once it is answered: to pause while there is
 * something to carry only makes its queue long and the caches cold, so only an empty ring is left alone, and not at once.
 * A quiet path never gets here.  1 if it paused, or had better not. */
static int pause_polling(pp_loop *const *loops, unsigned count, int worked)
{
    uint64_t ns = 0, now = pp_now_ns();
    uint8_t load = PP_LOAD_NONE;
    for (unsigned i = 0; i < count; i++) {
        uint8_t its = pp_load_now(&loops[i]->load, now);
        if (pp_loop_has_ended(loops[i]) || !its)
            continue;
        load = its > load ? its : load;
        ns = loops[i]->poll_interval_ns > ns ? loops[i]->poll_interval_ns : ns;
    }
    if (ns == 0)
        return 0;
    if (worked && load == PP_LOAD_BULK)
        return 1;
    struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };
    clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
    return 1;
}

/* What one turn of a loop has come to. */
enum step { STEP_WORKED, STEP_BUSY, STEP_IDLE, STEP_ENDED };

static enum step end_loop(pp_loop *l, int rc)
{
    publish(l, pp_now_ns());
    l->rc = rc;
    atomic_store_explicit(&l->has_ended, 1, memory_order_release);
    return STEP_ENDED;
}

/* The sink had no room for all of the batch: is there some now?  A stop waits for it as long as for the ring. */
static enum step send_rest(pp_loop *l)
{
    uint64_t now = pp_now_ns();
    if (atomic_load_explicit(&l->stopping, memory_order_acquire)) {
        begin_drain(l, now);
        if (now > l->drain_end_ns)
            l->sink.give_up(l->sink.context);
    }
    int rc = hand_over(l);
    if (rc < 0)
        return end_loop(l, rc);
    if (now - l->published_ns >= PP_PUBLISH_NS)
        publish(l, now);
    return l->waits ? STEP_IDLE : STEP_WORKED;
}

/* One batch of what a stopped loop's ring still holds, until it is empty or time is up. */
static enum step drain_once(pp_loop *l)
{
    uint64_t now = pp_now_ns();
    if (l->source.fd < 0 || l->limit)
        return end_loop(l, 0);
    begin_drain(l, now);
    int is_late = now > l->drain_end_ns, rc, n = is_late ? 0 : l->source.next(l->batch, l->source.context);
    if (n < 0)
        return end_loop(l, n == -ENODATA ? 0 : n);
    if (n > 0)
        return (rc = process_batch(l, n)) < 0 ? end_loop(l, rc) : STEP_WORKED;
    pp_intake_count(l);
    if (is_late)
        pp_intake_write_off(l);
    return l->ledger.kernel_seen <= l->ledger.read + l->ledger.kernel_drops ? end_loop(l, 0) : STEP_IDLE;
}

/* One batch, if there is one. */
static enum step run_once(pp_loop *l)
{
    if (l->waits)
        return send_rest(l);
    if (atomic_load_explicit(&l->stopping, memory_order_acquire))
        return drain_once(l);
    int rc, n = l->source.next(l->batch, l->source.context);
    if (n < 0)
        return end_loop(l, n == -ENODATA ? 0 : n);
    if (n > 0 && (rc = process_batch(l, n)) < 0)
        return end_loop(l, rc);
    if (n > 0 && l->is_watched)
        pp_intake_unwatch(l);
    if (n > 0 && ++l->turns < l->clock_interval)
        return STEP_WORKED;
    uint64_t now = pp_now_ns();
    if (l->turns) /* packets came since the clock was read */
        l->last_packet_ns = now;
    l->turns = 0;
    if (l->clearing)
        l->is_clearing = pp_clearing_look(l->clearing, now);
    if (now - l->published_ns >= PP_PUBLISH_NS) {
        publish(l, now);
        l->is_suspect = 1;
    }
    if (n == 0 && l->source.watch_fd > 0 && !l->is_watched && now - l->last_packet_ns >= PP_LOOK_NS)
        pp_intake_watch(l);
    if (n == 0 && l->is_suspect && (rc = pp_intake_mend(l)) < 0)
        return end_loop(l, rc);
    if (n > 0 || l->source.fd < 0)
        return STEP_WORKED;
    uint64_t busy_ns =
        pp_load_now(&l->load, now) == PP_LOAD_BULK && l->busy_ns < BULK_PAUSE_NS ? BULK_PAUSE_NS : l->busy_ns;
    return now - l->last_packet_ns < busy_ns ? STEP_BUSY : STEP_IDLE;
}

int pp_loops_run(pp_loop *const *loops, unsigned count)
{
    if (count > PP_MAX_LOOPS)
        return -EINVAL;
    prctl(PR_SET_TIMERSLACK, 1000ul); /* ns, of this thread: a pause of 50 us would take 100 with the usual 50 us */
    for (unsigned left = count; left;) {
        int worked = 0, busy = 0, full = 0;
        for (unsigned i = 0; i < count; i++) {
            if (pp_loop_has_ended(loops[i]))
                continue;
            enum step what = run_once(loops[i]);
            worked |= what == STEP_WORKED;
            busy |= what == STEP_BUSY;
            left -= what == STEP_ENDED;
            full |= what == STEP_WORKED && loops[i]->batch->count == loops[i]->batch->capacity;
        }
        if (busy && !worked)
            relax();
        else if (left && !full && !pause_polling(loops, count, worked) && !worked)
            pp_wait(loops, count);
    }
    return 0;
}

const pp_loop_parts pp_parts = { process_batch, publish, DRAIN_NS };
