/* parse_tunnel.c - what UDP carries: VXLAN, VXLAN-GPE, Geneve, GTP-U, Teredo, FOU, GUE, L2TP, AYIYA, GRE, MPLS, SCTP; and NSH.
 *
 * Does not: decide which of them it is (recognize.c).
 *
 * Source: RFC 7348, 8926, 4380, 2661, 3931, 8086, 7510, 6951, 8300; 3GPP TS 29.281; draft-ietf-intarea-gue.
 */
#include "parse/fit.h"
#include "parse/parse_internal.h"
#include "parse/recognize.h"
#include "parse/tunnel.h"

/* Step over a header: 0 if it does not lie within (a first fragment, of whose datagram the rest is elsewhere). */
static int step(pp_cursor *c, uint32_t n)
{
    if (c->at > c->end || n > c->end - c->at)
        return 0;
    c->at += n;
    return 1;
}

/* An IP packet at the cursor, or Ethernet where its version says neither. */
static void ip_or_ethernet(pp_packet *p, pp_cursor *c)
{
    unsigned fit = pp_fit_ip(p, c->at, c->end - c->at);
    if (!pp_fits_somehow(fit))
        pp_parse_ethernet(p, c);
    else
        pp_parse_by_version(p, c);
}

static void gtpu(pp_packet *p, pp_cursor *c)
{
    uint32_t header = pp_gtpu_header(p, c->at, c->end - c->at, 0);
    if (!header)
        return;
    uint32_t length = GTPU_LEN + (uint32_t)pp_get16(p->data + c->at + GTPU_LENGTH);
    pp_bound(p, c, c->at + length);
    if (pp_descend(c, header))
        ip_or_ethernet(p, c);
    else
        pp_not_understood(p, PP_UNREAD_DEPTH);
}

static void geneve(pp_packet *p, pp_cursor *c)
{
    const uint8_t *h = p->data + c->at;
    uint16_t type = pp_get16(h + GENEVE_TYPE);
    if (!step(c, GENEVE_LEN + (h[0] & 63u) * 4))
        return;
    if (type == ETH_P_TEB)
        pp_parse_ethernet(p, c);
    else
        pp_parse_ethertype(p, c, type);
}

static void vxlan(pp_packet *p, pp_cursor *c, int has_next)
{
    const uint8_t *h = p->data + c->at;
    uint8_t next = has_next && (h[0] & VXLAN_HAS_NEXT) ? h[VXLAN_NEXT] : VXLAN_NEXT_ETHERNET;
    if (!step(c, VXLAN_LEN))
        return;
    switch (next) {
    case VXLAN_NEXT_IP4:
        pp_parse_ip4(p, c);
        break;
    case VXLAN_NEXT_IP6:
        pp_parse_ip6(p, c);
        break;
    case VXLAN_NEXT_ETHERNET:
        pp_parse_ethernet(p, c);
        break;
    case VXLAN_NEXT_NSH:
        pp_parse_nsh(p, c);
        break;
    case VXLAN_NEXT_MPLS:
        pp_parse_mpls(p, c);
        break;
    default:
        pp_not_understood(p, PP_UNREAD_TUNNEL);
        break;
    }
}

void pp_parse_nsh(pp_packet *p, pp_cursor *c)
{
    for (uint8_t next = NSH_NEXT_NSH; next == NSH_NEXT_NSH;) {
        if (!pp_need(p, c, NSH_LEN))
            return;
        uint32_t length = (p->data[c->at + NSH_LENGTH] & NSH_LENGTH_MASK) * 4u;
        next = p->data[c->at + NSH_NEXT];
        if (p->data[c->at] >> 6 != 0 || length < NSH_LEN || !pp_need(p, c, length)) {
            pp_not_understood(p, PP_UNREAD_TUNNEL);
            return;
        }
        c->at += length;
        if (next == NSH_NEXT_IP4)
            pp_parse_ip4(p, c);
        else if (next == NSH_NEXT_IP6)
            pp_parse_ip6(p, c);
        else if (next == NSH_NEXT_ETHERNET)
            pp_parse_ethernet(p, c);
        else if (next == NSH_NEXT_MPLS)
            pp_parse_mpls(p, c);
        else if (next != NSH_NEXT_NSH)
            pp_not_understood(p, PP_UNREAD_TUNNEL);
    }
}

static void gue(pp_packet *p, pp_cursor *c)
{
    uint32_t header = pp_gue_header(p, c->at, c->end - c->at);
    if (!header) { /* version 1 */
        pp_parse_by_version(p, c);
        return;
    }
    uint8_t protocol = p->data[c->at + GUE_PROTO];
    if (!step(c, header))
        return;
    if (protocol == IPPROTO_IPIP)
        pp_parse_ip4(p, c);
    else if (protocol == IPPROTO_IPV6)
        pp_parse_ip6(p, c);
    else if (protocol == IPPROTO_MPLS)
        pp_parse_mpls(p, c);
    else if (protocol == IPPROTO_GRE)
        pp_parse_gre(p, c);
    else
        pp_not_understood(p, PP_UNREAD_TUNNEL);
}

static void l2tp(pp_packet *p, pp_cursor *c)
{
    int is_ppp = 0;
    uint32_t header = pp_l2tp_header(p, c->at, c->end - c->at, &is_ppp);
    if (!header || !step(c, header))
        return;
    if (is_ppp)
        pp_parse_ppp(p, c);
    else
        pp_parse_ethernet(p, c);
}

void pp_parse_l2tp3(pp_packet *p, pp_cursor *c)
{
    int is_ppp = 0;
    uint32_t header = pp_l2tp3_header(p, c->at, c->end - c->at, &is_ppp);
    if (!header) {
        if (pp_within(c, L2TP3_SESSION) && pp_get32(p->data + c->at) != 0)
            pp_not_understood(p, PP_UNREAD_TUNNEL);
        return;
    }
    if (!pp_descend(c, header))
        pp_not_understood(p, PP_UNREAD_DEPTH);
    else if (is_ppp)
        pp_parse_ppp(p, c);
    else
        pp_parse_ethernet(p, c);
}

/* One that has no length of its own, from its header on: recognize.c has found that it fits. */
static void enter(pp_packet *p, pp_cursor *c, uint8_t kind)
{
    uint32_t header;
    switch (kind) {
    case PP_TUNNEL_VXLAN:
    case PP_TUNNEL_VXLAN_GPE:
        vxlan(p, c, kind == PP_TUNNEL_VXLAN_GPE);
        break;
    case PP_TUNNEL_GENEVE:
        geneve(p, c);
        break;
    case PP_TUNNEL_TEREDO:
        if (step(c, pp_teredo_header(p, c->at, c->end - c->at)))
            pp_parse_ip6(p, c);
        break;
    case PP_TUNNEL_FOU:
        pp_parse_by_version(p, c);
        break;
    case PP_TUNNEL_GUE:
        gue(p, c);
        break;
    case PP_TUNNEL_MPLS:
        pp_parse_mpls(p, c);
        break;
    case PP_TUNNEL_SCTP:
        pp_parse_transport(p, c, IPPROTO_SCTP);
        break;
    case PP_TUNNEL_L2TP:
        l2tp(p, c);
        break;
    case PP_TUNNEL_AYIYA:
        if ((header = pp_ayiya_header(p, c->at, c->end - c->at)) && step(c, header))
            pp_parse_by_version(p, c);
        break;
    case PP_TUNNEL_CAPWAP:
        pp_parse_capwap(p, c);
        break;
    default:
        break;
    }
}

/* What the tunnel's ends say to each other, without a packet inside. */
static int is_signalling(const uint8_t *h, uint8_t kind)
{
    switch (kind) {
    case PP_TUNNEL_GTPU:
        return h[0] >> 5 == GTPU_VERSION >> 1 && h[GTPU_TYPE] != GTPU_PDU;
    case PP_TUNNEL_L2TP:
        return h[0] & (L2TP_IS_CONTROL >> 8);
    case PP_TUNNEL_GUE:
        return h[0] >> 6 == 0 && (h[0] & GUE_IS_CONTROL);
    case PP_TUNNEL_AYIYA:
        return (h[AYIYA_CODE] & 15) != AYIYA_FORWARD;
    default:
        return 0;
    }
}

void pp_parse_udp_tunnel(pp_packet *p, pp_cursor *c, uint16_t source, uint16_t destination, uint8_t kind)
{
    if (kind == PP_TUNNEL_NONE) {
        uint8_t announced = pp_announced(source, destination);
        if (announced == PP_TUNNEL_NONE || announced == PP_TUNNEL_PLAIN || c->quoted || c->at >= c->end)
            return;
        /* a service that answers to a port which a client happened to choose is no tunnel's end */
        if (source >= IPPORT_RESERVED && !(pp_within(c, 4) && is_signalling(p->data + c->at, announced)))
            pp_not_understood(p, PP_UNREAD_TUNNEL);
    } else if (kind == PP_TUNNEL_GTPU) {
        gtpu(p, c);
    } else if (kind == PP_TUNNEL_GRE) { /* which descends itself */
        pp_parse_gre(p, c);
    } else if (pp_descend(c, 0)) {
        enter(p, c, kind);
    } else {
        pp_not_understood(p, PP_UNREAD_DEPTH);
    }
}
