/* load.c - see load.h. */
#include "run/load.h"

#define FRAME_BYTES 1024u /* what a frame costs beside its bytes: sixteen short ones weigh as much as a super-frame */
#define LARGE_BYTES 16384u
#define BULK_BYTES 512u /* a frame's, on average, from which on it is bytes that are carried rather than frames */
#define LOAD_NS 300000u /* how long there is load after a large batch */

uint8_t pp_load_of(const pp_batch *b)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < b->count && bytes < BULK_BYTES * b->count + LARGE_BYTES; i++)
        bytes += b->caplen[i];
    if (bytes + (uint64_t)b->count * FRAME_BYTES < LARGE_BYTES)
        return PP_LOAD_NONE;
    return bytes < (uint64_t)b->count * BULK_BYTES ? PP_LOAD_FRAMES : PP_LOAD_BULK;
}

void pp_load_add(pp_load *l, const pp_batch *b)
{
    uint8_t load = pp_load_of(b);
    l->fresh = load > l->fresh ? load : l->fresh;
}

uint8_t pp_load_now(pp_load *l, uint64_t now)
{
    if (l->fresh) {
        l->level = l->fresh;
        l->since_ns = now;
        l->fresh = PP_LOAD_NONE;
    }
    return now - l->since_ns < LOAD_NS ? l->level : (uint8_t)PP_LOAD_NONE;
}
