/* parse_transport.c - transport headers, the tunnels that open another packet, and packets quoted in ICMP errors.
 *
 * Does: TCP, UDP, UDP-Lite, ICMP, ICMPv6, IGMP, SCTP, DCCP, GRE (with ERSPAN), VXLAN, VXLAN-GPE, Geneve, GTP-U,
 *       Teredo, IPIP, 6in4, 4in6, EtherIP, MPLS-in-IP.
 * Does not: judge.  What it cannot cover whole (fragment, truncated, contradicting lengths) it marks unchecked.
 *
 * Source: RFC 9293, 768, 3828, 792, 4443, 2236, 9260, 4340, 2784, 2890, 2637, 7348, 8926, 4380, 3378;
 *         draft-foschiano-erspan; 3GPP TS 29.281.
 */
#include "parse/parse_internal.h"
#include "parse/tunnel.h"
#include <pktmend/sum.h>

/* Ports on which UDP over IPv6 may carry no checksum: tunnels (RFC 6935, 6936). */
static int is_tunnel_port(uint16_t port)
{
    switch (port) {
    case TUNNEL_VXLAN:
    case TUNNEL_VXLAN_LINUX:
    case TUNNEL_VXLAN_GPE:
    case TUNNEL_GENEVE:
    case TUNNEL_GTPU:
    case 2268: /* AMT */
    case 4341:
    case 4342: /* LISP */
    case 4754: /* GRE-in-UDP */
    case 6635: /* MPLS-in-UDP */
        return 1;
    default:
        return 0;
    }
}

/* Step into a tunnel: everything found from here on is one deeper. */
static int descend(pp_cursor *c, uint32_t header)
{
    if (c->depth + 1u >= PP_MAX_DEPTH || c->at + header > c->end)
        return 0;
    c->at += header;
    c->depth++;
    c->cut |= c->fragment;
    return 1;
}

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
        for (unsigned i = 0; next && i < 16; i++) { /* extension headers, in units of four octets */
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
    if (descend(c, header))
        pp_parse_by_version(p, c);
}

static void geneve(pp_packet *p, pp_cursor *c)
{
    if (!pp_within(c, GENEVE_LEN))
        return;
    const uint8_t *h = p->data + c->at;
    if (h[0] >> 6 != 0)
        return;
    if (descend(c, GENEVE_LEN + (h[0] & 63u) * 4)) {
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
    if (!descend(c, VXLAN_LEN))
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
        descend(c, header))
        pp_parse_ip6(p, c);
}

static void udp_tunnel(pp_packet *p, pp_cursor *c, uint16_t source, uint16_t destination)
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

static void udp(pp_packet *p, pp_cursor *c)
{
    uint32_t span = c->end - c->at;
    if (!pp_need(p, c, UDP_LEN))
        return;
    const uint8_t *h = p->data + c->at;
    uint16_t source = pp_get16(h + PORT_SOURCE), destination = pp_get16(h + PORT_TARGET);
    uint32_t length = pp_get16(h + UDP_LENGTH);
    if (length == 0 &&
        (span > UINT16_MAX || (p->flags & PP_PKT_SUPER_FRAME))) /* RFC 2675 section 4, or a super-frame */
        length = span;
    int contradiction = length < UDP_LEN || (length > span && !c->fragment && !c->cut);
    if (length < UDP_LEN || length > span) {
        c->contradiction |= !c->fragment;
        length = span;
    }
    pp_check *k = pp_cover(p, c, PP_PROTO_UDP, c->at + UDP_SUM, c->at, length, IPPROTO_UDP, length);
    if (contradiction)
        pp_contradict(p, c, k);
    if (k && k->stored == 0 && !c->quoted) {
        if (c->version == 4 || is_tunnel_port(destination) || is_tunnel_port(source)) {
            k->status = PP_STATUS_ABSENT;
            k->reason = PP_REASON_NONE;
        } else if (!contradiction) {
            k->status = PP_STATUS_BAD; /* whatever the rest holds: RFC 8200 section 8.1 */
        }
    } else if (k && k->stored == 0 && c->version == 4) {
        pp_unchecked(k, PP_REASON_QUOTED);
    }
    if (contradiction)
        return;
    pp_bound(p, c, c->at + length);
    c->at += UDP_LEN;
    udp_tunnel(p, c, source, destination);
}

static void udplite(pp_packet *p, pp_cursor *c)
{
    uint32_t span = c->end - c->at;
    if (!pp_need(p, c, UDP_LEN))
        return;
    uint32_t coverage = pp_get16(p->data + c->at + UDPLITE_COVERAGE);
    if (coverage == 0)
        coverage = span;
    int contradiction = coverage < UDP_LEN || coverage > span;
    pp_check *k = pp_cover(p, c, PP_PROTO_UDPLITE, c->at + UDP_SUM, c->at, contradiction ? span : coverage,
                           IPPROTO_UDPLITE, span);
    if (contradiction)
        pp_contradict(p, c, k);
}

static void dccp(pp_packet *p, pp_cursor *c)
{
    uint32_t span = c->end - c->at;
    if (!pp_need(p, c, DCCP_LEN))
        return;
    uint32_t header = p->data[c->at + DCCP_OFFSET] * 4u, cover_code = p->data[c->at + DCCP_COVERAGE] & 15u;
    uint32_t coverage = cover_code == 0 ? span : header + (cover_code - 1) * 4;
    int contradiction = header < DCCP_LEN || coverage > span;
    pp_check *k =
        pp_cover(p, c, PP_PROTO_DCCP, c->at + DCCP_SUM, c->at, contradiction ? span : coverage, IPPROTO_DCCP, span);
    if (contradiction)
        pp_contradict(p, c, k);
}

static void sctp(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, SCTP_LEN))
        return;
    pp_check *k = pp_cover(p, c, PP_PROTO_SCTP, c->at + SCTP_SUM, c->at, c->end - c->at, -1, 0);
    if (k) {
        k->flags |= PP_CHECK_CRC32C;
        k->stored = pp_get32(p->data + c->at + SCTP_SUM);
    }
}

/* The packet that an ICMP error complains of: its sums are another host's business, seen through a keyhole. */
static void quoted(pp_packet *p, pp_cursor *c, uint32_t at, uint8_t version)
{
    if (c->quoted || at > c->end)
        return;
    c->at = at;
    c->quoted = c->cut = 1;
    if (version == 4)
        pp_parse_ip4(p, c);
    else
        pp_parse_ip6(p, c);
}

static void icmp(pp_packet *p, pp_cursor *c)
{
    uint32_t length = c->end - c->at;
    if (!pp_need(p, c, ICMP_LEAST))
        return;
    pp_cover(p, c, PP_PROTO_ICMP, c->at + ICMP_SUM, c->at, length, -1, 0);
    if (pp_is_icmp_error(p->data[c->at + ICMP_TYPE]))
        quoted(p, c, c->at + ICMP_LEN, 4);
}

static void icmpv6(pp_packet *p, pp_cursor *c)
{
    uint32_t length = c->end - c->at;
    if (!pp_need(p, c, ICMP_LEAST))
        return;
    pp_cover(p, c, PP_PROTO_ICMPV6, c->at + ICMP_SUM, c->at, length, IPPROTO_ICMPV6, length);
    if (p->data[c->at] >= ICMP6_DST_UNREACH && p->data[c->at] <= ICMP6_PARAM_PROB)
        quoted(p, c, c->at + ICMP_LEN, 6);
}

static void igmp(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, ICMP_LEN))
        return;
    pp_cover(p, c, PP_PROTO_IGMP, c->at + ICMP_SUM, c->at, c->end - c->at, -1, 0);
}

static void gre(pp_packet *p, pp_cursor *c)
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
        if (bits & GRE_HAS_SUM) {
            if (!pp_need(p, c, GRE_LEN + 4))
                return;
            pp_cover(p, c, PP_PROTO_GRE, c->at + GRE_SUM, c->at, c->end - c->at, -1, 0);
        } else if (p->count < PP_CHECKS_PER_PACKET) {
            pp_check *k = &p->checks[p->count++];
            pp_set_check(k, c, PP_PROTO_GRE, c->at + GRE_SUM, c->at, c->end - c->at);
            k->flags |= PP_CHECK_NO_FIELD;
            k->status = c->quoted ? PP_STATUS_UNCHECKED : PP_STATUS_ABSENT;
            k->reason = c->quoted ? PP_REASON_QUOTED : PP_REASON_NONE;
        }
        if (bits & GRE_HAS_ROUTING) /* source routing, RFC 1701: obsolete, its length is not known beforehand */
            return;
        header +=
            ((bits & GRE_HAS_SUM) ? 4u : 0) + ((bits & GRE_HAS_KEY) ? 4 : 0) + ((bits & GRE_HAS_SEQUENCE) ? 4 : 0);
    }
    if (!descend(c, header))
        return;
    switch (type) {
    case ETH_P_TEB:
        pp_parse_ethernet(p, c);
        return;
    case ETHERTYPE_PPP:
        pp_parse_ppp(p, c);
        return;
    case ETH_P_ERSPAN: /* type I has no header and no sequence number, type II both */
        if (bits & GRE_HAS_SEQUENCE) {
            if (ERSPAN2_LEN > c->end - c->at)
                return;
            c->at += ERSPAN2_LEN;
        }
        pp_parse_ethernet(p, c);
        return;
    case ETH_P_ERSPAN2: /* type III; the O bit adds a platform specific header */
        if (!pp_within(c, ERSPAN3_LEN))
            return;
        header = (p->data[c->at + ERSPAN3_FLAGS] & 1) ? ERSPAN3_LONG_LEN : ERSPAN3_LEN;
        if (header > c->end - c->at)
            return;
        c->at += header;
        pp_parse_ethernet(p, c);
        return;
    default:
        pp_parse_ethertype(p, c, type);
    }
}

void pp_parse_transport(pp_packet *p, pp_cursor *c, uint8_t protocol)
{
    switch (protocol) {
    case IPPROTO_TCP:
        pp_parse_tcp(p, c);
        return;
    case IPPROTO_UDP:
        udp(p, c);
        return;
    case IPPROTO_ICMP:
        if (c->version == 4)
            icmp(p, c);
        return;
    case IPPROTO_ICMPV6:
        if (c->version == 6)
            icmpv6(p, c);
        return;
    case IPPROTO_IGMP:
        igmp(p, c);
        return;
    case IPPROTO_UDPLITE:
        udplite(p, c);
        return;
    case IPPROTO_SCTP:
        sctp(p, c);
        return;
    case IPPROTO_DCCP:
        dccp(p, c);
        return;
    case IPPROTO_GRE:
        gre(p, c);
        return;
    case IPPROTO_AH: /* over IPv4 */
        if (pp_need(p, c, AH_LEAST)) {
            uint8_t next = p->data[c->at + AH_NEXT];
            uint32_t header = (p->data[c->at + AH_LENGTH] + 2u) * 4;
            if (header <= c->end - c->at && next != IPPROTO_AH) {
                c->at += header;
                pp_parse_transport(p, c, next);
            } else {
                pp_malformed(p, c);
            }
        }
        return;
    case IPPROTO_IPIP:
        if (descend(c, 0))
            pp_parse_ip4(p, c);
        return;
    case IPPROTO_IPV6:
        if (descend(c, 0))
            pp_parse_ip6(p, c);
        return;
    case IPPROTO_ETHERIP:
        if (descend(c, ETHERIP_LEN))
            pp_parse_ethernet(p, c);
        return;
    case IPPROTO_MPLS: /* RFC 4023 */
        if (descend(c, 0))
            pp_parse_mpls(p, c);
        return;
    default:
        return;
    }
}
