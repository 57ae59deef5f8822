/* parse_ppp.c - PPP, in PPPoE and without.
 *
 * Source: RFC 1661, 1990, 2516.
 */
#include "parse/parse_internal.h"

/* RFC 1990: a packet in one piece has both ends.  The short header is not told from the long one: both begin alike. */
static void ppp_multilink(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, PPP_MP_LEN))
        return;
    if ((p->data[c->at] & PPP_MP_WHOLE) != PPP_MP_WHOLE || c->nested++ == PP_MAX_NESTED) {
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
        return;
    }
    c->at += PPP_MP_LEN;
    pp_parse_ppp(p, c);
}

/* A PPP frame from its address field (which HDLC-like framing has and PPPoE has not) or its protocol field on. */
void pp_parse_ppp(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, 2))
        return;
    if (p->data[c->at] == PPP_ALLSTATIONS && p->data[c->at + 1] == PPP_UI) {
        c->at += 2;
        if (!pp_need(p, c, 2))
            return;
    }
    uint16_t protocol = p->data[c->at];
    if (protocol & 1) { /* protocol field compression, RFC 1661 section 6.5 */
        c->at += 1;
    } else {
        protocol = pp_get16(p->data + c->at);
        c->at += 2;
    }
    switch (protocol) {
    case PPP_IP:
        pp_parse_ip4(p, c);
        return;
    case PPP_IPV6:
        pp_parse_ip6(p, c);
        return;
    case PPP_MPLS_UC:
    case PPP_MPLS_MC:
        pp_parse_mpls(p, c);
        return;
    case PPP_MP:
        ppp_multilink(p, c);
        return;
    case PPP_OSI: /* and its kin, which have no internet checksum */
    case PPP_DECNET:
    case PPP_AT:
    case PPP_IPX:
    case PPP_CDP:
        return;
    case PPP_ENCRYPTED:
    case PPP_LINK_ENCRYPTED:
        pp_not_understood(p, PP_UNREAD_ENCRYPTED);
        return;
    default: /* from 8000 on: control protocols */
        if (protocol < PPP_CONTROL_PROTOCOLS)
            pp_not_understood(p, PP_UNREAD_ENCAPSULATION); /* compressed, bridged, unknown */
        return;
    }
}

void pp_parse_pppoe(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, PPPOE_LEN))
        return;
    if (p->data[c->at] != PPPOE_VERSION_TYPE || p->data[c->at + PPPOE_CODE] != 0) /* 0: session data */
        return;
    uint32_t length = pp_get16(p->data + c->at + PPPOE_LENGTH);
    c->at += PPPOE_LEN;
    if (length > c->end - c->at) {
        pp_malformed(p, c);
        return;
    }
    pp_add_framing(p, c, c->at - PPPOE_LEN + PPPOE_LENGTH, c->at, UINT16_MAX);
    pp_bound(p, c, c->at + length);
    pp_parse_ppp(p, c);
}
