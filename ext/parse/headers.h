/* headers.h - where the fields of protocol headers lie, and the numbers that name protocols.
 *
 * Rules:
 *   1. An offset counts bytes from the first one of its own header.
 *   2. Numbers come from the system's headers; only what those lack is named here, with its source.
 *
 * Source: RFC 791, 8200, 9293, 768, 3828, 792, 4443, 9260, 4340, 2784, 2516; IANA's registries.
 */
#ifndef PP_HEADERS_H
#define PP_HEADERS_H

#include <linux/if_ether.h>
#include <linux/ppp_defs.h>
#include <linux/virtio_net.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Ethernet: two addresses and the EtherType, ETH_HLEN bytes.  A VLAN tag goes between. */
enum { ETH_ADDRESSES = 2 * ETH_ALEN, ETH_TYPE = ETH_ADDRESSES };
enum { VLAN_TYPE = 2, VLAN_LEN = 4 };
enum { ETHERTYPE_PPP = 0x880b }; /* in GRE: RFC 2637 */
enum { ETHERTYPE_NSH = 0x894f, ETHERTYPE_WCCP = 0x883e };
/* Aruba's GRE: the protocol type has the kind of tunnel in its middle, and 802.11 frames lie behind it. */
enum { ARUBA_FIRST = 0x8200, ARUBA_LAST = 0x83f0, ARUBA_MORE_FIRST = 0x9000, ARUBA_MORE_LAST = 0x9430 };
enum {
    ETHERTYPE_TRILL = 0x22f3, /* RFC 6325 */
    ETHERTYPE_FRAME_RELAY = 0x6559,
    ETHERTYPE_JUMBO_LLC = 0x8870,
    ETHERTYPE_FABRICPATH = 0x8903,
    ETHERTYPE_CMD = 0x8909, /* Cisco MetaData */
    ETHERTYPE_VNTAG = 0x8926,
    ETHERTYPE_ETAG = 0x893f, /* 802.1BR */
    ETHERTYPE_ARISTA = 0xd28b,
    ETHERTYPE_RTAG = 0xf1c1 /* 802.1CB */
};
/* Tags and frames within frames: what lies between the EtherType and the next, or the inner frame. */
enum { CMD_VERSION = 1, CMD_LEN = 2, ARISTA_LEN = 4, WCCP_LEN = 4 };
enum { I_TAG_LEN = 4, FABRICPATH_LEN = 2, TRILL_LEN = 6 };
enum { BATMAN_VERSION = 15, BATMAN_UNICAST_LEN = 10, BATMAN_BROADCAST_LEN = 14, BATMAN_4ADDR_LEN = 18 };
enum { MACSEC_LEN = 6, MACSEC_SCI_LEN = 8, MACSEC_HAS_SCI = 0x20, MACSEC_IS_CHANGED = 0x0c }; /* of its first byte */

/* Behind Ethernet, and other links. */
enum { MPLS_BOTTOM = 2, MPLS_LEN = 4, CONTROL_WORD_LEN = 4 }; /* RFC 3032, RFC 4385 */
enum { LLC_LEN = 3, LLC_SAP = 0xfe, LLC_DATAGRAM = 3 };       /* 802.2: its field is UI */
enum { SNAP_TYPE = 3, SNAP_LEN = 5 };                         /* RFC 1042 */
enum { SNAP_ETHERNET_FCS = 1, SNAP_ETHERNET = 7 };            /* of 00-80-c2: RFC 2427, RFC 2684 */
enum { ATM_BRIDGED_LEN = LLC_LEN + SNAP_LEN + 2 };            /* RFC 2684: two bytes of padding */
enum { NLPID_SNAP = 0x80, NLPID_IP6 = 0x8e, NLPID_IP4 = 0xcc, NLPID_PPP = 0xcf };
enum { FRAME_RELAY_MOST = 4 };                            /* bytes of its address */
enum { PPPOE_CODE = 1, PPPOE_LENGTH = 4, PPPOE_LEN = 6 }; /* RFC 2516 */
enum { PPPOE_VERSION_TYPE = 0x11 };                       /* version 1, type 1 */
enum { PPP_OSI = 0x23, PPP_DECNET = 0x27, PPP_ENCRYPTED = 0x53, PPP_LINK_ENCRYPTED = 0x55, PPP_CDP = 0x207 };
enum { PPP_CONTROL_PROTOCOLS = 0x8000 };      /* and above */
enum { PPP_MP_LEN = 4, PPP_MP_WHOLE = 0xc0 }; /* RFC 1990: both ends of a packet */
enum { HDLC_TYPE = 2, HDLC_LEN = 4 };         /* Cisco HDLC, RFC 1547 */
enum { HDLC_OSI = 0xfefe };
enum { HDLC_UNICAST = 0x0f, HDLC_MULTICAST = 0x8f };                   /* its address field */
enum { SLL_HATYPE = 2, SLL_ADDRESS = 6, SLL_TYPE = 14, SLL_LEN = 16 }; /* LINKTYPE_LINUX_SLL */
enum { SLL2_TYPE = 0, SLL2_HATYPE = 8, SLL2_LEN = 20 };                /* LINKTYPE_LINUX_SLL2 */
enum { NULL_LEN = 4 };                                                 /* LINKTYPE_NULL: an address family */

enum {
    IP4_TOS = 1,
    IP4_TOTAL = 2,
    IP4_ID = 4,
    IP4_FRAGMENT = 6,
    IP4_TTL = 8,
    IP4_PROTO = 9,
    IP4_SUM = 10,
    IP4_SOURCE = 12,
    IP4_TARGET = 16,
    IP4_LEN = 20,
    IP4_ADDRESS_LEN = 4
};
enum { IP4_IS_FRAGMENT = IP_MF | IP_OFFMASK, IP4_FRAGMENT_OFFSET = IP_OFFMASK }; /* of the word at IP4_FRAGMENT */
enum { IP4_PLAIN = 0x45 }; /* version 4 and a header without options */

enum { IP6_PAYLOAD = 4, IP6_NEXT = 6, IP6_SOURCE = 8, IP6_TARGET = 24, IP6_LEN = 40, IP6_ADDRESS_LEN = 16 };
/* An extension header: what follows, and its length in units of eight bytes beyond the first. */
enum { EXT_NEXT = 0, EXT_LENGTH = 1, EXT_OPTIONS = 2, EXT_UNIT = 8 };
enum { ROUTING_TYPE = 2, ROUTING_LEFT = 3, ROUTING_ADDRESSES = 8 };
enum { ROUTING_SOURCE = 0, ROUTING_MOBILE = 2, ROUTING_RPL = 3, ROUTING_SEGMENTS = 4 }; /* its type */
enum { FRAGMENT_OFFSET = 2, FRAGMENT_LEN = 8 };
enum { IP6_IS_FRAGMENT = 0xfff9, IP6_FRAGMENT_OFFSET = 0xfff8 }; /* of the word at FRAGMENT_OFFSET */
enum { IP6OPT_HOME_ADDRESS = 0xc9 };                             /* RFC 6275 section 6.3 */
enum { IPPROTO_HIP = 139, IPPROTO_SHIM6 = 140 };                 /* RFC 7401, RFC 5533 */
enum { IPPROTO_ETHERIP = 97, ETHERIP_LEN = 2 };                  /* RFC 3378 */
enum { AH_NEXT = 0, AH_LENGTH = 1, AH_LEAST = 8 };               /* RFC 4302: in 32-bit words, minus two */

/* TCP, UDP, UDP-Lite, SCTP and DCCP begin with their ports. */
enum { PORT_SOURCE = 0, PORT_TARGET = 2, PORTS_LEN = 4 };
static inline int pp_has_ports(uint8_t protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ||
           protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP;
}
enum {
    TCP_SEQUENCE = 4,
    TCP_ACKNOWLEDGED = 8,
    TCP_OFFSET = 12, /* header length in 32-bit words, upper half */
    TCP_FLAGS = 13,
    TCP_WINDOW = 14,
    TCP_SUM = 16,
    TCP_URGENT = 18,
    TCP_LEN = 20
};
enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08, TCP_ACK = 0x10, TCP_CWR = 0x80 };
enum { UDP_LENGTH = 4, UDP_SUM = 6, UDP_LEN = 8 };
enum { UDPLITE_COVERAGE = 4 };
enum { SCTP_SUM = 8, SCTP_LEN = 12 };
enum { DCCP_OFFSET = 4, DCCP_COVERAGE = 5, DCCP_SUM = 6, DCCP_LEN = 12 };

/* ICMP, ICMPv6 and IGMP. */
enum { ICMP_TYPE = 0, ICMP_CODE = 1, ICMP_SUM = 2, ICMP_ID = 4, ICMP_SEQUENCE = 6, ICMP_LEN = 8, ICMP_LEAST = 4 };

/* Does an ICMP message of this type quote the packet that it complains of? */
static inline int pp_is_icmp_error(uint8_t type)
{
    return type == ICMP_DEST_UNREACH || type == ICMP_SOURCE_QUENCH || type == ICMP_REDIRECT ||
           type == ICMP_TIME_EXCEEDED || type == ICMP_PARAMETERPROB;
}

/* Protocols of routers and their like. */
enum { IPPROTO_EIGRP = 88, IPPROTO_OSPFIGP = 89, IPPROTO_VRRP = 112, IPPROTO_PGM = 113, IPPROTO_ETHERNET_SRV6 = 143 };
enum { VRRP_SUM = 6, VRRP_LEN = 8 };
enum { OSPF_LENGTH = 2, OSPF_SUM = 12, OSPF_LEAST = 14, OSPF2_LEN = 24, OSPF3_LEN = 16 };
enum { OSPF_TRAILER_HMAC = 1, OSPF_TRAILER_LEAST = 16 };                  /* version 3, RFC 7166 */
enum { OSPF_AUTHENTICATION = 14, OSPF_CRYPTOGRAPHIC = 2, OSPF_KEY = 16 }; /* version 2 */
enum { PIM_SUM = 2, PIM_LEAST = 4, PIM_REGISTER = 1, PIM_REGISTER_LEN = 8, PIM_REGISTER_BITS = 4, PIM_NULL = 0x40 };
enum { EIGRP_SUM = 2, EIGRP_LEN = 20 };
enum { RSVP_SUM = 2, RSVP_LENGTH = 6, RSVP_LEN = 8 };
enum { PGM_SUM = 6, PGM_LEN = 16 };
enum { EXT_SUM = 4 };                             /* HIP, the mobility header and Shim6 */
enum { SHIM6_BITS = 2, SHIM6_IS_PAYLOAD = 0x80 }; /* of what is no control message there is no sum */

enum { GRE_BITS = 0, GRE_TYPE = 2, GRE_LEN = 4, GRE_SUM = 4 }; /* RFC 2784, 2890; enhanced: RFC 2637 */
enum {
    GRE_HAS_SUM = 0x8000,
    GRE_HAS_ROUTING = 0x4000, /* RFC 1701 */
    GRE_HAS_KEY = 0x2000,
    GRE_HAS_SEQUENCE = 0x1000,
    GRE_HAS_ACKNOWLEDGED = 0x0080, /* enhanced GRE */
    GRE_VERSION_MASK = 0x0007
};
enum { ERSPAN2_LEN = 8, ERSPAN3_LEN = 12, ERSPAN3_LONG_LEN = 20, ERSPAN3_FLAGS = 11 }; /* draft-foschiano-erspan */
enum { ERSPAN_FLAGS = 2, ERSPAN_IS_CUT = 0x04, ERSPAN3_TYPE = 10, ERSPAN3_IS_IP = 2 };

enum { VXLAN_NEXT = 3, VXLAN_LEN = 8, VXLAN_HAS_VNI = 0x08, VXLAN_HAS_NEXT = 0x04 }; /* RFC 7348 and its GPE draft */
enum { VXLAN_HAS_GROUP = 0x80, VXLAN_RESERVED = 7 }; /* draft-smith-vxlan-group-policy */
enum { VXLAN_NEXT_IP4 = 1, VXLAN_NEXT_IP6 = 2, VXLAN_NEXT_ETHERNET = 3, VXLAN_NEXT_NSH = 4, VXLAN_NEXT_MPLS = 5 };
enum { GENEVE_TYPE = 2, GENEVE_LEN = 8 };                                                  /* RFC 8926 */
enum { GTPU_TYPE = 1, GTPU_LENGTH = 2, GTPU_LEN = 8, GTPU_NEXT = 11, GTPU_LONG_LEN = 12 }; /* 3GPP TS 29.281 */
enum { GTPU_VERSION = 3, GTPU_PDU = 255, GTPU_HAS_MORE = 7, GTPU_HAS_NEXT = 4, GTPU_SPARE = 8 };
enum {
    GUE_PROTO = 1,
    GUE_FLAGS = 2,
    GUE_LEN = 4,
    GUE_IS_CONTROL = 0x20,
    GUE_LENGTH_MASK = 0x1f
}; /* draft-ietf-intarea-gue */
enum { NSH_LENGTH = 1, NSH_LENGTH_MASK = 0x3f, NSH_NEXT = 3, NSH_LEN = 8 }; /* RFC 8300 */
enum { NSH_NEXT_IP4 = 1, NSH_NEXT_IP6 = 2, NSH_NEXT_ETHERNET = 3, NSH_NEXT_NSH = 4, NSH_NEXT_MPLS = 5 };
enum { L2TP_LEN = 6, L2TP3_LEN = 8, L2TP3_SESSION = 4, L2TP3_COOKIE_MOST = 12 }; /* RFC 2661 section 3.1, RFC 3931 */
enum { L2TP_IS_CONTROL = 0x8000, L2TP_HAS_LENGTH = 0x4000, L2TP_HAS_SEQUENCE = 0x0800, L2TP_HAS_OFFSET = 0x0200 };
enum { L2TP_VERSION_MASK = 0x000f, L2TP_RESERVED = 0x34f0 };
enum {
    AYIYA_IDENTITY = 0,
    AYIYA_SIGNATURE = 1,
    AYIYA_CODE = 2,
    AYIYA_NEXT = 3,
    AYIYA_LEN = 8
}; /* draft-massar-v6ops-ayiya */
enum { AYIYA_FORWARD = 1 }; /* its operation code */
enum { IPPROTO_L2TP3 = 115 };
enum { WCCP_REDIRECT_LEN = 4 };
enum {
    TEREDO_ORIGIN = 0,
    TEREDO_AUTHENTICATION = 1,
    TEREDO_ORIGIN_LEN = 8,
    TEREDO_AUTHENTICATION_LEN = 13
}; /* RFC 4380 */

#endif
