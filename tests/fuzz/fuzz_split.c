/* fuzz_split.c - any bytes with any virtio-net header: what is split adds up, and what was right stays right.
 *
 * Invariants: the segments' payloads are consecutive slices of the frame, and their lengths add up; there are as many
 * segments as announced; each one's own length fields tell its length, those of PPPoE and 802.3 too, and none is a
 * jumbogram; if the seed was the pseudo header's sum, or the sum complete and right, every segment's checksum verifies; the
 * frame is only read, by pp_complete only the field is written.
 */
#include <stdlib.h>
#include <string.h>

#include <pktmend/split.h>

enum { PARAMETERS = 5, NEEDS_CSUM = 1, TCPV4 = 1, TCPV6 = 4, UDP_L4 = 5 };

static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] << 8 | p[1]; }

/* RFC 1071 section 1, on top of sum. */
static uint32_t add(uint32_t sum, const uint8_t *p, uint32_t length)
{
    for (uint32_t i = 0; i < length; i += 2) {
        sum += (uint32_t)p[i] << 8 | (i + 1 < length ? p[i + 1] : 0u);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static uint32_t pseudo(const uint8_t *ip, const pp_split *s, uint32_t length)
{
    uint8_t tail[8] = {
        (uint8_t)(length >> 24), (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length, 0, 0, 0,
        s->is_udp ? 17 : 6
    };
    return add(s->version == 4 ? add(0, ip + 12, 8) : add(0, ip + 8, 32), tail, sizeof tail);
}

static int is_right(const uint8_t *ip4) { return add(0, ip4, (ip4[0] & 15u) * 4) == 0xffff; }

/* Ethernet with tags, then PPPoE session data or 802.3: the length there, and what it counts begins at 22 or 14. */
static void check_framing(const pp_segment *g)
{
    uint32_t at = 12, type;
    while (at + 10 <= g->head_length && (get16(g->head + at) == 0x8100 || get16(g->head + at) == 0x88a8))
        at += 4;
    if (at + 10 > g->head_length)
        return;
    type = get16(g->head + at);
    uint32_t behind = g->head_length - at - 2 + g->payload_length;
    if (type == 0x8864 && get16(g->head + at + 6) != behind - 6)
        abort();
    if (type < 0x0600 && (type != behind || type > 1500))
        abort();
}

/* An IPv6 header says how long it is; a jumbo payload option (RFC 2675) alone would say it again. */
static void check_no_jumbogram(const uint8_t *head, uint32_t l3)
{
    const uint8_t *ip = head + l3;
    if (get16(ip + 4) == 0 || (ip[6] == 0 && ip[40 + 1] == 0 && ip[40 + 2] == 0xc2 && ip[40 + 3] == 4))
        abort();
}

static void check_outer(const pp_split *s, const pp_segment *g, uint32_t l3)
{
    const uint8_t *ip = g->head + l3;
    uint32_t network = g->head_length - l3 + g->payload_length;
    if (ip[0] >> 4 == 4 ? get16(ip + 2) != network : get16(ip + 4) != network - 40)
        abort();
    if (ip[0] >> 4 == 6)
        check_no_jumbogram(g->head, l3);
    check_framing(g);
    for (uint32_t i = 0; i < s->encap.count; i++)
        if (s->encap.layers[i].version == 6)
            check_no_jumbogram(g->head, s->encap.layers[i].l3);
}

/* Where the IP header of the segments lies in the frame. */
static uint32_t l3_in_frame(const pp_split *s)
{
    uint32_t at = s->l3;
    for (uint32_t i = 0; i < s->cut_count && s->cuts[i] <= at; i++)
        at += 8;
    return at;
}

static uint32_t l4_in_frame(const pp_split *s) { return s->payload_at - (s->head_length - s->l4); }

static void check_segment(const pp_split *s, const pp_segment *g, int seeded)
{
    const uint8_t *ip = g->head + s->l3, *l4 = g->head + s->l4;
    uint32_t header = g->head_length - s->l4, datagram = header + g->payload_length,
             network = g->head_length - s->l3 + g->payload_length;
    const uint8_t *whole = s->frame + l3_in_frame(s);
    if (s->version == 4 ? get16(ip + 2) != network : get16(ip + 4) != network - 40)
        abort();
    if (s->version == 4 && is_right(ip) != is_right(whole)) /* a header that was wrong stays wrong */
        abort();
    if (s->is_udp && get16(l4 + 4) != datagram)
        abort();
    if (s->no_sum ? get16(l4 + 6) != 0 : s->is_udp && get16(l4 + 6) == 0)
        abort();
    uint32_t sum = pseudo(ip, s, datagram);
    sum = add(sum, l4, header); /* even: TCP headers are multiples of four, UDP's is eight */
    if (seeded && add(sum, g->payload, g->payload_length) != 0xffff)
        abort();
}

static void split_all(const uint8_t *frame, uint32_t length, const pp_vnet *v, uint32_t l3, uint32_t mtu, int seeded)
{
    uint8_t *head = malloc(PP_SPLIT_HEAD); /* exact: ASan sees one byte too far */
    pp_split s;
    pp_segment g;
    uint32_t segments = 0, done = 0;
    int rc = pp_split_begin(&s, frame, length, v, l3, mtu);
    for (; rc > 0 && pp_split_next(&s, head, &g) == 1; segments++) {
        if (g.payload != frame + s.payload_at + done || !g.payload_length || g.payload_length > v->gso_size ||
            g.head_length > PP_SPLIT_HEAD || (size_t)(g.payload - frame) + g.payload_length > length)
            abort();
        done += g.payload_length;
        check_segment(&s, &g, seeded);
        check_outer(&s, &g, l3);
    }
    if (rc == 0 || (rc > 0 && (segments != (uint32_t)rc || done != s.payload)))
        abort();
    free(head);
}

/* Make vnet agree with the headers, so that more gets past the first doors. */
static void agree(pp_vnet *v, const uint8_t *frame, uint32_t length, uint32_t l3)
{
    if (length < 40 || l3 > length - 40)
        return;
    int version = frame[l3] >> 4, protocol = version == 4 ? frame[l3 + 9] : frame[l3 + 6];
    uint32_t l4 = l3 + (version == 4 ? (frame[l3] & 15u) * 4 : 40);
    for (int i = 0; version == 6 && i < 4 && (protocol == 0 || protocol == 43 || protocol == 60) && l4 + 8 <= length;
         i++) {
        protocol = frame[l4];
        l4 += 8u + frame[l4 + 1] * 8u;
    }
    v->flags = NEEDS_CSUM;
    v->gso_type = protocol == 17 ? UDP_L4 : version == 4 ? TCPV4 : TCPV6;
    v->csum_start = (uint16_t)l4;
    v->csum_offset = protocol == 17 ? 6 : 16;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size < PARAMETERS + PP_VNET_LEN || size > 70000)
        return 0;
    pp_vnet v;
    pp_split s;
    uint32_t length = (uint32_t)(size - PARAMETERS - PP_VNET_LEN), l3 = input[1], mtu = get16(input + 2);
    uint32_t padding =
        input[4] * 259u; /* zeros behind, so that a short input is a frame of up to 66045 bytes and more */
    memcpy(&v, input + PARAMETERS, PP_VNET_LEN);
    uint8_t *frame = malloc(length + padding), *before = malloc(length + padding);
    if (length + padding == 0 || !frame || !before) {
        free(frame);
        free(before);
        return 0;
    }
    memcpy(frame, input + PARAMETERS + PP_VNET_LEN, length);
    memset(frame + length, 0, padding);
    length += padding;
    if (v.gso_size && v.gso_size < length / 256)
        v.gso_size = (uint16_t)(v.gso_size + length / 256); /* a few hundred segments show what 60000 do */
    if (input[0] & 1)
        agree(&v, frame, length, l3);
    memcpy(before, frame, length);
    split_all(frame, length, &v, l3, mtu, 0);
    if (memcmp(before, frame, length) != 0)
        abort();
    if (pp_split_begin(&s, frame, length, &v, l3, mtu) > 0 && !s.no_sum) {
        uint32_t l4 = l4_in_frame(&s), seed = pseudo(frame + l3_in_frame(&s), &s, s.head_length - s.l4 + s.payload);
        uint32_t field = l4 + (s.is_udp ? 6 : 16);
        if (!(v.flags & NEEDS_CSUM)) { /* complete, and right */
            frame[field] = frame[field + 1] = 0;
            seed = 0xffff - add(seed, frame + l4, s.head_length - s.l4 + s.payload);
            seed = seed == 0 && s.is_udp ? 0xffff : seed;
        }
        frame[field] = (uint8_t)(seed >> 8);
        frame[field + 1] = (uint8_t)seed;
        split_all(frame, length, &v, l3, mtu, 1);
        memcpy(before, frame, length);
    }
    uint32_t field = (uint32_t)v.csum_start + v.csum_offset;
    int rc = pp_complete(frame, length, &v);
    if (rc == 0)
        memcpy(before + field, frame + field, 2);
    if (memcmp(before, frame, length) != 0)
        abort(); /* something else than the field was written */
    free(frame);
    free(before);
    return 0;
}
