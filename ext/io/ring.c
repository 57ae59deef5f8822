/* ring.c - see ring.h. */
#include "io/ring.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "io/ring_internal.h"
#include "parse/headers.h"
#include <pktmend/parse.h>

#define V3_BATCH 256u
#define LINE 64u
#define FETCH 2048u /* bytes asked for before they are needed: about as many lines as can be on their way at once */
#define FETCH_HEADERS                                                                                                  \
    256u /* of them where frames are longer than that: what verify reads of a super-frame with a partial checksum */

/* Where the kernel puts the sockaddr_ll, behind its header. */
#define V2_ADDRESS (size_t)(TPACKET_ALIGN((int)sizeof(struct tpacket2_hdr)))
#define V3_ADDRESS (size_t)(TPACKET_ALIGN((int)sizeof(struct tpacket3_hdr)))

/* A word of the ring's memory: what was compared is what is used, even where others have it mapped. */
static inline uint32_t once(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
static inline uint16_t once16(const uint16_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }

/* Where a frame may begin at the earliest: behind the address, and the virtio-net header if there is one. */
static uint32_t least_mac(const pp_ring *r, size_t address)
{
    return (uint32_t)(address + sizeof(struct sockaddr_ll)) + (r->has_vnet ? PP_VNET_LEN : 0);
}

uint16_t pp_ring_link(uint16_t hatype)
{
    switch (hatype) {
    case ARPHRD_NONE:
    case ARPHRD_PPP:
    case ARPHRD_RAWIP:
    case ARPHRD_TUNNEL:
    case ARPHRD_TUNNEL6:
    case ARPHRD_SIT:
    case ARPHRD_IPGRE:
    case ARPHRD_IP6GRE:
        return PP_LINK_RAW; /* tun, wireguard, ppp, ip tunnels */
    case ARPHRD_IEEE80211:
        return PP_LINK_80211;
    case ARPHRD_IEEE80211_PRISM:
        return PP_LINK_PRISM;
    case ARPHRD_IEEE80211_RADIOTAP:
        return PP_LINK_RADIOTAP; /* in monitor mode */
    case ARPHRD_INFINIBAND:
        return PP_LINK_IPOIB;
    case ARPHRD_FRAD:
    case ARPHRD_DLCI:
        return PP_LINK_FRAME_RELAY;
    case ARPHRD_CISCO:
        return PP_LINK_C_HDLC;
    case ARPHRD_ARCNET:
        return PP_LINK_ARCNET_LINUX;
    default:
        return PP_LINK_ETHERNET;
    }
}

/* Ask for memory ahead of the packet that is looked at.  All of it was just written by another processor, whose cache it has
 * to come from, and a header is needed before it is known where the next one lies: without this the wait for it is half of
 * what a packet costs. */
static inline void fetch_ahead(pp_ring *r, const uint8_t *block)
{
    int has_jumped = r->packet_at >= r->fetched_to;
    uint32_t at = has_jumped ? r->packet_at : r->fetched_to, to = r->packet_at + (has_jumped ? FETCH_HEADERS : FETCH);
    for (to = to < r->block_size ? to : r->block_size; at < to; at += LINE)
        __builtin_prefetch(block + at);
    r->fetched_to = at;
}

/* Take over the packet at h of the block, whose status was read; -EPROTO if it would not lie within. */
static inline int add_v3(pp_ring *r, pp_batch *b, uint8_t *block, const struct tpacket3_hdr *h, uint32_t status)
{
    uint32_t mac = once16(&h->tp_mac), caplen = once(&h->tp_snaplen), wirelen = once(&h->tp_len);
    if ((uint64_t)r->packet_at + mac + caplen > r->block_size || mac < least_mac(r, V3_ADDRESS))
        return -EPROTO;
    const struct sockaddr_ll *from = (const void *)((const uint8_t *)h + V3_ADDRESS);
    uint8_t *frame = block + r->packet_at + mac;
    pp_ring_add(r, b, frame, caplen, wirelen, (uint64_t)h->tp_sec * 1000000000u + h->tp_nsec,
                pp_ring_flags(status, caplen, wirelen, frame, r->has_vnet, from->sll_pkttype),
                pp_ring_link(from->sll_hatype),
                (status & TP_STATUS_VLAN_TPID_VALID) ? h->hv1.tp_vlan_tpid : ETH_P_8021Q, (uint16_t)h->hv1.tp_vlan_tci);
    return 0;
}

static int read_block(pp_ring *r, pp_batch *b)
{
    uint8_t *block = r->map + (size_t)r->cursor * r->block_size;
    struct tpacket_block_desc *d = (struct tpacket_block_desc *)(void *)block;
    if (!r->holding) {
        if (!(__atomic_load_n(&d->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
            return 0;
        r->holding = 1;
        r->packet = 0;
        r->packets = d->hdr.bh1.num_pkts;
        r->packet_at = d->hdr.bh1.offset_to_first_pkt;
        r->fetched_to = 0;
    }
    for (; r->packet < r->packets && b->count < b->capacity; r->packet++) {
        if (r->packet_at % 8 || r->packet_at > r->block_size - sizeof(struct tpacket3_hdr)) /* V3_ALIGNMENT */
            return -EPROTO;
        fetch_ahead(r, block);
        const struct tpacket3_hdr *h = (const void *)(block + r->packet_at);
        uint32_t status = once(&h->tp_status), next = once(&h->tp_next_offset);
        if (next > r->block_size)
            return -EPROTO;
        /* If not: a place that the kernel counts and does not fill, for a frame whose GSO type the virtio-net header cannot
         * express; it is in tp_drops.  prb_fill_vlan_info() clears the status of each place: no older packet shows through. */
        int is_filled = (status & TP_STATUS_USER) != 0;
        if (is_filled && add_v3(r, b, block, h, status) < 0)
            return -EPROTO;
        r->losses.unsupported += !is_filled;
        if (next == 0) {
            r->packet = r->packets;
            break;
        }
        r->packet_at += next;
    }
    return (int)b->count;
}

static void release_v3(pp_ring *r)
{
    if (!r->holding || r->packet < r->packets)
        return; /* the rest of the block is still to be given out */
    struct tpacket_block_desc *d = (struct tpacket_block_desc *)(void *)(r->map + (size_t)r->cursor * r->block_size);
    __atomic_store_n(&d->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    r->cursor = r->cursor + 1 == r->block_count ? 0 : r->cursor + 1;
    r->holding = 0;
}

static int next_v3(pp_ring *r, pp_batch *b)
{
    if (r->holding && r->packet >= r->packets)
        return 0; /* all given out, and not released yet */
    for (uint32_t i = 0; i < r->block_count; i++) {
        int n = read_block(r, b);
        if (n != 0 || !r->holding)
            return n;
        release_v3(r); /* a block with nothing but unfilled places: nothing else would hand it back */
    }
    return 0;
}

/* A frame larger than its slot waits whole in the socket's queue (PACKET_COPY_THRESH), in slot order.  Null if it is not
 * there.  A pending socket error (the link went down) comes out of recv before the frame does.  Should queue and slots ever
 * fall out of step, the queue is emptied: frames are then cut and counted as such, never swapped. */
static uint8_t *fetch_copy(pp_ring *r, uint32_t at, uint32_t room, uint32_t wirelen, uint32_t *caplen)
{
    ssize_t n = -1;
    for (unsigned tries = 0; tries < 8 && n < 0; tries++) {
        n = recv(r->fd, r->arena + at, room, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno == EAGAIN)
            return NULL;
    }
    uint32_t head = r->has_vnet ? PP_VNET_LEN : 0;
    if (n < 0 || (uint64_t)n != (uint64_t)wirelen + head) {
        while (recv(r->fd, r->arena + at, room, MSG_DONTWAIT | MSG_TRUNC) >= 0) {}
        return NULL;
    }
    *caplen = (n > (ssize_t)room ? room : (uint32_t)n) - head;
    return r->arena + at + head;
}

static int next_v2(pp_ring *r, pp_batch *b)
{
    uint32_t arena_used = 0, limit = b->capacity < PP_V2_BATCH ? b->capacity : PP_V2_BATCH;
    while (b->count < limit && r->holding < r->frame_count) {
        uint32_t slot = r->cursor + r->holding;
        if (slot >= r->frame_count)
            slot -= r->frame_count;
        uint8_t *at = r->map + (size_t)slot * r->frame_size;
        const struct tpacket2_hdr *h = (const struct tpacket2_hdr *)(const void *)at;
        uint32_t status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);
        if (!(status & TP_STATUS_USER))
            break;
        uint32_t caplen = once(&h->tp_snaplen), wirelen = once(&h->tp_len), mac = once16(&h->tp_mac);
        if (mac < least_mac(r, V2_ADDRESS) || mac + (uint64_t)caplen > r->frame_size)
            return -EPROTO;
        uint8_t *frame = at + mac;
        if (status & TP_STATUS_COPY) {
            uint64_t want = ((uint64_t)wirelen + PP_VNET_LEN + 63u) & ~(uint64_t)63u;
            if (arena_used && want > PP_RING_ARENA - arena_used)
                break; /* the next batch has an empty arena */
            uint32_t whole = 0;
            uint8_t *copy = fetch_copy(r, arena_used, PP_RING_ARENA - arena_used, wirelen, &whole);
            if (copy) {
                frame = copy;
                caplen = whole;
                arena_used += want < PP_RING_ARENA - arena_used ? (uint32_t)want : PP_RING_ARENA - arena_used;
            }
        }
        const struct sockaddr_ll *from = (const void *)(at + V2_ADDRESS);
        r->holding++;
        pp_ring_add(r, b, frame, caplen, wirelen, (uint64_t)h->tp_sec * 1000000000u + h->tp_nsec,
                    pp_ring_flags(status, caplen, wirelen, frame, r->has_vnet, from->sll_pkttype),
                    pp_ring_link(from->sll_hatype),
                    (status & TP_STATUS_VLAN_TPID_VALID) ? h->tp_vlan_tpid : ETH_P_8021Q, h->tp_vlan_tci);
    }
    return (int)b->count;
}

static void release_v2(pp_ring *r)
{
    for (; r->holding; r->holding--) {
        struct tpacket2_hdr *h = (struct tpacket2_hdr *)(void *)(r->map + (size_t)r->cursor * r->frame_size);
        __atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        r->cursor = r->cursor + 1 == r->frame_count ? 0 : r->cursor + 1;
    }
}

int pp_ring_next(pp_ring *r, pp_batch *b)
{
    b->count = b->checks_used = 0;
    if (!r->map)
        return -EBADF;
    int n = r->version == 3 ? next_v3(r, b) : r->is_by_queue ? pp_ring_next_of_queue(r, b) : next_v2(r, b);
    if (n > 0)
        pp_batch_fresh(b);
    return n;
}

void pp_ring_release(pp_ring *r)
{
    if (r->version == 3)
        release_v3(r);
    else if (!r->is_by_queue)
        release_v2(r);
}

uint32_t pp_ring_capacity(const pp_ring *r) { return r->version == 3 ? V3_BATCH : PP_V2_BATCH; }
