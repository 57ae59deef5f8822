/* clearing.h - tell the kernel's part of cut-through up to which frame all that it sent up have been sent on.
 *
 * The kernel's part numbers the frames that it hands to our rings (issued), and holds the frames of a flow that has one among
 * them back to the rings as well, until we say that its number is through (clear): so no frame overtakes another of its flow.
 *
 * Rules:
 *   1. One pp_clearing for a direction, shared by its workers.  Each adds what it is done with; whoever has time looks.
 *   2. Clear is moved only while nothing is on its way: as many done and lost as issued.  A frame that a worker has sent may
 *      still wait in a queue of another processor than the one that would carry its flow's next frame: hence PP_SETTLE_NS.
 *   3. No system call: both numbers are memory that is shared with the kernel.
 */
#ifndef PP_CLEARING_H
#define PP_CLEARING_H

#include <stdatomic.h>
#include <stdint.h>

#pragma GCC visibility push(default)

#define PP_SETTLE_NS 5000000u

typedef struct pp_clearing {
    const uint64_t *issued; /* the kernel's */
    uint64_t *clear;        /* ours, read by the kernel */
    _Atomic uint64_t done;  /* read and sent, dropped or refused here; and what the rings had no room for */
    _Atomic uint64_t lost;  /* issued, and never seen by a ring */
    /* private */
    atomic_flag is_looked_at;
    uint64_t candidate, candidate_ns;
} pp_clearing;

/* issued, clear: aligned to 8 bytes; they outlive it. */
void pp_clearing_init(pp_clearing *clearing, const uint64_t *issued, uint64_t *clear);
/* Add n frames that are through.  From any thread. */
void pp_clearing_add(pp_clearing *clearing, uint64_t n);
uint64_t pp_clearing_done(pp_clearing *clearing);
/* Are as many done and lost as were issued? */
int pp_clearing_is_through(const pp_clearing *clearing);
/* Say how many were lost so far between the kernel's part and the rings.  From any thread. */
void pp_clearing_set_lost(pp_clearing *clearing, uint64_t n);
/* Move clear if it can be moved; is it behind issued still?  now: read after the last of what was added was sent. */
int pp_clearing_look(pp_clearing *clearing, uint64_t now);

#pragma GCC visibility pop
#endif
