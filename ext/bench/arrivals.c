/* arrivals.c - count what a sender has numbered: lost, twice, out of order; see traffic.h. */
#include "traffic.h"

#include <string.h>

#include "offload/partial_csum.h"
#include "parse/headers.h"

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static traffic_run *run_of(traffic_arrivals *a, uint32_t id)
{
    for (uint32_t i = 0; i < a->runs; i++)
        if (a->run[i].id == id)
            return &a->run[i];
    if (a->runs == TRAFFIC_RUNS)
        return NULL;
    traffic_run *r = &a->run[a->runs++];
    r->id = id;
    return r;
}

/* Numbers from..to are new to the window: forget the numbers that had their places. */
static void forget(traffic_run *r, uint32_t from, uint32_t to)
{
    if (to - from >= TRAFFIC_WINDOW - 1) {
        memset(r->seen, 0, sizeof r->seen);
        return;
    }
    for (uint32_t n = from; n != to + 1; n++)
        r->seen[n % TRAFFIC_WINDOW / 64] &= ~((uint64_t)1 << n % 64);
}

static void enter(traffic_run *r, uint32_t number)
{
    uint64_t bit = (uint64_t)1 << number % 64, *word = &r->seen[number % TRAFFIC_WINDOW / 64];
    if (!r->used) {
        r->used = 1;
        r->lowest = r->highest = number;
    } else if (number > r->highest) {
        forget(r, r->highest + 1, number);
        r->highest = number;
    } else if (r->highest - number >= TRAFFIC_WINDOW) {
        r->late++;
        return;
    } else if (*word & bit) {
        r->duplicates++;
        return;
    } else {
        r->reordered++;
        if (number < r->lowest)
            r->lowest = number;
    }
    *word |= bit;
    r->received++;
}

/* Where the payload of packet i begins; 0: neither TCP nor UDP, or not all there. */
static uint32_t payload_of(const pp_batch *b, uint32_t i)
{
    uint32_t l4 = b->l4[i], at = 0;
    if (l4 && b->protocol[i] == IPPROTO_UDP)
        at = l4 + UDP_LEN;
    else if (l4 && b->protocol[i] == IPPROTO_TCP && l4 + TCP_LEN <= b->caplen[i])
        at = l4 + (b->data[i][l4 + TCP_OFFSET] >> 4) * 4u;
    return at + 8 <= b->caplen[i] ? at : 0;
}

int traffic_record(pp_batch *b, void *context)
{
    traffic_arrivals *a = context;
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t at = payload_of(b, i), stride = b->caplen[i];
        if ((b->flags[i] & PP_PKT_VNET) && (b->flags[i] & PP_PKT_SUPER_FRAME)) {
            pp_vnet v = pp_vnet_get(b->data[i]);
            stride = v.gso_size ? v.gso_size : stride;
        }
        int known = 0;
        for (; at && at + 8 <= b->caplen[i]; at += stride) {
            const uint8_t *p = b->data[i] + at;
            traffic_run *r =
                (uint32_t)(p[0] << 8 | p[1]) == TRAFFIC_MARK ? run_of(a, (uint32_t)(p[2] << 8 | p[3])) : NULL;
            if (!r)
                break;
            enter(r, get32(p + 4));
            if (!known)
                r->bytes += b->wirelen[i];
            known = 1;
        }
        a->foreign += !known;
    }
    return 0;
}
PKTMEND_EXPORT_STAGE(traffic_record);

int traffic_nothing(pp_batch *batch, void *context)
{
    (void)batch;
    (void)context;
    return 0;
}
PKTMEND_EXPORT_STAGE(traffic_nothing);
