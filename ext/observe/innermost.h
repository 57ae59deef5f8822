/* innermost.h - the innermost IP packet of a frame that verify has seen: tunnels are looked through.
 */
#ifndef PP_INNERMOST_H
#define PP_INNERMOST_H

#include <pktmend/stage.h>

typedef struct pp_inner {
    const uint8_t *transport;
    uint32_t l3, l4;
    uint32_t captured, length; /* bytes from the transport header on: here, and by the headers */
    uint8_t version, protocol;
    const pp_check *check; /* of the transport; null if it has none */
} pp_inner;

/* 1 with eight bytes of transport at least (20 of TCP); 0 if there is none, or a fragment of it. */
int pp_innermost(const pp_batch *batch, uint32_t i, pp_inner *inner);

#endif
