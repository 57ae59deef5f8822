/* split.c - see split.h. */
#include <pktmend/split.h>

#include <errno.h>

#include "offload/encap.h"
#include "offload/partial_csum.h"
#include "parse/headers.h"
#include "sum/bytes.h"
#include <pktmend/sum.h>

/* Does the pending checksum lie in a packet inside the outermost one?  IPv6 extension headers decide by being walked. */
static int is_inside(const uint8_t *frame, uint32_t length, uint32_t l3, uint32_t csum_start)
{
    uint32_t l4 = 0;
    uint8_t protocol, has_jumbo;
    if (frame[l3] >> 4 == 4)
        return csum_start != l3 + (frame[l3] & 15u) * 4;
    if (frame[l3] >> 4 != 6 || length - l3 < IP6_LEN)
        return 0;
    return pp_ip6_walk(frame, length, l3, &l4, &protocol, &has_jumbo) < 0 || l4 != csum_start;
}

/* Find what lies around the IP packet that is to be split, which begins at the offset returned; l3: of the outermost. */
static int find_around(pp_encap *e, const uint8_t *frame, uint32_t length, const pp_vnet *v, uint32_t l3)
{
    int has_mark = pp_needs_csum(v), inside = has_mark && is_inside(frame, length, l3, v->csum_start);
    if (!inside && pp_is_plain(frame, l3))
        return (int)l3;
    uint32_t l4 = v->csum_start, field = l4 + v->csum_offset;
    if (!has_mark) { /* then it is the outermost one */
        uint8_t protocol, has_jumbo;
        l4 = l3 + (frame[l3] & 15u) * 4;
        if (frame[l3] >> 4 == 6 &&
            (length - l3 < IP6_LEN || pp_ip6_walk(frame, length, l3, &l4, &protocol, &has_jumbo) < 0))
            return -EINVAL;
        field = l4 + UDP_SUM;
    }
    int found = pp_encap_find(e, frame, length, l4, field);
    if (found >= 0 && l3 != (e->count ? e->layers[0].l3 : (uint32_t)found))
        return -EINVAL;
    return found;
}

/* Do the lengths outside IP cover the packet that ends at end, and no more than the frame? */
static int are_framings_right(const pp_encap *e, const uint8_t *frame, uint32_t length, uint32_t end)
{
    for (uint32_t i = 0; i < e->framing_count; i++) {
        uint32_t to = e->framings[i].from + pp_get16(frame + e->framings[i].field);
        if (to < end || to > length)
            return 0;
    }
    return 1;
}

/* Where a byte of the frame's header lies in a segment's. */
static uint32_t moved(const pp_split *s, uint32_t at)
{
    uint32_t cuts = 0;
    while (cuts < s->cut_count && s->cuts[cuts] < at)
        cuts++;
    return at - cuts * PP_JUMBO;
}

/* Segments go without the jumbo payload headers (net/ipv6 ipv6_hopopt_jumbo_remove): turn offsets in the frame into a
 * segment's. */
static void leave_jumbo_headers_out(pp_split *s, int has_jumbo)
{
    pp_encap *e = &s->encap;
    for (uint32_t i = 0; i < e->count; i++)
        if (e->layers[i].has_jumbo)
            s->cuts[s->cut_count++] = e->layers[i].l3 + IP6_LEN;
    if (has_jumbo)
        s->cuts[s->cut_count++] = s->l3 + IP6_LEN;
    for (uint32_t i = 0; i < e->count; i++) {
        e->layers[i].l3 = moved(s, e->layers[i].l3);
        e->layers[i].l4 = moved(s, e->layers[i].l4);
    }
    for (uint32_t i = 0; i < e->framing_count; i++) {
        e->framings[i].field = moved(s, e->framings[i].field);
        e->framings[i].from = moved(s, e->framings[i].from);
    }
    s->l3 = moved(s, s->l3);
    s->l4 = moved(s, s->l4);
    s->head_length = moved(s, s->head_length);
}

/* Could every length field say how long a segment with payload bytes is? */
static int is_sayable(const pp_split *s, uint32_t outermost, uint32_t payload)
{
    uint32_t counted = s->head_length - outermost - (s->frame[outermost] >> 4 == 6 ? IP6_LEN : 0);
    for (uint32_t i = 0; i < s->encap.framing_count; i++)
        if (s->head_length - s->encap.framings[i].from + payload > s->encap.framings[i].most)
            return 0;
    return counted + payload <= 0xffff;
}

/* The frame's header without the jumbo payload headers; each IPv6 header before one names what that one named. */
static void copy_head(const pp_split *s, uint8_t *head)
{
    uint32_t from = 0, to = 0;
    for (uint32_t i = 0; i < s->cut_count; i++) {
        memcpy(head + to, s->frame + from, s->cuts[i] - from);
        to += s->cuts[i] - from;
        from = s->cuts[i] + PP_JUMBO;
        head[to - IP6_LEN + IP6_NEXT] = s->frame[s->cuts[i]];
    }
    memcpy(head + to, s->frame + from, s->head_length - to);
}

/* The IP packet that is to be split. */
typedef struct extent {
    uint32_t l4, end; /* where its transport header begins, and where it ends */
    uint8_t protocol, has_jumbo;
} extent;

static int read_ip4(pp_split *s, uint32_t length, extent *d)
{
    const uint8_t *ip = s->frame + s->l3;
    uint32_t total = pp_get16(ip + IP4_TOTAL), size = (ip[0] & 15u) * 4;
    if (size < IP4_LEN || size > length - s->l3 || (pp_get16(ip + IP4_FRAGMENT) & IP4_IS_FRAGMENT) ||
        total > length - s->l3)
        return -EINVAL;
    s->difference = pp_ip4_difference(ip);
    *d = (extent){ .l4 = s->l3 + size, .end = total ? s->l3 + total : length, .protocol = ip[IP4_PROTO] };
    return 0; /* total 0: beyond 64 KiB, the frame says how long it is */
}

static int read_ip6(pp_split *s, uint32_t length, extent *d)
{
    const uint8_t *ip = s->frame + s->l3;
    if (length - s->l3 < IP6_LEN)
        return -EINVAL;
    uint32_t payload = pp_get16(ip + IP6_PAYLOAD);
    int rc = pp_ip6_walk(s->frame, length, s->l3, &d->l4, &d->protocol, &d->has_jumbo);
    if (rc < 0)
        return rc;
    if (payload == 0 && d->has_jumbo)
        payload = pp_get32(ip + IP6_LEN + PP_JUMBO - 4);
    if (payload > length - s->l3 - IP6_LEN)
        return -EINVAL;
    d->end = payload ? s->l3 + IP6_LEN + payload : length;
    return 0;
}

/* Is the transport what the virtio-net header says, whole and within the packet? */
static int is_transport_right(const pp_split *s, const extent *d, uint8_t gso_type)
{
    if (d->protocol != (s->is_udp ? IPPROTO_UDP : IPPROTO_TCP) || (gso_type == VIRTIO_NET_HDR_GSO_UDP_L4) != s->is_udp)
        return 0;
    if ((gso_type == VIRTIO_NET_HDR_GSO_TCPV4 && s->version != 4) ||
        (gso_type == VIRTIO_NET_HDR_GSO_TCPV6 && s->version != 6))
        return 0;
    return d->l4 <= d->end && d->end - d->l4 >= (uint32_t)(s->is_udp ? UDP_LEN : TCP_LEN);
}

/* Does the virtio-net header name the checksum field of that transport?  Without the mark the sum is complete, or there is none. */
static int find_field(pp_split *s, const extent *d, const pp_vnet *v, uint32_t field)
{
    if (pp_needs_csum(v))
        return v->csum_start == d->l4 && v->csum_start + v->csum_offset == (int)field ? 0 : -EINVAL;
    s->no_sum = s->is_udp && pp_get16(s->frame + field) == 0;
    return s->no_sum || d->l4 == s->l3 + (s->version == 4 ? (s->frame[s->l3] & 15u) * 4 : (uint32_t)IP6_LEN)
               ? 0
               : -EOPNOTSUPP; /* a routing header may hold the address that is summed */
}

/* What stands for the seed where the sum is complete: the pseudo header's without the length, and less what the sum is off
 * by, so that a wrong one stays wrong. */
static uint16_t seed_of_complete(const pp_split *s, const extent *d)
{
    const uint8_t *ip = s->frame + s->l3;
    uint32_t whole = d->end - d->l4;
    uint64_t seed = pp_wire16(d->protocol);
    seed += s->version == 4 ? pp_sum_portable(ip + IP4_SOURCE, 2 * IP4_ADDRESS_LEN)
                            : pp_sum_portable(ip + IP6_SOURCE, 2 * IP6_ADDRESS_LEN);
    uint64_t sum = pp_kernel_active()->sum(s->frame + d->l4, whole);
    uint16_t total = pp_fold(pp_fold(seed) + (uint64_t)pp_wire16((uint16_t)whole) + pp_wire16((uint16_t)(whole >> 16)) +
                             pp_fold(sum));
    return pp_fold((uint64_t)pp_fold(seed) + (uint16_t)~total);
}

/* Lengths and offsets of the segments; outermost, network: of the frame's first IP header, and what lies before it. */
static int set_up(pp_split *s, const extent *d, const pp_vnet *v, uint32_t outermost, uint32_t network, uint32_t mtu)
{
    uint32_t header = s->is_udp ? UDP_LEN : (s->frame[d->l4 + TCP_OFFSET] >> 4) * 4u;
    if (header < (uint32_t)(s->is_udp ? UDP_LEN : TCP_LEN) || header >= d->end - d->l4)
        return -EINVAL;
    uint32_t field = d->l4 + (s->is_udp ? UDP_SUM : TCP_SUM), whole = d->end - d->l4;
    int rc = find_field(s, d, v, field);
    if (rc < 0)
        return rc;
    s->l4 = d->l4;
    s->head_length = s->payload_at = d->l4 + header;
    s->payload = d->end - s->payload_at;
    s->payload_size = v->gso_size;
    leave_jumbo_headers_out(s, d->has_jumbo);
    if (s->head_length > PP_SPLIT_HEAD)
        return -EMSGSIZE;
    uint32_t room = s->head_length - network;
    if (!s->is_udp && mtu > room && s->payload_size > mtu - room)
        s->payload_size = mtu - room;
    uint32_t largest = s->payload < s->payload_size ? s->payload : s->payload_size;
    if (!is_sayable(s, outermost, largest))
        return -EINVAL;
    /* the seed holds the length of the whole datagram; each segment has its own */
    if (pp_needs_csum(v))
        s->seed = pp_fold((uint64_t)pp_load16(s->frame + field) + (uint16_t)~pp_wire16((uint16_t)whole) +
                          (uint16_t)~pp_wire16((uint16_t)(whole >> 16)));
    else if (!s->no_sum)
        s->seed = seed_of_complete(s, d);
    s->count = (s->payload + s->payload_size - 1) / s->payload_size;
    return (int)s->count;
}

int pp_split_begin(pp_split *s, const uint8_t *frame, uint32_t length, const pp_vnet *v, uint32_t l3, uint32_t mtu)
{
    uint8_t type = v->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    extent d = { 0 };
    *s = (pp_split){ .frame = frame };
    if (type != VIRTIO_NET_HDR_GSO_TCPV4 && type != VIRTIO_NET_HDR_GSO_TCPV6 && type != VIRTIO_NET_HDR_GSO_UDP_L4)
        return -EOPNOTSUPP;
    if (v->gso_size == 0 || l3 > length || length - l3 < IP4_LEN)
        return -EINVAL;
    int found = find_around(&s->encap, frame, length, v, l3);
    if (found < 0)
        return found;
    s->l3 = (uint32_t)found;
    s->version = frame[s->l3] >> 4;
    int rc = s->version == 4 ? read_ip4(s, length, &d) : s->version == 6 ? read_ip6(s, length, &d) : -EINVAL;
    if (rc < 0)
        return rc;
    s->is_udp = d.protocol == IPPROTO_UDP;
    if (!is_transport_right(s, &d, type) || !are_framings_right(&s->encap, frame, length, d.end))
        return -EINVAL;
    return set_up(s, &d, v, l3, pp_after_tags(frame, l3), mtu);
}

int pp_split_next(pp_split *s, uint8_t *head, pp_segment *segment)
{
    if (s->next >= s->payload)
        return 0;
    uint32_t size = s->payload - s->next < s->payload_size ? s->payload - s->next : s->payload_size;
    int last = s->next + size == s->payload;
    const uint8_t *payload = s->frame + s->payload_at + s->next;
    copy_head(s, head);
    uint8_t *transport = head + s->l4;
    uint32_t datagram = s->head_length - s->l4 + size;
    if (s->version == 4)
        pp_ip4_write(head + s->l3, s->head_length - s->l3 + size, s->index, s->difference);
    else
        pp_put16(head + s->l3 + IP6_PAYLOAD, (uint16_t)(s->head_length - s->l3 - IP6_LEN + size));
    uint32_t field = TCP_SUM;
    if (s->is_udp) {
        pp_put16(transport + UDP_LENGTH, (uint16_t)datagram);
        field = UDP_SUM;
    } else {
        uint32_t sequence = pp_get32(transport + TCP_SEQUENCE) + s->next;
        pp_put32(transport + TCP_SEQUENCE, sequence);
        if (!last)
            transport[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
        if (s->index)
            transport[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
    }
    uint16_t payload_sum = 0;
    if (!s->no_sum || s->encap.count)
        payload_sum = pp_fold(pp_kernel_active()->sum(payload, size));
    if (!s->no_sum) {
        memset(transport + field, 0, 2);
        uint64_t sum = (uint64_t)s->seed + pp_wire16((uint16_t)datagram) +
                       pp_sum_portable(transport, s->head_length - s->l4) + payload_sum;
        uint16_t check = (uint16_t)~pp_fold(sum);
        if (check == 0 && s->is_udp)
            check = 0xffff; /* RFC 768 */
        memcpy(transport + field, &check, sizeof check);
    }
    if (s->encap.count || s->encap.framing_count)
        pp_encap_write(&s->encap, head, s->head_length, size, payload_sum, s->index);
    *segment = (pp_segment){ head, s->head_length, payload, size };
    s->next += size;
    s->index++;
    return 1;
}
