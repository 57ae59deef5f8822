/* tx_queue.c - see tx_queue.h. */
#define _GNU_SOURCE
#include "io/tx_queue.h"

#include <errno.h>
#include <stdlib.h>

#include "io/emit.h"
#include "offload/partial_csum.h"
#include "run/clock.h"

#define PATIENCE_NS 1000000000u /* of a batch, for a socket whose send buffer stays full */
#define NO_PACKET UINT32_MAX

int pp_tx_init(pp_tx_queue *q, int fd, uint32_t capacity)
{
    memset(q, 0, sizeof *q);
    q->fd = fd;
    q->capacity = capacity;
    q->coalesce.generation = 1;
    q->apart = NO_PACKET;
    q->gso_iov = calloc(capacity + PP_TX_MESSAGES, sizeof *q->gso_iov);
    q->next = calloc(capacity, sizeof *q->next);
    q->tx_status = calloc(capacity, sizeof *q->tx_status);
    for (uint32_t i = 0; i < PP_TX_MESSAGES; i++)
        q->messages[i].msg_hdr.msg_iov = q->iov[i];
    return q->gso_iov && q->next && q->tx_status ? 0 : -ENOMEM;
}

void pp_tx_free(pp_tx_queue *q)
{
    free(q->gso_iov);
    free(q->next);
    free(q->tx_status);
}

void pp_tx_begin(pp_tx_queue *q, const pp_batch *batch)
{
    q->give_up_ns = 0;
    q->batch = batch;
}

/* Where a frame lies, its virtio-net header before it and its stripped tag put back: number of parts.
 * head: PP_VNET_LEN + ETH_ADDRESSES + VLAN_LEN bytes of room. */
static unsigned set_frame_iov(const pp_batch *b, uint32_t i, uint8_t *head, struct iovec v[2])
{
    uint8_t *data = b->data[i];
    uint32_t length = b->caplen[i];
    pp_vnet vnet = pp_partial_csum_of(b, i);
    vnet.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM; /* "valid" is the kernel's to say */
    if ((b->flags[i] & PP_PKT_VLAN) && length >= ETH_ADDRESSES) {
        if (vnet.flags)
            vnet.csum_start = (uint16_t)(vnet.csum_start + VLAN_LEN);
        if (vnet.hdr_len)
            vnet.hdr_len = (uint16_t)(vnet.hdr_len + VLAN_LEN);
        pp_vnet_put(head + PP_VNET_LEN, &vnet);
        memcpy(head + PP_VNET_LEN, data, ETH_ADDRESSES);
        pp_tx_put_tag(head + PP_VNET_LEN + ETH_ADDRESSES, b, i);
        v[0] = (struct iovec){ head, PP_VNET_LEN + ETH_ADDRESSES + VLAN_LEN };
        v[1] = (struct iovec){ data + ETH_ADDRESSES, length - ETH_ADDRESSES };
        return 2;
    }
    if (b->flags[i] & PP_PKT_VNET) {
        pp_vnet_put(data, &vnet);
        v[0] = (struct iovec){ data - PP_VNET_LEN, PP_VNET_LEN + length };
        return 1;
    }
    pp_vnet_put(head + PP_VNET_LEN, &vnet);
    v[0] = (struct iovec){ head, PP_VNET_LEN };
    v[1] = (struct iovec){ data, length };
    return 2;
}

/* Give the messages of coalesced packets their header and their payloads' places. */
static void build_gso_iov(pp_tx_queue *q)
{
    struct iovec *at = q->gso_iov;
    for (uint32_t m = 0; m < q->used; m++) {
        const pp_gro_slot *f = q->slot[m];
        if (!f || f->count < 2)
            continue;
        struct iovec *first = at;
        *at++ = (struct iovec){ q->heads[m], pp_coalesce_head(f, q->batch, q->heads[m]) };
        uint32_t left = f->payload;
        for (uint32_t i = f->first; i != NO_PACKET; i = q->next[i]) {
            uint32_t size = left < f->size ? left : f->size;
            *at++ = (struct iovec){ q->batch->data[i] + f->payload_at, size };
            left -= size;
        }
        q->messages[m].msg_hdr.msg_iov = first;
        q->messages[m].msg_hdr.msg_iovlen = (size_t)(at - first);
    }
}

static void set_status(pp_tx_queue *q, uint32_t m, int error)
{
    if (!q->slot[m]) {
        q->tx_status[q->owner[m]] = (int16_t)error;
        return;
    }
    for (uint32_t i = q->owner[m]; i != NO_PACKET; i = q->next[i])
        q->tx_status[i] = (int16_t)error;
}

/* The send buffer is full: is there patience left for this batch? */
static int may_wait(pp_tx_queue *q)
{
    uint64_t now = pp_now_ns();
    if (!q->give_up_ns)
        q->give_up_ns = now + PATIENCE_NS;
    return now < q->give_up_ns;
}

/* The egress refuses this kind of super-frame: what was coalesced goes one by one, and no more of the kind is coalesced. */
static void take_apart(pp_tx_queue *q)
{
    uint32_t kind = q->slot[q->done]->is_udp ? PP_COALESCE_WANT_UDP : PP_COALESCE_WANT_TCP;
    atomic_fetch_or_explicit(&q->refused, kind, memory_order_relaxed);
    q->apart = q->owner[q->done];
}

/* Send the next packet of the message that is taken apart. */
static int send_apart(pp_tx_queue *q, pp_ledger *ledger)
{
    uint8_t head[PP_VNET_LEN + ETH_ADDRESSES + VLAN_LEN];
    struct iovec v[2];
    struct msghdr one = { .msg_iov = v, .msg_iovlen = set_frame_iov(q->batch, q->apart, head, v) };
    if (sendmsg(q->fd, &one, MSG_DONTWAIT) >= 0) {
        ledger->sent_frames++;
    } else {
        int error = errno;
        if (error == EINTR)
            return 0;
        if (error == EAGAIN && may_wait(q))
            return PP_SINK_WAITS;
        q->tx_status[q->apart] = (int16_t)error;
    }
    q->apart = q->next[q->apart];
    q->done += q->apart == NO_PACKET;
    return 0;
}

/* Send as many messages as there is room for. */
static int send_messages(pp_tx_queue *q, pp_ledger *ledger)
{
    int n = sendmmsg(q->fd, q->messages + q->done, q->used - q->done, MSG_DONTWAIT);
    if (n > 0) {
        q->done += (uint32_t)n;
        ledger->sent_frames += (uint64_t)n;
        return 0;
    }
    int error = errno;
    if (error == EINTR)
        return 0;
    if (error == EAGAIN && may_wait(q))
        return PP_SINK_WAITS;
    if (error == EINVAL && q->slot[q->done] && q->slot[q->done]->count > 1)
        take_apart(q);
    else
        set_status(q, q->done++, error);
    return 0;
}

int pp_tx_flush(pp_tx_queue *q, pp_ledger *ledger)
{
    if (q->coalesce.used && !q->is_flushing)
        build_gso_iov(q);
    q->is_flushing = 1;
    while (q->done < q->used) {
        int rc = q->apart == NO_PACKET ? send_messages(q, ledger) : send_apart(q, ledger);
        if (rc)
            return rc;
    }
    q->used = q->done = 0;
    q->is_flushing = 0;
    pp_coalesce_reset(&q->coalesce);
    return 0;
}

uint8_t *pp_tx_reserve_message(pp_tx_queue *q, uint32_t i)
{
    q->owner[q->used] = i;
    q->slot[q->used] = NULL;
    q->messages[q->used].msg_hdr.msg_iov = q->iov[q->used];
    return q->heads[q->used++];
}

void pp_tx_set_iov(pp_tx_queue *q, const uint8_t *head, size_t head_length, const uint8_t *payload, size_t length)
{
    uint32_t m = q->used - 1;
    q->iov[m][0] = (struct iovec){ (void *)(uintptr_t)head, head_length };
    q->iov[m][1] = (struct iovec){ (void *)(uintptr_t)payload, length };
    q->messages[m].msg_hdr.msg_iovlen = length ? 2 : 1;
}

void pp_tx_add_frame(pp_tx_queue *q, uint32_t i)
{
    uint8_t *head = pp_tx_reserve_message(q, i);
    uint32_t m = q->used - 1;
    q->messages[m].msg_hdr.msg_iovlen = set_frame_iov(q->batch, i, head, q->iov[m]);
}

/* To an open flow, or by itself, and then it opens one. */
void pp_tx_add_coalesced(pp_tx_queue *q, uint32_t i)
{
    pp_gro_slot *opened, *f;
    q->next[i] = NO_PACKET;
    uint32_t before = q->used;
    f = pp_coalesce_add(&q->coalesce, q->batch, i, &opened);
    if (f) {
        q->next[q->last[f->owner]] = i;
        q->last[f->owner] = i;
        return;
    }
    pp_tx_add_frame(q, i);
    q->slot[before] = opened;
    if (opened) {
        opened->owner = before;
        q->last[before] = i;
    }
}

void pp_tx_cancel_message(pp_tx_queue *q) { q->used--; }
