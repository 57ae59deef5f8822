/* generate.c - see traffic.h. */
#define _GNU_SOURCE
#include "traffic.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "damage.h"

struct traffic {
    const traffic_template *templates;
    const uint32_t *order;
    uint32_t order_length, order_at, flows, number;
    uint16_t port;
    int offload;
    double rate; /* frames a second; 0: no bound */
    uint64_t began_ns, sent, bytes, retries;
    uint64_t share[TRAFFIC_DAMAGES], owed[TRAFFIC_DAMAGES];
    uint64_t count[TRAFFIC_PROTOS][TRAFFIC_OUTCOMES];
    uint32_t *sequence; /* of each flow */
    struct mmsghdr message[TRAFFIC_BATCH];
    struct iovec part[TRAFFIC_BATCH][2];
    uint8_t outcome[TRAFFIC_BATCH], ip_outcome[TRAFFIC_BATCH];
    uint8_t protocol[TRAFFIC_BATCH], version[TRAFFIC_BATCH];
    uint8_t head[TRAFFIC_BATCH][PP_VNET_LEN + TRAFFIC_HEAD];
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The damage whose turn it is, or TRAFFIC_DAMAGES. */
static unsigned due(traffic *x)
{
    unsigned most = TRAFFIC_DAMAGES;
    for (unsigned i = 0; i < TRAFFIC_DAMAGES; i++) {
        x->owed[i] += x->share[i];
        if (x->owed[i] >> 32 && (most == TRAFFIC_DAMAGES || x->owed[i] > x->owed[most]))
            most = i;
    }
    return most;
}

static void fill(traffic *x, uint32_t slot)
{
    const traffic_template *t = &x->templates[x->order[x->order_at]];
    x->order_at = x->order_at + 1 == x->order_length ? 0 : x->order_at + 1;
    uint32_t number = x->number++, flow = number % x->flows;
    uint16_t port = (uint16_t)(x->port + flow);
    uint8_t *head = x->head[slot] + PP_VNET_LEN;
    memcpy(head, t->frame, t->head);
    put16(head + t->port_at, port);
    put32(head + t->number_at, number);
    uint64_t sum = (uint64_t)t->seed + t->payload_sum + port + (number >> 16) + (number & 0xffff);
    if (t->sequence_at) {
        uint32_t sequence = x->sequence[flow];
        x->sequence[flow] += t->payload;
        put32(head + t->sequence_at, sequence);
        sum += (sequence >> 16) + (sequence & 0xffff);
    }
    pp_vnet vnet = { .csum_start = t->l4, .csum_offset = (uint16_t)(t->sum_at - t->l4) };
    uint8_t ip = TRAFFIC_IS_GOOD;
    int outcome = TRAFFIC_IS_GOOD;
    if (x->offload || t->gso_size) {
        vnet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        outcome = TRAFFIC_IS_PENDING;
        put16(head + t->sum_at, (uint16_t)t->seed);
    } else {
        put16(head + t->sum_at, traffic_right_for(sum, t->protocol));
    }
    unsigned kind = t->gso_size ? (unsigned)TRAFFIC_DAMAGES : due(x);
    if (t->gso_size) {
        vnet.gso_type = t->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
        vnet.gso_size = t->gso_size;
        vnet.hdr_len = (uint16_t)(t->length - t->payload);
    }
    if (kind < TRAFFIC_DAMAGES) {
        uint8_t flags = vnet.flags;
        vnet.flags = 0;
        put16(head + t->sum_at, traffic_right_for(sum, t->protocol));
        int done = traffic_damage(t, head, &vnet, sum, number, kind, &ip);
        if (done >= 0) {
            outcome = done;
            x->owed[kind] -= (uint64_t)1 << 32;
        } else if (flags) {
            vnet.flags = flags;
            put16(head + t->sum_at, (uint16_t)t->seed);
        }
    }
    if (!vnet.flags)
        vnet = (pp_vnet){ 0 };
    memcpy(x->head[slot], &vnet, sizeof vnet);
    x->outcome[slot] = (uint8_t)outcome;
    x->ip_outcome[slot] = ip;
    x->protocol[slot] = t->protocol;
    x->version[slot] = t->version;
    x->part[slot][0].iov_len = PP_VNET_LEN + t->head;
    x->part[slot][1].iov_base = (void *)(uintptr_t)(t->frame + t->head);
    x->part[slot][1].iov_len = t->length - t->head;
    x->message[slot].msg_hdr.msg_iovlen = t->length > t->head ? 2 : 1;
}

static void account(traffic *x, uint32_t slot)
{
    x->sent++;
    x->bytes += x->part[slot][0].iov_len - PP_VNET_LEN + x->part[slot][1].iov_len;
    x->count[x->protocol[slot] == IPPROTO_UDP ? 2 : 1][x->outcome[slot]]++;
    if (x->version[slot] == 4)
        x->count[0][x->ip_outcome[slot]]++;
}

traffic *traffic_new(const traffic_template *templates, const uint32_t *order, uint32_t order_length, uint32_t flows,
                     uint16_t port, double rate, const uint64_t *share, int offload)
{
    traffic *x = calloc(1, sizeof *x);
    if (!x || !(x->sequence = calloc(flows, sizeof *x->sequence))) {
        free(x);
        return NULL;
    }
    x->templates = templates, x->order = order, x->order_length = order_length;
    x->flows = flows, x->port = port, x->rate = rate, x->offload = offload;
    memcpy(x->share, share, sizeof x->share);
    for (uint32_t i = 0; i < TRAFFIC_BATCH; i++) {
        x->part[i][0].iov_base = x->head[i];
        x->message[i].msg_hdr.msg_iov = x->part[i];
    }
    return x;
}

void traffic_free(traffic *x)
{
    if (x)
        free(x->sequence);
    free(x);
}

/* How many frames may leave now; sleeps, but not beyond end_ns, if none may. */
static uint64_t allowance(traffic *x, uint64_t end_ns)
{
    if (x->rate <= 0)
        return TRAFFIC_BATCH;
    uint64_t now = now_ns();
    double may = (double)(now - x->began_ns) * x->rate / 1e9 - (double)x->sent;
    if (may >= 1)
        return may < TRAFFIC_BATCH ? (uint64_t)may : TRAFFIC_BATCH;
    uint64_t next = x->began_ns + (uint64_t)((double)(x->sent + 1) / x->rate * 1e9) + 1;
    if (next > end_ns)
        next = end_ns;
    struct timespec t = { .tv_sec = (time_t)(next / 1000000000u), .tv_nsec = (long)(next % 1000000000u) };
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    return 0;
}

int64_t traffic_send(traffic *x, int fd, uint64_t frames, uint32_t milliseconds)
{
    uint64_t end = now_ns() + (uint64_t)milliseconds * 1000000u, sent = 0;
    if (!x->began_ns)
        x->began_ns = now_ns();
    prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
    while (sent < frames && now_ns() < end) {
        uint64_t n = allowance(x, end);
        if (n > frames - sent)
            n = frames - sent;
        for (uint32_t i = 0; i < n; i++)
            fill(x, i);
        for (uint32_t at = 0; at < n;) { /* a batch that was begun is sent: its numbers are taken */
            int done = sendmmsg(fd, x->message + at, (unsigned)n - at, 0);
            if (done < 0 && (errno == ENOBUFS || errno == EAGAIN)) {
                x->retries++;
                sched_yield();
            } else if (done < 0 && errno != EINTR) {
                return -errno;
            }
            for (; done > 0; done--, at++, sent++)
                account(x, at);
        }
    }
    return (int64_t)sent;
}

uint64_t traffic_bytes(const traffic *x) { return x->bytes; }
uint64_t traffic_retries(const traffic *x) { return x->retries; }

uint64_t traffic_count(const traffic *x, uint32_t proto, uint32_t outcome)
{
    return proto < TRAFFIC_PROTOS && outcome < TRAFFIC_OUTCOMES ? x->count[proto][outcome] : 0;
}
