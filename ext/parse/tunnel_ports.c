/* tunnel_ports.c - the ports that somebody told of: the machine's tunnel devices, --tunnel.  See tunnel.h.
 *
 * Does not: decide what a datagram carries (recognize.c).
 */
#include "parse/tunnel.h"

#include <errno.h>
#include <stddef.h>

const char *const pp_tunnel_names[] = { "",    "vxlan", "vxlan-gpe", "geneve", "gtpu",  "teredo", "fou",  "gue",
                                        "gre", "mpls",  "sctp",      "l2tp",   "ayiya", "capwap", "none", NULL };

/* Written while nothing runs, read by all threads. */
uint8_t pp_tunnel_told[UINT16_MAX + 1];
uint32_t pp_tunnel_told_count;

int pp_tunnel_port(uint16_t port, int kind)
{
    if (port == 0 || kind < 0 || kind >= PP_TUNNELS)
        return -EINVAL;
    int was = pp_tunnel_told[port] != PP_TUNNEL_NONE, is = kind != PP_TUNNEL_NONE;
    pp_tunnel_told[port] = (uint8_t)kind;
    pp_tunnel_told_count += (uint32_t)(is - was);
    return 0;
}

void pp_tunnel_ports_clear(void)
{
    memset(pp_tunnel_told, PP_TUNNEL_NONE, sizeof pp_tunnel_told);
    pp_tunnel_told_count = 0;
}

uint8_t pp_tunnel_of_port(uint16_t port)
{
    if (pp_tunnel_told[port])
        return pp_tunnel_told[port];
    switch (port) {
    case TUNNEL_VXLAN:
    case TUNNEL_VXLAN_LINUX:
        return PP_TUNNEL_VXLAN;
    case TUNNEL_VXLAN_GPE:
        return PP_TUNNEL_VXLAN_GPE;
    case TUNNEL_GENEVE:
        return PP_TUNNEL_GENEVE;
    case TUNNEL_GTPU:
        return PP_TUNNEL_GTPU;
    case TUNNEL_TEREDO:
        return PP_TUNNEL_TEREDO;
    case TUNNEL_GUE:
        return PP_TUNNEL_GUE;
    case TUNNEL_GRE:
        return PP_TUNNEL_GRE;
    case TUNNEL_MPLS:
        return PP_TUNNEL_MPLS;
    case TUNNEL_SCTP:
        return PP_TUNNEL_SCTP;
    case TUNNEL_L2TP:
        return PP_TUNNEL_L2TP;
    case TUNNEL_AYIYA:
        return PP_TUNNEL_AYIYA;
    case TUNNEL_CAPWAP:
        return PP_TUNNEL_CAPWAP;
    default:
        return PP_TUNNEL_NONE;
    }
}
