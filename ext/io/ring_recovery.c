/* ring_recovery.c - what becomes of a V2 ring that has lost its way: its frames come through the queue of another socket,
 * or it is set up anew; see ring.h.
 *
 * A ring set up anew is lost again with the next such frame, and takes the kernel tens of milliseconds: whoever can send one
 * could keep it so.  A queue loses that frame alone.  It costs a call and a copy a frame.
 */
#include "io/ring_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#define LONGEST (528u << 10) /* of frames: BIG TCP, 512 KiB and headers */

static int set_up_anew(pp_ring *r)
{
    size_t size = (size_t)r->frame_size * r->frame_count;
    struct tpacket_req request = { .tp_block_size = r->block_size,
                                   .tp_block_nr = r->block_count,
                                   .tp_frame_size = r->frame_size,
                                   .tp_frame_nr = r->frame_count };
    struct tpacket_req none = { 0 };
    if (r->version != 2 || r->holding || !r->map)
        return -EBUSY;
    /* The addresses stay ours throughout: something else is mapped there while the ring is not. */
    if (mmap(r->map, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return -errno;
    if (setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &none, sizeof none) < 0 ||
        setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) < 0 ||
        mmap(r->map, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, r->fd, 0) == MAP_FAILED) {
        int rc = -errno;
        r->map = NULL;
        return rc;
    }
    while (recv(r->fd, r->arena, PP_RING_ARENA, MSG_DONTWAIT) >= 0) {}
    r->cursor = 0;
    return 0;
}

int pp_ring_recover(pp_ring *r)
{
    struct sockaddr_ll at;
    socklen_t size = sizeof at;
    if (r->version != 2 || r->holding || !r->map || r->is_by_queue)
        return -EBUSY;
    r->losses.unsupported++;
    if (r->queue_fd > 0 && getsockname(r->fd, (void *)&at, &size) == 0) {
        at.sll_protocol = htons(ETH_P_ALL);
        if (bind(r->queue_fd, (void *)&at, sizeof at) == 0) { /* the ring is stopped by who counts what it takes */
            __atomic_store_n(&r->is_by_queue, 1, __ATOMIC_RELEASE);
            return r->queue_fd;
        }
    }
    return set_up_anew(r);
}

/* What the kernel says of a frame beside its bytes. */
static struct tpacket_auxdata auxdata_of(struct msghdr *m)
{
    struct tpacket_auxdata aux = { 0 };
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
            memcpy(&aux, CMSG_DATA(c), sizeof aux);
    return aux;
}

int pp_ring_next_of_queue(pp_ring *r, pp_batch *b)
{
    uint32_t used = 0, limit = b->capacity < PP_V2_BATCH ? b->capacity : PP_V2_BATCH,
             head = r->has_vnet ? PP_VNET_LEN : 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (unsigned tries = 0; tries < PP_V2_BATCH && b->count < limit && used <= PP_RING_ARENA - LONGEST; tries++) {
        union {
            struct cmsghdr first;
            uint8_t room[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
        } control;
        struct sockaddr_ll from = { 0 };
        struct iovec v = { r->arena + used, PP_RING_ARENA - used };
        struct msghdr m = { .msg_name = &from,
                            .msg_namelen = sizeof from,
                            .msg_iov = &v,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control };
        ssize_t n = recvmsg(r->queue_fd, &m, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0 && errno == EINVAL) { /* the frame is gone */
            r->losses.unsupported++;
            r->losses.unread++;
        }
        if (n < (ssize_t)head)
            continue; /* or a link event */
        struct tpacket_auxdata aux = auxdata_of(&m);
        uint32_t wirelen = (uint32_t)n - head, room = PP_RING_ARENA - used - head,
                 caplen = wirelen < room ? wirelen : room;
        uint8_t *frame = r->arena + used + head;
        pp_ring_add(r, b, frame, caplen, wirelen, (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
                    pp_ring_flags(aux.tp_status, caplen, wirelen, frame, r->has_vnet, from.sll_pkttype),
                    pp_ring_link(from.sll_hatype),
                    (aux.tp_status & TP_STATUS_VLAN_TPID_VALID) ? aux.tp_vlan_tpid : ETH_P_8021Q, aux.tp_vlan_tci);
        used = (used + head + caplen + 63u) & ~63u;
    }
    return (int)b->count;
}
