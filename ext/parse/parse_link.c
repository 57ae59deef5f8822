/* parse_link.c - layer 2: from the first byte of a frame, or of what a tunnel carries, to its IP header.
 *
 * Does: Ethernet, 802.1Q/802.1ad, cooked and raw links.  Other links: parse_rare_link.c; what Ethernet carries beside
 *       IP: parse_mpls.c, parse_ethertype.c, parse_llc.c, parse_ppp.c.
 *
 * Source: Linux Documentation for the cooked headers; https://www.tcpdump.org/linktypes.html.
 */
#include <sys/socket.h>

#include <linux/if_arp.h>

#include "parse/parse_internal.h"

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
            pp_parse_pppoe(p, c);
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
                pp_parse_llc(p, c);
            } else {
                pp_parse_other_type(p, c, type);
            }
            return;
        }
    }
}

/* Frames within frames are counted here, for all ways lead through it: NSH and MPLS carry Ethernet and are no tunnels, and a
 * frame of 64 KiB holds thousands, each of them a call. */
void pp_parse_ethernet(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, ETH_HLEN))
        return;
    if (c->nested++ == PP_MAX_NESTED) {
        pp_not_understood(p, PP_UNREAD_DEPTH);
        return;
    }
    uint16_t type = pp_get16(p->data + c->at + ETH_TYPE);
    c->at += ETH_HLEN;
    pp_parse_ethertype(p, c, type);
}

/* A family of the host that wrote it, in that host's byte order. */
static void null_or_loop(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, NULL_LEN))
        return;
    uint32_t family = pp_get32(p->data + c->at);
    if (family > 0xffff) /* written by a machine of the other byte order */
        family = __builtin_bswap32(family);
    c->at += NULL_LEN;
    switch (family) {
    case AF_INET:
        pp_parse_ip4(p, c);
        break;
    case AF_INET6:
    case 24: /* of the BSDs, macOS and Windows */
    case 28:
    case 30:
    case 23:
        pp_parse_ip6(p, c);
        break;
    case 7: /* OSI and AppleTalk there */
    case 16:
        break;
    default:
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
        break;
    }
}

/* A cooked header: its length, and where it has the kind of device and the protocol. */
static void cooked(pp_packet *p, pp_cursor *c, uint32_t length, uint32_t hatype, uint32_t protocol)
{
    if (!pp_need(p, c, length))
        return;
    const uint8_t *h = p->data + c->at;
    uint16_t type = pp_get16(h + protocol);
    c->at += length;
    switch (pp_get16(h + hatype)) {
    case ARPHRD_NETLINK:
    case ARPHRD_CAN:
        return;
    case ARPHRD_IEEE80211:
        pp_parse_80211(p, c);
        return;
    case ARPHRD_IEEE80211_PRISM:
        pp_parse_prism(p, c);
        return;
    case ARPHRD_IEEE80211_RADIOTAP:
        pp_parse_radiotap(p, c);
        return;
    case ARPHRD_FRAD:
        pp_parse_frame_relay(p, c);
        return;
    default:
        break;
    }
    if (type == ETH_P_802_2)
        pp_parse_llc(p, c);
    else if (type >= ETH_P_802_3_MIN)
        pp_parse_ethertype(p, c, type);
    else if (type != ETH_P_802_3 && type != ETH_P_LOOP) /* IPX without LLC */
        pp_not_understood_type(p, PP_UNREAD_ETHER_TYPE, type);
}

static void hdlc(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, HDLC_LEN))
        return;
    uint16_t type = pp_get16(p->data + c->at + HDLC_TYPE);
    c->at += HDLC_LEN;
    if (type >= ETH_P_802_3_MIN && type != HDLC_OSI)
        pp_parse_ethertype(p, c, type);
}

/* PPP in HDLC-like framing, or Cisco HDLC in the same (RFC 4349). */
static void ppp_or_hdlc(pp_packet *p, pp_cursor *c)
{
    if (pp_within(c, HDLC_LEN) && (p->data[c->at] == HDLC_UNICAST || p->data[c->at] == HDLC_MULTICAST) &&
        p->data[c->at + 1] == 0)
        hdlc(p, c);
    else
        pp_parse_ppp(p, c);
}

void pp_parse_link(pp_packet *p, pp_cursor *c, uint32_t link)
{
    switch (link) {
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
    case PP_LINK_PPP: /* some systems keep HDLC as this type too; no protocol number begins so */
        ppp_or_hdlc(p, c);
        break;
    case PP_LINK_PPPOE:
        pp_parse_pppoe(p, c);
        break;
    case PP_LINK_C_HDLC:
        hdlc(p, c);
        break;
    default:
        if (!pp_parse_rare_link(p, c, link))
            pp_not_understood_type(p, PP_UNREAD_LINK_TYPE, (uint16_t)link);
        break;
    }
}
