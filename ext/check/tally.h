/* tally.h - what was found and done, counted, and the last stages of the engine's own: count every check by outcome, drop
 * what is still bad.
 *
 * A tally belongs to one worker; its numbers are 64-bit and only ever rise.  A stage of a user's sees an opaque pointer, so
 * that a new cause or protocol changes nothing of its pp_batch.
 * Rule: count only counts; a packet that a stage before has dropped is counted all the same.
 */
#ifndef PP_TALLY_H
#define PP_TALLY_H

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

/* outcome: a status below PP_STATUS_BAD as is, a bad check as PP_STATUS_BAD + its cause. */
#define PP_OUTCOMES ((size_t)PP_STATUSES + (size_t)PP_CAUSES)

/* Why a check is left as it is. */
enum pp_left {
    PP_LEFT_POLICY, /* PP_REPAIR_ALL would write it */
    PP_LEFT_CHOICE, /* its cause, or that of one inside, is excepted */
    PP_LEFT_UNABLE, /* what is right is not known, or would sign headers that contradict each other */
    PP_LEFTS
};

typedef struct pp_tally {
    uint64_t packets;
    uint64_t wire_bytes; /* of wirelen */
    uint64_t truncated;
    uint64_t malformed;
    uint64_t super_frames;
    uint64_t status[PP_STATUSES]; /* packets by status */
    uint64_t checks[PP_PROTOS][PP_OUTCOMES];
    uint64_t repaired[PP_CAUSES];       /* checks rewritten, by cause */
    uint64_t claimed_valid;             /* bad checks the source had said to be verified */
    uint64_t completed;                 /* packets whose pending checksum was completed in user space */
    uint64_t split;                     /* super-frames split in user space */
    uint64_t stray_csum_metadata;       /* packets whose metadata names no checksum field */
    uint64_t unread[PP_UNREADS];        /* packets that were not looked into, by reason; none of PP_UNREAD_NONE */
    uint64_t left[PP_LEFTS][PP_CAUSES]; /* checks that repair left bad or pending, by enum pp_left */
} pp_tally;

/* Adds to batch->tally, if there is one.  context: unused. */
pp_stage_fn pp_stage_count;
/* Drop every packet that is still bad.  context: unused. */
pp_stage_fn pp_stage_drop_corrupt;

#pragma GCC visibility pop
#endif
