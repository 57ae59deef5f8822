/* layers.h - the IP headers of a packet that verify has seen, outermost first: parsed again, for the columns keep the
 * outermost only.
 */
#ifndef PP_LAYERS_H
#define PP_LAYERS_H

#include <pktmend/parse.h>

/* Write them to layers (room for PP_MAX_DEPTH); returns how many.  Those quoted in an ICMP error are left out. */
static inline unsigned pp_layers_of(const pp_batch *b, uint32_t i, pp_layer *layers)
{
    pp_check found[PP_CHECKS_PER_PACKET];
    pp_packet p = { .data = b->data[i],
                    .cap = b->caplen[i],
                    .wire = b->wirelen[i],
                    .link = b->link[i],
                    .flags = b->flags[i],
                    .layers = layers,
                    .checks = found };
    pp_parse(&p);
    return p.layer_count;
}

#endif
