/* cut_through.h - what the kernel's part and user space read and write together: the maps of cut_through.bpf.c.
 *
 * Rules:
 *   1. pktmend.packetio.kernel_judge has the same layout; a test compares them field by field.
 *   2. All numbers are in host order.  A field has one writer: user space those of pp_cut_config and `clear`, the kernel
 *      all others.
 */
#ifndef PP_CUT_THROUGH_H
#define PP_CUT_THROUGH_H

#include <linux/types.h>

/* What was found healthy, and so which checks it had. */
enum pp_cut_kind {
    PP_CUT_SUSPECT, /* not known to be healthy */
    PP_CUT_ARP,     /* has no checksum */
    PP_CUT_TCP4_PENDING,
    PP_CUT_TCP4_GOOD,
    PP_CUT_UDP4_PENDING,
    PP_CUT_UDP4_GOOD,
    PP_CUT_ICMP,
    PP_CUT_TCP6_PENDING,
    PP_CUT_TCP6_GOOD,
    PP_CUT_UDP6_PENDING,
    PP_CUT_UDP6_GOOD,
    PP_CUT_ICMPV6,
    PP_CUT_KINDS
};

/* How a frame leaves. */
enum pp_cut_way {
    PP_CUT_OUT,  /* by the interface: its queue, its taps */
    PP_CUT_PEER, /* into the other end of that veth, past both */
    PP_CUT_IN    /* as if it had come in there */
};

enum { PP_CUT_SLOTS = 16384, PP_CUT_PORT_BYTES = 65536 / 8, PP_CUT_LINE = 64, PP_CUT_LONG = 1000 };

struct pp_cut_config {
    __u32 enabled;  /* 0: everything to the internal port */
    __u32 target;   /* interface for healthy frames */
    __u32 internal; /* interface for all others; 0: leave every frame alone */
    __u32 healthy;  /* enum pp_cut_way */
    __u32 suspects; /* enum pp_cut_way */
    __u32 mtu;      /* of the target: what that would not take goes to the internal port; 0: all is taken */
    __u32 snap;     /* look: bytes of healthy pending TCP that the socket gets */
    __u32 unused;
    __u8 tunnel_ports[PP_CUT_PORT_BYTES]; /* a bit each: UDP from or to it goes to the internal port */
};

/* One for each CPU, on cache lines of its own. */
struct pp_cut_counts {
    __u64 frames[PP_CUT_KINDS]; /* healthy ones, by kind; PP_CUT_SUSPECT: all that went up, held ones too */
    __u64 bytes;                /* of healthy frames, from the Ethernet header on, a tag in metadata counted */
    __u64 super_frames;         /* of the healthy ones */
    __u64 held;                 /* healthy, and went up behind a suspect of its flow */
    __u64
        multicasts; /* of the healthy ones, those for many, broadcasts too: a loop makes more of them than anything else */
    __u64 segments; /* of the healthy ones, long TCP segments by themselves: GRO could have joined them */
    __u64 unused[7];
} __attribute__((aligned(PP_CUT_LINE)));

/* Keeps the order within a flow: a frame that goes up takes a number, and its flow's slot keeps it; a flow whose slot is
 * above `clear` goes up as well. */
struct pp_cut_order {
    __u64 issued __attribute__((aligned(PP_CUT_LINE))); /* the last number given */
    __u64 clear __attribute__((aligned(PP_CUT_LINE)));  /* user space has sent, or given up, all up to here */
    __u64 slots[PP_CUT_SLOTS] __attribute__((aligned(PP_CUT_LINE)));
};

#endif
