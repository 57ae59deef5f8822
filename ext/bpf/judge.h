/* judge.h - is this frame healthy: is every check of it good or pending, and nothing to be done?
 *
 * Rules:
 *   1. Says so only where ext/check/verify.c comes to the same.  What is in doubt is a suspect; verify looks at it.
 *   2. Whole and plain frames only: no options, no fragments, no extension headers, no tunnels, nothing quoted.
 *
 * Source: RFC 1071, 791, 8200, 9293, 768, 792, 4443, 4861, 2710.
 */
#ifndef PP_BPF_JUDGE_H
#define PP_BPF_JUDGE_H

#include "bpf/bounded.h"
#include "bpf/cut_through.h"
#include "bpf/order.h"
#include "bpf/skb.h"
#include "parse/headers.h"
#include "parse/tunnel.h"
#include "sum/bytes.h"

enum {
    HEAD = 96,
    PAD = 2,
    L3 = ETH_HLEN,
    CHUNK = 512,
    CHUNKS = 19,
    SUM_MOST = CHUNK * CHUNKS,
    LEAST = 42,
    ROOM = 16384
};
_Static_assert(HEAD >= L3 + IP6_LEN + TCP_LEN, "all that is looked at is in the head");

/* A frame's beginning; zeros where it ends before.  Two bytes before it, so that the fields of IP are aligned. */
struct head {
    __u8 pad[PAD];
    __u8 data[HEAD];
    __u8 rest[6];
} __attribute__((aligned(8)));

struct scratch {
    __u8 bytes[ROOM];
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline __u16 fold(__u64 sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__u16)sum;
}

static __always_inline __u32 word(const struct head *h, __u32 at) { return *(const __u32 *)(h->data + at); }

static __always_inline __u64 add_words(const struct head *h, __u32 at, __u32 count)
{
    __u64 sum = 0;
#pragma unroll
    for (__u32 i = 0; i < count; i++)
        sum += word(h, at + 4 * i);
    return sum;
}

/* The sum of n bytes from `at` on, or -1 if they cannot be had.  (bpf_csum_diff takes 512 bytes at once in older kernels.) */
static __always_inline __s64 sum_bytes(struct __sk_buff *ctx, __u32 at, __u64 n)
{
    __u32 zero = 0;
    struct scratch *s = bpf_map_lookup_elem(&scratches, &zero);
    if (!s || n < ICMP_LEN || n > SUM_MOST)
        return -1;
    __u64 last = n - 1; /* of what is loaded: never less than one byte */
    BOUNDED(last, ROOM - 1);
    *(__u32 *)(s->bytes + ((last + 1) & (ROOM - 4))) = 0;
    if (bpf_skb_load_bytes(ctx, at, s->bytes, (__u32)(last + 1)) < 0)
        return -1;
    __u64 done = 0, left = (n + 3) & ~3ull;
    __s64 sum = 0;
    for (int i = 0; i < CHUNKS && left >= CHUNK; i++) {
        BOUNDED(done, ROOM - CHUNK);
        sum = bpf_csum_diff(0, 0, (__be32 *)(s->bytes + done), CHUNK, (__wsum)sum);
        if (sum < 0)
            return -1;
        done += CHUNK;
        left -= CHUNK;
    }
    BOUNDED(left, CHUNK - 4);
    BOUNDED(done, ROOM - CHUNK);
    if (left)
        sum = bpf_csum_diff(0, 0, (__be32 *)(s->bytes + done), (__u32)left, (__wsum)sum);
    return sum;
}

static __always_inline int is_told(const struct pp_cut_config *config, __u64 port)
{
    __u64 at = port / 8;
    BOUNDED(at, PP_CUT_PORT_BYTES - 1);
    return config->tunnel_ports[at] >> (port & 7) & 1;
}

/* May what these bytes of UDP carry be a tunnel's? */
static __always_inline int is_tunnel(const struct pp_cut_config *config, const __u8 *udp, __u32 length)
{
    return is_told(config, pp_get16(udp + PORT_SOURCE)) || is_told(config, pp_get16(udp + PORT_TARGET)) ||
           (length >= UDP_LEN + TUNNEL_LEAST && pp_may_be_tunnel(udp + UDP_LEN, length - UDP_LEN));
}

/* Messages that quote no packet. */
static __always_inline int is_plain_icmp(__u8 type)
{
    return type == ICMP_ECHO || type == ICMP_ECHOREPLY || type == ICMP_TIMESTAMP || type == ICMP_TIMESTAMPREPLY;
}

static __always_inline int is_plain_icmpv6(__u8 type)
{
    return type == ICMP6_ECHO_REQUEST || type == ICMP6_ECHO_REPLY ||
           (type >= MLD_LISTENER_QUERY && type < ND_REDIRECT) || type == 143; /* MLDv2 report: RFC 3810 */
}

static __always_inline __u32 slot_by_ports(const struct flow *flow, const struct head *h, __u32 l4)
{
    return (__u32)(pp_mix(flow->addresses, word(h, l4)) >> 32) & (PP_CUT_SLOTS - 1);
}

/* Judge what lies from l4 on, `length` bytes of it, with the pseudo header's sum: the kind for a pending one (the next is for a
 * good one), or PP_CUT_SUSPECT. */
static __always_inline int judge_transport(struct __sk_buff *ctx, const struct pp_cut_config *config,
                                           const struct head *h, __u32 l4, __u8 protocol, __u32 length, __u64 addresses,
                                           int can_sum, struct flow *flow)
{
    const __u8 *t = h->data + l4;
    int is_v4 = l4 == L3 + IP4_LEN, kind;
    __u32 field;
    __u64 pseudo = addresses + pp_wire16(protocol) + pp_wire16((__u16)length);
    if (protocol == IPPROTO_TCP) {
        __u32 header = (t[TCP_OFFSET] >> 4) * 4u;
        if (length < TCP_LEN || header < TCP_LEN || header > length)
            return PP_CUT_SUSPECT;
        flow->ports = slot_by_ports(flow, h, l4);
        field = TCP_SUM;
        kind = is_v4 ? PP_CUT_TCP4_PENDING : PP_CUT_TCP6_PENDING;
    } else if (protocol == IPPROTO_UDP) {
        if (length < UDP_LEN || pp_get16(t + UDP_LENGTH) != length)
            return PP_CUT_SUSPECT;
        flow->ports = slot_by_ports(flow, h, l4);
        if ((t[UDP_SUM] | t[UDP_SUM + 1]) == 0 || is_tunnel(config, t, length))
            return PP_CUT_SUSPECT;
        field = UDP_SUM;
        kind = is_v4 ? PP_CUT_UDP4_PENDING : PP_CUT_UDP6_PENDING;
    } else if (is_v4 ? protocol == IPPROTO_ICMP && is_plain_icmp(t[ICMP_TYPE])
                     : protocol == IPPROTO_ICMPV6 && is_plain_icmpv6(t[ICMP_TYPE])) {
        if (is_v4)
            pseudo = 0;
        field = ICMP_SUM;
        kind = is_v4 ? PP_CUT_ICMP - 1 : PP_CUT_ICMPV6 - 1;
    } else {
        return PP_CUT_SUSPECT;
    }
    if (is_partial(ctx)) {
        if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
            return PP_CUT_SUSPECT;
        if (l4 + length != ctx->len || *(const __u16 *)(t + field) != fold(pseudo) || !names_field(ctx, l4, field))
            return PP_CUT_SUSPECT;
        if (!ctx->gso_size)
            return kind;
        if (protocol == IPPROTO_TCP)
            return is_gso_of(ctx, is_v4 ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6, SKB_GSO_DODGY | SKB_GSO_TCP_ANY)
                       ? kind
                       : PP_CUT_SUSPECT;
        return is_gso_of(ctx, SKB_GSO_UDP_L4, SKB_GSO_DODGY) ? kind : PP_CUT_SUSPECT;
    }
    /* Without the mark the seed means leaked, but for one right sum in 65,536: no need to sum.  ICMP over IPv4 has none. */
    if (ctx->gso_size || !can_sum || (pseudo && *(const __u16 *)(t + field) == fold(pseudo)))
        return PP_CUT_SUSPECT;
    /* a short frame without padding is all in the head, and zeros behind it */
    __s64 sum = l4 + length == ctx->len && ctx->len <= HEAD ? (__s64)add_words(h, l4, (HEAD - l4 + 3) / 4)
                                                            : sum_bytes(ctx, l4, length);
    return sum >= 0 && fold((__u64)sum + pseudo) == 0xffff ? kind + 1 : PP_CUT_SUSPECT;
}

static __always_inline int judge_ip4(struct __sk_buff *ctx, const struct pp_cut_config *config, const struct head *h,
                                     int can_sum, struct flow *flow)
{
    const __u8 *ip = h->data + L3;
    __u32 total = pp_get16(ip + IP4_TOTAL), addresses[2] = { word(h, L3 + IP4_SOURCE), word(h, L3 + IP4_TARGET) };
    flow->addresses = (__u32)(pp_mix(addresses[0], addresses[1]) >> 32) & (PP_CUT_SLOTS - 1);
    if (ip[0] != IP4_PLAIN || (pp_get16(ip + IP4_FRAGMENT) & IP4_IS_FRAGMENT) || total > ctx->len - L3 ||
        total < IP4_LEN + UDP_LEN || fold(add_words(h, L3, IP4_LEN / 4)) != 0xffff)
        return PP_CUT_SUSPECT;
    return judge_transport(ctx, config, h, L3 + IP4_LEN, ip[IP4_PROTO], total - IP4_LEN,
                           (__u64)addresses[0] + addresses[1], can_sum, flow);
}

static __always_inline int judge_ip6(struct __sk_buff *ctx, const struct pp_cut_config *config, const struct head *h,
                                     int can_sum, struct flow *flow)
{
    const __u8 *ip = h->data + L3;
    __u32 length = pp_get16(ip + IP6_PAYLOAD);
    __u64 mix = 0;
#pragma unroll
    for (int i = 0; i < 8; i++)
        mix = pp_mix(mix, word(h, L3 + IP6_SOURCE + 4 * i));
    flow->addresses = (__u32)(mix >> 32) & (PP_CUT_SLOTS - 1);
    if (ctx->len < L3 + IP6_LEN + UDP_LEN || ip[0] >> 4 != 6 || length > ctx->len - L3 - IP6_LEN || length < UDP_LEN)
        return PP_CUT_SUSPECT;
    return judge_transport(ctx, config, h, L3 + IP6_LEN, ip[IP6_NEXT], length, add_words(h, L3 + IP6_SOURCE, 8),
                           can_sum, flow);
}

/* Say what the frame is, and where its flow has its number. */
static __always_inline int judge(struct __sk_buff *ctx, const struct pp_cut_config *config, int can_sum,
                                 struct flow *flow)
{
    struct head h = {};
    __u32 there = ctx->len < HEAD ? ctx->len : HEAD;
    flow->addresses = 0;
    flow->ports = PP_CUT_SLOTS;
    if (there < LEAST || bpf_skb_load_bytes(ctx, 0, h.data, there) < 0)
        return PP_CUT_SUSPECT;
    switch (pp_get16(h.data + ETH_TYPE)) {
    case ETH_P_IP:
        return judge_ip4(ctx, config, &h, can_sum, flow);
    case ETH_P_IPV6:
        return judge_ip6(ctx, config, &h, can_sum, flow);
    case ETH_P_ARP:
        return is_partial(ctx) || ctx->gso_size ? PP_CUT_SUSPECT : PP_CUT_ARP;
    default:
        return PP_CUT_SUSPECT;
    }
}

#endif
