/* parse_gre.c - GRE and what it carries: IP, Ethernet, PPP, ERSPAN, NSH, WCCP.
 *
 * Source: RFC 2784, 2890, 2637; draft-foschiano-erspan; draft-wilson-wrec-wccp-v2.
 */
#include "parse/fit.h"
#include "parse/parse_internal.h"

/* The checksum of a GRE header, or that it has none. */
static void gre_check(pp_packet *p, const pp_cursor *c, uint16_t bits)
{
    if (bits & GRE_HAS_SUM) {
        pp_cover(p, c, PP_PROTO_GRE, c->at + GRE_SUM, c->at, c->end - c->at, -1, 0);
    } else if (p->count < PP_CHECKS_PER_PACKET) {
        pp_check *k = &p->checks[p->count++];
        pp_set_check(k, c, PP_PROTO_GRE, c->at + GRE_SUM, c->at, c->end - c->at);
        k->flags |= PP_CHECK_NO_FIELD;
        k->status = c->quoted ? PP_STATUS_UNCHECKED : PP_STATUS_ABSENT;
        k->reason = c->quoted ? PP_REASON_QUOTED : PP_REASON_NONE;
    }
}

/* ERSPAN: type I has no header and no sequence number, type II both; type III has an O bit that adds a header of the
 * platform.  Behind it is Ethernet, and of type III an IP packet where its frame type says so. */
static void erspan(pp_packet *p, pp_cursor *c, uint16_t type, int has_sequence)
{
    uint32_t header = has_sequence || type == ETH_P_ERSPAN2 ? ERSPAN2_LEN : 0, is_ip = 0;
    if (header && !pp_within(c, type == ETH_P_ERSPAN2 ? ERSPAN3_LEN : ERSPAN2_LEN))
        return;
    const uint8_t *h = p->data + c->at;
    if (type == ETH_P_ERSPAN2) {
        header = (h[ERSPAN3_FLAGS] & 1) ? ERSPAN3_LONG_LEN : ERSPAN3_LEN;
        is_ip = ((h[ERSPAN3_TYPE] >> 2) & 31u) == ERSPAN3_IS_IP;
    }
    if (header && (h[ERSPAN_FLAGS] & ERSPAN_IS_CUT))
        c->cut = 1;
    if (header > c->end - c->at)
        return;
    c->at += header;
    int is_version = !header || h[0] >> 4 == (type == ETH_P_ERSPAN2 ? 2 : 1);
    if (!is_version && !pp_fits_somehow(pp_fit_ethernet(p, c->at, c->end - c->at)))
        pp_not_understood(p, PP_UNREAD_TUNNEL);
    else if (!is_ip)
        pp_parse_ethernet(p, c);
    else if (!pp_parse_by_version(p, c))
        pp_not_understood(p, PP_UNREAD_TUNNEL);
}

/* WCCP: its second version has a header, which nothing announces. */
static void wccp(pp_packet *p, pp_cursor *c)
{
    if (!pp_fits_somehow(pp_fit_ip4(p, c->at, c->end - c->at)) && pp_within(c, WCCP_REDIRECT_LEN))
        c->at += WCCP_REDIRECT_LEN;
    if (!pp_fits_somehow(pp_fit_ip(p, c->at, c->end - c->at)) || !pp_parse_by_version(p, c))
        pp_not_understood(p, PP_UNREAD_TUNNEL);
}

/* Aruba's access points send 802.11 frames. */
static int is_aruba(uint16_t type)
{
    return (type & 0xf) == 0 &&
           ((type >= ARUBA_FIRST && type <= ARUBA_LAST) || (type >= ARUBA_MORE_FIRST && type <= ARUBA_MORE_LAST));
}
void pp_parse_gre(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, GRE_LEN))
        return;
    uint16_t bits = pp_get16(p->data + c->at + GRE_BITS), type = pp_get16(p->data + c->at + GRE_TYPE);
    uint32_t header = GRE_LEN;
    if ((bits & GRE_VERSION_MASK) > 1) {
        pp_not_understood(p, PP_UNREAD_TUNNEL);
        return;
    }
    if ((bits & GRE_VERSION_MASK) == 1) { /* enhanced GRE of PPTP, RFC 2637: a key always, never a checksum */
        header += 4u + ((bits & GRE_HAS_SEQUENCE) ? 4 : 0) + ((bits & GRE_HAS_ACKNOWLEDGED) ? 4 : 0);
    } else {
        if ((bits & GRE_HAS_SUM) && !pp_need(p, c, GRE_LEN + 4))
            return;
        gre_check(p, c, bits);
        if (bits & GRE_HAS_ROUTING) /* source routing, RFC 1701: obsolete, its length is not known beforehand */
        {
            pp_not_understood(p, PP_UNREAD_TUNNEL);
            return;
        }
        header +=
            ((bits & GRE_HAS_SUM) ? 4u : 0) + ((bits & GRE_HAS_KEY) ? 4 : 0) + ((bits & GRE_HAS_SEQUENCE) ? 4 : 0);
    }
    if (!pp_descend(c, header)) {
        if (c->depth + 1u >= PP_MAX_DEPTH)
            pp_not_understood(p, PP_UNREAD_DEPTH);
        return;
    }
    if (type == ETH_P_TEB)
        pp_parse_ethernet(p, c);
    else if (type == ETHERTYPE_PPP)
        pp_parse_ppp(p, c);
    else if (type == ETH_P_ERSPAN || type == ETH_P_ERSPAN2)
        erspan(p, c, type, bits & GRE_HAS_SEQUENCE);
    else if (type == ETHERTYPE_WCCP)
        wccp(p, c);
    else if (is_aruba(type))
        pp_parse_80211(p, c);
    else
        pp_parse_ethertype(p, c, type);
}
