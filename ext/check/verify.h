/* verify.h - the arithmetic: is each check of a batch right, pending or bad?
 *
 * Rules:
 *   1. verify sets every status; classify.h names causes, repair.h writes, tally.h counts.
 *   2. All of them are stages (pp_stage_fn) over a batch; their options are read-only while a batch is in work.
 */
#ifndef PP_VERIFY_H
#define PP_VERIFY_H

#include <pktmend/sum.h>
#include <pktmend/stage.h>

#pragma GCC visibility push(default)

/* context of pp_stage_verify; null means none of them. */
enum pp_verify_option {
    /* compute expected for pending checks too (costs a pass over the payload) */
    PP_VERIFY_EXPECTED = 1,
    /* this was taken beyond the sender: F == S without a flag has leaked, whatever the source knows */
    PP_VERIFY_AT_WIRE = 2
};

/* context: const uint32_t *options (enum pp_verify_option), or null. */
pp_stage_fn pp_stage_verify;

/* Judge one check that pp_parse left with PP_STATUS_NONE, or again after bytes it covers have changed. */
void pp_judge(const uint8_t *data, pp_check *check, pp_sum_fn *sum);

#pragma GCC visibility pop
#endif
