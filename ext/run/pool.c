/* pool.c - see pool.h. */
#include "run/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "run/clock.h"
#include "run/intake.h"
#include "run/loop_parts.h"

#define WAIT_MS 200     /* how often a thread with nothing to do shows that it lives */
#define UNSETTLED_MS 2  /* how often those that stop are looked after */
#define WAKE UINT64_MAX /* an event's key: not of a member */
#define MORE_PLACES 64u

struct pp_pooled {
    pp_loop *loop; /* null: the place is free */
    uint32_t generation;
    uint8_t is_taken;  /* by the thread that serves it */
    uint8_t is_paused; /* its socket is in error: a sweep looks at it again, not at once */
};

int pp_pool_init(pp_pool *p)
{
    memset(p, 0, sizeof *p);
    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event wake = { .events = EPOLLIN, .data.u64 = WAKE };
    if (p->epoll_fd < 0 || p->wake_fd < 0 || epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, p->wake_fd, &wake) < 0) {
        int rc = -errno;
        pp_pool_destroy(p);
        return rc;
    }
    return -pthread_mutex_init(&p->lock, NULL);
}

void pp_pool_destroy(pp_pool *p)
{
    if (p->epoll_fd >= 0)
        close(p->epoll_fd);
    if (p->wake_fd >= 0)
        close(p->wake_fd);
    p->epoll_fd = p->wake_fd = -1;
    free(p->members);
    p->members = NULL;
}

static uint64_t key_of(const pp_pool *p, uint32_t place)
{
    return (uint64_t)p->members[place].generation << 32 | place;
}

static int arm(const pp_pool *p, int how, uint32_t place)
{
    struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT, .data.u64 = key_of(p, place) };
    return epoll_ctl(p->epoll_fd, how, p->members[place].loop->source.fd, &e) < 0 ? -errno : 0;
}

/* A free place, or places if there is no memory for more. */
static uint32_t find_place(pp_pool *p)
{
    uint32_t place = 0;
    while (place < p->places && p->members[place].loop)
        place++;
    if (place < p->places)
        return place;
    pp_pooled *more = realloc(p->members, (p->places + MORE_PLACES) * sizeof *more);
    if (!more)
        return place;
    memset(more + p->places, 0, MORE_PLACES * sizeof *more);
    p->members = more;
    p->places += MORE_PLACES;
    return place;
}

int pp_pool_add(pp_pool *p, pp_loop *l)
{
    if (l->source.fd < 0)
        return -EINVAL;
    pthread_mutex_lock(&p->lock);
    if (l->wake_fd >= 0) /* one descriptor less for each ring */
        close(l->wake_fd);
    l->wake_fd = -1;
    atomic_store(&l->pool_wake_fd, p->wake_fd);
    uint32_t place = find_place(p);
    int rc = place < p->places ? 0 : -ENOMEM;
    if (rc == 0) {
        pp_pooled *m = &p->members[place];
        *m = (pp_pooled){ .loop = l, .generation = m->generation + 1 };
        l->is_lent_batch = !l->batch;
        rc = arm(p, EPOLL_CTL_ADD, place);
        if (rc < 0)
            m->loop = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}

/* The loop at that place, for this thread alone until settle(); null if there is none or another thread has it. */
static pp_loop *take(pp_pool *p, uint32_t place, uint32_t generation, pp_batch *batch)
{
    pp_loop *l = NULL;
    pthread_mutex_lock(&p->lock);
    pp_pooled *m = place < p->places ? &p->members[place] : NULL;
    if (m && m->loop && !m->is_taken && m->generation == generation) {
        m->is_taken = 1;
        l = m->loop;
        if (l->is_lent_batch)
            l->batch = batch;
    }
    pthread_mutex_unlock(&p->lock);
    return l;
}

/* How a turn ended. */
enum outcome { WAITS, PAUSES, DRAINS, HAS_ENDED };

/* Give back what take() gave.  Once it has ended, the loop is its owner's again. */
static void settle(pp_pool *p, uint32_t place, pp_loop *l, enum outcome outcome, int rc)
{
    pthread_mutex_lock(&p->lock);
    pp_pooled *m = &p->members[place];
    m->is_taken = 0;
    m->is_paused = outcome == PAUSES;
    if (l->is_lent_batch)
        l->batch = NULL;
    if (outcome == WAITS && (rc = arm(p, EPOLL_CTL_MOD, place)) < 0)
        outcome = HAS_ENDED;
    if (outcome == PAUSES || atomic_load_explicit(&l->stopping, memory_order_acquire))
        atomic_store(&p->unsettled, 1);
    if (outcome == HAS_ENDED) {
        if (!l->drain_end_ns)
            epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, l->source.fd, NULL);
        m->loop = NULL;
        l->rc = rc;
        atomic_store(&l->pool_wake_fd, -1);
        atomic_store_explicit(&l->has_ended, 1, memory_order_release);
    }
    pthread_mutex_unlock(&p->lock);
}

/* Did the socket report something, and will it go on to?  An error that cannot be read away must not make a thread spin. */
static int read_error(pp_loop *l, uint32_t events)
{
    int error = 0;
    socklen_t size = sizeof error;
    if (!(events & (EPOLLERR | EPOLLHUP)))
        return 0;
    getsockopt(l->source.fd, SOL_SOCKET, SO_ERROR, &error, &size); /* reading it clears it */
    l->ledger.link_events++;
    return !error && !(events & EPOLLIN);
}

/* What an event calls for. */
static void serve(pp_pool *p, uint64_t key, uint32_t events, pp_batch *batch)
{
    uint32_t place = (uint32_t)key;
    pp_loop *l = take(p, place, (uint32_t)(key >> 32), batch);
    if (!l)
        return;
    enum outcome outcome = read_error(l, events) ? PAUSES : WAITS;
    int rc = 0;
    for (unsigned i = 0; i < PP_POOL_BATCHES && !atomic_load_explicit(&l->stopping, memory_order_acquire); i++) {
        int n = l->source.next(l->batch, l->source.context);
        if (n == 0)
            break;
        if (n < 0 || (rc = pp_parts.process(l, n)) < 0) {
            rc = n < 0 && n != -ENODATA ? n : rc;
            outcome = HAS_ENDED;
            break;
        }
    }
    if (l->limit && l->ledger.read >= l->limit)
        outcome = HAS_ENDED;
    pp_parts.publish(l, pp_now_ns());
    settle(p, place, l, outcome, rc);
}

/* Read what is left of a loop that stops: frames that the kernel has counted and not handed over yet. */
static enum outcome drain(pp_pool *p, pp_loop *l, int *rc)
{
    uint64_t now = pp_now_ns();
    if (!l->drain_end_ns) {
        pp_intake_stop(l->source.fd);
        epoll_ctl(p->epoll_fd, EPOLL_CTL_DEL, l->source.fd, NULL);
        l->drain_end_ns = now + pp_parts.drain_ns;
    }
    for (unsigned i = 0; i < PP_POOL_BATCHES; i++) {
        int n = l->source.next(l->batch, l->source.context);
        if (n < 0 || (n > 0 && (*rc = pp_parts.process(l, n)) < 0)) {
            *rc = n < 0 && n != -ENODATA ? n : *rc;
            return HAS_ENDED;
        }
        if (n == 0)
            break;
    }
    pp_intake_count(l);
    if (l->ledger.kernel_seen > l->ledger.read + l->ledger.kernel_drops && now <= l->drain_end_ns)
        return DRAINS;
    pp_intake_write_off(l);
    return HAS_ENDED;
}

/* Look after those that nothing wakes us for; one thread at a time. */
static void sweep(pp_pool *p, pp_batch *batch)
{
    uint32_t places = 1;
    if (atomic_exchange(&p->is_sweeping, 1))
        return;
    atomic_store(&p->unsettled, 0); /* before: what comes to be from now on sets it again */
    for (uint32_t place = 0; place < places; place++) {
        pp_loop *l = NULL;
        pthread_mutex_lock(&p->lock);
        places = p->places;
        if (place < places && (l = p->members[place].loop) != NULL &&
            !(p->members[place].is_paused || atomic_load_explicit(&l->stopping, memory_order_acquire)))
            l = NULL;
        uint32_t generation = l ? p->members[place].generation : 0;
        pthread_mutex_unlock(&p->lock);
        if (!l)
            continue;
        if (!(l = take(p, place, generation, batch))) {
            atomic_store(&p->unsettled, 1);
            continue;
        }
        int rc = 0;
        enum outcome outcome = WAITS;
        if (atomic_load_explicit(&l->stopping, memory_order_acquire)) {
            outcome = l->limit ? HAS_ENDED : drain(p, l, &rc);
            if (outcome == HAS_ENDED)
                pp_parts.publish(l, pp_now_ns());
        }
        settle(p, place, l, outcome, rc);
    }
    atomic_store(&p->swept_ns, pp_now_ns());
    atomic_store(&p->is_sweeping, 0);
}

void pp_pool_serve(pp_pool *p, pp_batch *batch, _Atomic uint64_t *beat)
{
    while (!atomic_load(&p->closing)) {
        struct epoll_event event = { 0 };
        int is_unsettled = atomic_load(&p->unsettled) != 0;
        int n = epoll_wait(p->epoll_fd, &event, 1, is_unsettled ? UNSETTLED_MS : WAIT_MS);
        uint64_t now = pp_now_ns(), count;
        atomic_store_explicit(beat, now, memory_order_relaxed);
        int is_woken = n == 1 && event.data.u64 == WAKE;
        if (n == 1 && !is_woken)
            serve(p, event.data.u64, event.events, batch);
        else if (is_woken && !atomic_load(&p->closing) && read(p->wake_fd, &count, sizeof count) < 0) {
            /* another thread was faster */
        }
        if (is_woken || (is_unsettled && now - atomic_load(&p->swept_ns) >= UNSETTLED_MS * 1000000u))
            sweep(p, batch);
    }
}

void pp_pool_close(pp_pool *p)
{
    uint64_t one = 1;
    atomic_store(&p->closing, 1);
    if (write(p->wake_fd, &one, sizeof one) < 0) {
        /* full means it is awake already */
    }
}
