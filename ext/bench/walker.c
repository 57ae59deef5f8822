/* walker.c - the least that can read a TPACKET_V3 ring: what a monitor's cost is compared with.
 *
 * It looks at each packet's header, as any reader must to find the next one, adds up lengths, and hands the block back.
 * It never touches a frame.  Written after Linux Documentation/networking/packet_mmap.rst, with one improvement over the
 * example there: the ring is not locked into memory, and statistics are read once.
 */
#include "peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RETIRE_MS                                                                                                      \
    20 /* as the monitor has it: a shorter one costs a wake-up for every block that is handed over half full */

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int peer_walker_open(peer_walker *w, const char *interface, uint32_t block_size, uint32_t blocks)
{
    int version = TPACKET_V3, rc;
    struct tpacket_req3 request = { .tp_block_size = block_size,
                                    .tp_block_nr = blocks,
                                    .tp_frame_size = block_size,
                                    .tp_frame_nr = blocks,
                                    .tp_retire_blk_tov = RETIRE_MS };
    struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
    struct packet_mreq member = { .mr_type = PACKET_MR_PROMISC };
    memset(w, 0, sizeof *w);
    w->block_size = block_size, w->blocks = blocks;
    member.mr_ifindex = to.sll_ifindex = (int)if_nametoindex(interface);
    if (to.sll_ifindex == 0 || (w->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) < 0)
        return -errno;
    if (setsockopt(w->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
        setsockopt(w->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) < 0 ||
        (w->map = mmap(NULL, (size_t)block_size * blocks, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0)) ==
            MAP_FAILED ||
        bind(w->fd, (struct sockaddr *)&to, sizeof to) < 0 ||
        setsockopt(w->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &member, sizeof member) < 0) {
        rc = -errno;
        close(w->fd);
        return rc;
    }
    return 0;
}

void peer_walker_run(peer_walker *w, uint32_t milliseconds)
{
    uint64_t end = now_ms() + milliseconds;
    struct pollfd p = { .fd = w->fd, .events = POLLIN };
    for (uint32_t turn = 0;;) {
        struct tpacket_block_desc *d = (void *)((uint8_t *)w->map + (size_t)w->cursor * w->block_size);
        if (!(__atomic_load_n(&d->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
            if (now_ms() >= end)
                return;
            poll(&p, 1, 50);
            continue;
        }
        const uint8_t *at = (const uint8_t *)d + d->hdr.bh1.offset_to_first_pkt;
        for (uint32_t i = 0; i < d->hdr.bh1.num_pkts; i++) {
            const struct tpacket3_hdr *h = (const void *)at;
            w->bytes += h->tp_len;
            at += h->tp_next_offset;
        }
        w->packets += d->hdr.bh1.num_pkts;
        __atomic_store_n(&d->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        w->cursor = w->cursor + 1 == w->blocks ? 0 : w->cursor + 1;
        if (++turn % 64 == 0 && now_ms() >= end)
            return;
    }
}

uint64_t peer_walker_close(peer_walker *w)
{
    struct tpacket_stats_v3 s = { 0 };
    socklen_t size = sizeof s;
    getsockopt(w->fd, SOL_PACKET, PACKET_STATISTICS, &s, &size);
    munmap(w->map, (size_t)w->block_size * w->blocks);
    close(w->fd);
    return s.tp_drops;
}
