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
#include "sum/sum.h"

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

static void by_version(pp_packet *p, pp_cursor *c)
{
    if (!pp_within(c, 1))
        return;
    if (p->data[c->at] >> 4 == 4)
        pp_parse_ip4(p, c);
    else if (p->data[c->at] >> 4 == 6)
        pp_parse_ip6(p, c);
}

static void gtpu(pp_packet *p, pp_cursor *c)
{
    if (!pp_within(c, 8))
        return;
    const uint8_t *h = p->data + c->at;
    if (h[0] >> 4 != 3 || h[1] != 255) /* version 1, GTP; G-PDU */
        return;
    uint32_t header = 8, length = pp_get16(h + 2);
    if (length > c->end - c->at - 8)
        return;
    if (h[0] & 7) {
        header = 12;
        if (!pp_within(c, 12))
            return;
        uint8_t next = (h[0] & 4) ? h[11] : 0;
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
    if (header - 8 > length)
        return;
    pp_bound(p, c, c->at + 8 + length);
    if (descend(c, header))
        by_version(p, c);
}

static void geneve(pp_packet *p, pp_cursor *c)
{
    if (!pp_within(c, 8))
        return;
    const uint8_t *h = p->data + c->at;
    if (h[0] >> 6 != 0)
        return;
    if (descend(c, 8 + (h[0] & 63u) * 4)) {
        uint16_t type = pp_get16(h + 2);
        if (type == 0x6558)
            pp_parse_ethernet(p, c);
        else
            pp_parse_ethertype(p, c, type);
    }
}

static void vxlan(pp_packet *p, pp_cursor *c, uint16_t port)
{
    if (!pp_within(c, 8))
        return;
    const uint8_t *h = p->data + c->at;
    if (!(h[0] & 0x08)) /* the I flag: VNI valid */
        return;
    uint8_t next = port == TUNNEL_VXLAN_GPE && (h[0] & 0x04) ? h[3] : 3;
    if (!descend(c, 8))
        return;
    switch (next) {
    case 1:
        pp_parse_ip4(p, c);
        break;
    case 2:
        pp_parse_ip6(p, c);
        break;
    case 3:
        pp_parse_ethernet(p, c);
        break;
    case 5:
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
        if (pp_get16(h) == 1)
            header += 13u + h[2] + h[3];
        else if (pp_get16(h) == 0)
            header += 8;
        else
            break;
    }
    if (pp_within(c, header + 40) && p->data[c->at + header] >> 4 == 6 &&
        pp_get16(p->data + c->at + header + 4) + 40u <= c->end - c->at - header && descend(c, header))
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
    if (!pp_need(p, c, 8))
        return;
    const uint8_t *h = p->data + c->at;
    uint16_t source = pp_get16(h), destination = pp_get16(h + 2);
    uint32_t length = pp_get16(h + 4);
    if (length == 0 && (span > 65535 || (p->flags & PP_PKT_SUPER_FRAME))) /* RFC 2675 section 4, or a super-frame */
        length = span;
    int contradiction = length < 8 || (length > span && !c->fragment && !c->cut);
    if (length < 8 || length > span) {
        c->contradiction |= !c->fragment;
        length = span;
    }
    pp_check *k = pp_cover(p, c, PP_PROTO_UDP, c->at + 6, c->at, length, 17, length);
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
    c->at += 8;
    udp_tunnel(p, c, source, destination);
}

static void udplite(pp_packet *p, pp_cursor *c)
{
    uint32_t span = c->end - c->at;
    if (!pp_need(p, c, 8))
        return;
    uint32_t coverage = pp_get16(p->data + c->at + 4);
    if (coverage == 0)
        coverage = span;
    int contradiction = coverage < 8 || coverage > span;
    pp_check *k = pp_cover(p, c, PP_PROTO_UDPLITE, c->at + 6, c->at, contradiction ? span : coverage, 136, span);
    if (contradiction)
        pp_contradict(p, c, k);
}

static void dccp(pp_packet *p, pp_cursor *c)
{
    uint32_t span = c->end - c->at;
    if (!pp_need(p, c, 12))
        return;
    uint32_t header = p->data[c->at + 4] * 4u, cover_code = p->data[c->at + 5] & 15u;
    uint32_t coverage = cover_code == 0 ? span : header + (cover_code - 1) * 4;
    int contradiction = header < 12 || coverage > span;
    pp_check *k = pp_cover(p, c, PP_PROTO_DCCP, c->at + 6, c->at, contradiction ? span : coverage, 33, span);
    if (contradiction)
        pp_contradict(p, c, k);
}

static void sctp(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, 12))
        return;
    pp_check *k = pp_cover(p, c, PP_PROTO_SCTP, c->at + 8, c->at, c->end - c->at, -1, 0);
    if (k) {
        k->flags |= PP_CHECK_CRC32C;
        k->stored = pp_get32(p->data + c->at + 8);
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
    if (!pp_need(p, c, 4))
        return;
    pp_cover(p, c, PP_PROTO_ICMP, c->at + 2, c->at, length, -1, 0);
    uint8_t type = p->data[c->at];
    if (type == 3 || type == 4 || type == 5 || type == 11 || type == 12)
        quoted(p, c, c->at + 8, 4);
}

static void icmpv6(pp_packet *p, pp_cursor *c)
{
    uint32_t length = c->end - c->at;
    if (!pp_need(p, c, 4))
        return;
    pp_cover(p, c, PP_PROTO_ICMPV6, c->at + 2, c->at, length, 58, length);
    if (p->data[c->at] >= 1 && p->data[c->at] <= 4)
        quoted(p, c, c->at + 8, 6);
}

static void igmp(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, 8))
        return;
    pp_cover(p, c, PP_PROTO_IGMP, c->at + 2, c->at, c->end - c->at, -1, 0);
}

static void gre(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, 4))
        return;
    uint16_t bits = pp_get16(p->data + c->at), type = pp_get16(p->data + c->at + 2);
    uint32_t header = 4;
    if ((bits & 7) > 1)
        return;
    if ((bits & 7) == 1) { /* enhanced GRE of PPTP, RFC 2637: a key always, never a checksum */
        header += 4u + ((bits & 0x1000) ? 4 : 0) + ((bits & 0x0080) ? 4 : 0);
    } else {
        if (bits & 0x8000) {
            if (!pp_need(p, c, 8))
                return;
            pp_cover(p, c, PP_PROTO_GRE, c->at + 4, c->at, c->end - c->at, -1, 0);
        } else if (p->count < PP_CHECKS_PER_PACKET) {
            pp_check *k = &p->checks[p->count++];
            pp_set_check(k, c, PP_PROTO_GRE, c->at + 4, c->at, c->end - c->at);
            k->flags |= PP_CHECK_NO_FIELD;
            k->status = c->quoted ? PP_STATUS_UNCHECKED : PP_STATUS_ABSENT;
            k->reason = c->quoted ? PP_REASON_QUOTED : PP_REASON_NONE;
        }
        if (bits & 0x4000) /* source routing, RFC 1701: obsolete, its length is not known beforehand */
            return;
        header += ((bits & 0x8000) ? 4u : 0) + ((bits & 0x2000) ? 4 : 0) + ((bits & 0x1000) ? 4 : 0);
    }
    if (!descend(c, header))
        return;
    switch (type) {
    case 0x6558:
        pp_parse_ethernet(p, c);
        return;
    case 0x880b:
        pp_parse_ppp(p, c);
        return;
    case 0x88be: /* ERSPAN: type I has no header and no sequence number, type II both */
        if (bits & 0x1000) {
            if (8 > c->end - c->at)
                return;
            c->at += 8;
        }
        pp_parse_ethernet(p, c);
        return;
    case 0x22eb: /* ERSPAN type III; the O bit adds a platform specific header */
        if (!pp_within(c, 12))
            return;
        header = (p->data[c->at + 11] & 1) ? 20 : 12;
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
    case 6:
        pp_parse_tcp(p, c);
        return;
    case 17:
        udp(p, c);
        return;
    case 1:
        if (c->version == 4)
            icmp(p, c);
        return;
    case 58:
        if (c->version == 6)
            icmpv6(p, c);
        return;
    case 2:
        igmp(p, c);
        return;
    case 136:
        udplite(p, c);
        return;
    case 132:
        sctp(p, c);
        return;
    case 33:
        dccp(p, c);
        return;
    case 47:
        gre(p, c);
        return;
    case 51: /* AH over IPv4, RFC 4302 */
        if (pp_need(p, c, 8)) {
            uint8_t next = p->data[c->at];
            uint32_t header = (p->data[c->at + 1] + 2u) * 4;
            if (header <= c->end - c->at && next != 51) {
                c->at += header;
                pp_parse_transport(p, c, next);
            } else {
                pp_malformed(p, c);
            }
        }
        return;
    case 4:
        if (descend(c, 0))
            pp_parse_ip4(p, c);
        return;
    case 41:
        if (descend(c, 0))
            pp_parse_ip6(p, c);
        return;
    case 97: /* EtherIP */
        if (descend(c, 2))
            pp_parse_ethernet(p, c);
        return;
    case 137: /* MPLS-in-IP, RFC 4023 */
        if (descend(c, 0))
            pp_parse_mpls(p, c);
        return;
    default:
        return;
    }
}
