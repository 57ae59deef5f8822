/* damage.h - the arithmetic of the traffic: what a checksum has to be, and how it is made wrong in one way only.
 */
#ifndef TRAFFIC_DAMAGE_H
#define TRAFFIC_DAMAGE_H

#include <linux/virtio_net.h>
#include <netinet/in.h>

#include "traffic.h"

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

static inline void put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
    put16(p, (uint16_t)(v >> 16));
    put16(p + 2, (uint16_t)v);
}

/* The checksum field for a sum of everything else. */
uint16_t traffic_right_for(uint64_t sum, uint8_t protocol);
/* Damage the frame in head in one way; the outcome of its transport checksum, or -1: not this frame. */
int traffic_damage(const traffic_template *t, uint8_t *head, pp_vnet *vnet, uint64_t sum, uint32_t number,
                   unsigned kind, uint8_t *ip_outcome);

#endif
