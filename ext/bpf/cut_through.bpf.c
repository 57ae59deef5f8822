/* cut_through.bpf.c - the kernel's part: carry what is provably healthy, hand everything else to user space.
 *
 * cut     ingress of a port: a healthy frame goes on to the other port, all else to an internal port, whose ring reads it
 * refuse  ingress of the internal port, behind its taps: nothing for the host
 * look    socket filter of a monitor: healthy pending TCP is counted and cut short, all else comes whole
 *
 * For Linux 5.15 and newer.  `make -C ext/bpf` compiles it; the object is part of the tree, so that nobody needs to.
 */
#include "bpf/judge.h"

#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pp_cut_config);
} config SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pp_cut_order);
} order SEC(".maps");

/* One entry for each CPU, so many as there are when it is loaded: unlike a per-CPU map it can be read without a system call. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pp_cut_counts);
} counts SEC(".maps");

static __always_inline int is_tcp(int kind)
{
    return kind == PP_CUT_TCP4_PENDING || kind == PP_CUT_TCP4_GOOD || kind == PP_CUT_TCP6_PENDING ||
           kind == PP_CUT_TCP6_GOOD;
}

static __always_inline void count_healthy(struct __sk_buff *ctx, struct pp_cut_counts *c, int kind)
{
    c->frames[kind & 15]++;
    c->bytes += ctx->len + (ctx->vlan_present ? VLAN_LEN : 0);
    if (ctx->gso_size)
        c->super_frames++;
    else if (is_tcp(kind) && ctx->len >= PP_CUT_LONG)
        c->segments++;
    if (ctx->pkt_type == PACKET_BROADCAST || ctx->pkt_type == PACKET_MULTICAST)
        c->multicasts++;
}

static __always_inline int leave(__u32 way, __u32 interface)
{
    if (way == PP_CUT_PEER)
        return (int)bpf_redirect_peer(interface, 0);
    return (int)bpf_redirect(interface, way == PP_CUT_IN ? BPF_F_INGRESS : 0);
}

/* Would the target take it, as it is now: is it there, and is its MTU enough, for each segment of a super-frame?  What it would
 * not take is for user space to count. */
static __always_inline int is_taken(struct __sk_buff *ctx, const struct pp_cut_config *g)
{
    __u32 mtu = 0; /* all that there is of the frame is asked for */
    if (!g->mtu)
        return 1;
    return (ctx->gso_size || ctx->len <= g->mtu + ETH_HLEN) &&
           bpf_check_mtu(ctx, g->target, &mtu, 0, BPF_MTU_CHK_SEGS) == BPF_MTU_CHK_RET_SUCCESS;
}

SEC("tc") int cut(struct __sk_buff *ctx)
{
    __u32 zero = 0, cpu = bpf_get_smp_processor_id();
    struct pp_cut_config *g = bpf_map_lookup_elem(&config, &zero);
    struct pp_cut_order *o = bpf_map_lookup_elem(&order, &zero);
    struct pp_cut_counts *c = bpf_map_lookup_elem(&counts, &cpu);
    struct flow flow;
    if (!g || !o || !c || !g->internal)
        return TC_ACT_UNSPEC; /* what is asked next decides */
    int kind = judge(ctx, g, 1, &flow);
    if (!g->enabled || !is_taken(ctx, g))
        kind = PP_CUT_SUSPECT;
    if (kind != PP_CUT_SUSPECT && !is_held(o, &flow)) {
        count_healthy(ctx, c, kind);
        return leave(g->healthy, g->target);
    }
    if (kind != PP_CUT_SUSPECT)
        c->held++;
    c->frames[PP_CUT_SUSPECT]++;
    hold(o, &flow);
    return leave(g->suspects, g->internal);
}

SEC("tc") int refuse(struct __sk_buff *ctx)
{
    (void)ctx;
    return TC_ACT_SHOT;
}

SEC("socket") int look(struct __sk_buff *ctx)
{
    __u32 zero = 0, cpu = bpf_get_smp_processor_id();
    struct pp_cut_config *g = bpf_map_lookup_elem(&config, &zero);
    struct pp_cut_counts *c = bpf_map_lookup_elem(&counts, &cpu);
    struct flow flow;
    if (!g || !c || !g->enabled)
        return -1;
    /* Of other healthy frames more is wanted than headers: classify knows a datagram again by its end. */
    int kind = judge(ctx, g, 0, &flow);
    if (kind != PP_CUT_TCP4_PENDING && kind != PP_CUT_TCP6_PENDING) {
        c->frames[PP_CUT_SUSPECT]++;
        return -1;
    }
    count_healthy(ctx, c, kind);
    return (int)g->snap;
}
