/* <pktmend/parse.h> - find every checksum of one frame.
 *
 * Rules:
 *   1. Reads only data[0..caplen).  Each loop consumes at least one byte or one item of a bounded count.
 *   2. Says where a checksum lies, what it covers and its pseudo-header sum; judges nothing (verify.c does).
 *   3. Lengths come from the IP header, bounded by the frame: Ethernet padding is never covered.
 */
#ifndef PP_PARSE_H
#define PP_PARSE_H

#include <pktmend/stage.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* LINKTYPE_* values that are understood (https://www.tcpdump.org/linktypes.html). */
enum pp_link {
    PP_LINK_NULL = 0,
    PP_LINK_ETHERNET = 1,
    PP_LINK_PPP = 9,
    PP_LINK_RAW_BSD = 12,
    PP_LINK_RAW_OPENBSD = 14,
    PP_LINK_PPP_HDLC = 50,
    PP_LINK_PPPOE = 51,
    PP_LINK_RAW = 101,
    PP_LINK_C_HDLC = 104,
    PP_LINK_LOOP = 108,
    PP_LINK_SLL = 113,
    PP_LINK_IPV4 = 228,
    PP_LINK_IPV6 = 229,
    PP_LINK_SLL2 = 276,
    PP_LINK_TOKEN_RING = 6,
    PP_LINK_ARCNET = 7,
    PP_LINK_SLIP = 8,
    PP_LINK_FDDI = 10,
    PP_LINK_ATM = 100,
    PP_LINK_80211 = 105,
    PP_LINK_FRAME_RELAY = 107,
    PP_LINK_ENC = 109,
    PP_LINK_PFLOG = 117,
    PP_LINK_PRISM = 119,
    PP_LINK_IP_OVER_FC = 122,
    PP_LINK_SUNATM = 123,
    PP_LINK_RADIOTAP = 127,
    PP_LINK_ARCNET_LINUX = 129,
    PP_LINK_APPLE_1394 = 138,
    PP_LINK_AVS = 163,
    PP_LINK_PPP_PPPD = 166,
    PP_LINK_PPI = 192,
    PP_LINK_PPP_WITH_DIRECTION = 204,
    PP_LINK_C_HDLC_WITH_DIRECTION = 205,
    PP_LINK_FRAME_RELAY_WITH_DIRECTION = 206,
    PP_LINK_MPLS = 219,
    PP_LINK_NFLOG = 239,
    PP_LINK_NETANALYZER = 240,
    PP_LINK_NETANALYZER_PREAMBLE = 241,
    PP_LINK_IPOIB = 242,
    PP_LINK_PKTAP = 258,
    PP_LINK_MPACKET = 274,
    PP_LINK_DSA_BRCM = 281,
    PP_LINK_DSA_BRCM_PREPEND = 282,
    PP_LINK_DSA = 284,
    PP_LINK_EDSA = 285
};

#define PP_MAX_DEPTH 8u    /* tunnels within tunnels */
#define PP_MAX_FRAMINGS 4u /* PPPoE and 802.3 headers of one frame that are recorded */

/* One IP packet on the way inwards: offsets of its headers.  Recorded for split.c, which writes them again. */
typedef struct pp_layer {
    uint32_t l3, l4;
    uint8_t version, protocol;
} pp_layer;

/* A 16-bit length outside IP, of PPPoE or 802.3: it counts the bytes that follow it.  Recorded for the same. */
typedef struct pp_framing {
    uint32_t field; /* offset */
    uint32_t from;  /* first byte that is counted */
    uint32_t most;  /* what it can say */
} pp_framing;

/* One packet on its way through the parser. */
typedef struct pp_packet {
    const uint8_t *data;
    uint32_t cap;  /* bytes at data */
    uint32_t wire; /* bytes the frame had, >= cap */
    uint16_t link;
    uint16_t flags;  /* in: from the source; out: MALFORMED and FRAGMENT added */
    uint16_t l3, l4; /* out: of the outermost IP packet */
    uint8_t version, protocol;
    uint8_t count; /* out: checks found, at most PP_CHECKS_PER_PACKET */
    uint8_t layer_count;
    uint8_t framing_count; /* above PP_MAX_FRAMINGS: there are more than were recorded */
    uint8_t unread;        /* out: enum pp_unread, why not all of it was looked into */
    uint16_t unread_type;  /* out: the link type, EtherType or IP protocol that is not known, else 0 */
    pp_framing *framings;  /* in: room for PP_MAX_FRAMINGS, or null; out: outermost first */
    pp_layer *layers; /* in: room for PP_MAX_DEPTH, or null; out: IP packets, outermost first, quoted ones left out */
    pp_check *checks;
} pp_packet;

/* Find an option of an IPv6 hop-by-hop or destination options header of length bytes: its data, or null. */
const uint8_t *pp_ip6_option(const uint8_t *header, uint32_t length, uint8_t type, uint8_t size);

/* Fill p's results and p->checks.  A check that can be judged is left with PP_STATUS_NONE. */
void pp_parse(pp_packet *p);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif
