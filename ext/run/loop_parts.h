/* loop_parts.h - what a loop is made of, for pool.c, which takes its turns in another order. */
#ifndef PP_LOOP_PARTS_H
#define PP_LOOP_PARTS_H

#include "run/loop.h"

typedef struct pp_loop_parts {
    int (*process)(pp_loop *loop, int packets); /* of the batch that was just read, through stages and sink */
    void (*publish)(pp_loop *loop, uint64_t now);
    uint64_t drain_ns; /* how long a stop may take */
} pp_loop_parts;

extern const pp_loop_parts pp_parts;

#endif
