/* load.h - what adaptive polling goes by: how heavy the batches of the last moment were.
 *
 * A quiet path is woken for each frame.  A loaded one is polled at an interval instead, as a NIC's interrupt moderation does
 * (ethtool -C rx-usecs).
 */
#ifndef PP_LOAD_H
#define PP_LOAD_H

#include <pktmend/stage.h>

/* Many short frames, or bytes in large ones. */
enum pp_load_level { PP_LOAD_NONE, PP_LOAD_FRAMES, PP_LOAD_BULK };

typedef struct pp_load {
    uint8_t fresh; /* enum pp_load_level: the heaviest batch since the last look */
    uint8_t level; /* what came last, at since_ns */
    uint64_t since_ns;
} pp_load;

/* How a batch loads the path. */
uint8_t pp_load_of(const pp_batch *batch);
void pp_load_add(pp_load *load, const pp_batch *batch);
/* The load of the last 0.3 ms. */
uint8_t pp_load_now(pp_load *load, uint64_t now);

#endif
