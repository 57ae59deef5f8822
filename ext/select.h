/* select.h - pick packets by column values; what batch.where() and batch.mark() run on.
 *
 * Rule: only packets that still pass are looked at, so the first verdict wins.
 */
#ifndef PP_SELECT_H
#define PP_SELECT_H

#include "pp.h"

/* A negative field accepts anything; flags: all of these bits must be set. */
typedef struct pp_select {
    int status, cause, version, protocol;
    uint16_t flags;
} pp_select;

/* Write the indices of matching packets to out (room for count); returns how many. */
uint32_t pp_where(const pp_batch *batch, const pp_select *select, uint32_t *out);
/* Give matching packets a verdict; returns how many. */
uint32_t pp_mark(pp_batch *batch, const pp_select *select, uint8_t verdict, uint8_t drop);

#endif
