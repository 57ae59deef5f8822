/* repair.h - write right checksums where that launders no damage.
 *
 * Rules:
 *   1. Writes checksum fields and nothing else.
 *   2. A packet with a verdict other than pass is never written to, nor a check that was not judged.
 */
#ifndef PP_REPAIR_H
#define PP_REPAIR_H

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

enum pp_repair_policy {
    PP_REPAIR_NONE = 0,
    PP_REPAIR_LEAKED = 1,    /* what is provably partial */
    PP_REPAIR_ALL = 2,       /* whatever can be recomputed, corruption included */
    PP_REPAIR_UNFINISHED = 3 /* for files: pending and leaked checks */
};

/* context: const uint32_t *policy (enum pp_repair_policy), null: leaked. */
pp_stage_fn pp_stage_repair;

#pragma GCC visibility pop
#endif
