/* parse_rare_link.c - links that few captures have: switches' tags, and the networks of old.
 *
 * Does: DSA; IPoIB, ARCnet, Token Ring, FDDI, ATM, Fibre Channel, FireWire, SLIP; PPP, HDLC and
 *       Frame Relay with a direction; captures of Ethernet with its preamble.
 *
 * Source: https://www.tcpdump.org/linktypes.html; RFC 4391, 1201, 1042.
 */
#include "parse/parse_internal.h"

/* An EtherType so many bytes from here, and at its end the header. */
static void typed(pp_packet *p, pp_cursor *c, uint32_t at, uint32_t header)
{
    if (!pp_need(p, c, header))
        return;
    uint16_t type = pp_get16(p->data + c->at + at);
    c->at += header;
    pp_parse_ethertype(p, c, type);
}

enum { IPOIB_LEN = 4, IPOIB_ADDRESS_LEN = 20, IPOIB_ROUTE_LEN = 40 };

/* RFC 4391: an EtherType and two bytes of zero; captures have an address or a global route header before it. */
static void ipoib(pp_packet *p, pp_cursor *c)
{
    static const uint32_t before[] = { 0, IPOIB_ROUTE_LEN, IPOIB_ADDRESS_LEN };
    for (unsigned i = 0; i < sizeof before / sizeof before[0]; i++) {
        if (!pp_within(c, before[i] + IPOIB_LEN))
            continue;
        uint32_t head = pp_get32(p->data + c->at + before[i]);
        if (head == ETH_P_IP << 16 || head == (uint32_t)ETH_P_IPV6 << 16 || head == ETH_P_ARP << 16) {
            typed(p, c, before[i], before[i] + IPOIB_LEN);
            return;
        }
    }
    if (pp_need(p, c, IPOIB_LEN))
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
}

enum {
    ARCNET_IP_OLD = 240,
    ARCNET_ARP_OLD = 241,
    ARCNET_IP = 212,
    ARCNET_ARP = 213,
    ARCNET_RARP = 214,
    ARCNET_IP6 = 196
};
enum { ARCNET_FLAG = 1, ARCNET_OLD_LEN = 1, ARCNET_NEW_LEN = 4, ARCNET_EXCEPTION = 0xff };

/* From the protocol on: RFC 1051, or RFC 1201, which adds a flag for fragments and a number. */
static void arcnet(pp_packet *p, pp_cursor *c, uint32_t addresses)
{
    if (!pp_skip(p, c, addresses) || !pp_need(p, c, ARCNET_OLD_LEN))
        return;
    uint8_t type = p->data[c->at];
    uint32_t header = type == ARCNET_IP_OLD || type == ARCNET_ARP_OLD ? ARCNET_OLD_LEN : ARCNET_NEW_LEN;
    if (!pp_need(p, c, header))
        return;
    uint8_t flag = header == ARCNET_NEW_LEN ? p->data[c->at + ARCNET_FLAG] : 0;
    if (flag == ARCNET_EXCEPTION && (header += ARCNET_NEW_LEN, !pp_need(p, c, header)))
        return;
    if (flag == ARCNET_EXCEPTION)
        flag = p->data[c->at + ARCNET_NEW_LEN + ARCNET_FLAG];
    c->at += header;
    if (flag != 0)
        pp_fragment(p, c);
    if (flag & 1) /* the first of several */
        c->fragment = c->cut = 1;
    if (flag != 0 && !(flag & 1))
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
    else if (type == ARCNET_IP || type == ARCNET_IP_OLD)
        pp_parse_ip4(p, c);
    else if (type == ARCNET_IP6)
        pp_parse_ip6(p, c);
    else if (type != ARCNET_ARP && type != ARCNET_ARP_OLD && type != ARCNET_RARP)
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
}

enum { RING_SOURCE = 8, RING_LEN = 14, RING_IS_ROUTED = 0x80, RING_IS_LLC = 0x40, RING_ROUTE_LEN = 0x1f };
enum { FDDI_LEN = 13, FDDI_KIND = 0xf0, FDDI_LLC = 0x50 };

static void token_ring(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, RING_LEN))
        return;
    const uint8_t *h = p->data + c->at;
    if ((h[1] & 0xc0) != RING_IS_LLC) /* the ring's own */
        return;
    c->at += RING_LEN;
    if ((h[RING_SOURCE] & RING_IS_ROUTED) && (!pp_need(p, c, 2) || !pp_skip(p, c, p->data[c->at] & RING_ROUTE_LEN)))
        return;
    pp_parse_llc(p, c);
}

static void fddi(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, FDDI_LEN))
        return;
    int is_llc = (p->data[c->at] & FDDI_KIND) == FDDI_LLC;
    c->at += FDDI_LEN;
    if (is_llc)
        pp_parse_llc(p, c);
}

enum { SUNATM_LEN = 4, SUNATM_KIND = 0x0f, SUNATM_LLC = 2, FC_LEN = 16 };
enum { PREAMBLE_LEN = 8, PREAMBLE_EXPRESS = 0xd5 };
enum { FIREWIRE_TYPE = 16, FIREWIRE_LEN = 18, DSA_LEN = 4, EDSA_LEN = 8 };

static void sunatm(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, SUNATM_LEN))
        return;
    int is_llc = (p->data[c->at] & SUNATM_KIND) == SUNATM_LLC;
    c->at += SUNATM_LEN;
    if (is_llc)
        pp_parse_atm(p, c);
    else
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
}

/* The tag of a switch's port between the addresses of Ethernet and its type. */
static void dsa(pp_packet *p, pp_cursor *c, uint32_t size) { typed(p, c, ETH_ADDRESSES + size, ETH_HLEN + size); }

/* 802.3br: a preamble that says whether a whole frame follows, or a part of one. */
static void mpacket(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, PREAMBLE_LEN))
        return;
    c->at += PREAMBLE_LEN;
    if (p->data[c->at - 1] == PREAMBLE_EXPRESS)
        pp_parse_ethernet(p, c);
    else
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
}

/* Links that put so many bytes before the frame of another. */
static const struct {
    uint16_t link, within;
    uint8_t header;
} prefixed[] = {
    { PP_LINK_SLIP, PP_LINK_RAW, 16 },
    { PP_LINK_PPP_PPPD, PP_LINK_PPP, 2 },
    { PP_LINK_PPP_WITH_DIRECTION, PP_LINK_PPP, 1 },
    { PP_LINK_C_HDLC_WITH_DIRECTION, PP_LINK_C_HDLC, 1 },
    { PP_LINK_FRAME_RELAY_WITH_DIRECTION, PP_LINK_FRAME_RELAY, 1 },
    { PP_LINK_NETANALYZER, PP_LINK_ETHERNET, 4 },
    { PP_LINK_NETANALYZER_PREAMBLE, PP_LINK_ETHERNET, 12 },
    { PP_LINK_DSA_BRCM_PREPEND, PP_LINK_ETHERNET, 4 },
};

static int prefix(pp_packet *p, pp_cursor *c, uint32_t link)
{
    for (size_t i = 0; i < sizeof prefixed / sizeof prefixed[0]; i++)
        if (prefixed[i].link == link) {
            if (pp_skip(p, c, prefixed[i].header))
                pp_parse_link(p, c, prefixed[i].within);
            return 1;
        }
    return 0;
}

/* Ethernet, but for what stands where. */
static int like_ethernet(pp_packet *p, pp_cursor *c, uint32_t link)
{
    switch (link) {
    case PP_LINK_DSA:
    case PP_LINK_DSA_BRCM:
        return dsa(p, c, DSA_LEN), 1;
    case PP_LINK_EDSA:
        return dsa(p, c, EDSA_LEN), 1;
    case PP_LINK_APPLE_1394:
        return typed(p, c, FIREWIRE_TYPE, FIREWIRE_LEN), 1;
    case PP_LINK_IP_OVER_FC:
        if (pp_skip(p, c, FC_LEN))
            pp_parse_llc(p, c);
        return 1;
    case PP_LINK_TOKEN_RING:
        return token_ring(p, c), 1;
    case PP_LINK_FDDI:
        return fddi(p, c), 1;
    case PP_LINK_MPACKET:
        return mpacket(p, c), 1;
    default:
        return prefix(p, c, link);
    }
}

int pp_parse_rare_link(pp_packet *p, pp_cursor *c, uint32_t link)
{
    switch (link) {
    case PP_LINK_80211:
        return pp_parse_80211(p, c), 1;
    case PP_LINK_RADIOTAP:
        return pp_parse_radiotap(p, c), 1;
    case PP_LINK_PPI:
        return pp_parse_ppi(p, c), 1;
    case PP_LINK_PRISM:
    case PP_LINK_AVS:
        return pp_parse_prism(p, c), 1;
    case PP_LINK_NFLOG:
        return pp_parse_nflog(p, c), 1;
    case PP_LINK_PFLOG:
        return pp_parse_pflog(p, c), 1;
    case PP_LINK_ENC:
        return pp_parse_enc(p, c), 1;
    case PP_LINK_PKTAP:
        return pp_parse_pktap(p, c), 1;
    case PP_LINK_IPOIB:
        return ipoib(p, c), 1;
    case PP_LINK_ARCNET:
        return arcnet(p, c, 2), 1;
    case PP_LINK_ARCNET_LINUX:
        return arcnet(p, c, 4), 1;
    case PP_LINK_MPLS:
        return pp_parse_mpls(p, c), 1;
    case PP_LINK_FRAME_RELAY:
        return pp_parse_frame_relay(p, c), 1;
    case PP_LINK_ATM:
        return pp_parse_atm(p, c), 1;
    case PP_LINK_SUNATM:
        return sunatm(p, c), 1;
    default:
        return like_ethernet(p, c, link);
    }
}
