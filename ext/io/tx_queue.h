/* tx_queue.h - messages on their way out: filled one by one, sent many at a time, each packet's status known afterwards.
 *
 * Rules:
 *   1. Payload is not copied: a message points into the batch, and into its own head for what is put before it.
 *   2. A packet ends as TX_SENT, as the errno of its send, or as TX_ACCOUNTED where the ledger has it already.
 *   3. Consecutive segments of a flow may leave as one message (coalesce.h); where the egress answers EINVAL they leave one
 *      by one, and that kind is never coalesced again.
 *   4. Nothing here sleeps: where the send buffer is full a flush returns PP_SINK_WAITS, and goes on when it is called again.
 *      After a second in which a batch waited, what is left of it ends as EAGAIN.
 */
#ifndef PP_TX_QUEUE_H
#define PP_TX_QUEUE_H

#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "sum/bytes.h"
#include "offload/coalesce.h"
#include <pktmend/split.h>
#include "parse/headers.h"
#include "run/loop.h"

#define PP_TX_MESSAGES 512u
#define PP_TX_HEAD (PP_VNET_LEN + VLAN_LEN + PP_SPLIT_HEAD)

enum { TX_SENT = 0, TX_ACCOUNTED = -1 }; /* in the ledger already: dropped, truncated, not splittable */

typedef struct pp_tx_queue {
    int fd;
    uint32_t capacity;        /* packets of a batch */
    _Atomic uint32_t refused; /* PP_COALESCE_WANT_* that the egress has answered with EINVAL; the worker's */
    const pp_batch *batch;
    uint64_t
        give_up_ns;  /* when this batch waits no longer for room in the send buffer; 0: it has not had to wait yet */
    uint32_t used;   /* messages waiting */
    uint32_t done;   /* of these, sent or refused: a flush is under way */
    uint32_t apart;  /* the packet to be sent next of a message that leaves one by one, or UINT32_MAX */
    int is_flushing; /* no message can be added until it has ended */
    struct mmsghdr messages[PP_TX_MESSAGES];
    struct iovec iov[PP_TX_MESSAGES][2];
    uint32_t last[PP_TX_MESSAGES];     /* packet coalesced last */
    uint32_t owner[PP_TX_MESSAGES];    /* packet a message belongs to; the first of those that were coalesced */
    pp_gro_slot *slot[PP_TX_MESSAGES]; /* null: a single packet */
    uint8_t heads[PP_TX_MESSAGES][PP_TX_HEAD + 2]; /* even size: heads stay aligned to two bytes */
    pp_coalesce coalesce;
    struct iovec *gso_iov; /* capacity + PP_TX_MESSAGES: of coalesced packets */
    uint32_t *next;        /* per packet: the next one of the same message, or UINT32_MAX */
    int16_t *tx_status;    /* per packet: TX_SENT, an errno, or TX_ACCOUNTED */
} pp_tx_queue;

int pp_tx_init(pp_tx_queue *queue, int fd, uint32_t capacity); /* 0 or -ENOMEM; fd stays the caller's */
void pp_tx_free(pp_tx_queue *queue);
/* The packets to come are this batch's. */
void pp_tx_begin(pp_tx_queue *queue, const pp_batch *batch);

/* Make room before each message: 0, or PP_SINK_WAITS if there is none yet. */
static inline int pp_tx_make_room(pp_tx_queue *queue, pp_ledger *ledger);
/* Add packet i as it is: its virtio-net header before it, its stripped tag put back. */
void pp_tx_add_frame(pp_tx_queue *queue, uint32_t i);
/* The same, coalesced with the segment before it where that is possible. */
void pp_tx_add_coalesced(pp_tx_queue *queue, uint32_t i);

/* Reserve a message for packet i: PP_TX_HEAD bytes that belong to it until the flush. */
uint8_t *pp_tx_reserve_message(pp_tx_queue *queue, uint32_t i);
/* Say where it lies; length 0: in its head alone. */
void pp_tx_set_iov(pp_tx_queue *queue, const uint8_t *head, size_t head_length, const uint8_t *payload, size_t length);
/* It is not needed. */
void pp_tx_cancel_message(pp_tx_queue *queue);

/* Send what was added: 0, or PP_SINK_WAITS while there is no room for the rest. */
int pp_tx_flush(pp_tx_queue *queue, pp_ledger *ledger);

static inline int pp_tx_make_room(pp_tx_queue *q, pp_ledger *ledger)
{
    return q->is_flushing || q->used == PP_TX_MESSAGES ? pp_tx_flush(q, ledger) : 0;
}

static inline void pp_tx_put_tag(uint8_t *at, const pp_batch *b, uint32_t i)
{
    pp_put16(at, b->vlan_tpid[i]);
    pp_put16(at + VLAN_TYPE, b->vlan_tci[i]);
}

#endif
