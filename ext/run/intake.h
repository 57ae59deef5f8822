/* intake.h - what the kernel counted of a loop's source, and what it did not hand over. */
#ifndef PP_INTAKE_H
#define PP_INTAKE_H

#include "run/loop.h"

/* Add what the kernel has counted since the last call. */
void pp_intake_count(pp_loop *loop);
/* What was counted and can no longer be read was dropped, by us. */
void pp_intake_write_off(pp_loop *loop);
/* Keep new frames out without losing one that is in: a filter that takes nothing. */
void pp_intake_stop(int fd);
/* Take what its watch has to say: an edge that is not a frame's is a reason to look closer. */
void pp_intake_heed(pp_loop *loop);
/* It has gone silent: watch it, and look at it first.
 *
 * The kernel wakes a socket's sleepers for a frame that it drops as well, and poll() goes to sleep again.  But a socket that only
 * reads can always be written to, and for an edge of that an epoll wakes.  While frames come each edge would be work for
 * nothing. */
void pp_intake_watch(pp_loop *loop);
void pp_intake_unwatch(pp_loop *loop);
/* The source was just found empty: make it work again if it has lost its way.  0 or -errno. */
int pp_intake_mend(pp_loop *loop);

#endif
