/* emit.c - which frames leave as they are, which are coalesced, completed or split; see emit.h. */
#define _GNU_SOURCE /* struct mmsghdr */
#include "io/emit.h"

#include <errno.h>
#include <stdlib.h>

#include "io/tx_queue.h"
#include "offload/coalesce.h"
#include "offload/partial_csum.h"
#include <pktmend/split.h>
#include "offload/encap.h"
#include "parse/headers.h"
#include "sum/bytes.h"

struct pp_emit {
    int complete;
    uint32_t mtu, coalesce;                       /* for this batch */
    _Atomic uint32_t wanted_mtu, wanted_coalesce; /* for the next */
    uint32_t at;                                  /* packet of the batch to be added next */
    int is_under_way;                             /* the batch waits for room; take is called with it again */
    int is_splitting;                             /* packet `at` is in pieces, and `split` knows how far */
    pp_split split;
    pp_tx_queue queue;
};

pp_emit *pp_emit_new(int fd, uint32_t capacity, uint32_t mtu, int complete, int coalesce)
{
    pp_emit *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    if (pp_tx_init(&e->queue, fd, capacity) < 0) {
        pp_emit_free(e);
        return NULL;
    }
    e->wanted_mtu = mtu;
    e->wanted_coalesce = complete ? 0 : (uint32_t)coalesce;
    e->complete = complete;
    return e;
}

void pp_emit_free(pp_emit *e)
{
    pp_tx_free(&e->queue);
    free(e);
}

uint32_t pp_emit_coalesces(const pp_emit *e)
{
    return atomic_load_explicit(&e->wanted_coalesce, memory_order_relaxed) &
           ~atomic_load_explicit(&e->queue.refused, memory_order_relaxed);
}

void pp_emit_set_mtu(pp_emit *e, uint32_t mtu) { atomic_store_explicit(&e->wanted_mtu, mtu, memory_order_relaxed); }

void pp_emit_set_coalesce(pp_emit *e, uint32_t coalesce)
{
    atomic_store_explicit(&e->wanted_coalesce, e->complete ? 0 : coalesce, memory_order_relaxed);
}

static void adapt(pp_emit *e)
{
    pp_coalesce *c = &e->queue.coalesce;
    e->mtu = c->mtu = atomic_load_explicit(&e->wanted_mtu, memory_order_relaxed);
    e->coalesce = pp_emit_coalesces(e);
    c->tcp = (e->coalesce & PP_COALESCE_WANT_TCP) != 0;
    c->udp = (e->coalesce & PP_COALESCE_WANT_UDP) != 0;
}

static int add_segments(pp_emit *e, pp_batch *b, uint32_t i, const pp_vnet *v, pp_ledger *ledger)
{
    pp_segment segment;
    uint32_t room = (b->flags[i] & PP_PKT_VLAN) ? VLAN_LEN : 0;
    if (!e->is_splitting) {
        int rc = b->version[i] ? pp_split_begin(&e->split, b->data[i], b->caplen[i], v, b->l3[i], e->mtu) : -EINVAL;
        if (rc < 0)
            return rc;
    }
    for (;;) {
        e->is_splitting = pp_tx_make_room(&e->queue, ledger);
        if (e->is_splitting)
            return PP_SINK_WAITS;
        uint8_t *head = pp_tx_reserve_message(&e->queue, i), *frame = head + PP_VNET_LEN + room;
        if (pp_split_next(&e->split, frame, &segment) != 1) {
            pp_tx_cancel_message(&e->queue);
            return 0;
        }
        memset(head, 0, PP_VNET_LEN);
        if (room) {
            memmove(frame - VLAN_LEN, frame, ETH_ADDRESSES);
            pp_tx_put_tag(frame + ETH_ADDRESSES - VLAN_LEN, b, i);
        }
        pp_tx_set_iov(&e->queue, head, PP_VNET_LEN + room + segment.head_length, segment.payload,
                      segment.payload_length);
    }
}

static int is_crc32c(const pp_check *k) { return k && (k->flags & PP_CHECK_CRC32C); }

/* An IPv6 packet whose length is in a hop-by-hop option: BIG TCP. */
static int is_jumbogram(const pp_batch *b, uint32_t i)
{
    const uint8_t *ip = b->data[i] + b->l3[i];
    return b->version[i] == 6 && (uint32_t)b->l3[i] + IP6_LEN <= b->caplen[i] && pp_get16(ip + IP6_PAYLOAD) == 0 &&
           ip[IP6_NEXT] == IPPROTO_HOPOPTS;
}

/* Where the outermost IP packet ends, by its own length; the frame's end where that says nothing. */
static uint32_t datagram_end(const pp_batch *b, uint32_t i)
{
    const uint8_t *ip = b->data[i] + b->l3[i];
    uint32_t head = b->version[i] == 4 ? IP4_LEN : IP6_LEN, end = b->l3[i];
    if (!b->version[i] || end + head > b->caplen[i] || (b->flags[i] & PP_PKT_MALFORMED))
        return b->caplen[i];
    end += b->version[i] == 4 ? pp_get16(ip + IP4_TOTAL) : pp_get16(ip + IP6_PAYLOAD) + head;
    return end > b->l3[i] + head && end < b->caplen[i] ? end : b->caplen[i];
}

/* What the packet socket on the way out would refuse or corrupt, whatever the next hop can do: a super-frame within a tunnel
 * (the virtio-net header cannot say so) or behind anything but tags (the kernel splits by EtherType alone: ENOMEM), a pending
 * CRC32c (it would be taken for a 16-bit sum), and BIG TCP over IPv6: the kernel takes the hop-by-hop header off a super-frame
 * that comes from user space (net/ipv6/ip6_offload.c ipv6_gso_segment, before it finds that the device can split), and without
 * it the packet has no length. */
static int must_complete(const pp_batch *b, uint32_t i, const pp_vnet *v)
{
    if (v->gso_type && b->status[i] == PP_STATUS_BAD)
        return 1; /* the kernel would write right sums over the damage: IPv4 headers', and transport's without the mark */
    if (!pp_needs_csum(v))
        return 0;
    if (v->gso_type)
        return (b->l4[i] != 0 && v->csum_start != b->l4[i]) || is_jumbogram(b, i) ||
               (b->version[i] && !pp_is_plain(b->data[i], b->l3[i]));
    return v->csum_offset == SCTP_SUM && is_crc32c(pp_partial_csum_check(b, i));
}

/* A super-frame that the source vouches for, of something in a tunnel that nobody here can write again: only the egress may
 * know what to do. */
static int is_of_unknown_tunnel(const pp_batch *b, uint32_t i, const pp_vnet *v)
{
    return v->gso_type && pp_needs_csum(v) && b->status[i] != PP_STATUS_BAD && b->l4[i] && v->csum_start > b->l4[i] &&
           !pp_partial_csum_check(b, i) && !is_jumbogram(b, i);
}

static int add_completed(pp_emit *e, pp_batch *b, uint32_t i, pp_vnet v, pp_ledger *ledger)
{
    if (v.gso_type) {
        int rc = add_segments(e, b, i, &v, ledger);
        if (rc == 0 && b->tally) {
            b->tally->completed++;
            b->tally->split++;
        }
        return rc;
    }
    if (pp_needs_csum(&v)) {
        const pp_check *k = pp_partial_csum_check(b, i);
        uint32_t end = k ? k->start + k->length : datagram_end(b, i); /* a padded frame goes on behind it */
        int rc = is_crc32c(k) ? pp_complete_crc32c(b->data[i], k) : pp_complete(b->data[i], end, &v);
        if (rc < 0)
            return rc;
        pp_partial_csum_clear(b, i);
        if (b->tally)
            b->tally->completed++;
    }
    pp_tx_add_frame(&e->queue, i);
    return 0;
}

/* Add packet i, or account for it; PP_SINK_WAITS if only a part of its segments found room. */
static int add_packet(pp_emit *e, pp_batch *b, uint32_t i, pp_ledger *ledger)
{
    pp_vnet v;
    int rc;
    if (!e->is_splitting) {
        if (pp_account_unsent(b, i, ledger)) {
            e->queue.tx_status[i] = TX_ACCOUNTED;
            return 0;
        }
        if (__builtin_expect(b->flags[i] & PP_PKT_STRAY_METADATA, 0))
            pp_partial_csum_correct(b, i);
    }
    v = pp_partial_csum_of(b, i);
    if (!e->is_splitting) {
        e->queue.tx_status[i] = TX_SENT;
        if (!v.gso_type && pp_partial_csum_misleads(b, i, &v)) {
            pp_partial_csum_clear(b, i);
            v.flags = 0;
        }
        if (!e->complete && !must_complete(b, i, &v)) {
            if (e->coalesce)
                pp_tx_add_coalesced(&e->queue, i);
            else
                pp_tx_add_frame(&e->queue, i);
            return 0;
        }
        pp_coalesce_close(&e->queue.coalesce, b, i); /* what follows must not be coalesced with what went before */
    }
    rc = add_completed(e, b, i, v, ledger);
    if (rc >= 0)
        return rc;
    if (!e->complete && is_of_unknown_tunnel(b, i, &v)) {
        pp_tx_add_frame(&e->queue, i);
    } else {
        ledger->dropped[PP_DROP_UNSPLITTABLE]++;
        e->queue.tx_status[i] = TX_ACCOUNTED;
    }
    return 0;
}

/* Add what is left of the batch and send it. */
static int go_on(pp_emit *e, pp_batch *b, pp_ledger *ledger)
{
    for (; e->at < b->count; e->at++) {
        int rc = pp_tx_make_room(&e->queue, ledger);
        if (rc || (rc = add_packet(e, b, e->at, ledger)))
            return rc;
    }
    return pp_tx_flush(&e->queue, ledger);
}

/* Packets of the batch that are in no counter yet. */
static uint64_t count_held(const pp_emit *e, const pp_batch *b)
{
    uint64_t held = b->count;
    for (uint32_t i = 0; i < e->at; i++)
        held -= e->queue.tx_status[i] == TX_ACCOUNTED;
    return held;
}

void pp_emit_give_up(void *context)
{
    pp_emit *e = context;
    e->queue.give_up_ns = 1; /* long ago */
}

int pp_emit_take(pp_batch *b, pp_ledger *ledger, void *context)
{
    pp_emit *e = context;
    if (!e->is_under_way) {
        if (b->count > e->queue.capacity)
            return -EOVERFLOW;
        pp_tx_begin(&e->queue, b);
        adapt(e);
        e->at = 0;
    }
    e->is_under_way = go_on(e, b, ledger);
    if (e->is_under_way) {
        ledger->held = count_held(e, b);
        return PP_SINK_WAITS;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        int status = e->queue.tx_status[i];
        if (status == TX_SENT)
            ledger->sent++;
        else if (status != TX_ACCOUNTED)
            ledger->tx_error[status < (int)PP_ERRNOS ? status : EIO]++;
    }
    return 0;
}
