/* encap.h - the tunnel headers and the framing around a super-frame: found once, written again for each of its segments.
 *
 * Rules:
 *   1. What the kernel's software GSO does for a tunnelled skb is done here (net/ipv4/udp_offload.c
 *      __skb_udp_tunnel_segment, gre_offload.c gre_gso_segment, af_inet.c inet_gso_segment): lengths, IPv4 ids and sums.
 *      PPPoE (RFC 2516) and 802.3 have a length too, which the kernel knows no rule for.
 *   2. A header whose sum was wrong before stays wrong by the same difference.  Nothing is laundered.
 */
#ifndef PP_ENCAP_H
#define PP_ENCAP_H

#include "parse/headers.h"
#include "sum/bytes.h"
#include <pktmend/split.h>

#define PP_JUMBO 8u /* bytes of an IPv6 hop-by-hop header that holds the jumbo payload option alone */

/* Find the IP packet whose transport header begins at l4 in an Ethernet frame, and what lies around it.
 * field: offset of that transport's checksum, which holds its seed.
 * Returns the offset of its IP header, -EINVAL if there is none, -EOPNOTSUPP for a tunnel whose headers are not written again. */
int pp_encap_find(pp_encap *encap, const uint8_t *frame, uint32_t length, uint32_t l4, uint32_t field);

/* Find the IP packet whose transport header begins at l4, with its checksum at field, in what a tunnel that nobody here knows
 * carries: bytes from..end of the frame.  Found is what is consistent: an IP header without options or extension headers
 * right before l4, of that protocol, that ends where the tunnel's datagram does, with a right header sum or a field that
 * holds its seed.  Returns the offset of the IP header, or -EINVAL. */
int pp_encap_inner(const uint8_t *frame, uint32_t length, uint32_t from, uint32_t end, uint32_t l4, uint32_t field);

/* Write the outer headers of segment number index: head holds head_length bytes of header, copied from the super-frame, and
 * behind them come payload bytes whose sum is payload_sum (folded, host order). */
void pp_encap_write(const pp_encap *encap, uint8_t *head, uint32_t head_length, uint32_t payload, uint16_t payload_sum,
                    uint32_t index);

/* Offset behind the EtherType of an Ethernet frame and its tags, at most l3. */
static inline uint32_t pp_after_tags(const uint8_t *frame, uint32_t l3)
{
    uint32_t at = ETH_TYPE;
    while (at + 2 < l3 && (pp_get16(frame + at) == ETH_P_8021Q || pp_get16(frame + at) == ETH_P_8021AD))
        at += VLAN_LEN;
    return at + 2 < l3 ? at + 2 : l3;
}

/* Nothing but tags before the IP header at l3?  PPPoE and 802.3 have a length there. */
static inline int pp_is_plain(const uint8_t *frame, uint32_t l3)
{
    return l3 >= ETH_HLEN && pp_after_tags(frame, l3) == l3 &&
           (pp_get16(frame + l3 - 2) == ETH_P_IP || pp_get16(frame + l3 - 2) == ETH_P_IPV6);
}

/* Walk from the IPv6 header at l3 (40 bytes are there) past options and routing headers: 0 with where what follows begins,
 * its protocol number, and whether the jumbo payload header lies between, as BIG TCP has it.  -EINVAL if they are cut off,
 * -EOPNOTSUPP for a jumbo payload option among others. */
int pp_ip6_walk(const uint8_t *frame, uint32_t length, uint32_t l3, uint32_t *l4, uint8_t *protocol,
                uint8_t *has_jumbo);

/* Stored IPv4 header sum minus the right one, in one's complement: 0 if it is right. */
uint16_t pp_ip4_difference(const uint8_t *ip);
/* Write length and id (raised by index) of an IPv4 header and its sum, off by difference. */
void pp_ip4_write(uint8_t *ip, uint32_t length, uint32_t index, uint16_t difference);

#endif
