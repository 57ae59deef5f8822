/* classify.h - name the cause of every bad check.
 *
 * Rule: looks at bad checks only, and names nothing that would be a guess.
 */
#ifndef PP_CLASSIFY_H
#define PP_CLASSIFY_H

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

/* context: pp_witnesses * of this worker (witness.h), or null: no cause that needs a witness. */
pp_stage_fn pp_stage_classify;

/* Name the cause of a bad check from its own packet; index: of the check within checks[0..count). */
void pp_classify_check(const uint8_t *data, uint32_t cap, pp_check *checks, unsigned count, unsigned index);

#pragma GCC visibility pop
#endif
