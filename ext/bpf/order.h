/* order.h - keep the frames of a flow in order, though some go by user space and some do not.
 *
 * A flow that had a suspect stays with the ring until the ring has sent it.  Slots are shared by flows that hash alike, which
 * costs them time and never their order.
 */
#ifndef PP_BPF_ORDER_H
#define PP_BPF_ORDER_H

#include "bpf/bounded.h"
#include "bpf/cut_through.h"
#include <bpf/bpf_helpers.h>

/* Where a frame's flow has its number.  Everything looks at `addresses`.  What is TCP or UDP beyond doubt, whole and plain, looks
 * at its flow's own slot as well, and leaves its number there: a fragment of the same flow is a suspect whatever comes before. */
struct flow {
    __u32 addresses;
    __u32 ports; /* PP_CUT_SLOTS: none */
};

enum { TRIES = 8, MARGIN = 4096 };

static __always_inline __u64 *slot_of(struct pp_cut_order *order, __u64 at)
{
    BOUNDED(at, PP_CUT_SLOTS - 1);
    return &order->slots[at];
}

static __always_inline int is_above(const __u64 *slot, __u64 clear) { return *(const volatile __u64 *)slot > clear; }

static __always_inline int is_held(struct pp_cut_order *order, const struct flow *flow)
{
    __u64 clear = *(const volatile __u64 *)&order->clear;
    return is_above(slot_of(order, flow->addresses), clear) ||
           (flow->ports < PP_CUT_SLOTS && is_above(slot_of(order, flow->ports), clear));
}

/* Give the frame a number, and its flow's slot the highest that was given. */
static __always_inline void hold(struct pp_cut_order *order, const struct flow *flow)
{
    __u64 number = __sync_fetch_and_add(&order->issued, 1) + 1;
    __u64 *slot = slot_of(order, flow->ports < PP_CUT_SLOTS ? flow->ports : flow->addresses);
    for (int i = 0; i < TRIES; i++) {
        __u64 was = *(volatile __u64 *)slot;
        if (was >= number || __sync_val_compare_and_swap(slot, was, number) == was)
            return;
    }
    /* Many CPUs at one slot: a number that none of them had yet; the flow waits for longer than it must. */
    __sync_lock_test_and_set(slot, *(volatile __u64 *)&order->issued + MARGIN);
}

#endif
