/* fuzz_split.c - any bytes with any virtio-net header: what is split adds up, and what was right stays right.
 *
 * Invariants: the segments' payloads are consecutive slices of the frame, and their lengths add up; there are as many
 * segments as announced; each one's own length fields tell its length, those of PPPoE and 802.3 too, and none is a
 * jumbogram; if the seed was the pseudo header's sum, or the sum complete and right, every segment's checksum verifies, and
 * the outer one of a tunnel that the parser does not know with it; a segment's header is the frame's but for lengths, IPv4
 * ids, TCP's sequence number and flags, and checksums; the frame is only read, by pp_complete only the field is written.
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

static void allow(uint8_t *may, uint32_t at, uint32_t count)
{
    if (at + count > PP_SPLIT_HEAD)
        abort();
    memset(may + at, 1, count);
}

/* The fields of an IP header, and of the tunnel's header behind it, that a segment has its own of. */
static void allow_layer(uint8_t *may, const uint8_t *head, uint32_t l3, uint32_t l4, int version, int protocol)
{
    if (head[l3] >> 4 != version || l4 <= l3 || (version == 4 && head[l3 + 9] != protocol))
        abort();
    if (version == 4) {
        allow(may, l3 + 2, 4);
        allow(may, l3 + 10, 2);
    } else {
        allow(may, l3 + 4, 2);
    }
    if (protocol == 17)
        allow(may, l4 + 4, 4);
    else if (protocol == 47 && (head[l4] & 0x80))
        allow(may, l4 + 4, 2);
}

/* Nothing else than those has changed.  Jumbo payload headers, which segments go without, are looked at here too. */
static void check_copy(const pp_split *s, const pp_segment *g)
{
    uint8_t want[PP_SPLIT_HEAD] = { 0 }, may[PP_SPLIT_HEAD] = { 0 };
    uint32_t from = 0, to = 0, at = 0;
    for (uint32_t i = 0; i <= s->cut_count; i++) {
        uint32_t cut = i < s->cut_count ? s->cuts[i] : s->payload_at;
        if (cut < from || to + cut - from > g->head_length)
            abort();
        memcpy(want + to, s->frame + from, cut - from);
        to += cut - from;
        from = cut + 8;
        if (i == s->cut_count)
            continue;
        if (s->frame[cut + 1] != 0 || s->frame[cut + 2] != 0xc2 || s->frame[cut + 3] != 4)
            abort(); /* no jumbo payload header */
        want[to - 40 + 6] = s->frame[cut];
    }
    if (to != g->head_length)
        abort();
    for (uint32_t i = 0; i < s->encap.count; i++) {
        const pp_encap_layer *e = &s->encap.layers[i];
        if (e->l3 < at)
            abort();
        allow_layer(may, want, e->l3, e->l4, e->version, e->protocol);
        at = e->l4;
    }
    for (uint32_t i = 0; i < s->encap.framing_count; i++)
        allow(may, s->encap.framings[i].field, 2);
    if (s->l3 < at)
        abort();
    allow_layer(may, want, s->l3, s->l4, s->version, s->is_udp ? 17 : 6);
    if (!s->is_udp) {
        allow(may, s->l4 + 4, 4);
        allow(may, s->l4 + 13, 1);
        allow(may, s->l4 + 16, 2);
    }
    for (uint32_t i = 0; i < g->head_length; i++)
        if (g->head[i] != want[i] && !may[i])
            abort();
}

/* --- a tunnel that the parser does not know --------------------------------------------------------------------- */

enum { WRAP_IP6 = 1, WRAP_ETHERNET = 2, WRAP_OPAQUE = 0x0c, WRAP_SUM = 0x30 };
enum { SUM_ABSENT, SUM_SEED, SUM_RIGHT, SUM_WRONG };

static uint32_t outer_l4(uint8_t how) { return how & WRAP_IP6 ? 54 : 34; }

/* The sum of the outer pseudo header, for so many bytes of UDP. */
static uint32_t outer_seed(const uint8_t *frame, uint8_t how, uint32_t datagram)
{
    uint8_t tail[8] = {
        (uint8_t)(datagram >> 24), (uint8_t)(datagram >> 16), (uint8_t)(datagram >> 8), (uint8_t)datagram, 0, 0, 0, 17
    };
    return add(how & WRAP_IP6 ? add(0, frame + 22, 32) : add(0, frame + 26, 8), tail, sizeof tail);
}

static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }

/* The outer sum as a sender leaves it that has local checksum offload: right once the one that begins at start is. */
static void write_outer_sum(uint8_t *frame, uint32_t length, uint8_t how, const pp_vnet *v)
{
    uint32_t l4 = outer_l4(how), kind = (how & WRAP_SUM) >> 4, seed = outer_seed(frame, how, length - l4);
    uint32_t field = (uint32_t)v->csum_start + v->csum_offset;
    if (field + 2 > length || v->csum_start <= l4) /* of the outer packet itself */
        return;
    put16(frame + l4 + 6, 0);
    if (kind == SUM_ABSENT || ((v->csum_start - l4) & 1))
        return;
    uint32_t sum = ~add(seed + (0xffff ^ get16(frame + field)), frame + l4, v->csum_start - l4) & 0xffff;
    if (kind == SUM_SEED)
        sum = seed;
    put16(frame + l4 + 6, kind == SUM_WRONG ? sum ^ 0x0100 : sum ? sum : 0xffff);
}

/* Put the frame, from its IP header at l3 on or with Ethernet, behind outer headers and a few opaque bytes; its new length. */
static uint32_t wrap(uint8_t *out, const uint8_t *frame, uint32_t length, uint32_t l3, uint8_t how, pp_vnet *v)
{
    uint32_t l4 = outer_l4(how), at = l4 + 8 + (how & WRAP_OPAQUE), from = how & WRAP_ETHERNET ? l3 - 14 : l3;
    uint32_t all = at + length - from;
    memset(out, 0, at);
    memset(out + l4 + 8, 0xaa, how & WRAP_OPAQUE);
    memcpy(out, "\2\0\0\0\0\3\2\0\0\0\0\4", 12);
    memcpy(out + at, frame + from, length - from);
    if (how & WRAP_IP6) {
        memcpy(out + 12, "\x86\xdd\x60", 3);
        out[20] = 17, out[21] = 64, out[22] = out[38] = 0xfd, out[37] = 1, out[53] = 2;
        put16(out + 18, all - 54 > 0xffff ? 0 : all - 54);
    } else {
        memcpy(out + 12, "\x08\0\x45", 3);
        out[22] = 64, out[23] = 17, memcpy(out + 26, "\x0a\7\0\1\x0a\7\0\2", 8);
        put16(out + 16, all - 14 > 0xffff ? 0 : all - 14);
        put16(out + 24, ~add(0, out + 14, 20) & 0xffff);
    }
    put16(out + l4, 40000), put16(out + l4 + 2, 5555);
    put16(out + l4 + 4, all - l4 > 0xffff ? 0 : all - l4);
    v->csum_start = (uint16_t)(v->csum_start + at - from);
    write_outer_sum(out, all, how, v);
    return all;
}

/* What write_outer_sum() has made of it; wrong by its measure may be right as it is, by chance. */
static int kind_of_outer(const uint8_t *frame, uint32_t length, uint8_t how)
{
    uint32_t l4 = outer_l4(how), seed = outer_seed(frame, how, length - l4), stored = get16(frame + l4 + 6);
    int is_right_too = stored % 0xffff == seed % 0xffff || add(seed, frame + l4, length - l4) == 0xffff;
    return stored == 0 ? SUM_ABSENT : is_right_too ? SUM_RIGHT : (how & WRAP_SUM) >> 4;
}

/* Of a segment: absent stays absent, a wrong one wrong, and all others are right. */
static void check_outer_sum(const pp_segment *g, uint8_t how, int kind)
{
    uint32_t l4 = outer_l4(how), datagram = g->head_length - l4 + g->payload_length;
    if (kind == SUM_ABSENT) {
        if (get16(g->head + l4 + 6) != 0)
            abort();
        return;
    }
    uint32_t sum = add(outer_seed(g->head, how, datagram), g->head + l4, g->head_length - l4);
    uint32_t swap = (g->head_length - l4) & 1, payload = add(0, g->payload, g->payload_length);
    sum += swap ? (payload >> 8 | payload << 8) & 0xffff : payload;
    sum = (sum & 0xffff) + (sum >> 16);
    if ((sum == 0xffff) != (kind != SUM_WRONG))
        abort();
}

static uint8_t wrapped; /* how this input's frame is, its highest bit set; 0: not */

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
        check_copy(&s, &g);
        if (seeded && wrapped && s.encap.count == 1)
            check_outer_sum(&g, wrapped, kind_of_outer(frame, length, wrapped));
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
    uint8_t *frame = malloc(length + padding);
    if (length + padding == 0 || !frame) {
        free(frame);
        return 0;
    }
    memcpy(frame, input + PARAMETERS + PP_VNET_LEN, length);
    memset(frame + length, 0, padding);
    length += padding;
    if (v.gso_size && v.gso_size < length / 256)
        v.gso_size = (uint16_t)(v.gso_size + length / 256); /* a few hundred segments show what 60000 do */
    if (input[0] & 1)
        agree(&v, frame, length, l3);
    wrapped = 0;
    if ((input[0] & 2) && l3 >= 14 && l3 < length && length - l3 >= 40) {
        uint8_t *whole = malloc(54 + 8 + WRAP_OPAQUE + length);
        if (!whole)
            exit(1);
        wrapped = input[0] >> 2 | 0x80;
        length = wrap(whole, frame, length, l3, wrapped, &v);
        l3 = 14;
        free(frame);
        frame = malloc(length); /* exact: ASan sees one byte too far */
        if (!frame)
            exit(1);
        memcpy(frame, whole, length);
        free(whole);
    }
    uint8_t *before = malloc(length);
    if (!before)
        exit(1);
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
        if (wrapped && (v.flags & NEEDS_CSUM))
            write_outer_sum(frame, length, wrapped, &v);
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
