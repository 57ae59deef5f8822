/* loop.h - one worker: source, stages, sink, and the ledger in which every frame ends exactly once.
 *
 * Rules:
 *   1. kernel_seen = read + kernel_drops once the ring is drained;
 *      read = sent + dropped[] + truncated + tx_error[] + held, always.
 *   2. Counters are 64-bit and belong to the worker; others read the published copy, under its lock.  The two flags that
 *      cross threads (stopping, has_ended) are atomic.
 *   3. pp_loops_run blocks; it needs no lock of the caller's, and pp_loop_stop may be called from any thread or signal.
 */
#ifndef PP_LOOP_H
#define PP_LOOP_H

#include <pthread.h>
#include <stdatomic.h>

#include "run/load.h"

#include <pktmend/stage.h>

#include "check/tally.h"

#pragma GCC visibility push(default)

#define PP_ERRNOS 160u
#define PP_MAX_STAGES 32u
#define PP_MAX_LOOPS 8u /* on one thread */

typedef struct pp_ledger {
    uint64_t kernel_seen, kernel_drops; /* PACKET_STATISTICS, summed; seen includes drops */
    uint64_t read;
    uint64_t sent;        /* frames as read; a super-frame that left as 45 segments counts once */
    uint64_t sent_frames; /* frames as sent */
    uint64_t truncated;   /* cut by a ring too small: never sent on */
    uint64_t held;        /* read, and not yet (or never) anything of the others */
    uint64_t dropped[PP_DROPS];
    uint64_t tx_error[PP_ERRNOS];
    /* not of frames */
    uint64_t rebuilds;    /* of the source, after it stopped handing frames over */
    uint64_t link_events; /* ENETDOWN and the like, seen on the reading socket */
} pp_ledger;

/* Where batches come from.  As with stages, what is worked on comes first and the context last. */
typedef struct pp_source {
    int (*next)(pp_batch *batch, void *context); /* packets, 0 none now, -ENODATA no more ever, or -errno */
    void (*release)(void *context);
    int (*rebuild)(void *context); /* may be null: make a source work again that lost its way (see pp_ring_rebuild) */
    void *context;
    int fd; /* to poll for input and ask for PACKET_STATISTICS; -1: next never has to wait */
} pp_source;

/* Where they go: accounts for every packet of the batch in the ledger.  Returns 0 or -errno. */
typedef struct pp_sink {
    int (*take)(pp_batch *batch, pp_ledger *ledger, void *context);
    void *context;
} pp_sink;

typedef struct pp_stage {
    pp_stage_fn *run;
    void *context;
} pp_stage;

typedef struct pp_loop {
    pp_source source;
    pp_sink sink;
    pp_stage stages[PP_MAX_STAGES];
    uint32_t stage_count;
    pp_batch *batch;
    int wake_fd;               /* eventfd */
    int failed_stage;          /* after a negative return: which stage, or -1 */
    int sink_failed;           /* after a negative return: it came from the sink */
    uint64_t limit;            /* packets to read at most, 0 no limit; what lies beyond is not looked at */
    uint64_t busy_ns;          /* look again without sleeping for so long after the last packet; 0: sleep at once */
    uint64_t poll_interval_ns; /* under load, poll so often instead of being woken for each frame; 0: be woken */
    unsigned clock_interval;   /* batches between two readings of the clock; 1 where a stage may be slow */
    int rc;                    /* what ended it; valid once pp_loop_has_ended() */
    /* private */
    _Atomic int stopping, has_ended;
    unsigned turns;
    pp_load load;
    uint64_t last_packet_ns;
    pp_ledger ledger;
    pp_tally tally;
    pthread_mutex_t lock;
    pp_ledger published_ledger;
    pp_tally published_tally;
    uint64_t published_ns;
    uint64_t idle_read, idle_drops; /* at the last publication */
    unsigned wedged;                /* publications in a row at which only drops had risen */
} pp_loop;

int pp_loop_init(pp_loop *loop); /* 0 or -errno; source, sink, stages and batch are the caller's to fill */
void pp_loop_destroy(pp_loop *loop);
/* Run them on this thread, in turn, each until it is stopped, its source ends or something fails; on stop its ring is drained
 * first.  Returns 0 when the last has ended; loop->rc is then 0 or -errno for each. */
int pp_loops_run(pp_loop *const *loops, unsigned count);
void pp_loop_stop(pp_loop *loop);
/* Has it ended, though another loop of its thread may go on?  From any thread. */
int pp_loop_has_ended(const pp_loop *loop);
/* When the counters were published last (monotonic): it rises as long as the worker works or waits.  From any thread. */
uint64_t pp_loop_published_ns(pp_loop *loop);
/* Copy the counters as last published (at each quiet moment, at least five times a second, and at the end). */
void pp_loop_snapshot(pp_loop *loop, pp_ledger *ledger, pp_tally *tally);

/* A sink that keeps nothing: counts truncated and dropped as any other, the rest as dropped[NO_SINK]. */
int pp_null_take(pp_batch *batch, pp_ledger *ledger, void *context);
/* Account for one packet that is not to be sent: 1 if so. */
int pp_account_unsent(const pp_batch *batch, uint32_t i, pp_ledger *ledger);

#pragma GCC visibility pop
#endif
