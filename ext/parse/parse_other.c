/* parse_other.c - what Ethernet and its kin carry beside IP, MPLS, PPPoE and 802.1Q: known to have no internet checksum, or
 * not looked into.
 *
 * Source: IANA's and IEEE's registries of EtherTypes.
 */
#include "parse/parse_internal.h"

/* EtherTypes of protocols in which there is no internet checksum: control of links and bridges, resolution of addresses,
 * field buses, storage, and networks of other families. */
static const uint16_t without_sum[] = {
    ETH_P_ARP,
    0x8035 /* RARP, and SLARP */,
    0x80f3 /* AARP */,
    ETH_P_LLDP,
    ETH_P_SLOW,
    ETH_P_PAE,
    ETH_P_PREAUTH,
    ETH_P_PAUSE,
    ETH_P_1588,
    ETH_P_CFM,
    ETH_P_LOOPBACK,
    ETH_P_PPP_DISC,
    ETH_P_MVRP,
    0x88f6 /* MMRP */,
    ETH_P_TSN,
    0x22ea /* MSRP */,
    0x22f4 /* L2 IS-IS */,
    ETH_P_PRP,
    0x88e3 /* MRP */,
    ETH_P_PROFINET,
    0x88a4 /* EtherCAT */,
    0x88b8 /* GOOSE */,
    0x88b9,
    0x88ba /* SV */,
    ETH_P_AOE,
    ETH_P_FCOE,
    ETH_P_FIP,
    ETH_P_TIPC,
    ETH_P_IBOE,
    ETH_P_ATALK,
    ETH_P_IPX,
    0x8138 /* IPX */,
    0x88d9 /* LLTD */,
    0x0842 /* wake on LAN */,
    0x2000 /* CDP */,
    0x6001 /* DEC MOP */,
    0x6002,
    ETH_P_DNA_RT,
    ETH_P_LAT,
    0x8912 /* HomePlug */,
    0x88e1,
    0x887b,
    0x88cd /* SERCOS */,
    0x8874 /* Broadcom's probes */,
    0x893a /* IEEE 1905 */,
};

/* What follows an EtherType that is none of those that pp_parse_ethertype() reads. */
void pp_parse_other(pp_packet *p, pp_cursor *c, uint16_t type)
{
    (void)c;
    if (type == ETH_P_MACSEC) {
        pp_not_understood_type(p, PP_UNREAD_ENCRYPTED, type);
        return;
    }
    for (size_t i = 0; i < sizeof without_sum / sizeof without_sum[0]; i++)
        if (type == without_sum[i])
            return;
    pp_not_understood_type(p, PP_UNREAD_ETHER_TYPE, type);
}

void pp_pass_over(pp_packet *p, uint8_t protocol)
{
    if (protocol == IPPROTO_ESP)
        pp_not_understood_type(p, PP_UNREAD_ENCRYPTED, protocol);
    else if (protocol != IPPROTO_NONE)
        pp_not_understood_type(p, PP_UNREAD_IP_PROTOCOL, protocol);
}
