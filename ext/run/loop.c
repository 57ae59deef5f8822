/* loop.c - poll, read, stages, sink, release; see loop.h. */
#include "run/loop.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run/clock.h"

#define PUBLISH_NS 200000000u /* how old the published counters may be */
#define BULK_PAUSE_NS 10000u  /* how long bulk may pause before the ring is left alone */
#define DRAIN_NS 500000000u   /* how long a stop waits for frames that the kernel has counted but not handed over */

int pp_loop_init(pp_loop *l)
{
    memset(l, 0, sizeof *l);
    l->failed_stage = -1;
    l->source.fd = -1;
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
    if (write(l->wake_fd, &one, sizeof one) < 0) {
        /* full means it is awake already */
    }
}

/* PACKET_STATISTICS clears on read: this is its only reader. */
static void read_statistics(pp_loop *l)
{
    struct tpacket_stats_v3 s;
    socklen_t size = sizeof s;
    memset(&s, 0, sizeof s);
    if (l->source.fd < 0 || getsockopt(l->source.fd, SOL_PACKET, PACKET_STATISTICS, &s, &size) < 0)
        return;
    l->ledger.kernel_seen += s.tp_packets;
    l->ledger.kernel_drops += s.tp_drops;
}

/* What the kernel has counted and we can no longer read was dropped, by us. */
static void write_off(pp_loop *l)
{
    uint64_t known = l->ledger.read + l->ledger.kernel_drops;
    if (l->ledger.kernel_seen > known)
        l->ledger.kernel_drops += l->ledger.kernel_seen - known;
}

/* An empty ring at which for a second nothing is read while drops rise has lost its way. */
static int rebuild_if_wedged(pp_loop *l)
{
    int stuck = l->ledger.read == l->idle_read && l->ledger.kernel_drops > l->idle_drops;
    l->wedged = stuck ? l->wedged + 1 : 0;
    l->idle_read = l->ledger.read;
    l->idle_drops = l->ledger.kernel_drops;
    if (l->wedged < 3 || !l->source.rebuild)
        return 0;
    l->wedged = 0;
    read_statistics(l); /* before: what is counted afterwards may lie in the new ring and be read */
    write_off(l);
    int rc = l->source.rebuild(l->source.context);
    if (rc < 0)
        return rc;
    l->ledger.rebuilds++;
    l->idle_drops = l->ledger.kernel_drops;
    return 0;
}

static void publish(pp_loop *l, uint64_t now)
{
    read_statistics(l);
    pthread_mutex_lock(&l->lock);
    l->published_ledger = l->ledger;
    l->published_tally = l->tally;
    l->published_ns = now;
    pthread_mutex_unlock(&l->lock);
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
    int rc = l->sink.take(b, &l->ledger, l->sink.context);
    if (rc < 0) {
        l->sink_failed = 1;
        return rc;
    }
    l->ledger.held = 0;
    l->source.release(l->source.context);
    return 0;
}

/* Keep new frames out without losing one that is in: a filter that takes nothing. */
static void stop_intake(int fd)
{
    struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = { .len = 1, .filter = &none };
    setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

static int drain(pp_loop *l)
{
    uint64_t end = pp_now_ns() + DRAIN_NS;
    stop_intake(l->source.fd);
    for (;;) {
        int n = l->source.next(l->batch, l->source.context);
        if (n < 0)
            return n == -ENODATA ? 0 : n;
        if (n > 0) {
            int rc = process_batch(l, n);
            if (rc < 0)
                return rc;
            if (pp_now_ns() <= end)
                continue;
        }
        read_statistics(l);
        if (l->ledger.kernel_seen <= l->ledger.read + l->ledger.kernel_drops)
            return 0;
        if (pp_now_ns() > end) {
            write_off(l);
            return 0;
        }
        if (n > 0)
            continue;
        struct pollfd p = { .fd = l->source.fd, .events = POLLIN };
        poll(&p, 1, 2); /* a V3 block waits for its timer */
    }
}

/* Sleep until any of them has input or is woken. */
static void wait_for_input(pp_loop *const *loops, unsigned count)
{
    struct pollfd p[2 * PP_MAX_LOOPS];
    for (unsigned i = 0; i < count; i++) {
        p[2 * i] = (struct pollfd){ .fd = pp_loop_has_ended(loops[i]) ? -1 : loops[i]->source.fd, .events = POLLIN };
        p[2 * i + 1] = (struct pollfd){ .fd = pp_loop_has_ended(loops[i]) ? -1 : loops[i]->wake_fd, .events = POLLIN };
    }
    if (poll(p, 2 * count, PUBLISH_NS / 1000000) <= 0)
        return;
    for (unsigned i = 0; i < count; i++) {
        if (!(p[2 * i].revents & (POLLERR | POLLHUP)))
            continue;
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(loops[i]->source.fd, SOL_SOCKET, SO_ERROR, &error, &size); /* reading it clears it */
        loops[i]->ledger.link_events++;
        if (!error && !(p[2 * i].revents & POLLIN))
            poll(&p[2 * i + 1], 1, 10); /* a socket that stays in error must not spin */
    }
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
    if (rc == 0 && l->source.fd >= 0 && !l->limit)
        rc = drain(l);
    publish(l, pp_now_ns());
    l->rc = rc;
    atomic_store_explicit(&l->has_ended, 1, memory_order_release);
    return STEP_ENDED;
}

/* One batch, if there is one. */
static enum step run_once(pp_loop *l)
{
    if (atomic_load_explicit(&l->stopping, memory_order_acquire))
        return end_loop(l, 0);
    int rc, n = l->source.next(l->batch, l->source.context);
    if (n < 0)
        return end_loop(l, n == -ENODATA ? 0 : n);
    if (n > 0 && (rc = process_batch(l, n)) < 0)
        return end_loop(l, rc);
    if (n > 0 && ++l->turns < l->clock_interval)
        return STEP_WORKED;
    uint64_t now = pp_now_ns();
    if (l->turns) /* packets came since the clock was read */
        l->last_packet_ns = now;
    l->turns = 0;
    if (now - l->published_ns >= PUBLISH_NS) {
        publish(l, now);
        if (n == 0 && (rc = rebuild_if_wedged(l)) < 0)
            return end_loop(l, rc);
    }
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
            wait_for_input(loops, count);
    }
    return 0;
}
