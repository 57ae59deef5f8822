/* spool.c - see spool.h. */
#include "io/spool.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/epb.h"
#include "sum/bytes.h"

#define CHUNK (4u << 20) /* bytes a drain writes at most: between two drains the owner checks clock and signals */
#define POLL_MS 100      /* how long a writer that waits for a reader goes on after it was stopped */

int pp_spool_init(pp_spool *s, uint64_t size)
{
    memset(s, 0, sizeof *s);
    if (size < 4096 || !pp_is_power_of_two(size))
        return -EINVAL;
    s->size = size;
    s->ring = malloc(size); /* touched only as far as it is used */
    return s->ring ? 0 : -ENOMEM;
}

void pp_spool_free(pp_spool *s)
{
    free(s->ring);
    s->ring = NULL;
}

/* A position or counter as its only writer knows it. */
static inline uint64_t load_own(const _Atomic uint64_t *n) { return atomic_load_explicit(n, memory_order_relaxed); }

static void copy_in(pp_spool *s, uint64_t at, const struct iovec *part)
{
    uint64_t from = at & (s->size - 1), first = s->size - from < part->iov_len ? s->size - from : part->iov_len;
    if (part->iov_len == 0)
        return;
    memcpy(s->ring + from, part->iov_base, first);
    memcpy(s->ring, (const uint8_t *)part->iov_base + first, part->iov_len - first);
}

int pp_stage_spool(pp_batch *b, void *context)
{
    pp_spool *s = context;
    uint64_t head = load_own(&s->head), put = load_own(&s->put), full = load_own(&s->full),
             stopped = load_own(&s->stopped);
    uint64_t end = atomic_load_explicit(&s->tail, memory_order_acquire) + s->size;
    int is_stopped = atomic_load_explicit(&s->is_stopped, memory_order_acquire);
    for (uint32_t i = 0; i < b->count; i++) {
        if (s->only_bad && b->status[i] != PP_STATUS_BAD)
            continue;
        if (is_stopped) {
            stopped++;
            continue;
        }
        pp_epb e;
        pp_epb_make(&e, b, i, s->interface, s->snaplen, s->comments);
        if (e.length > end - head) {
            end = atomic_load_explicit(&s->tail, memory_order_acquire) + s->size;
            if (e.length > end - head) {
                full++;
                continue;
            }
        }
        for (unsigned p = 0; p < e.parts; p++) {
            copy_in(s, head, &e.part[p]);
            head += e.part[p].iov_len;
        }
        put++;
    }
    atomic_store_explicit(&s->head, head, memory_order_release);
    atomic_store_explicit(&s->put, put, memory_order_relaxed);
    atomic_store_explicit(&s->full, full, memory_order_relaxed);
    atomic_store_explicit(&s->stopped, stopped, memory_order_relaxed);
    return 0;
}

/* Walk whole blocks from the tail until `limit` bytes are reached or passed, or, if `within`, before they would be. */
static pp_spooled walk(const pp_spool *s, uint64_t head, uint64_t limit, int within)
{
    pp_spooled found = { 0, 0 };
    uint64_t tail = load_own(&s->tail);
    while (tail + found.bytes < head && found.bytes < limit) {
        uint32_t length; /* blocks and ring are multiples of 4: this never lies across the end */
        memcpy(&length, s->ring + ((tail + found.bytes + 4) & (s->size - 1)), sizeof length);
        if (within && found.bytes + length > limit)
            break;
        found.bytes += length;
        found.packets++;
    }
    return found;
}

/* Wait until the reader takes data: 0, or -ETIMEDOUT once the owner has given up. */
static int wait_for_reader(const pp_spool *s, int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    while (poll(&p, 1, POLL_MS) <= 0)
        if (atomic_load_explicit(&s->has_given_up, memory_order_acquire))
            return -ETIMEDOUT;
    return 0;
}

/* A pipe that is ready takes PIPE_BUF bytes at once (pipe(7)); more could wait for ever for a reader that hangs. */
static ssize_t write_from(const pp_spool *s, int fd, uint64_t at, uint64_t length, int is_file)
{
    if (!is_file && length > PIPE_BUF)
        length = PIPE_BUF;
    uint64_t from = at & (s->size - 1), first = s->size - from < length ? s->size - from : length;
    struct iovec part[2] = { { s->ring + from, first }, { s->ring, length - first } };
    for (;;) {
        int rc = is_file ? 0 : wait_for_reader(s, fd);
        if (rc < 0)
            return rc;
        ssize_t n = writev(fd, part, length > first ? 2 : 1);
        if (n >= 0)
            return n;
        if (errno != EINTR &&
            errno != EAGAIN) /* EAGAIN: the other end made it non-blocking, and it has less room than that */
            return -errno;
    }
}

int pp_spool_drain(pp_spool *s, int fd, uint64_t limit, pp_spooled *done)
{
    pp_spooled wanted = walk(s, atomic_load_explicit(&s->head, memory_order_acquire), limit < CHUNK ? limit : CHUNK, 0);
    struct stat status;
    int is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    uint64_t written = 0, tail = load_own(&s->tail);
    int rc = 0;
    while (written < wanted.bytes && rc == 0) {
        ssize_t n = write_from(s, fd, tail + written, wanted.bytes - written, is_file);
        if (n < 0)
            rc = (int)n;
        else if (n == 0)
            rc = -EIO; /* a device that takes nothing must not spin */
        else
            written += (uint64_t)n;
    }
    *done = rc == 0 ? wanted : walk(s, tail + wanted.bytes, written, 1);
    atomic_store_explicit(&s->tail, tail + done->bytes, memory_order_release);
    return rc;
}

uint64_t pp_spool_pending(const pp_spool *s)
{
    return atomic_load_explicit(&s->head, memory_order_acquire) - atomic_load_explicit(&s->tail, memory_order_relaxed);
}

void pp_spool_counts(const pp_spool *s, uint64_t *put, uint64_t *full, uint64_t *stopped)
{
    *put = atomic_load_explicit(&s->put, memory_order_relaxed);
    *full = atomic_load_explicit(&s->full, memory_order_relaxed);
    *stopped = atomic_load_explicit(&s->stopped, memory_order_relaxed);
}

uint64_t pp_spool_discard(pp_spool *s)
{
    uint64_t head = atomic_load_explicit(&s->head, memory_order_acquire);
    pp_spooled all = walk(s, head, UINT64_MAX, 0);
    atomic_store_explicit(&s->tail, head, memory_order_release);
    return all.packets;
}

void pp_spool_give_up(pp_spool *s) { atomic_store_explicit(&s->has_given_up, 1, memory_order_release); }

void pp_spool_stop(pp_spool *s, int stopped) { atomic_store_explicit(&s->is_stopped, stopped, memory_order_release); }
