/* coalesce.c - see coalesce.h. */
#include "offload/coalesce.h"

#include "offload/encap.h"
#include "offload/partial_csum.h"
#include "parse/headers.h"
#include "sum/bytes.h"
#include <pktmend/sum.h>

enum { LARGEST = UINT16_MAX };

void pp_coalesce_reset(pp_coalesce *c)
{
    c->generation++; /* 2^32 resets later a slot could look fresh: its flow is compared, header by header, before it is used */
    c->used = c->barrier = 0;
}

/* Its addresses and ports can be read: TCP or UDP right behind an IP header without options. */
static int has_ports(const pp_batch *b, uint32_t i)
{
    uint32_t l3 = b->l3[i], l4 = b->l4[i];
    if (b->protocol[i] != IPPROTO_TCP && b->protocol[i] != IPPROTO_UDP)
        return 0;
    if (b->link[i] != PP_LINK_ETHERNET || l3 < ETH_HLEN ||
        (b->flags[i] & (PP_PKT_MALFORMED | PP_PKT_FRAGMENT | PP_PKT_TRUNCATED)))
        return 0;
    return l4 == l3 + (uint32_t)(b->version[i] == 4 ? IP4_LEN : IP6_LEN) && l4 + UDP_LEN <= b->caplen[i];
}

/* Its ports cannot be read, though it may be of any flow: a fragment, or with options or extension headers before them. */
static int is_hidden(const pp_batch *b, uint32_t i)
{
    return b->version[i] && (b->protocol[i] == IPPROTO_TCP || b->protocol[i] == IPPROTO_UDP ||
                             (b->flags[i] & (PP_PKT_MALFORMED | PP_PKT_FRAGMENT)));
}

static uint32_t hash_of(const uint8_t *d, uint32_t l3, uint32_t l4, uint8_t version)
{
    uint32_t h = pp_load32(d + l4) * 2654435761u;
    if (version == 4)
        h ^= pp_load32(d + l3 + IP4_SOURCE) * 40503u + pp_load32(d + l3 + IP4_TARGET);
    else
        h ^= (pp_load32(d + l3 + IP6_SOURCE + 12) ^ pp_load32(d + l3 + IP6_SOURCE + 4)) * 40503u +
             (pp_load32(d + l3 + IP6_TARGET + 12) ^ pp_load32(d + l3 + IP6_TARGET + 4));
    h ^= h >> 15;
    return (h ^ h >> 8) & (PP_GRO_BUCKETS - 1);
}

/* Ethernet header, tag, addresses, protocol and ports as in the flow's first packet? */
static int is_same_flow(const pp_batch *b, const pp_gro_slot *f, uint32_t i)
{
    const uint8_t *x = b->data[f->first], *y = b->data[i];
    uint32_t l3 = f->l3;
    if (b->l3[i] != l3 || b->version[i] != b->version[f->first] || b->protocol[i] != b->protocol[f->first] ||
        ((b->flags[i] ^ b->flags[f->first]) & PP_PKT_VLAN) || b->vlan_tci[i] != b->vlan_tci[f->first] ||
        b->vlan_tpid[i] != b->vlan_tpid[f->first])
        return 0;
    if (memcmp(x, y, l3) != 0 || memcmp(x + f->l4, y + f->l4, PORTS_LEN) != 0)
        return 0;
    return b->version[i] == 4 ? memcmp(x + l3 + IP4_SOURCE, y + l3 + IP4_SOURCE, 2 * IP4_ADDRESS_LEN) == 0
                              : memcmp(x + l3 + IP6_SOURCE, y + l3 + IP6_SOURCE, 2 * IP6_ADDRESS_LEN) == 0;
}

/* Does the source's metadata, if there is any, ask for the sum of this transport header? */
static int is_metadata_ours(const pp_batch *b, uint32_t i, int is_pending)
{
    pp_vnet v = { .csum_start = b->l4[i] };
    if (b->flags[i] & PP_PKT_VNET)
        v = pp_vnet_get(b->data[i]);
    return !(b->flags[i] & PP_PKT_NOT_READY) == !is_pending && (!v.flags || v.csum_start == b->l4[i]);
}

/* Every check good and as a split writes it (ffff is its 0 in UDP alone), or the partial one that the source named. */
static int is_sound(const pp_batch *b, uint32_t i)
{
    const pp_check *k = b->checks + b->check_first[i];
    int is_pending = 0;
    if (b->status[i] != PP_STATUS_GOOD && b->status[i] != PP_STATUS_PENDING)
        return 0;
    for (unsigned j = 0; j < b->check_count[i]; j++, k++) {
        if (k->status == PP_STATUS_PENDING && (k->flags & PP_CHECK_FLAGGED) && k->depth == 0)
            is_pending = 1;
        else if (k->status != PP_STATUS_GOOD || (k->stored == 0xffff && k->proto != PP_PROTO_UDP))
            return 0;
    }
    if (b->protocol[i] == IPPROTO_UDP && !is_pending)
        return 0; /* whoever reads datagrams past the kernel would find a partial sum where a finished one was sent */
    return b->check_count[i] != 0 && k[-1].depth == 0 && is_metadata_ours(b, i, is_pending);
}

static int part_of(const pp_coalesce *c, const pp_batch *b, uint32_t i, pp_gro_segment *p)
{
    const uint8_t *d = b->data[i];
    uint32_t l3 = b->l3[i], l4 = b->l4[i], end;
    if (b->flags[i] & PP_PKT_SUPER_FRAME)
        return 0;
    *p = (pp_gro_segment){ .l3 = l3, .l4 = l4, .version = b->version[i], .is_udp = b->protocol[i] == IPPROTO_UDP };
    if (!(p->is_udp ? c->udp : c->tcp) || !is_sound(b, i) || !pp_is_plain(d, l3))
        return 0;
    if (p->version == 4) {
        end = l3 + pp_get16(d + l3 + IP4_TOTAL);
        p->id = pp_get16(d + l3 + IP4_ID);
    } else {
        end = l3 + IP6_LEN + pp_get16(d + l3 + IP6_PAYLOAD);
    }
    if (end != b->caplen[i] || end - l3 > c->mtu) /* padding would be lost */
        return 0;
    if (p->is_udp) {
        if (pp_get16(d + l4 + UDP_LENGTH) != end - l4)
            return 0;
        p->payload_at = l4 + UDP_LEN;
    } else {
        if (end - l4 < TCP_LEN || (d[l4 + TCP_FLAGS] & ~TCP_PSH) != TCP_ACK || (d[l4 + TCP_OFFSET] & 15) ||
            (d[l4 + TCP_OFFSET] >> 4) * 4u < TCP_LEN || pp_get16(d + l4 + TCP_URGENT))
            return 0;
        p->payload_at = l4 + (d[l4 + TCP_OFFSET] >> 4) * 4u;
        p->sequence = pp_get32(d + l4 + TCP_SEQUENCE);
        p->is_last = (d[l4 + TCP_FLAGS] & TCP_PSH) != 0;
    }
    if (p->payload_at >= end || p->payload_at > PP_COALESCE_HEAD)
        return 0;
    p->payload = end - p->payload_at;
    return 1;
}

static int can_coalesce(const pp_batch *b, const pp_gro_slot *f, uint32_t i, const pp_gro_segment *p)
{
    const uint8_t *x = b->data[f->first], *y = b->data[i];
    uint32_t l3 = f->l3, l4 = f->l4;
    if (p->payload_at != f->payload_at || p->payload > f->size ||
        f->payload_at - l3 + f->payload + p->payload > LARGEST || f->count == PP_COALESCE_MOST)
        return 0;
    if (p->version == 4) { /* version and length, ToS; id; flags, TTL, protocol */
        if (p->id != f->id || memcmp(x + l3, y + l3, 2) != 0 ||
            memcmp(x + l3 + IP4_FRAGMENT, y + l3 + IP4_FRAGMENT, 4) != 0)
            return 0;
    } else if (memcmp(x + l3, y + l3, 4) != 0 ||
               memcmp(x + l3 + IP6_NEXT, y + l3 + IP6_NEXT, 2) != 0) { /* class, label; next, hop limit */
        return 0;
    }
    if (p->is_udp)
        return f->count < PP_COALESCE_UDP;
    /* acknowledgement and header length; window; options, timestamps included */
    return p->sequence == f->sequence && memcmp(x + l4 + TCP_ACKNOWLEDGED, y + l4 + TCP_ACKNOWLEDGED, 5) == 0 &&
           memcmp(x + l4 + TCP_WINDOW, y + l4 + TCP_WINDOW, 2) == 0 &&
           memcmp(x + l4 + TCP_LEN, y + l4 + TCP_LEN, f->payload_at - l4 - TCP_LEN) == 0;
}

/* Does the slot hold a flow of these messages that may still grow? */
static int is_open(const pp_coalesce *c, uint32_t bucket)
{
    uint32_t flow = c->bucket[bucket];
    return c->bucket_generation[bucket] == c->generation && flow < c->used && flow >= c->barrier && c->slots[flow].open;
}

void pp_coalesce_close(pp_coalesce *c, const pp_batch *b, uint32_t i)
{
    if (!has_ports(b, i)) {
        if (is_hidden(b, i))
            c->barrier = c->used;
        return;
    }
    uint32_t bucket = hash_of(b->data[i], b->l3[i], b->l4[i], b->version[i]);
    if (is_open(c, bucket) && is_same_flow(b, &c->slots[c->bucket[bucket]], i))
        c->slots[c->bucket[bucket]].open = 0;
}

pp_gro_slot *pp_coalesce_add(pp_coalesce *c, const pp_batch *b, uint32_t i, pp_gro_slot **opened)
{
    pp_gro_segment p = { 0 };
    *opened = NULL;
    if (!has_ports(b, i)) {
        pp_coalesce_close(c, b, i);
        return NULL;
    }
    uint32_t bucket = hash_of(b->data[i], b->l3[i], b->l4[i], b->version[i]);
    pp_gro_slot *f = &c->slots[c->bucket[bucket]];
    int is_part = part_of(c, b, i, &p);
    if (is_open(c, bucket) && is_same_flow(b, f, i)) {
        if (is_part && can_coalesce(b, f, i, &p)) {
            f->last = i;
            f->count++;
            f->payload += p.payload;
            f->sequence += p.payload;
            f->id++;
            f->open = !p.is_last && p.payload == f->size;
            return f;
        }
        f->open = 0;
    }
    if (!is_part || c->used == PP_GRO_SLOTS)
        return NULL;
    c->bucket_generation[bucket] = c->generation;
    c->bucket[bucket] = (uint16_t)c->used;
    f = &c->slots[c->used++];
    *f = (pp_gro_slot){ .first = i,
                        .last = i,
                        .count = 1,
                        .payload = p.payload,
                        .size = p.payload,
                        .sequence = p.sequence + p.payload,
                        .id = (uint16_t)(p.id + 1),
                        .open = !p.is_last,
                        .is_udp = p.is_udp,
                        .l3 = (uint8_t)p.l3,
                        .l4 = (uint8_t)p.l4,
                        .payload_at = (uint8_t)p.payload_at };
    *opened = f;
    return NULL;
}

uint32_t pp_coalesce_head(const pp_gro_slot *f, const pp_batch *b, uint8_t *head)
{
    const uint8_t *d = b->data[f->first];
    uint32_t tag = b->flags[f->first] & PP_PKT_VLAN ? VLAN_LEN : 0, l3 = f->l3 + tag, l4 = f->l4 + tag,
             all = f->payload_at + tag;
    uint32_t datagram = f->payload_at - f->l4 + f->payload;
    uint8_t version = b->version[f->first], *frame = head + PP_VNET_LEN, *ip = frame + l3, *transport = frame + l4;
    if (tag) {
        memcpy(frame, d, ETH_ADDRESSES);
        pp_put16(frame + ETH_ADDRESSES, b->vlan_tpid[f->first]);
        pp_put16(frame + ETH_ADDRESSES + VLAN_TYPE, b->vlan_tci[f->first]);
        memcpy(frame + ETH_ADDRESSES + VLAN_LEN, d + ETH_ADDRESSES, f->payload_at - (uint32_t)ETH_ADDRESSES);
    } else {
        memcpy(frame, d, f->payload_at);
    }
    uint64_t sum = pp_wire16(f->is_udp ? IPPROTO_UDP : IPPROTO_TCP) + (uint64_t)pp_wire16((uint16_t)datagram);
    if (version == 4) {
        pp_ip4_write(ip, l4 - l3 + datagram, 0, 0);
        sum += pp_sum_portable(ip + IP4_SOURCE, 2 * IP4_ADDRESS_LEN);
    } else {
        pp_put16(ip + IP6_PAYLOAD, (uint16_t)datagram);
        sum += pp_sum_portable(ip + IP6_SOURCE, 2 * IP6_ADDRESS_LEN);
    }
    uint16_t seed = pp_fold(sum);
    if (f->is_udp)
        pp_put16(transport + UDP_LENGTH, (uint16_t)datagram);
    else
        transport[TCP_FLAGS] |= b->data[f->last][f->l4 + TCP_FLAGS] & TCP_PSH;
    memcpy(transport + (f->is_udp ? UDP_SUM : TCP_SUM), &seed, sizeof seed);
    pp_vnet v = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                  .hdr_len = (uint16_t)all,
                  .gso_size = (uint16_t)f->size,
                  .csum_start = (uint16_t)l4,
                  .csum_offset = f->is_udp ? UDP_SUM : TCP_SUM,
                  .gso_type = f->is_udp      ? VIRTIO_NET_HDR_GSO_UDP_L4
                              : version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4
                                             : VIRTIO_NET_HDR_GSO_TCPV6 };
    pp_vnet_put(frame, &v);
    return PP_VNET_LEN + all;
}
