/* pool.h - many loops on few threads: rings by the hundred, most of them idle.
 *
 * Rules:
 *   1. A wake-up costs what is ready, not what is watched (epoll).  Any thread serves any loop, one thread at a time: a busy
 *      ring has a processor of its own as long as one is free, and gives way after PP_POOL_BATCHES while others wait.
 *   2. Counters are published at the end of each turn; a loop that sleeps has nothing new to say.
 *   3. To stop one loop holds up no other; to stop all takes no longer than to stop the slowest.
 *   4. No loop here has a stage that sleeps or wants the caller's locks, and each source has a descriptor to wait for.
 */
#ifndef PP_POOL_H
#define PP_POOL_H

#include "run/loop.h"

#pragma GCC visibility push(default)

#define PP_POOL_BATCHES 16u /* of a turn, at most */

typedef struct pp_pooled pp_pooled;

typedef struct pp_pool {
    int epoll_fd, wake_fd;
    pthread_mutex_t lock; /* of the members: who is there, and who is being served */
    pp_pooled *members;
    uint32_t places;
    _Atomic uint32_t
        unsettled; /* members to look after without an event of theirs: they stop, or their socket is in error */
    _Atomic int closing, is_sweeping;
    _Atomic uint64_t swept_ns;
} pp_pool;

int pp_pool_init(pp_pool *pool); /* 0 or -errno */
void pp_pool_destroy(pp_pool *pool);
/* Serve a loop from now on until it has ended; pp_loop_stop and pp_loop_has_ended are as ever, and so is whose the loop is.
 * With loop->batch null it is lent the batch of the thread that serves it.  From any thread.  0 or -errno. */
int pp_pool_add(pp_pool *pool, pp_loop *loop);
/* Serve whatever is ready on this thread, with a batch of its own, until pp_pool_close().  beat: rises (monotonic time) as
 * long as the thread works or waits. */
void pp_pool_serve(pp_pool *pool, pp_batch *batch, _Atomic uint64_t *beat);
/* Have all threads return; what has not ended then never will. */
void pp_pool_close(pp_pool *pool);

#pragma GCC visibility pop
#endif
