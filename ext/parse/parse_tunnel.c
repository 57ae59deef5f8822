/* parse_tunnel.c - tunnels that open another packet: GRE (with ERSPAN), VXLAN, VXLAN-GPE, Geneve, GTP-U, Teredo.
 *
 * Source: RFC 2784, 2890, 2637, 7348, 8926, 4380; draft-foschiano-erspan; 3GPP TS 29.281.
 */
#include "parse/parse_internal.h"
#include "parse/tunnel.h"

static void gtpu(pp_packet *p, pp_cursor *c)
{
    if (!pp_within(c, GTPU_LEN))
        return;
    const uint8_t *h = p->data + c->at;
    if (h[0] >> 4 != GTPU_VERSION || h[GTPU_TYPE] != GTPU_PDU)
        return;
    uint32_t header = GTPU_LEN, length = pp_get16(h + GTPU_LENGTH);
    if (length > c->end - c->at - GTPU_LEN)
        return;
    if (h[0] & GTPU_HAS_MORE) {
        header = GTPU_LONG_LEN;
        if (!pp_within(c, GTPU_LONG_LEN))
            return;
        uint8_t next = (h[0] & GTPU_HAS_NEXT) ? h[GTPU_NEXT] : 0;
        for (unsigned i = 0; next && i < 16; i++) { /* extension headers, in units of four bytes */
            if (!pp_within(c, header + 1) || p->data[c->at + header] == 0)
                return;
            uint32_t size = p->data[c->at + header] * 4u;
            if (!pp_within(c, header + size))
                return;
            header += size;
            next = p->data[c->at + header - 1];
        }
    }
    if (header - GTPU_LEN > length)
        return;
    pp_bound(p, c, c->at + GTPU_LEN + length);
    if (pp_descend(c, header))
        pp_parse_by_version(p, c);
}

static void geneve(pp_packet *p, pp_cursor *c)
{
    if (!pp_within(c, GENEVE_LEN))
        return;
    const uint8_t *h = p->data + c->at;
    if (h[0] >> 6 != 0)
        return;
    if (pp_descend(c, GENEVE_LEN + (h[0] & 63u) * 4)) {
        uint16_t type = pp_get16(h + GENEVE_TYPE);
        if (type == ETH_P_TEB)
            pp_parse_ethernet(p, c);
        else
            pp_parse_ethertype(p, c, type);
    }
}

static void vxlan(pp_packet *p, pp_cursor *c, uint16_t port)
{
    if (!pp_within(c, VXLAN_LEN))
        return;
    const uint8_t *h = p->data + c->at;
    if (!(h[0] & VXLAN_HAS_VNI))
        return;
    uint8_t next = port == TUNNEL_VXLAN_GPE && (h[0] & VXLAN_HAS_NEXT) ? h[VXLAN_NEXT] : VXLAN_NEXT_ETHERNET;
    if (!pp_descend(c, VXLAN_LEN))
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
    case VXLAN_NEXT_MPLS:
        pp_parse_mpls(p, c);
        break;
    default:
        break;
    }
}

static void teredo(pp_packet *p, pp_cursor *c)
{
    uint32_t header = 0;
    for (unsigned i = 0; i < 2 && pp_within(c, header + 4); i++) { /* authentication, then origin indication */
        const uint8_t *h = p->data + c->at + header;
        if (pp_get16(h) == TEREDO_AUTHENTICATION)
            header += (uint32_t)TEREDO_AUTHENTICATION_LEN + h[2] + h[3];
        else if (pp_get16(h) == TEREDO_ORIGIN)
            header += TEREDO_ORIGIN_LEN;
        else
            break;
    }
    if (pp_within(c, header + IP6_LEN) && p->data[c->at + header] >> 4 == 6 &&
        pp_get16(p->data + c->at + header + IP6_PAYLOAD) + (uint32_t)IP6_LEN <= c->end - c->at - header &&
        pp_descend(c, header))
        pp_parse_ip6(p, c);
}

void pp_parse_udp_tunnel(pp_packet *p, pp_cursor *c, uint16_t source, uint16_t destination)
{
    switch (destination) {
    case TUNNEL_VXLAN:
    case TUNNEL_VXLAN_LINUX:
    case TUNNEL_VXLAN_GPE:
        vxlan(p, c, destination);
        return;
    case TUNNEL_GENEVE:
        geneve(p, c);
        return;
    case TUNNEL_GTPU:
        gtpu(p, c);
        return;
    default:
        break;
    }
    if (source == TUNNEL_TEREDO || destination == TUNNEL_TEREDO)
        teredo(p, c);
    else if (source == TUNNEL_GTPU)
        gtpu(p, c);
}

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
 * platform.  Behind it is Ethernet. */
static void erspan(pp_packet *p, pp_cursor *c, uint16_t type, int has_sequence)
{
    uint32_t header = has_sequence ? ERSPAN2_LEN : 0;
    if (type == ETH_P_ERSPAN2) {
        if (!pp_within(c, ERSPAN3_LEN))
            return;
        header = (p->data[c->at + ERSPAN3_FLAGS] & 1) ? ERSPAN3_LONG_LEN : ERSPAN3_LEN;
    }
    if (header > c->end - c->at)
        return;
    c->at += header;
    pp_parse_ethernet(p, c);
}

void pp_parse_gre(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, GRE_LEN))
        return;
    uint16_t bits = pp_get16(p->data + c->at + GRE_BITS), type = pp_get16(p->data + c->at + GRE_TYPE);
    uint32_t header = GRE_LEN;
    if ((bits & GRE_VERSION_MASK) > 1)
        return;
    if ((bits & GRE_VERSION_MASK) == 1) { /* enhanced GRE of PPTP, RFC 2637: a key always, never a checksum */
        header += 4u + ((bits & GRE_HAS_SEQUENCE) ? 4 : 0) + ((bits & GRE_HAS_ACKNOWLEDGED) ? 4 : 0);
    } else {
        if ((bits & GRE_HAS_SUM) && !pp_need(p, c, GRE_LEN + 4))
            return;
        gre_check(p, c, bits);
        if (bits & GRE_HAS_ROUTING) /* source routing, RFC 1701: obsolete, its length is not known beforehand */
            return;
        header +=
            ((bits & GRE_HAS_SUM) ? 4u : 0) + ((bits & GRE_HAS_KEY) ? 4 : 0) + ((bits & GRE_HAS_SEQUENCE) ? 4 : 0);
    }
    if (!pp_descend(c, header))
        return;
    if (type == ETH_P_TEB)
        pp_parse_ethernet(p, c);
    else if (type == ETHERTYPE_PPP)
        pp_parse_ppp(p, c);
    else if (type == ETH_P_ERSPAN || type == ETH_P_ERSPAN2)
        erspan(p, c, type, bits & GRE_HAS_SEQUENCE);
    else
        pp_parse_ethertype(p, c, type);
}
