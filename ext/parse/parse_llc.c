/* parse_llc.c - 802.2 LLC and what is like it: SNAP, NLPIDs, ATM, Frame Relay.
 *
 * Source: RFC 1042, 2427, 2684; ISO/IEC TR 9577.
 */
#include "parse/parse_internal.h"

/* What an NLPID of ISO/IEC TR 9577 says of what follows it. */
void pp_parse_nlpid(pp_packet *p, pp_cursor *c, uint8_t nlpid)
{
    switch (nlpid) {
    case NLPID_IP4:
        pp_parse_ip4(p, c);
        return;
    case NLPID_IP6:
        pp_parse_ip6(p, c);
        return;
    case NLPID_PPP:
        pp_parse_ppp(p, c);
        return;
    case NLPID_SNAP:
        pp_parse_snap(p, c);
        return;
    case 0x08: /* Q.933 */
    case 0x09: /* LMI */
    case 0x81: /* CLNP, ES-IS, IS-IS */
    case 0x82:
    case 0x83:
        return;
    default:
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
        return;
    }
}

/* An organization and a protocol of its own. */
void pp_parse_snap(pp_packet *p, pp_cursor *c)
{
    if (!pp_need(p, c, SNAP_LEN))
        return;
    uint32_t organization = pp_get32(p->data + c->at) >> 8;
    uint16_t type = pp_get16(p->data + c->at + SNAP_TYPE);
    c->at += SNAP_LEN;
    switch (organization) {
    case 0x000000: /* EtherTypes; of frames that a bridge brought over from Ethernet: 802.1H */
    case 0x0000f8:
        if (type >= ETH_P_802_3_MIN)
            pp_parse_ethertype(p, c, type);
        else
            pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
        return;
    case 0x0080c2: /* bridged frames of RFC 2427 and 2684; 14: of spanning trees */
        if (type == SNAP_ETHERNET || type == SNAP_ETHERNET_FCS)
            pp_parse_ethernet(p, c);
        else if (type != 14)
            pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
        return;
    case 0x00000c: /* Cisco's CDP, VTP, DTP, PVST, UDLD */
    case 0x000081: /* Nortel's, Foundry's, Extreme's, Aironet's discovery */
    case 0x00e052:
    case 0x00e02b:
    case 0x004096:
    case 0x080007: /* AppleTalk */
        return;
    default:
        pp_not_understood_type(p, PP_UNREAD_ETHER_TYPE, type);
        return;
    }
}

void pp_parse_atm(pp_packet *p, pp_cursor *c)
{
    static const uint8_t bridged[] = { 0xaa, 0xaa, LLC_DATAGRAM, 0x00, 0x80, 0xc2, 0x00 };
    if (pp_within(c, ATM_BRIDGED_LEN) && memcmp(p->data + c->at, bridged, sizeof bridged) == 0 &&
        (p->data[c->at + sizeof bridged] == SNAP_ETHERNET || p->data[c->at + sizeof bridged] == SNAP_ETHERNET_FCS)) {
        c->at += ATM_BRIDGED_LEN;
        pp_parse_ethernet(p, c);
    } else {
        pp_parse_llc(p, c);
    }
}

/* 802.2: two service access points and a control field, which is 3 for a datagram. */
void pp_parse_llc(pp_packet *p, pp_cursor *c)
{
    if (!pp_within(c, LLC_LEN) && c->end - c->at < LLC_LEN) /* an empty frame, or one of a bridge that is shorter */
        return;
    if (!pp_need(p, c, LLC_LEN))
        return;
    const uint8_t *h = p->data + c->at;
    if (h[2] != LLC_DATAGRAM) /* acknowledged by itself, or of the link's own */
        return;
    c->at += LLC_LEN;
    switch (h[0] & LLC_SAP) {
    case 0xaa:
        pp_parse_snap(p, c);
        return;
    case 0x06:
        if (!pp_parse_by_version(p, c))
            pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
        return;
    case 0xfe:
        if (!pp_need(p, c, 1))
            return;
        c->at++;
        pp_parse_nlpid(p, c, p->data[c->at - 1]);
        return;
    case 0x00: /* of the link's own */
    case 0x02:
    case 0x42: /* spanning tree, IPX, NetBIOS, SNA, IPX without LLC, Vines, XNS */
    case 0xe0:
    case 0xf0:
    case 0x04:
    case 0x08:
    case 0xf4:
    case 0xbc:
    case 0x80:
        return;
    default:
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
        return;
    }
}

/* RFC 2427: an address of two to four bytes, then a control field and an NLPID, or an EtherType as Cisco has it. */
void pp_parse_frame_relay(pp_packet *p, pp_cursor *c)
{
    uint32_t address = 1;
    while (address < FRAME_RELAY_MOST && pp_within(c, address) && !(p->data[c->at + address - 1] & 1))
        address++;
    if (!pp_need(p, c, address + 2))
        return;
    c->at += address;
    const uint8_t *h = p->data + c->at;
    if (address < 2 || !(h[-1] & 1)) {
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
    } else if (h[0] == LLC_DATAGRAM) {
        c->at += h[1] == 0 ? 2 : 1; /* a byte that pads */
        if (!pp_need(p, c, 1))
            return;
        c->at++;
        pp_parse_nlpid(p, c, p->data[c->at - 1]);
    } else if (pp_get16(h) >= ETH_P_802_3_MIN) {
        c->at += 2;
        pp_parse_ethertype(p, c, pp_get16(h));
    } else {
        pp_not_understood(p, PP_UNREAD_ENCAPSULATION);
    }
}
