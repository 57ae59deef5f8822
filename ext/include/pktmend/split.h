/* <pktmend/split.h> - what was left to hardware, in user space: complete a pending checksum, split a super-frame.
 *
 * Rules:
 *   1. Payload is never copied: a segment is a fresh header in the caller's arena plus a slice of the frame.
 *   2. Splitting follows the kernel's software GSO (net/ipv4/tcp_offload.c tcp_gso_segment, udp_offload.c
 *      __udp_gso_segment, af_inet.c inet_gso_segment, ip6_offload.c): what the receiver sees is what it
 *      would have seen had the kernel done it.
 *   3. The stored seed is used as it is: a wrong seed stays wrong, and so does a complete sum.  Nothing is laundered.
 */
#ifndef PP_SPLIT_H
#define PP_SPLIT_H

#include <pktmend/parse.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

#define PP_ENCAP_LAYERS 3u
#define PP_SPLIT_HEAD 256u /* bytes of header a segment may have, virtio-net header excluded */

/* A segment to send: head_length bytes of header, then payload_length bytes of the frame's payload. */
typedef struct pp_segment {
    uint8_t *head;
    uint32_t head_length;
    const uint8_t *payload;
    uint32_t payload_length;
} pp_segment;

/* What lies around the IP packet that is split; the caller's to carry only. */
typedef struct pp_encap_layer {
    uint32_t l3, l4; /* offsets in the frame and in each segment */
    uint8_t version, protocol;
    uint8_t has_jumbo;       /* IPv6: the jumbo payload header lies behind it, which segments go without */
    uint8_t has_sum;         /* UDP with a checksum, GRE with one */
    uint16_t seed;           /* UDP: pseudo-header sum without the length; host order */
    uint16_t difference;     /* IPv4: stored header sum minus the right one; 0 if it was right */
    uint16_t sum_difference; /* the same of UDP's or GRE's */
} pp_encap_layer;

typedef struct pp_encap {
    uint32_t count; /* outermost first, as all here */
    pp_encap_layer layers[PP_ENCAP_LAYERS];
    uint32_t framing_count;
    pp_framing framings[PP_MAX_FRAMINGS];
} pp_encap;

/* Progress through one super-frame. */
typedef struct pp_split {
    const uint8_t *frame;
    uint32_t l3, l4;      /* offsets in the segment's header */
    uint32_t head_length; /* L2 to L4 */
    uint32_t cut_count;
    uint32_t cuts[PP_ENCAP_LAYERS + 1]; /* offsets in the frame of IPv6 jumbo payload headers, which are left out */
    uint32_t payload_at;
    uint32_t payload;      /* bytes in all */
    uint32_t payload_size; /* bytes a segment carries, but the last */
    uint32_t next;         /* payload bytes already given out */
    uint32_t index;        /* segments already given out */
    uint32_t count;        /* segments in all */
    uint16_t seed;         /* the stored field, with the super-frame's length taken out; host order */
    uint16_t difference;   /* IPv4: of a header sum that was wrong already */
    uint8_t version, is_udp, no_sum;
    pp_encap encap; /* what lies around the IP packet that is split; offsets in the segment's header */
} pp_split;

/* Complete the checksum that the virtio-net header names: add from csum_start to the end, seed included, store the
 * complement at csum_start + csum_offset (a UDP 0 becomes 0xffff; RFC 768).
 * frame: length bytes, any alignment, written in place.
 * Returns 0, or -EINVAL if the field does not lie within the frame (nothing is written then). */
int pp_complete(uint8_t *frame, uint32_t length, const pp_vnet *vnet);

/* The same for the CRC32c of an SCTP packet, which no virtio-net header can name: k is its check.  0 or -EINVAL. */
int pp_complete_crc32c(uint8_t *frame, const pp_check *check);

/* Begin to split frame (length bytes) as vnet says (GSO type, size, csum_start); l3: offset of the outermost IP header.
 * When csum_start lies in a tunnel, the tunnel's headers are written for each segment too; so are the lengths of PPPoE and 802.3.
 * A tunnel that the parser does not know is split where an IP header lies right before csum_start, consistent with all around it,
 * and nothing between may be a length.
 * Without VIRTIO_NET_HDR_F_NEEDS_CSUM the sum is complete: segments get right sums of a right one, as wrong ones of a wrong one.
 * mtu: of the egress; TCP segments are made smaller than gso_size if they must be to fit; UDP datagrams never.
 * Returns the number of segments, or -EINVAL if the headers contradict vnet, -EOPNOTSUPP for a GSO type or a tunnel that is not
 * split, -EMSGSIZE if the header is longer than PP_SPLIT_HEAD. */
int pp_split_begin(pp_split *split, const uint8_t *frame, uint32_t length, const pp_vnet *vnet, uint32_t l3,
                   uint32_t mtu);

/* Write the next segment's header to head (PP_SPLIT_HEAD bytes of room) and describe it.  1, or 0 when there are no more. */
int pp_split_next(pp_split *split, uint8_t *head, pp_segment *segment);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif
