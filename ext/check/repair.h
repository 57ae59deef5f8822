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

/* An option is a policy, and above it a bit for each cause that is left as it is; that of PP_CAUSE_NONE is for pending ones. */
#define PP_REPAIR_POLICY 0xffu
#define PP_REPAIR_EXCEPT(cause) (0x100u << (cause))

/* context: const uint32_t *option, null: leaked. */
pp_stage_fn pp_stage_repair;
/* Count what is still bad or pending, by enum pp_left and cause.  Behind pp_stage_repair, with the same context. */
pp_stage_fn pp_stage_count_left;

#pragma GCC visibility pop
#endif
