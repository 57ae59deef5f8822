/* parse_transport.c - transport headers, and packets quoted in ICMP errors.
 *
 * Does: TCP, UDP, UDP-Lite, ICMP, ICMPv6, IGMP, SCTP, DCCP; IPIP, 6in4, 4in6, EtherIP, MPLS-in-IP, AH.  All else: parse_other.c.
 * Does not: judge.  What it cannot cover whole (fragment, truncated, contradicting lengths) it marks unchecked.
 *
 * Source: RFC 9293, 768, 3828, 792, 4443, 2236, 9260, 4340, 3378, 4023, 4302.
 */
#include "parse/parse_internal.h"
#include "parse/recognize.h"
#include "parse/tunnel.h"
#include <pktmend/sum.h>

/* May UDP over IPv6 carry no checksum on this port?  Tunnels may: RFC 6935, 6936. */
static int is_tunnel_port(uint16_t port)
{
    switch (port) {
    case 2268: /* AMT */
    case 4341:
    case 4342: /* LISP */
        return 1;
    default:
        return pp_tunnel_of_port(port) != PP_TUNNEL_NONE && pp_tunnel_of_port(port) != PP_TUNNEL_TEREDO &&
               pp_tunnel_of_port(port) != PP_TUNNEL_PLAIN;
    }
}

/* What the datagram at the cursor carries, of whose bytes length are here. */
static uint8_t content_of(const pp_packet *p, const pp_cursor *c, uint16_t source, uint16_t destination,
                          uint32_t length)
{
    uint32_t said = pp_get16(p->data + c->at + UDP_LENGTH); /* of a fragment: of the whole datagram */
    uint32_t whole = c->fragment || c->cut ? said : length;
    return whole > UDP_LEN ? pp_recognize(p, c->at + UDP_LEN, whole - UDP_LEN, source, destination) : PP_TUNNEL_NONE;
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
    uint8_t kind = contradiction ? PP_TUNNEL_NONE : content_of(p, c, source, destination, length);
    if (k && k->stored == 0 && !c->quoted) {
        if (c->version == 4 || kind != PP_TUNNEL_NONE || is_tunnel_port(destination) || is_tunnel_port(source)) {
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
    pp_parse_udp_tunnel(p, c, source, destination, kind);
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
    uint8_t unread = p->unread; /* nobody has to look into what is only quoted */
    c->at = at;
    c->quoted = c->cut = 1;
    if (version == 4)
        pp_parse_ip4(p, c);
    else
        pp_parse_ip6(p, c);
    if (unread == PP_UNREAD_NONE)
        p->unread = PP_UNREAD_NONE, p->unread_type = 0;
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

/* AH over IPv4; over IPv6 it is one of the extension headers. */
static void authentication(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, AH_LEAST))
        return;
    uint8_t next = p->data[c->at + AH_NEXT];
    uint32_t header = (p->data[c->at + AH_LENGTH] + 2u) * 4;
    if (header <= c->end - c->at && next != IPPROTO_AH) {
        c->at += header;
        pp_parse_transport(p, c, next);
    } else {
        pp_malformed(p, c);
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
        pp_parse_gre(p, c);
        return;
    case IPPROTO_AH:
        authentication(p, c);
        return;
    case IPPROTO_IPIP:
        if (pp_enter(p, c, 0))
            pp_parse_ip4(p, c);
        return;
    case IPPROTO_IPV6:
        if (pp_enter(p, c, 0))
            pp_parse_ip6(p, c);
        return;
    case IPPROTO_ETHERIP:
        if (pp_enter(p, c, ETHERIP_LEN))
            pp_parse_ethernet(p, c);
        return;
    case IPPROTO_L2TP3:
        pp_parse_l2tp3(p, c);
        return;
    case IPPROTO_MPLS: /* RFC 4023 */
        if (pp_enter(p, c, 0))
            pp_parse_mpls(p, c);
        return;
    default:
        pp_parse_other(p, c, protocol);
        return;
    }
}
