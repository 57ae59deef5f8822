/* tunnel.h - the UDP ports behind which a packet is looked for, and what else says that one is there.
 *
 * Rules:
 *   1. A port is a hint, never a proof: what it promises has to fit before anything is read (recognize.c).
 *   2. What a datagram carries is decided by itself alone: the same answer in any batch, any order.
 */
#ifndef PP_TUNNEL_H
#define PP_TUNNEL_H

#include <stdint.h>

#include "parse/headers.h"
#include "sum/bytes.h"

#pragma GCC visibility push(default)

enum {
    TUNNEL_VXLAN = 4789,
    TUNNEL_VXLAN_LINUX = 8472,
    TUNNEL_VXLAN_GPE = 4790,
    TUNNEL_GENEVE = 6081,
    TUNNEL_GTPU = 2152,
    TUNNEL_TEREDO = 3544,
    TUNNEL_GUE = 6080,
    TUNNEL_GRE = 4754,  /* RFC 8086 */
    TUNNEL_MPLS = 6635, /* RFC 7510 */
    TUNNEL_SCTP = 9899, /* RFC 6951 */
    TUNNEL_L2TP = 1701, /* RFC 2661, RFC 3931 */
    TUNNEL_AYIYA = 5072,
    TUNNEL_CAPWAP = 5247 /* RFC 5415: data; what goes to 5246 is control */
};

/* What UDP carries.  Numbers are kept in pp_tunnel_names' order. */
enum pp_tunnel {
    PP_TUNNEL_NONE, /* nothing that is known */
    PP_TUNNEL_VXLAN,
    PP_TUNNEL_VXLAN_GPE,
    PP_TUNNEL_GENEVE,
    PP_TUNNEL_GTPU,
    PP_TUNNEL_TEREDO,
    PP_TUNNEL_FOU, /* an IP packet and nothing before it */
    PP_TUNNEL_GUE,
    PP_TUNNEL_GRE,
    PP_TUNNEL_MPLS,
    PP_TUNNEL_SCTP,
    PP_TUNNEL_L2TP,
    PP_TUNNEL_AYIYA,
    PP_TUNNEL_CAPWAP,
    PP_TUNNEL_PLAIN, /* said to be no tunnel: payload, whatever the port */
    PP_TUNNELS
};

/* The word for each of them; null ends the list. */
extern const char *const pp_tunnel_names[];

/* Ports beside the ones above, for this process: kind (enum pp_tunnel, or NONE to forget it) behind port.  Set before packets
 * pass; returns -EINVAL for what is neither. */
int pp_tunnel_port(uint16_t port, int kind);
/* Forget all of those. */
void pp_tunnel_ports_clear(void);
/* What is said to be behind port: enum pp_tunnel. */
uint8_t pp_tunnel_of_port(uint16_t port);

#pragma GCC visibility pop

/* By port, as pp_tunnel_port() was told; read for each packet only if there are any. */
extern uint8_t pp_tunnel_told[UINT16_MAX + 1];
extern uint32_t pp_tunnel_told_count;

/* May the parser have to look for a packet inside UDP between these ports?  Answered for each packet: no more than numbers
 * compared. */
static inline int pp_is_tunnel(uint16_t source, uint16_t destination)
{
    if (__builtin_expect(pp_tunnel_told_count != 0, 0) && (pp_tunnel_told[source] | pp_tunnel_told[destination]))
        return 1;
    switch (destination) {
    case TUNNEL_VXLAN:
    case TUNNEL_VXLAN_LINUX:
    case TUNNEL_VXLAN_GPE:
    case TUNNEL_GENEVE:
    case TUNNEL_GUE:
    case TUNNEL_GRE:
    case TUNNEL_MPLS:
    case TUNNEL_GTPU:
    case TUNNEL_TEREDO:
    case TUNNEL_SCTP:
    case TUNNEL_L2TP:
    case TUNNEL_AYIYA:
    case TUNNEL_CAPWAP:
        return 1;
    default: /* those that answer from their port */
        return source == TUNNEL_TEREDO || source == TUNNEL_GTPU || source == TUNNEL_SCTP || source == TUNNEL_L2TP ||
               source == TUNNEL_AYIYA || source == TUNNEL_CAPWAP;
    }
}

/* The shortest that is recognised on any port: an IPv4 header and a UDP header. */
enum { TUNNEL_LEAST = IP4_LEN + UDP_LEN };

/* May these bytes, the payload of a datagram, be a tunnel's on a port that nobody knows?  A sieve for recognize.c: lets
 * everything through that may be, and next to nothing else.  length >= TUNNEL_LEAST. */
static inline int pp_may_be_tunnel(const uint8_t *h, uint32_t length)
{
    uint32_t head = pp_get32(h), rest = pp_get32(h + 4);
    uint16_t low = (uint16_t)head;
    switch (h[0] >> 4) {
    case 0: /* VXLAN, Geneve, GUE */
    case 1:
        return ((head & 0xfbfffffc) == 0x08000000 && !(rest & 0xff)) || h[1] == IPPROTO_IPIP || h[1] == IPPROTO_IPV6 ||
               (!(rest & 0xff) && !(h[1] & 0x3f) && (low == ETH_P_TEB || low == ETH_P_IP || low == ETH_P_IPV6));
    case 2: /* Geneve with options */
    case 3: /* and GTP-U */
        return (h[1] == GTPU_PDU && low + (uint32_t)GTPU_LEN == length) ||
               (!(rest & 0xff) && !(h[1] & 0x3f) && (low == ETH_P_TEB || low == ETH_P_IP || low == ETH_P_IPV6));
    case 4:
        return low == length;
    case 6:
        return (rest >> 16) + IP6_LEN == length;
    default:
        return 0;
    }
}

#endif
