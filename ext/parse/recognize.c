/* recognize.c - see recognize.h.
 *
 * Does: say which tunnel, if any.  Does not: record checks (parse_tunnel.c), remember anything from packet to packet.
 *
 * How often a random datagram on a random port would be taken for a tunnel: length and sum of an IPv4 header alone agree once
 * in 2^32, its first byte once in 2^4 more.
 */
#include "parse/recognize.h"

#include "parse/fit.h"
#include "parse/tunnel.h"

static int suits(unsigned fit, int exact) { return exact ? pp_fits(fit, PP_FIT_EXACT) : pp_fits_somehow(fit); }

static int is_there(const pp_packet *p, uint32_t at, uint32_t rest, uint32_t n)
{
    return n <= rest && at <= p->cap && n <= p->cap - at;
}

/* An IP packet that nothing announces. */
static int is_ip(const pp_packet *p, uint32_t at, uint32_t rest, int exact)
{
    unsigned fit = pp_fit_ip4(p, at, rest);
    if (fit)
        return suits(fit, exact);
    fit = pp_fit_ip6(p, at, rest);
    if (exact)
        return pp_fits(fit, PP_FIT_EXACT) && pp_fit_ip6_sum(p, at);
    return pp_fits(fit, PP_FIT_SOUND) || pp_fits(fit, PP_FIT_HEADER | PP_FIT_LENGTH);
}

static int is_ethertype(const pp_packet *p, uint32_t at, uint32_t rest, uint16_t type, int exact)
{
    switch (type) {
    case ETH_P_TEB:
        return suits(pp_fit_ethernet(p, at, rest), exact);
    case ETH_P_IP:
        return suits(pp_fit_ip4(p, at, rest), exact);
    case ETH_P_IPV6:
        return suits(pp_fit_ip6(p, at, rest), exact);
    case ETH_P_MPLS_UC:
    case ETH_P_MPLS_MC:
    case ETH_P_ERSPAN:
    case ETH_P_ERSPAN2:
    case ETHERTYPE_NSH:
    case ETHERTYPE_PPP:
        return !exact && is_there(p, at, rest, MPLS_LEN);
    default:
        return 0;
    }
}

/* A frame of whatever type, of which nothing more can be asked than that a host may have sent it: enough only where a header
 * before it leaves no doubt. */
static int is_any_frame(const pp_packet *p, uint32_t at, uint32_t rest)
{
    return is_there(p, at, rest, ETH_HLEN) && !(p->data[at + ETH_ALEN] & 1) &&
           pp_get16(p->data + at + ETH_TYPE) >= ETH_P_802_3_MIN && pp_fit_ethernet(p, at, rest) == PP_FIT_OTHER;
}

static int is_vxlan(const pp_packet *p, uint32_t at, uint32_t rest, int exact)
{
    if (!is_there(p, at, rest, VXLAN_LEN) || !(p->data[at] & VXLAN_HAS_VNI))
        return 0;
    const uint8_t *h = p->data + at;
    int is_plain = pp_get32(h) == (uint32_t)VXLAN_HAS_VNI << 24 && h[VXLAN_RESERVED] == 0;
    int is_group = h[0] == (VXLAN_HAS_VNI | VXLAN_HAS_GROUP) && h[VXLAN_RESERVED] == 0;
    if (exact && !is_plain)
        return 0;
    if (!exact && is_plain && is_any_frame(p, at + VXLAN_LEN, rest - VXLAN_LEN))
        return 1;
    /* a receiver ignores what the reserved bits hold, and so do we where the rest leaves no doubt */
    return suits(pp_fit_ethernet(p, at + VXLAN_LEN, rest - VXLAN_LEN), exact || !(is_plain || is_group));
}

static int is_vxlan_gpe(const pp_packet *p, uint32_t at, uint32_t rest, int exact)
{
    if (!is_there(p, at, rest, VXLAN_LEN) || !(p->data[at] & VXLAN_HAS_VNI))
        return 0;
    const uint8_t *h = p->data + at;
    if (exact && (h[0] != (VXLAN_HAS_VNI | VXLAN_HAS_NEXT) || h[1] || h[2] || h[VXLAN_RESERVED]))
        return 0;
    at += VXLAN_LEN;
    rest -= VXLAN_LEN;
    uint8_t next = h[0] & VXLAN_HAS_NEXT ? h[VXLAN_NEXT] : VXLAN_NEXT_ETHERNET;
    switch (next) {
    case VXLAN_NEXT_ETHERNET:
        return suits(pp_fit_ethernet(p, at, rest), exact);
    case VXLAN_NEXT_IP4:
        return suits(pp_fit_ip4(p, at, rest), exact);
    case VXLAN_NEXT_IP6:
        return suits(pp_fit_ip6(p, at, rest), exact);
    case VXLAN_NEXT_NSH:
    case VXLAN_NEXT_MPLS:
        return !exact && is_there(p, at, rest, MPLS_LEN);
    default:
        return 0;
    }
}

/* Are the options well-formed, and is nothing in the reserved bits? */
static int is_geneve_clean(const uint8_t *h, uint32_t header)
{
    if ((h[1] & 0x3f) || h[GENEVE_LEN - 1])
        return 0;
    uint32_t i = GENEVE_LEN;
    while (i < header)
        i += 4 + (h[i + 3] & 0x1fu) * 4;
    return i == header;
}

static int is_geneve(const pp_packet *p, uint32_t at, uint32_t rest, int exact)
{
    if (!is_there(p, at, rest, GENEVE_LEN) || p->data[at] >> 6 != 0)
        return 0;
    const uint8_t *h = p->data + at;
    uint32_t header = GENEVE_LEN + (h[0] & 63u) * 4;
    if (!is_there(p, at, rest, header))
        return 0;
    uint16_t type = pp_get16(h + GENEVE_TYPE);
    if (!exact && type == ETH_P_TEB && is_geneve_clean(h, header) && is_any_frame(p, at + header, rest - header))
        return 1;
    return is_ethertype(p, at + header, rest - header, type, exact) && (!exact || is_geneve_clean(h, header));
}

static int is_gtpu(const pp_packet *p, uint32_t at, uint32_t rest, int exact)
{
    uint32_t header = pp_gtpu_header(p, at, rest, exact);
    if (!header)
        return 0;
    rest = GTPU_LEN + (uint32_t)pp_get16(p->data + at + GTPU_LENGTH) - header;
    if (exact) /* its own length has agreed already */
        return pp_fits(pp_fit_ip(p, at + header, rest), PP_FIT_EXACT);
    return is_ip(p, at + header, rest, 0) ||
           pp_fits(pp_fit_ethernet(p, at + header, rest), PP_FIT_SOUND); /* an Ethernet session of 5G */
}

static int is_gue(const pp_packet *p, uint32_t at, uint32_t rest, int exact)
{
    uint32_t header = pp_gue_header(p, at, rest);
    if (!header)
        return is_ip(p, at, rest, exact); /* its version 1 */
    const uint8_t *h = p->data + at;
    if (exact && (header != GUE_LEN || pp_get16(h + GUE_FLAGS) != 0))
        return 0;
    if (h[GUE_PROTO] == IPPROTO_IPIP)
        return suits(pp_fit_ip4(p, at + header, rest - header), exact);
    if (h[GUE_PROTO] == IPPROTO_IPV6)
        return suits(pp_fit_ip6(p, at + header, rest - header), exact);
    return !exact && (h[GUE_PROTO] == IPPROTO_GRE || h[GUE_PROTO] == IPPROTO_MPLS);
}

static int is_gre(const pp_packet *p, uint32_t at, uint32_t rest)
{
    if (!is_there(p, at, rest, GRE_LEN))
        return 0;
    uint16_t bits = pp_get16(p->data + at + GRE_BITS), type = pp_get16(p->data + at + GRE_TYPE);
    uint32_t header = GRE_LEN + ((bits & GRE_HAS_SUM) ? 4u : 0) + ((bits & GRE_HAS_KEY) ? 4 : 0) +
                      ((bits & GRE_HAS_SEQUENCE) ? 4 : 0);
    return !(bits & ~(GRE_HAS_SUM | GRE_HAS_KEY | GRE_HAS_SEQUENCE)) && is_there(p, at, rest, header) &&
           is_ethertype(p, at + header, rest - header, type, 0);
}

static int is_mpls(const pp_packet *p, uint32_t at, uint32_t rest)
{
    for (unsigned i = 0; i < PP_MAX_LABELS && is_there(p, at, rest, MPLS_LEN + 1); i++) {
        int bottom = p->data[at + MPLS_BOTTOM] & 1;
        at += MPLS_LEN;
        rest -= MPLS_LEN;
        if (bottom)
            return pp_fits_somehow(pp_fit_ip(p, at, rest)) || pp_fits_somehow(pp_fit_ethernet(p, at, rest)) ||
                   (p->data[at] >> 4 == 0 && rest > CONTROL_WORD_LEN &&
                    pp_fits_somehow(pp_fit_ethernet(p, at + CONTROL_WORD_LEN, rest - CONTROL_WORD_LEN)));
    }
    return 0;
}

/* A common header, and chunks that fill the rest, the last one's padding included or not. */
static int is_sctp(const pp_packet *p, uint32_t at, uint32_t rest)
{
    if (!is_there(p, at, rest, SCTP_LEN + 4) || !pp_get16(p->data + at) || !pp_get16(p->data + at + PORT_TARGET))
        return 0;
    uint32_t i = SCTP_LEN;
    while (i + 4 <= rest) {
        if (!is_there(p, at, rest, i + 4)) /* cut: what was seen fits */
            return i > SCTP_LEN;
        uint32_t length = pp_get16(p->data + at + i + 2);
        if (length < 4 || length > rest - i)
            return 0;
        i += (length + 3) & ~3u;
    }
    return i >= rest;
}

static int carries(const pp_packet *p, uint32_t at, uint32_t rest, uint8_t kind)
{
    int is_ppp;
    switch (kind) {
    case PP_TUNNEL_VXLAN:
        return is_vxlan(p, at, rest, 0);
    case PP_TUNNEL_VXLAN_GPE:
        return is_vxlan_gpe(p, at, rest, 0);
    case PP_TUNNEL_GENEVE:
        return is_geneve(p, at, rest, 0);
    case PP_TUNNEL_GTPU:
        return is_gtpu(p, at, rest, 0);
    case PP_TUNNEL_TEREDO:
        return pp_teredo_header(p, at, rest) != UINT32_MAX;
    case PP_TUNNEL_FOU:
        return is_ip(p, at, rest, 0);
    case PP_TUNNEL_GUE:
        return is_gue(p, at, rest, 0);
    case PP_TUNNEL_GRE:
        return is_gre(p, at, rest);
    case PP_TUNNEL_MPLS:
        return is_mpls(p, at, rest);
    case PP_TUNNEL_SCTP:
        return is_sctp(p, at, rest);
    case PP_TUNNEL_L2TP:
        return pp_l2tp_header(p, at, rest, &is_ppp) != 0;
    case PP_TUNNEL_AYIYA:
        return pp_ayiya_header(p, at, rest) != 0;
    case PP_TUNNEL_CAPWAP:
        return pp_capwap_header(p, at, rest) != 0;
    default:
        return 0;
    }
}

/* Those that answer from the port that they are asked on; the others choose the source by the flow inside. */
static int answers_from_port(uint8_t kind)
{
    return kind == PP_TUNNEL_TEREDO || kind == PP_TUNNEL_GTPU || kind == PP_TUNNEL_SCTP || kind == PP_TUNNEL_L2TP ||
           kind == PP_TUNNEL_AYIYA || kind == PP_TUNNEL_CAPWAP || kind == PP_TUNNEL_PLAIN;
}

uint8_t pp_announced(uint16_t source, uint16_t destination)
{
    uint8_t kind = pp_tunnel_of_port(destination);
    if (kind == PP_TUNNEL_NONE) {
        kind = pp_tunnel_of_port(source);
        if (!answers_from_port(kind))
            kind = PP_TUNNEL_NONE;
    }
    return kind;
}

uint8_t pp_recognize(const pp_packet *p, uint32_t at, uint32_t rest, uint16_t source, uint16_t destination)
{
    uint8_t announced = pp_announced(source, destination);
    if (announced == PP_TUNNEL_PLAIN)
        return PP_TUNNEL_NONE;
    if (announced && carries(p, at, rest, announced))
        return announced;
    if (rest < TUNNEL_LEAST || at + TUNNEL_LEAST > p->cap || !pp_may_be_tunnel(p->data + at, rest))
        return PP_TUNNEL_NONE;
    return is_vxlan(p, at, rest, 1)       ? PP_TUNNEL_VXLAN
           : is_vxlan_gpe(p, at, rest, 1) ? PP_TUNNEL_VXLAN_GPE
           : is_geneve(p, at, rest, 1)    ? PP_TUNNEL_GENEVE
           : is_gtpu(p, at, rest, 1)      ? PP_TUNNEL_GTPU
           : is_ip(p, at, rest, 1)        ? PP_TUNNEL_FOU
           : is_gue(p, at, rest, 1)       ? PP_TUNNEL_GUE
                                          : PP_TUNNEL_NONE;
}
