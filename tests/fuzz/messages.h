/* messages.h - sendmmsg() and sendmsg() for fuzz_coalesce.c: they look at each message and keep it, and fail now and then. */
#ifndef FUZZ_MESSAGES_H
#define FUZZ_MESSAGES_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "io/emit.h"

enum {
    PACKETS = 32,
    LONGEST = 2048,
    ROOM = PP_VNET_LEN + LONGEST,
    ARENA = 1 << 20,
    MESSAGES = 4096,
    PARTS = PACKETS + 1
};

typedef struct message {
    pp_vnet vnet;
    const uint8_t *frame;
    uint32_t length, count;
    uint32_t packet[PARTS];
} message;

static uint8_t arena[ARENA];
static message sent[MESSAGES];
static uint32_t arena_used, messages;
static uint8_t has_failed[PACKETS];
static unsigned calls, fault_period, fault;
static pp_batch batch;

static uint32_t packet_at(const uint8_t *p)
{
    for (uint32_t i = 0; i < batch.count; i++)
        if (p >= batch.data[i] - PP_VNET_LEN && p <= batch.data[i] + batch.caplen[i])
            return i;
    return UINT32_MAX;
}

static void look_at(const struct msghdr *h, int error)
{
    static message m;
    uint32_t at = arena_used;
    m.count = 0;
    for (size_t i = 0; i < h->msg_iovlen; i++) {
        uint32_t packet = packet_at(h->msg_iov[i].iov_base);
        if (h->msg_iov[i].iov_len > ARENA - at)
            abort();
        memcpy(arena + at, h->msg_iov[i].iov_base, h->msg_iov[i].iov_len);
        at += (uint32_t)h->msg_iov[i].iov_len;
        if (packet != UINT32_MAX)
            m.packet[m.count++] = packet;
    }
    if (m.count == 0 || at - arena_used < PP_VNET_LEN || messages == MESSAGES)
        abort();
    memcpy(&m.vnet, arena + arena_used, PP_VNET_LEN);
    m.frame = arena + arena_used + PP_VNET_LEN;
    m.length = at - arena_used - PP_VNET_LEN;
    for (uint32_t i = 0; error && (m.count == 1 || error != EINVAL) && i < m.count; i++)
        has_failed[m.packet[i]] = 1; /* coalesced packets that are refused are tried one by one */
    if (error)
        return;
    arena_used = at;
    sent[messages++] = m;
}

/* The errno of this call, or 0. */
static int answer(void)
{
    static const int errors[] = { EINVAL, ENOBUFS, EINTR, EAGAIN, EMSGSIZE, ENETDOWN };
    return fault_period && ++calls % (fault_period + 1) == 0 ? errors[fault % (sizeof errors / sizeof errors[0])] : 0;
}

int sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
    (void)fd, (void)flags;
    int error = answer();
    if (error) {
        if (error != EINTR && error != EAGAIN)
            look_at(&m->msg_hdr, error);
        errno = error;
        return -1;
    }
    if (fault & 8)
        n = (n + 1) / 2;
    for (unsigned i = 0; i < n; i++)
        look_at(&m[i].msg_hdr, 0);
    return (int)n;
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    (void)fd, (void)flags;
    int error = answer();
    if (error == EINVAL)
        error = ENOBUFS; /* differs from the refusal of coalesced ones */
    if (error != EINTR && error != EAGAIN)
        look_at(m, error);
    errno = error;
    return error ? -1 : 0;
}

#endif
