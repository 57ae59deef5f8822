/* emit.c - see emit.h. */
#define _GNU_SOURCE
#include "io/emit.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "offload/coalesce.h"
#include "offload/partial_csum.h"
#include <pktmend/split.h>
#include "offload/encap.h"
#include "parse/headers.h"
#include "run/clock.h"
#include "sum/bytes.h"

#define MESSAGES 512u
#define HEAD (PP_VNET_LEN + VLAN_LEN + PP_SPLIT_HEAD)
#define PATIENCE_NS 1000000000u /* of a batch, for a socket whose send buffer stays full */

struct pp_emit {
    int fd;
    int finish;
    uint32_t mtu, join;                       /* for this batch */
    _Atomic uint32_t wanted_mtu, wanted_join; /* for the next */
    _Atomic uint32_t refused; /* PP_COALESCE_WANT_* that the egress has answered with EINVAL; the worker's */
    uint32_t capacity;
    uint32_t used; /* messages waiting */
    uint64_t
        give_up_ns; /* when this batch waits no longer for room in the send buffer; 0: it has not had to wait yet */
    struct mmsghdr messages[MESSAGES];
    struct iovec vectors[MESSAGES][2];
    uint32_t last[MESSAGES];           /* packet joined last */
    uint32_t owner[MESSAGES];          /* packet a message belongs to; the first of those that were joined */
    pp_joint *flow[MESSAGES];          /* null: a single packet */
    uint8_t heads[MESSAGES][HEAD + 2]; /* even size: heads stay aligned to two octets */
    pp_coalesce coalesce;
    const pp_batch *batch;
    struct iovec *gather; /* capacity + MESSAGES: of joined packets */
    uint32_t *next;       /* per packet: the next one joined to the same, or NONE */
    int16_t *tx_status;   /* per packet: TX_SENT, an errno, or TX_ACCOUNTED */
};

enum { TX_SENT = 0, TX_ACCOUNTED = -1 }; /* in the ledger already: dropped, truncated, not splittable */
#define NONE UINT32_MAX

pp_emit *pp_emit_new(int fd, uint32_t capacity, uint32_t mtu, int finish, int coalesce)
{
    pp_emit *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->gather = calloc(capacity + MESSAGES, sizeof *e->gather);
    e->next = calloc(capacity, sizeof *e->next);
    e->tx_status = calloc(capacity, sizeof *e->tx_status);
    if (!e->gather || !e->next || !e->tx_status) {
        pp_emit_free(e);
        return NULL;
    }
    e->coalesce.generation = 1;
    e->wanted_mtu = mtu;
    e->wanted_join = finish ? 0 : (uint32_t)coalesce;
    e->fd = fd;
    e->capacity = capacity;
    e->finish = finish;
    for (uint32_t i = 0; i < MESSAGES; i++)
        e->messages[i].msg_hdr.msg_iov = e->vectors[i];
    return e;
}

static void put_tag(uint8_t *at, const pp_batch *b, uint32_t i)
{
    pp_put16(at, b->vlan_tpid[i]);
    pp_put16(at + VLAN_TYPE, b->vlan_tci[i]);
}

/* Where a frame lies, its virtio-net header before it and its stripped tag put back: number of vectors.
 * head: PP_VNET_LEN + ETH_ADDRESSES + VLAN_LEN bytes of room. */
static unsigned frame_vectors(const pp_batch *b, uint32_t i, uint8_t *head, struct iovec v[2])
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
        put_tag(head + PP_VNET_LEN + ETH_ADDRESSES, b, i);
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

void pp_emit_free(pp_emit *e)
{
    free(e->gather);
    free(e->next);
    free(e->tx_status);
    free(e);
}

uint32_t pp_emit_coalesces(const pp_emit *e)
{
    return atomic_load_explicit(&e->wanted_join, memory_order_relaxed) &
           ~atomic_load_explicit(&e->refused, memory_order_relaxed);
}

void pp_emit_set_mtu(pp_emit *e, uint32_t mtu) { atomic_store_explicit(&e->wanted_mtu, mtu, memory_order_relaxed); }

void pp_emit_set_coalesce(pp_emit *e, uint32_t coalesce)
{
    atomic_store_explicit(&e->wanted_join, e->finish ? 0 : coalesce, memory_order_relaxed);
}

static void adapt(pp_emit *e)
{
    e->mtu = e->coalesce.mtu = atomic_load_explicit(&e->wanted_mtu, memory_order_relaxed);
    e->join = pp_emit_coalesces(e);
    e->coalesce.tcp = (e->join & PP_COALESCE_WANT_TCP) != 0;
    e->coalesce.udp = (e->join & PP_COALESCE_WANT_UDP) != 0;
}

/* Give the messages of joined packets their header and their payloads' places. */
static void gather(pp_emit *e)
{
    struct iovec *at = e->gather;
    for (uint32_t m = 0; m < e->used; m++) {
        const pp_joint *f = e->flow[m];
        if (!f || f->count < 2)
            continue;
        struct iovec *first = at;
        *at++ = (struct iovec){ e->heads[m], pp_coalesce_head(f, e->batch, e->heads[m]) };
        uint32_t left = f->payload;
        for (uint32_t i = f->first; i != NONE; i = e->next[i]) {
            uint32_t size = left < f->size ? left : f->size;
            *at++ = (struct iovec){ e->batch->data[i] + f->payload_at, size };
            left -= size;
        }
        e->messages[m].msg_hdr.msg_iov = first;
        e->messages[m].msg_hdr.msg_iovlen = (size_t)(at - first);
    }
}

static void seal(pp_emit *e, uint32_t m, int error)
{
    if (!e->flow[m]) {
        e->tx_status[e->owner[m]] = (int16_t)error;
        return;
    }
    for (uint32_t i = e->owner[m]; i != NONE; i = e->next[i])
        e->tx_status[i] = (int16_t)error;
}

/* The egress refuses this kind of super-frame: send what was joined one by one, and join no more of the kind. */
static void send_apart(pp_emit *e, uint32_t m, pp_ledger *ledger)
{
    uint32_t kind = e->flow[m]->is_udp ? PP_COALESCE_WANT_UDP : PP_COALESCE_WANT_TCP;
    atomic_fetch_or_explicit(&e->refused, kind, memory_order_relaxed);
    for (uint32_t i = e->owner[m]; i != NONE; i = e->next[i]) {
        uint8_t head[PP_VNET_LEN + ETH_ADDRESSES + VLAN_LEN];
        struct iovec v[2];
        struct msghdr one = { .msg_iov = v, .msg_iovlen = frame_vectors(e->batch, i, head, v) };
        if (sendmsg(e->fd, &one, MSG_DONTWAIT) < 0)
            e->tx_status[i] = (int16_t)errno;
        else
            ledger->sent_frames++;
    }
}

/* The send buffer is full: is there patience left for this batch? */
static int may_wait(pp_emit *e)
{
    uint64_t now = pp_now_ns();
    if (!e->give_up_ns)
        e->give_up_ns = now + PATIENCE_NS;
    return now < e->give_up_ns;
}

static void flush(pp_emit *e, pp_ledger *ledger)
{
    if (e->coalesce.used)
        gather(e);
    for (uint32_t done = 0; done < e->used;) {
        int n = sendmmsg(e->fd, e->messages + done, e->used - done, MSG_DONTWAIT);
        if (n > 0) {
            done += (uint32_t)n;
            ledger->sent_frames += (uint64_t)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        int error = errno;
        if (error == EAGAIN && may_wait(e)) {
            struct pollfd p = { .fd = e->fd, .events = POLLOUT };
            poll(&p, 1, 5);
            continue;
        }
        if (error == EINVAL && e->flow[done] && e->flow[done]->count > 1)
            send_apart(e, done, ledger);
        else
            seal(e, done, error);
        done++;
    }
    e->used = 0;
    pp_coalesce_reset(&e->coalesce);
}

/* Reserve a message for packet i; the head belongs to it until the flush. */
static uint8_t *message(pp_emit *e, uint32_t i, pp_ledger *ledger)
{
    if (e->used == MESSAGES)
        flush(e, ledger);
    e->owner[e->used] = i;
    e->flow[e->used] = NULL;
    e->messages[e->used].msg_hdr.msg_iov = e->vectors[e->used];
    return e->heads[e->used++];
}

static void vectors(pp_emit *e, const uint8_t *head, size_t head_length, const uint8_t *rest, size_t rest_length)
{
    uint32_t m = e->used - 1;
    e->vectors[m][0] = (struct iovec){ (void *)(uintptr_t)head, head_length };
    e->vectors[m][1] = (struct iovec){ (void *)(uintptr_t)rest, rest_length };
    e->messages[m].msg_hdr.msg_iovlen = rest_length ? 2 : 1;
}

static void add_frame(pp_emit *e, const pp_batch *b, uint32_t i, pp_ledger *ledger)
{
    uint8_t *head = message(e, i, ledger);
    uint32_t m = e->used - 1;
    e->messages[m].msg_hdr.msg_iovlen = frame_vectors(b, i, head, e->vectors[m]);
}

/* Join packet i to an open flow, or send it by itself and let it open one. */
static void add_joined(pp_emit *e, const pp_batch *b, uint32_t i, pp_ledger *ledger)
{
    pp_joint *opened, *f;
    if (e->used == MESSAGES)
        flush(e, ledger);
    e->next[i] = NONE;
    uint32_t before = e->used;
    f = pp_coalesce_add(&e->coalesce, b, i, &opened);
    if (f) {
        e->next[e->last[f->owner]] = i;
        e->last[f->owner] = i;
        return;
    }
    add_frame(e, b, i, ledger);
    e->flow[before] = opened;
    if (opened) {
        opened->owner = before;
        e->last[before] = i;
    }
}

static int add_segments(pp_emit *e, pp_batch *b, uint32_t i, const pp_vnet *v, pp_ledger *ledger)
{
    pp_split s;
    pp_segment segment;
    uint32_t room = (b->flags[i] & PP_PKT_VLAN) ? VLAN_LEN : 0;
    int rc = b->version[i] ? pp_split_begin(&s, b->data[i], b->caplen[i], v, b->l3[i], e->mtu) : -EINVAL;
    if (rc < 0)
        return rc;
    for (;;) {
        uint8_t *head = message(e, i, ledger), *frame = head + PP_VNET_LEN + room;
        if (pp_split_next(&s, frame, &segment) != 1) {
            e->used--;
            return 0;
        }
        memset(head, 0, PP_VNET_LEN);
        if (room) {
            memmove(frame - VLAN_LEN, frame, ETH_ADDRESSES);
            put_tag(frame + ETH_ADDRESSES - VLAN_LEN, b, i);
        }
        vectors(e, head, PP_VNET_LEN + room + segment.head_length, segment.payload, segment.payload_length);
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

/* What the packet socket on the way out would refuse or spoil, whatever the next hop can do: a super-frame within a tunnel
 * (the virtio-net header cannot say so) or behind anything but tags (the kernel splits by EtherType alone: ENOMEM), a pending
 * CRC32c (it would be taken for a 16-bit sum), and BIG TCP over IPv6: the kernel takes the hop-by-hop header off a super-frame
 * that comes from user space (net/ipv6/ip6_offload.c ipv6_gso_segment, before it finds that the device can split), and without
 * it the packet has no length. */
static int must_finish(const pp_batch *b, uint32_t i, const pp_vnet *v)
{
    if (!pp_needs_csum(v))
        return 0;
    if (v->gso_type)
        return (b->l4[i] != 0 && v->csum_start != b->l4[i]) || is_jumbogram(b, i) ||
               (b->version[i] && !pp_is_plain(b->data[i], b->l3[i]));
    return v->csum_offset == SCTP_SUM && is_crc32c(pp_partial_csum_check(b, i));
}

static int add_finished(pp_emit *e, pp_batch *b, uint32_t i, pp_vnet v, pp_ledger *ledger)
{
    if (v.gso_type) {
        int rc = add_segments(e, b, i, &v, ledger);
        if (rc == 0 && b->tally) {
            b->tally->finished++;
            b->tally->split++;
        }
        return rc;
    }
    if (pp_needs_csum(&v)) {
        const pp_check *k = pp_partial_csum_check(b, i);
        uint32_t end = k ? k->start + k->length : b->caplen[i]; /* a padded frame goes on behind the datagram */
        int rc = is_crc32c(k) ? pp_complete_crc32c(b->data[i], k) : pp_complete(b->data[i], end, &v);
        if (rc < 0)
            return rc;
        pp_partial_csum_clear(b, i);
        if (b->tally)
            b->tally->finished++;
    }
    add_frame(e, b, i, ledger);
    return 0;
}

int pp_emit_take(pp_batch *b, pp_ledger *ledger, void *context)
{
    pp_emit *e = context;
    if (b->count > e->capacity)
        return -EOVERFLOW;
    e->give_up_ns = 0;
    e->batch = b;
    adapt(e);
    for (uint32_t i = 0; i < b->count; i++) {
        if (pp_account_unsent(b, i, ledger)) {
            e->tx_status[i] = TX_ACCOUNTED;
            continue;
        }
        pp_vnet v = pp_partial_csum_of(b, i);
        e->tx_status[i] = TX_SENT;
        int misleads = pp_partial_csum_misleads(b, i, &v);
        if (misleads && !v.gso_type) {
            pp_partial_csum_clear(b, i);
            v.flags = 0;
        }
        if (!e->finish && !must_finish(b, i, &v) && !(misleads && v.gso_type)) {
            if (e->join)
                add_joined(e, b, i, ledger);
            else
                add_frame(e, b, i, ledger);
            continue;
        }
        pp_coalesce_close(&e->coalesce, b, i); /* what follows must not be joined to what went before */
        if (add_finished(e, b, i, v, ledger) < 0) {
            ledger->dropped[PP_DROP_UNSPLITTABLE]++;
            e->tx_status[i] = TX_ACCOUNTED;
        }
    }
    flush(e, ledger);
    for (uint32_t i = 0; i < b->count; i++) {
        int status = e->tx_status[i];
        if (status == TX_SENT)
            ledger->sent++;
        else if (status != TX_ACCOUNTED)
            ledger->tx_error[status < (int)PP_ERRNOS ? status : EIO]++;
    }
    return 0;
}
