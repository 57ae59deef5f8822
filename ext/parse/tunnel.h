/* tunnel.h - the UDP ports behind which a packet is looked for. */
#ifndef PP_TUNNEL_H
#define PP_TUNNEL_H

#include <stdint.h>

enum {
    TUNNEL_VXLAN = 4789,
    TUNNEL_VXLAN_LINUX = 8472,
    TUNNEL_VXLAN_GPE = 4790,
    TUNNEL_GENEVE = 6081,
    TUNNEL_GTPU = 2152,
    TUNNEL_TEREDO = 3544
};

/* Does the parser look for a packet inside UDP between these ports? */
static inline int pp_is_tunnel(uint16_t source, uint16_t destination)
{
    switch (destination) {
    case TUNNEL_VXLAN:
    case TUNNEL_VXLAN_LINUX:
    case TUNNEL_VXLAN_GPE:
    case TUNNEL_GENEVE:
    case TUNNEL_GTPU:
    case TUNNEL_TEREDO:
        return 1;
    default:
        return source == TUNNEL_TEREDO || source == TUNNEL_GTPU;
    }
}

#endif
