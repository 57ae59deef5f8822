/* skb.h - what only the kernel's own struct sk_buff says of a frame, found on the kernel that it runs on (CO-RE).
 *
 * Source: Linux include/linux/skbuff.h.
 */
#ifndef PP_BPF_SKB_H
#define PP_BPF_SKB_H

#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

enum { IP_SUMMED_PARTIAL = 3 };

/* The fields that are read, wherever they lie; what follows the three underscores is not part of the name. */
struct sk_buff___pp {
    __u8 ip_summed : 2;
    __u16 csum_start;
    __u16 csum_offset;
    __u16 mac_header;
    unsigned int end;
    unsigned char *head;
} __attribute__((preserve_access_index));

struct skb_shared_info___pp {
    unsigned int gso_type;
} __attribute__((preserve_access_index));

/* Of an enum that has no name and so cannot be looked up; as they have been since Linux 4.18.  Were they others, super-frames
 * would be suspects. */
enum {
    SKB_GSO_TCPV4 = 1 << 0,
    SKB_GSO_DODGY = 1 << 1, /* from a guest or a socket: the kernel looks at its headers before it splits it */
    SKB_GSO_TCPV6 = 1 << 4,
    SKB_GSO_UDP_L4 = 1 << 17,
    /* how TCP's segments differ: ECN, fixed IPv4 identifications (another bit from 6.18 on), accurate ECN */
    SKB_GSO_TCP_ANY = 1 << 2 | 1 << 3 | 1 << 30 | 1 << 19
};

static __always_inline int is_partial(struct __sk_buff *ctx)
{
    struct sk_buff___pp *skb = (void *)ctx;
    return BPF_CORE_READ_BITFIELD_PROBED(skb, ip_summed) == IP_SUMMED_PARTIAL;
}

/* Does the metadata of a partial frame name the field at `offset` of the header at `start`, counted from the frame's beginning? */
static __always_inline int names_field(struct __sk_buff *ctx, __u32 start, __u32 offset)
{
    struct sk_buff___pp *skb = (void *)ctx;
    __u16 mac = BPF_CORE_READ(skb, mac_header), at = BPF_CORE_READ(skb, csum_start);
    return (__u32)at == mac + start && BPF_CORE_READ(skb, csum_offset) == offset;
}

/* Is a super-frame one of this kind, and of no tunnel's? */
static __always_inline int is_gso_of(struct __sk_buff *ctx, __u32 wanted, __u32 beside)
{
    struct sk_buff___pp *skb = (void *)ctx;
    struct skb_shared_info___pp *info = (void *)(BPF_CORE_READ(skb, head) + BPF_CORE_READ(skb, end));
    return (BPF_CORE_READ(info, gso_type) & ~beside) == wanted;
}

#endif
