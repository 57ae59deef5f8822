/* loop.h - one worker: source, stages, sink, and the ledger in which every frame ends exactly once.
 *
 * Rules:
 *   1. kernel_seen = read + kernel_drops once the ring is drained;
 *      read = sent + dropped[] + truncated + tx_error[] + held, always, also while a batch waits for room at its sink.
 *   2. Counters are 64-bit and belong to the worker; others read the published copy, under its lock.  The two flags that
 *      cross threads (stopping, has_ended) are atomic.
 *   3. pp_loops_run blocks; it needs no lock of the caller's, and pp_loop_stop may be called from any thread or signal.
 */
#ifndef PP_LOOP_H
#define PP_LOOP_H

#include <pthread.h>
#include <stdatomic.h>

#include "run/clearing.h"
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
    /* of kernel_drops */
    uint64_t unsupported_gso; /* super-frames of a type that a packet socket cannot hand over (UFO, SCTP) */
} pp_ledger;

/* Frames that a source knows to be lost. */
typedef struct pp_losses {
    uint64_t unsupported; /* for their GSO type */
    uint64_t unread;      /* of these, counted by the kernel as seen and not as dropped */
} pp_losses;

/* Where batches come from.  As with stages, what is worked on comes first and the context last. */
typedef struct pp_source {
    int (*next)(pp_batch *batch, void *context); /* packets, 0 none now, -ENODATA no more ever, or -errno */
    void (*release)(void *context);
    /* May be null: make a source work again that lost its way.  0, the descriptor that it goes on with, or -errno. */
    int (*rebuild)(void *context);
    void *context;
    int fd;                  /* to poll for input and ask for PACKET_STATISTICS; -1: next never has to wait */
    int watch_fd;            /* with rebuild: an epoll of its own, to be woken for what is dropped as well; 0: none */
    uint32_t room;           /* with rebuild: an empty source drops none of so many frames for want of room */
    const pp_losses *losses; /* may be null */
} pp_source;

/* Where they go: accounts for every packet of the batch in the ledger.  take returns 0, -errno, or PP_SINK_WAITS. */
typedef struct pp_sink {
    int (*take)(pp_batch *batch, pp_ledger *ledger, void *context);
    void (*give_up)(void *context); /* with PP_SINK_WAITS: wait no longer, the next take ends the batch */
    void *context;
    int fd; /* with PP_SINK_WAITS: to poll for room */
} pp_sink;

/* There is no room for the rest of the batch: the sink keeps its place, says in ledger->held how many packets are in no other
 * counter yet, and wants to be called with the same batch again.  Other loops of the thread go on meanwhile. */
#define PP_SINK_WAITS 1

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
    pp_clearing *clearing;     /* may be null: where the frames come from the kernel's part of cut-through */
    /* private */
    _Atomic int stopping, has_ended;
    int waits;             /* the batch has not left yet: its sink has no room */
    uint64_t drain_end_ns; /* when a stop waits no longer; 0: it has not begun */
    unsigned turns;
    int is_clearing; /* look again soon: frames wait for the number of one that is through */
    pp_load load;
    uint64_t last_packet_ns;
    pp_ledger ledger;
    pp_tally tally;
    pthread_mutex_t lock;
    pp_ledger published_ledger;
    pp_tally published_tally;
    uint64_t published_ns;
    int is_watched;                   /* its watch_fd is polled as well */
    int is_suspect;                   /* woken, and not for a frame */
    uint64_t empty_seen, empty_drops; /* of the kernel's, when the source was known to be empty */
    uint64_t unread;                  /* of the source's losses, those that are in the ledger */
    _Atomic int pool_wake_fd;         /* of the pool that serves it (pool.h), or -1 */
    int is_lent_batch;                /* its batch is that of the pool's thread */
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

/* A sink that keeps nothing: counts truncated and dropped as any other, the rest as dropped[NO_SINK].  context: null, or a
 * const uint32_t: a pending packet of which exactly so many bytes are here was cut by whoever reads, who needs no more. */
int pp_null_take(pp_batch *batch, pp_ledger *ledger, void *context);
/* Account for one packet that is not to be sent: 1 if so. */
int pp_account_unsent(const pp_batch *batch, uint32_t i, pp_ledger *ledger);

#pragma GCC visibility pop
#endif
