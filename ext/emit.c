/* emit.c - see emit.h. */
#define _GNU_SOURCE
#include "emit.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "bytes.h"
#include "split.h"

#define MESSAGES 512u
#define NEEDS_CSUM 1u /* VIRTIO_NET_HDR_F_NEEDS_CSUM */
#define TAG 4u
#define HEAD (PP_VNET_LEN + TAG + PP_SPLIT_HEAD)
#define PATIENCE_MS 1000 /* of a batch, for a socket whose send buffer stays full */
#define SCTP_FIELD 8u    /* offset of the CRC32c in an SCTP packet */

struct pp_emit {
    int fd;
    int finish;
    uint32_t mtu;
    uint32_t capacity;
    uint32_t used; /* messages waiting */
    int patience;  /* milliseconds left for this batch */
    struct mmsghdr messages[MESSAGES];
    struct iovec vectors[MESSAGES][2];
    uint32_t owner[MESSAGES]; /* packet a message belongs to */
    uint8_t heads[MESSAGES][HEAD + 2]; /* even size: heads stay aligned to two octets */
    uint16_t fate[]; /* errno per packet of the batch, 0 sent */
};

enum { FATE_UNSENT = 0xffff }; /* accounted for already */

pp_emit *pp_emit_new(int fd, uint32_t capacity, uint32_t mtu, int finish)
{
    pp_emit *e = calloc(1, sizeof *e + capacity * sizeof e->fate[0]);
    if (!e)
        return NULL;
    e->fd = fd;
    e->capacity = capacity;
    e->mtu = mtu;
    e->finish = finish;
    for (uint32_t i = 0; i < MESSAGES; i++)
        e->messages[i].msg_hdr.msg_iov = e->vectors[i];
    return e;
}

void pp_emit_free(pp_emit *e) { free(e); }

static void flush(pp_emit *e, pp_ledger *ledger)
{
    for (uint32_t done = 0; done < e->used;) {
        int n = sendmmsg(e->fd, e->messages + done, e->used - done, MSG_DONTWAIT);
        if (n > 0) {
            done += (uint32_t)n;
            ledger->sent_frames += (uint64_t)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN && e->patience > 0) {
            struct pollfd p = { .fd = e->fd, .events = POLLOUT };
            e->patience -= 5;
            poll(&p, 1, 5);
            continue;
        }
        e->fate[e->owner[done]] = (uint16_t)errno;
        done++;
    }
    e->used = 0;
}

/* Reserve a message for packet i; the head belongs to it until the flush. */
static uint8_t *message(pp_emit *e, uint32_t i, pp_ledger *ledger)
{
    if (e->used == MESSAGES)
        flush(e, ledger);
    e->owner[e->used] = i;
    return e->heads[e->used++];
}

static void vectors(pp_emit *e, const uint8_t *head, size_t head_length, const uint8_t *rest, size_t rest_length)
{
    uint32_t m = e->used - 1;
    e->vectors[m][0] = (struct iovec){ (void *)(uintptr_t)head, head_length };
    e->vectors[m][1] = (struct iovec){ (void *)(uintptr_t)rest, rest_length };
    e->messages[m].msg_hdr.msg_iovlen = rest_length ? 2 : 1;
}

static void put_tag(uint8_t *at, const pp_batch *b, uint32_t i)
{
    pp_put16(at, b->vlan_tpid[i]);
    pp_put16(at + 2, b->vlan_tci[i]);
}

static void add_frame(pp_emit *e, const pp_batch *b, uint32_t i, pp_vnet v, pp_ledger *ledger)
{
    uint8_t *data = b->data[i], *head = message(e, i, ledger);
    uint32_t length = b->caplen[i];
    v.flags &= NEEDS_CSUM;
    if ((b->flags[i] & PP_PKT_VLAN) && length >= 12) {
        if (v.flags)
            v.csum_start = (uint16_t)(v.csum_start + TAG);
        if (v.hdr_len)
            v.hdr_len = (uint16_t)(v.hdr_len + TAG);
        memcpy(head, &v, PP_VNET_LEN);
        memcpy(head + PP_VNET_LEN, data, 12);
        put_tag(head + PP_VNET_LEN + 12, b, i);
        vectors(e, head, PP_VNET_LEN + 12 + TAG, data + 12, length - 12);
    } else if (b->flags[i] & PP_PKT_VNET) {
        memcpy(data - PP_VNET_LEN, &v, PP_VNET_LEN);
        vectors(e, data - PP_VNET_LEN, PP_VNET_LEN + length, NULL, 0);
    } else {
        memcpy(head, &v, PP_VNET_LEN);
        vectors(e, head, PP_VNET_LEN, data, length);
    }
}

static int add_segments(pp_emit *e, pp_batch *b, uint32_t i, const pp_vnet *v, pp_ledger *ledger)
{
    pp_split s;
    pp_segment segment;
    uint32_t room = (b->flags[i] & PP_PKT_VLAN) ? TAG : 0;
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
            memmove(frame - TAG, frame, 12);
            put_tag(frame + 12 - TAG, b, i);
        }
        vectors(e, head, PP_VNET_LEN + room + segment.head_length, segment.payload, segment.payload_length);
    }
}

/* The check whose field the source named as unfinished, whole within the frame; null without one. */
static const pp_check *pending_check(const pp_batch *b, uint32_t i)
{
    const pp_check *k = b->checks + b->check_first[i];
    for (unsigned j = 0; j < b->check_count[i]; j++, k++)
        if ((k->flags & PP_CHECK_FLAGGED) && k->start + k->length <= b->caplen[i])
            return k;
    return NULL;
}

static int is_crc32c(const pp_check *k) { return k && (k->flags & PP_CHECK_CRC32C); }

/* What the packet socket on the way out would refuse or spoil, whatever the next hop can do: a super-frame within a tunnel
 * (the virtio-net header cannot say so) and a pending CRC32c (it would be taken for a 16-bit sum). */
static int must_finish(const pp_batch *b, uint32_t i, const pp_vnet *v)
{
    if (!(v->flags & NEEDS_CSUM))
        return 0;
    if (v->gso_type)
        return b->l4[i] != 0 && v->csum_start != b->l4[i];
    return v->csum_offset == SCTP_FIELD && is_crc32c(pending_check(b, i));
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
    if (v.flags & NEEDS_CSUM) {
        const pp_check *k = pending_check(b, i);
        uint32_t end = k ? k->start + k->length : b->caplen[i]; /* a padded frame goes on behind the datagram */
        int rc = is_crc32c(k) ? pp_complete_crc32c(b->data[i], k) : pp_complete(b->data[i], end, &v);
        if (rc < 0)
            return rc;
        v = (pp_vnet){ 0 };
        if (b->tally)
            b->tally->finished++;
    }
    add_frame(e, b, i, v, ledger);
    return 0;
}

int pp_emit_take(void *context, pp_batch *b, pp_ledger *ledger)
{
    pp_emit *e = context;
    if (b->count > e->capacity)
        return -EOVERFLOW;
    e->patience = PATIENCE_MS;
    for (uint32_t i = 0; i < b->count; i++) {
        if (pp_account_unsent(b, i, ledger)) {
            e->fate[i] = FATE_UNSENT;
            continue;
        }
        pp_vnet v = { 0 };
        e->fate[i] = 0;
        if (b->flags[i] & PP_PKT_VNET)
            memcpy(&v, b->data[i] - PP_VNET_LEN, sizeof v);
        if (!e->finish && !must_finish(b, i, &v)) {
            add_frame(e, b, i, v, ledger);
        } else if (add_finished(e, b, i, v, ledger) < 0) {
            ledger->dropped[PP_DROP_UNSPLITTABLE]++;
            e->fate[i] = FATE_UNSENT;
        }
    }
    flush(e, ledger);
    for (uint32_t i = 0; i < b->count; i++) {
        if (e->fate[i] == 0)
            ledger->sent++;
        else if (e->fate[i] != FATE_UNSENT)
            ledger->tx_error[e->fate[i] < PP_ERRNOS ? e->fate[i] : EIO]++;
    }
    return 0;
}
