/* split.c - see split.h. */
#include "split.h"

#include <errno.h>
#include <linux/virtio_net.h>

#include "bytes.h"
#include "sum.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum { TCP_FIN = 0x01, TCP_PSH = 0x08, TCP_CWR = 0x80 };

int pp_complete(uint8_t *frame, uint32_t length, const pp_vnet *v)
{
    uint32_t field = (uint32_t)v->csum_start + v->csum_offset;
    if (v->csum_start >= length || field + 2 > length)
        return -EINVAL;
    uint16_t sum = (uint16_t)~pp_fold(pp_kernel_active()->sum(frame + v->csum_start, length - v->csum_start));
    if (sum == 0 && v->csum_offset == 6)
        sum = 0xffff;
    memcpy(frame + field, &sum, sizeof sum);
    return 0;
}

int pp_complete_crc32c(uint8_t *frame, const pp_check *k)
{
    if (!(k->flags & PP_CHECK_CRC32C) || k->length < k->offset - k->start + 4)
        return -EINVAL;
    uint32_t crc = pp_crc32c_around(frame + k->start, k->length, k->offset - k->start);
    pp_put16(frame + k->offset, (uint16_t)(crc >> 16));
    pp_put16(frame + k->offset + 2, (uint16_t)crc);
    return 0;
}

/* The transport header behind an IPv6 header: 0 with *l4 and *protocol, or -EINVAL. */
static int walk_ip6(const uint8_t *frame, uint32_t length, uint32_t l3, uint32_t *l4, uint8_t *protocol, uint32_t *jumbo)
{
    uint8_t next = frame[l3 + 6];
    uint32_t at = l3 + 40;
    for (unsigned i = 0; i < 8; i++) {
        if (next == 6 || next == 17) {
            *l4 = at;
            *protocol = next;
            return 0;
        }
        if ((next != 0 && next != 43 && next != 60) || at + 8 > length)
            return -EINVAL;
        uint32_t size = 8u + frame[at + 1] * 8u;
        /* The hop-by-hop header of BIG TCP holds the jumbo option alone; segments go without it
         * (net/ipv6 ipv6_hopopt_jumbo_remove). */
        if (next == 0 && i == 0 && size == 8 && frame[at + 2] == 0xc2 && frame[at + 3] == 4)
            *jumbo = 8;
        next = frame[at];
        at += size;
    }
    return -EINVAL;
}

/* Does the pending checksum lie in a packet inside the outermost one?  IPv6 extension headers decide by being walked. */
static int is_inside(const uint8_t *frame, uint32_t length, uint32_t l3, uint32_t csum_start)
{
    uint32_t l4 = 0, jumbo = 0;
    uint8_t protocol;
    if (frame[l3] >> 4 == 4)
        return csum_start != l3 + (frame[l3] & 15u) * 4;
    if (frame[l3] >> 4 != 6 || length - l3 < 40)
        return 0;
    return walk_ip6(frame, length, l3, &l4, &protocol, &jumbo) < 0 || l4 != csum_start;
}

int pp_split_begin(pp_split *s, const uint8_t *frame, uint32_t length, const pp_vnet *v, uint32_t l3, uint32_t mtu)
{
    uint8_t type = v->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN, protocol = 0;
    uint32_t l4 = 0, end = length, jumbo = 0, header;
    *s = (pp_split){ .frame = frame };
    if (type != VIRTIO_NET_HDR_GSO_TCPV4 && type != VIRTIO_NET_HDR_GSO_TCPV6 && type != VIRTIO_NET_HDR_GSO_UDP_L4)
        return -EOPNOTSUPP;
    if (v->gso_size == 0 || l3 > length || length - l3 < 20)
        return -EINVAL;
    uint32_t outermost = l3;
    if ((v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && is_inside(frame, length, l3, v->csum_start)) {
        int inner = pp_encap_find(&s->encap, frame, length, v->csum_start, (uint32_t)v->csum_start + v->csum_offset);
        if (inner < 0)
            return inner;
        l3 = (uint32_t)inner;
    }
    s->version = frame[l3] >> 4;
    if (s->version == 4) {
        uint32_t total = pp_get16(frame + l3 + 2), size = (frame[l3] & 15u) * 4;
        if (size < 20 || size > length - l3 || (pp_get16(frame + l3 + 6) & 0x3fff))
            return -EINVAL;
        if (total) { /* 0: beyond 64 KiB, the frame says how long it is */
            if (total > length - l3)
                return -EINVAL;
            end = l3 + total;
        }
        s->difference = pp_ip4_difference(frame + l3);
        l4 = l3 + size;
        protocol = frame[l3 + 9];
    } else if (s->version == 6 && length - l3 >= 40) {
        uint32_t payload = pp_get16(frame + l3 + 4);
        if (walk_ip6(frame, length, l3, &l4, &protocol, &jumbo) < 0)
            return -EINVAL;
        if (payload) {
            if (payload > length - l3 - 40)
                return -EINVAL;
            end = l3 + 40 + payload;
        }
    } else {
        return -EINVAL;
    }
    s->is_udp = protocol == 17;
    if ((type == VIRTIO_NET_HDR_GSO_UDP_L4) != s->is_udp || (!s->is_udp && protocol != 6) ||
        (type == VIRTIO_NET_HDR_GSO_TCPV4 && s->version != 4) || (type == VIRTIO_NET_HDR_GSO_TCPV6 && s->version != 6) ||
        l4 > end || end - l4 < (s->is_udp ? 8u : 20u))
        return -EINVAL;
    header = s->is_udp ? 8 : (frame[l4 + 12] >> 4) * 4u;
    if (header < 8 || (!s->is_udp && header < 20) || header >= end - l4)
        return -EINVAL;
    uint32_t field = l4 + (s->is_udp ? 6 : 16);
    if (v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        if (v->csum_start != l4 || v->csum_start + v->csum_offset != field)
            return -EINVAL;
    } else if (s->is_udp && s->version == 4 && pp_get16(frame + field) == 0) {
        s->no_sum = 1;
    } else {
        return -EINVAL; /* a complete sum over the whole: nothing to derive the segments' from */
    }
    s->jumbo = jumbo;
    s->l3 = l3;
    s->l4 = l4 - jumbo;
    s->head_length = l4 + header - jumbo;
    s->payload_at = l4 + header;
    s->payload = end - s->payload_at;
    s->payload_size = v->gso_size;
    if (s->head_length > PP_SPLIT_HEAD)
        return -EMSGSIZE;
    if (jumbo && s->encap.count)
        return -EOPNOTSUPP; /* what lies outside would have to move */
    uint32_t room = s->head_length - outermost;
    if (!s->is_udp && mtu > room && s->payload_size > mtu - room)
        s->payload_size = mtu - room;
    uint32_t largest = s->payload < s->payload_size ? s->payload : s->payload_size;
    if (room - (frame[outermost] >> 4 == 6 ? 40 : 0) + largest > 0xffff)
        return -EINVAL; /* a segment whose own length field could not hold its length */
    /* the seed holds the length of the whole datagram; each segment has its own */
    uint32_t whole = end - l4;
    s->seed = pp_fold((uint64_t)pp_load16(frame + field) + (uint16_t)~pp_wire16((uint16_t)whole) +
                      (uint16_t)~pp_wire16((uint16_t)(whole >> 16)));
    s->count = (s->payload + s->payload_size - 1) / s->payload_size;
    return (int)s->count;
}

int pp_split_next(pp_split *s, uint8_t *head, pp_segment *segment)
{
    if (s->next >= s->payload)
        return 0;
    uint32_t size = s->payload - s->next < s->payload_size ? s->payload - s->next : s->payload_size;
    int last = s->next + size == s->payload;
    const uint8_t *payload = s->frame + s->payload_at + s->next;
    if (s->jumbo) {
        memcpy(head, s->frame, s->l3 + 40);
        memcpy(head + s->l3 + 40, s->frame + s->l3 + 48, s->head_length - s->l3 - 40);
        head[s->l3 + 6] = s->frame[s->l3 + 40];
    } else {
        memcpy(head, s->frame, s->head_length);
    }
    uint8_t *transport = head + s->l4;
    uint32_t datagram = s->head_length - s->l4 + size;
    if (s->version == 4)
        pp_ip4_write(head + s->l3, s->head_length - s->l3 + size, s->index, s->difference);
    else
        pp_put16(head + s->l3 + 4, (uint16_t)(s->head_length - s->l3 - 40 + size));
    uint32_t field = 16;
    if (s->is_udp) {
        pp_put16(transport + 4, (uint16_t)datagram);
        field = 6;
    } else {
        uint32_t sequence = pp_get32(transport + 4) + s->next;
        pp_put16(transport + 4, (uint16_t)(sequence >> 16));
        pp_put16(transport + 6, (uint16_t)sequence);
        if (!last)
            transport[13] &= (uint8_t)~(TCP_FIN | TCP_PSH);
        if (s->index)
            transport[13] &= (uint8_t)~TCP_CWR;
    }
    uint16_t payload_sum = 0;
    if (!s->no_sum || s->encap.count)
        payload_sum = pp_fold(pp_kernel_active()->sum(payload, size));
    if (!s->no_sum) {
        memset(transport + field, 0, 2);
        uint64_t sum = (uint64_t)s->seed + pp_wire16((uint16_t)datagram) + pp_sum_portable(transport, s->head_length - s->l4) +
                       payload_sum;
        uint16_t check = (uint16_t)~pp_fold(sum);
        if (check == 0 && s->is_udp)
            check = 0xffff; /* RFC 768 */
        memcpy(transport + field, &check, sizeof check);
    }
    if (s->encap.count)
        pp_encap_write(&s->encap, head, s->head_length, size, payload_sum, s->index);
    *segment = (pp_segment){ head, s->head_length, payload, size };
    s->next += size;
    s->index++;
    return 1;
}
