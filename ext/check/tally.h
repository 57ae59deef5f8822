/* tally.h - the last stages of the engine's own: count every check by outcome, drop what is still bad.
 *
 * Rule: count only counts; a packet that a stage before has dropped is counted all the same.
 */
#ifndef PP_TALLY_H
#define PP_TALLY_H

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

/* Adds to batch->tally, if there is one.  context: unused. */
pp_stage_fn pp_stage_count;
/* Drop every packet that is still bad.  context: unused. */
pp_stage_fn pp_stage_drop_corrupt;

#pragma GCC visibility pop
#endif
