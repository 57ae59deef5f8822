/* verify.h - judge, explain and repair the checks of a batch.
 *
 * Rules:
 *   1. verify does the arithmetic and sets every status; classify names causes and looks at bad checks only;
 *      repair writes checksum fields and nothing else; count only counts.
 *   2. All four are stages (pp_stage_fn) over a batch; their options are read-only while a batch is in work.
 *   3. A packet with a verdict other than pass, malformed, truncated or a fragment is never written to.
 */
#ifndef PP_VERIFY_H
#define PP_VERIFY_H

#include "parse/parse.h"
#include "sum/sum.h"

#pragma GCC visibility push(default)

/* context of pp_stage_verify; null means none of them. */
enum pp_verify_option {
    PP_VERIFY_EXPECTED = 1, /* compute expected for pending checks too (costs a pass over the payload) */
    PP_VERIFY_AT_WIRE =
        2 /* this was taken beyond the sender: F == S without a flag has leaked, whatever the source knows */
};

enum pp_repair_policy { PP_REPAIR_NONE = 0, PP_REPAIR_LEAKED = 1, PP_REPAIR_ALL = 2, PP_REPAIR_UNFINISHED = 3 };

/* context: const uint32_t *options (enum pp_verify_option), or null. */
pp_stage_fn pp_stage_verify;
/* context: pp_flow * of this worker (flow.h), or null: no cause that needs a witness. */
pp_stage_fn pp_stage_classify;
/* context: unused. */
pp_stage_fn pp_stage_count;
/* context: const uint32_t *policy (enum pp_repair_policy), null: leaked.
 * UNFINISHED, for files: pending and leaked checks. */
pp_stage_fn pp_stage_repair;
/* Drop every packet that is still bad.  context: unused. */
pp_stage_fn pp_stage_drop_corrupt;

/* Judge one check that pp_parse left with PP_STATUS_NONE, or again after octets it covers have changed. */
void pp_judge(const uint8_t *data, pp_check *check, pp_sum_fn *sum);
/* Name the cause of a bad check; index: of the check within checks[0..count). */
void pp_classify_check(const uint8_t *data, uint32_t cap, uint16_t flags, pp_check *checks, unsigned count,
                       unsigned index);

#pragma GCC visibility pop
#endif
