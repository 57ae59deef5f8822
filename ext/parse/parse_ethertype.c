/* parse_ethertype.c - what Ethernet and its kin carry beside IP, MPLS, PPPoE and 802.1Q: tags and frames within frames;
 * and what is known to have no internet checksum.
 *
 * Source: RFC 6325; IEEE 802.1AE, 802.1AH, 802.1BR, 802.1CB; IEC 62439-3; linux/net/dsa; IANA's and
 *         IEEE's registries of EtherTypes.
 */
#include "parse/parse_internal.h"

/* EtherTypes of protocols in which there is no internet checksum: control of links and bridges, resolution of addresses,
 * field buses, storage, and networks of other families. */
static const uint16_t without_sum[] = {
    ETH_P_ARP,      ETH_P_RARP, /* Cisco's SLARP as well */
    ETH_P_AARP,     ETH_P_LLDP,     ETH_P_SLOW,     ETH_P_PAE,      ETH_P_PREAUTH, ETH_P_PAUSE,
    ETH_P_1588,     ETH_P_CFM,      ETH_P_LOOPBACK, ETH_P_PPP_DISC, ETH_P_MVRP,    0x88f6, /* MMRP */
    ETH_P_TSN,      0x22ea,                                                                /* MSRP */
    0x22f4,                                                                                /* IS-IS of TRILL */
    ETH_P_PRP,      ETH_P_NCSI,     0x88e3,                                                /* MRP */
    ETH_P_PROFINET, ETH_P_ETHERCAT, 0x88b8,                                                /* GOOSE */
    0x88b9,                                                                                /* GSE */
    0x88ba,                                                                                /* sampled values */
    0x88cd,                                                                                /* SERCOS */
    ETH_P_AOE,      ETH_P_FCOE,     ETH_P_FIP,      ETH_P_TIPC,     ETH_P_IBOE,    ETH_P_ATALK,
    ETH_P_IPX,      0x8138,                                                 /* IPX, and SNMP over Ethernet */
    0x88d9,                                                                 /* LLTD */
    0x0842,                                                                 /* wake on LAN */
    0x2000,                                                                 /* CDP over HDLC */
    ETH_P_DNA_DL,   ETH_P_DNA_RC,   ETH_P_DNA_RT,   ETH_P_LAT,      0x887b, /* HomePlug */
    0x88e1,         0x8912,         0x893a,                                 /* IEEE 1905 */
};

static void pass_over(pp_packet *p, uint16_t type)
{
    for (size_t i = 0; i < sizeof without_sum / sizeof without_sum[0]; i++)
        if (type == without_sum[i])
            return;
    pp_not_understood_type(p, PP_UNREAD_ETHER_TYPE, type);
}

/* Step over the rest of a tag, and its end, which is the EtherType of what follows. */
static void tag(pp_packet *p, pp_cursor *c, uint32_t rest)
{
    if (!pp_need(p, c, rest + 2))
        return;
    uint16_t type = pp_get16(p->data + c->at + rest);
    c->at += rest + 2;
    pp_parse_ethertype(p, c, type);
}

/* A whole Ethernet frame behind so many bytes. */
static void frame_within(pp_packet *p, pp_cursor *c, uint32_t header)
{
    if (!pp_need(p, c, header))
        return;
    c->at += header;
    pp_parse_ethernet(p, c);
}

/* 802.1AE: what is protected and not encrypted can be read; its integrity check value at the end is not IP's. */
static void macsec(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, MACSEC_LEN))
        return;
    uint8_t control = p->data[c->at];
    if (control & MACSEC_IS_CHANGED)
        pp_not_understood_type(p, PP_UNREAD_ENCRYPTED, ETH_P_MACSEC);
    else
        tag(p, c, MACSEC_LEN + ((control & MACSEC_HAS_SCI) ? MACSEC_SCI_LEN : 0));
}

/* Realtek's tags of switch ports, told from the vendor's other protocols of the same EtherType by their first byte. */
static void realtek(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, 1))
        return;
    uint8_t first = p->data[c->at];
    if (first >> 4 == 0xa)
        tag(p, c, 2);
    else if (first == 4)
        tag(p, c, 6);
    else if (first != 1 && first != 2 && first != 3 && first != 0x23) /* remote control, loop detection */
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
}

static void trill(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, TRILL_LEN))
        return;
    uint16_t head = pp_get16(p->data + c->at);
    if (head >> 14 != 0)
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
    else
        frame_within(p, c, TRILL_LEN + (head >> 6 & 31u) * 4);
}

/* B.A.T.M.A.N. advanced, compatibility version 15: its own messages have no checksum, frames go behind a header. */
static void batman(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, 2))
        return;
    const uint8_t *h = p->data + c->at;
    if (h[1] != BATMAN_VERSION) {
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
        return;
    }
    switch (h[0]) {
    case 0x00: /* OGM, ELP, OGM2, ICMP of its own, TVLV */
    case 0x03:
    case 0x04:
    case 0x43:
    case 0x44:
        return;
    case 0x01:
        frame_within(p, c, BATMAN_BROADCAST_LEN);
        return;
    case 0x40:
        frame_within(p, c, BATMAN_UNICAST_LEN);
        return;
    case 0x42:
        frame_within(p, c, BATMAN_4ADDR_LEN);
        return;
    default: /* fragments, coded packets */
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
        return;
    }
}

void pp_parse_other(pp_packet *p, pp_cursor *c, uint16_t type)
{
    if (c->nested++ == PP_MAX_NESTED) {
        pp_not_understood(p, PP_UNREAD_DEPTH);
        return;
    }
    switch (type) {
    case ETH_P_TEB:
        pp_parse_ethernet(p, c);
        return;
    case ETH_P_8021AH: /* provider backbone bridging */
        frame_within(p, c, I_TAG_LEN);
        return;
    case ETHERTYPE_FABRICPATH:
        frame_within(p, c, FABRICPATH_LEN);
        return;
    case ETHERTYPE_TRILL:
        trill(p, c);
        return;
    case ETH_P_BATMAN:
        batman(p, c);
        return;
    case ETHERTYPE_CMD: /* Cisco MetaData: version, number of options of four bytes */
        if (pp_need(p, c, 2))
            tag(p, c, 2u + p->data[c->at + 1] * 4u);
        return;
    case ETHERTYPE_VNTAG:
    case ETHERTYPE_RTAG: /* 802.1CB */
    case ETH_P_HSR:
        tag(p, c, 4);
        return;
    case ETHERTYPE_ETAG: /* 802.1BR */
    case ETH_P_EDSA:
    case ETH_P_DSA_A5PSW:
        tag(p, c, 6);
        return;
    case ETH_P_DSA_8021Q:
        tag(p, c, 2);
        return;
    case ETH_P_REALTEK:
        realtek(p, c);
        return;
    case ETH_P_MACSEC:
        macsec(p, c);
        return;
    case ETHERTYPE_PPP:
        pp_parse_ppp(p, c);
        return;
    case ETHERTYPE_JUMBO_LLC:
        pp_parse_llc(p, c);
        return;
    case ETHERTYPE_FRAME_RELAY: /* in GRE */
        pp_parse_frame_relay(p, c);
        return;
    default:
        pass_over(p, type);
        return;
    }
}

void pp_pass_over(pp_packet *p, uint8_t protocol)
{
    if (protocol == IPPROTO_ESP)
        pp_not_understood_type(p, PP_UNREAD_ENCRYPTED, protocol);
    else if (protocol != IPPROTO_NONE)
        pp_not_understood_type(p, PP_UNREAD_IP_PROTOCOL, protocol);
}
