/* flow.h - the 5-tuple that bad packets are counted and kept by. */
#ifndef PP_FLOW_H
#define PP_FLOW_H

#include <string.h>

#include "parse/endpoints.h"
#include "sum/bytes.h"

/* The endpoints of a packet (parse/endpoints.h) and the protocol of its outermost headers. */
typedef struct pp_flow {
    uint8_t source[16], target[16];
    uint16_t source_port, target_port;
    uint8_t version, protocol;
    uint16_t zero;
} pp_flow;

_Static_assert(sizeof(pp_flow) == 40, "a flow has no padding: it is compared and hashed as bytes");

static inline pp_flow pp_flow_of(const pp_batch *b, uint32_t i)
{
    pp_flow flow = { .version = b->version[i], .protocol = b->protocol[i] };
    pp_endpoints_of(b, i, flow.source, flow.target, &flow.source_port, &flow.target_port);
    return flow;
}

static inline uint32_t pp_flow_hash(const pp_flow *flow)
{
    uint64_t words[sizeof *flow / 8], h = 0;
    memcpy(words, flow, sizeof words);
    for (unsigned i = 0; i < sizeof *flow / 8; i++)
        h = pp_mix(words[i], h); /* which spreads the upper bits too: the ports, on a big-endian machine */
    return (uint32_t)(h >> 40);
}

static inline int pp_flow_is(const pp_flow *flow, const pp_flow *other) { return !memcmp(flow, other, sizeof *flow); }

#endif
