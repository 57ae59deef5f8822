/* parse_link.c - layer 2: from the first byte of a frame, or of what a tunnel carries, to its IP header.
 *
 * Does: Ethernet, 802.1Q/802.1ad, 802.2 SNAP, PPPoE/PPP, cooked and raw links.  MPLS: parse_mpls.c.
 *
 * Source: RFC 2516, 1661; Linux Documentation for the cooked headers; https://www.tcpdump.org/linktypes.html.
 */
#include <sys/socket.h>

#include <linux/if_arp.h>

#include "parse/parse_internal.h"

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
    if (protocol == PPP_IP)
        pp_parse_ip4(p, c);
    else if (protocol == PPP_IPV6)
        pp_parse_ip6(p, c);
    else if (protocol == PPP_MPLS_UC)
        pp_parse_mpls(p, c);
}

static void pppoe(pp_packet *p, pp_cursor *c)
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

static void snap(pp_packet *p, pp_cursor *c)
{
    static const uint8_t rfc1042[SNAP_TYPE] = { 0xaa, 0xaa, 0x03, 0, 0, 0 };
    if (!pp_within(c, SNAP_LEN) || memcmp(p->data + c->at, rfc1042, sizeof rfc1042) != 0)
        return;
    uint16_t type = pp_get16(p->data + c->at + SNAP_TYPE);
    c->at += SNAP_LEN;
    if (type >= ETH_P_802_3_MIN)
        pp_parse_ethertype(p, c, type);
}

void pp_parse_ethertype(pp_packet *p, pp_cursor *c, uint16_t type)
{
    for (unsigned tags = 0;; tags++) {
        switch (type) {
        case ETH_P_IP:
            pp_parse_ip4(p, c);
            return;
        case ETH_P_IPV6:
            pp_parse_ip6(p, c);
            return;
        case ETH_P_MPLS_UC:
        case ETH_P_MPLS_MC:
            pp_parse_mpls(p, c);
            return;
        case ETH_P_PPP_SES:
            pppoe(p, c);
            return;
        case ETHERTYPE_NSH:
            pp_parse_nsh(p, c);
            return;
        case ETH_P_8021Q:
        case ETH_P_8021AD:
        case ETH_P_QINQ1:
        case ETH_P_QINQ2:
        case ETH_P_QINQ3:
            if (tags == PP_MAX_VLAN) {
                pp_malformed(p, c);
                return;
            }
            if (!pp_need(p, c, VLAN_LEN))
                return;
            type = pp_get16(p->data + c->at + VLAN_TYPE);
            c->at += VLAN_LEN;
            break;
        default:
            if (type < ETH_P_802_3_MIN) { /* an 802.3 length */
                pp_add_framing(p, c, c->at - 2, c->at, ETH_DATA_LEN);
                if (type <= c->end - c->at)
                    pp_bound(p, c, c->at + type);
                snap(p, c);
            }
            return;
        }
    }
}

void pp_parse_ethernet(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, ETH_HLEN))
        return;
    uint16_t type = pp_get16(p->data + c->at + ETH_TYPE);
    c->at += ETH_HLEN;
    pp_parse_ethertype(p, c, type);
}

/* A family of the host that wrote it, in that host's byte order. */
static void null_or_loop(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, NULL_LEN))
        return;
    uint32_t family = pp_get32(p->data);
    if (family > 0xffff) /* written by a machine of the other byte order */
        family = __builtin_bswap32(family);
    c->at = NULL_LEN;
    if (family == AF_INET)
        pp_parse_ip4(p, c);
    else if (family == AF_INET6 || family == 24 || family == 28 || family == 30) /* of the BSDs and macOS */
        pp_parse_ip6(p, c);
}

/* A cooked header: its length, and where it has the kind of device and the protocol. */
static void cooked(pp_packet *p, pp_cursor *c, uint32_t length, uint32_t hatype, uint32_t protocol)
{
    if (!pp_need(p, c, length))
        return;
    c->at = length;
    if (pp_get16(p->data + hatype) == ARPHRD_NETLINK)
        return;
    uint16_t type = pp_get16(p->data + protocol);
    if (type == ETH_P_802_2)
        snap(p, c);
    else if (type >= ETH_P_802_3_MIN)
        pp_parse_ethertype(p, c, type);
}

static void hdlc(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, HDLC_LEN))
        return;
    c->at = HDLC_LEN;
    if (pp_get16(p->data + HDLC_TYPE) >= ETH_P_802_3_MIN)
        pp_parse_ethertype(p, c, pp_get16(p->data + HDLC_TYPE));
}

void pp_parse_link(pp_packet *p, pp_cursor *c)
{
    switch (p->link) {
    case PP_LINK_ETHERNET:
        pp_parse_ethernet(p, c);
        break;
    case PP_LINK_RAW:
    case PP_LINK_RAW_BSD:
    case PP_LINK_RAW_OPENBSD:
        if (pp_need(p, c, 1) && !pp_parse_by_version(p, c))
            pp_parse_ip4(p, c); /* which finds it malformed */
        break;
    case PP_LINK_IPV4:
        pp_parse_ip4(p, c);
        break;
    case PP_LINK_IPV6:
        pp_parse_ip6(p, c);
        break;
    case PP_LINK_NULL:
    case PP_LINK_LOOP:
        null_or_loop(p, c);
        break;
    case PP_LINK_SLL:
        cooked(p, c, SLL_LEN, SLL_HATYPE, SLL_TYPE);
        break;
    case PP_LINK_SLL2:
        cooked(p, c, SLL2_LEN, SLL2_HATYPE, SLL2_TYPE);
        break;
    case PP_LINK_PPP_HDLC:
        if (pp_within(c, HDLC_LEN) && (p->data[0] == HDLC_UNICAST || p->data[0] == HDLC_MULTICAST)) {
            c->at = HDLC_LEN; /* Cisco HDLC in the same framing, RFC 4349 */
            pp_parse_ethertype(p, c, pp_get16(p->data + HDLC_TYPE));
            break;
        }
        pp_parse_ppp(p, c);
        break;
    case PP_LINK_PPP:
        pp_parse_ppp(p, c);
        break;
    case PP_LINK_PPPOE:
        pppoe(p, c);
        break;
    case PP_LINK_C_HDLC:
        hdlc(p, c);
        break;
    default:
        break;
    }
}
