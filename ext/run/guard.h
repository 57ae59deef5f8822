/* guard.h - a user's stage under guard: it is timed, what it wrote is validated, and its failure is handled by policy.
 *
 * Rules:
 *   1. A guard is itself a stage (pp_guard_run with the guard as its context): the loop knows nothing of it, and a pipeline
 *      without users' stages pays nothing.
 *   2. Count and places of the columns are the source's: whatever a stage made of them is put right after each call.
 *   3. An invalid verdict, drop reason, status or cause is a failure (-EBADMSG), as a negative return is.
 *   4. After a failure that does not end the pipeline, verdicts are what they were before the stage, or PP_DROP_STAGE_ERROR.
 *   5. What was verified before a stage wrote bytes is verified again: no sum is taken for good that was judged earlier.
 */
#ifndef PP_GUARD_H
#define PP_GUARD_H

#include <stdatomic.h>

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

enum pp_on_error {
    PP_ON_ERROR_END = 0, /* the pipeline ends with the stage's error */
    PP_ON_ERROR_PASS,    /* the packets go on as if the stage had not been there */
    PP_ON_ERROR_DROP,    /* those that still pass are dropped: PP_DROP_STAGE_ERROR */
    PP_ON_ERRORS
};

typedef struct pp_guard {
    pp_stage_fn *run;
    void *context;
    void (*undo)(pp_batch *batch, void *context); /* may be null: put bytes back that a failed run has written */
    pp_stage_fn *judge;                           /* may be null: verifies again, where the pipeline had verified */
    void *judge_context;
    int on_error;
    int edited; /* run sets it when it may have written bytes; PP_PKT_EDITED of any packet says the same */
    /* private */
    uint8_t *saved;                     /* verdict and drop, two bytes for each packet of the capacity */
    _Atomic uint64_t calls, errors, ns; /* written by the worker alone */
    _Atomic int fault;                  /* of the first failure */
} pp_guard;

int pp_guard_init(pp_guard *guard,
                  uint32_t capacity); /* 0 or -ENOMEM; the fields above private are the caller's to fill */
void pp_guard_free(pp_guard *guard);
int pp_guard_run(pp_batch *batch, void *guard);
/* Copy the counters; from any thread.  fault: -errno of the first failure, or 0. */
void pp_guard_read(const pp_guard *guard, uint64_t *calls, uint64_t *errors, uint64_t *ns, int *fault);

#pragma GCC visibility pop
#endif
