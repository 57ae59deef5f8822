/* sample.h - what a monitor shows of bad packets: a few of each cause, and the flows that have most of them.
 *
 * Rules:
 *   1. A stage that looks at bad packets only; where there are none it costs one memchr() of the status column.
 *   2. Fixed memory and a bounded cost per bad packet, however many there are: no allocation, no system call.
 *   3. At most PP_SAMPLE_PER_CAUSE packets of each cause are kept until they are taken, the first ones: a flood of one cause
 *      does not hide another.
 *   4. Another thread may take and read at any time; the lock is held for a copy, never for more.
 *
 * The table of flows is exact as long as at most PP_SAMPLE_WAYS flows meet in one of its sets; beyond that it keeps the
 * heaviest (Metwally, Agrawal, El Abbadi: Space-Saving, 2005): `packets` may be too high by up to `over`.
 */
#ifndef PP_SAMPLE_H
#define PP_SAMPLE_H

#include <pthread.h>

#include <pktmend/stage.h>

#include "observe/flow.h"
#include "observe/last.h"

#pragma GCC visibility push(default)

#define PP_SAMPLE_PER_CAUSE 4u
#define PP_SAMPLE_SETS 128u
#define PP_SAMPLE_WAYS 8u
#define PP_SAMPLE_MOST (PP_CAUSES * PP_SAMPLE_PER_CAUSE) /* what one take may return */

typedef struct pp_sampled {
    pp_flow flow;
    uint64_t time_ns;
    uint32_t caplen, wirelen;
    uint16_t flags;
    uint8_t cause, check_count;
    pp_check checks[PP_CHECKS_PER_PACKET];
} pp_sampled;

typedef struct pp_bad_flow {
    pp_flow flow;
    uint64_t packets, over, last_ns;
    uint8_t cause; /* of its last bad packet */
} pp_bad_flow;

typedef struct pp_sample {
    pthread_mutex_t lock;
    pp_last *last; /* null: nobody looks at bytes */
    uint32_t interface;
    uint8_t kept[PP_CAUSES];
    pp_sampled sampled[PP_CAUSES][PP_SAMPLE_PER_CAUSE];
    pp_bad_flow bad_flows[PP_SAMPLE_SETS][PP_SAMPLE_WAYS];
} pp_sample;

pp_sample *pp_sample_new(void); /* null: no memory */
void pp_sample_free(pp_sample *sample);
/* Put each bad packet into `last` too, which outlives the sample.  Before the stage runs. */
void pp_sample_keep_last(pp_sample *sample, pp_last *last, uint32_t interface);
/* The stage; context is the pp_sample.  Reads: status, cause, checks, frames.  Writes: nothing. */
pp_stage_fn pp_stage_sample;
/* Move what is kept to out (room for PP_SAMPLE_MOST); returns how many. */
uint32_t pp_sample_take(pp_sample *sample, pp_sampled *out);
/* Copy the `most` heaviest flows to out, the heaviest first; returns how many. */
uint32_t pp_sample_flows(pp_sample *sample, pp_bad_flow *out, uint32_t most);

#pragma GCC visibility pop
#endif
