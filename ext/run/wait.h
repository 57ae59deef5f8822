/* wait.h - sleep until one of the loops of a thread has something to do. */
#ifndef PP_WAIT_H
#define PP_WAIT_H

#include "run/loop.h"

#define PP_PUBLISH_NS 200000000u /* how old the published counters may be, and so the longest sleep */
#define PP_LOOK_NS 1000000u      /* how long a source may be silent before its watch is asked why */

/* Sleep until any of them has input, or room, or is woken; count what its socket reports. */
void pp_wait(pp_loop *const *loops, unsigned count);

#endif
