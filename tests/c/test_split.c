/* test_split.c - super-frames built by hand, split, and every octet of every segment accounted for.
 *
 * Rules:
 *   1. What a segment must hold follows from the super-frame that was built here and from RFC 791, 793, 768 and 8200;
 *      checksums are judged by this file's own loop.
 *   2. Frame and header room are malloc'ed to the octet: ASan sees one too far.
 */
#include <errno.h>
#include <linux/virtio_net.h>

#include "check.h"
#include "split.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum { FIN = 0x01, PSH = 0x08, ACK = 0x10, ECE = 0x40, CWR = 0x80, PADDING = 6, MTU = 65535 };

/* What to build. */
typedef struct spec {
    int version, is_udp, tags; /* tags: 802.1Q headers in the frame */
    uint32_t extension;        /* IPv6: octets of destination options; 8 with jumbo: the jumbo payload header instead */
    int jumbo, padded, no_sum;
    uint32_t options, payload;
    uint16_t gso_size, id;
    uint32_t sequence;
} spec;

/* What was built; the virtio-net header lies before the frame as in a ring. */
typedef struct frame {
    uint8_t *memory, *data;
    uint32_t length, l3, l4, payload_at;
    pp_vnet vnet;
} frame;

static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8); p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16); put16(p + 2, v); }
static uint32_t get16(const uint8_t *p) { return (uint32_t)(p[0] << 8 | p[1]); }
static uint32_t get32(const uint8_t *p) { return get16(p) << 16 | get16(p + 2); }

/* RFC 1071 section 1, on top of sum. */
static uint32_t add(uint32_t sum, const uint8_t *p, uint32_t length)
{
    for (uint32_t i = 0; i < length; i += 2) {
        sum += (uint32_t)p[i] << 8 | (i + 1 < length ? p[i + 1] : 0u);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* RFC 793 section 3.1, RFC 8200 section 8.1: addresses, protocol, 32-bit upper-layer length. */
static uint32_t pseudo(const uint8_t *ip, int version, uint8_t protocol, uint32_t length)
{
    uint8_t tail[8] = { 0, 0, 0, 0, 0, 0, 0, protocol };
    put32(tail, length);
    return add(version == 4 ? add(0, ip + 12, 8) : add(0, ip + 8, 32), tail, sizeof tail);
}

static frame build(const spec *s)
{
    frame f = { 0 };
    uint32_t l4_header = s->is_udp ? 8 : 20 + s->options;
    uint8_t protocol = s->is_udp ? 17 : 6;
    f.l3 = 14 + 4 * (uint32_t)s->tags;
    f.l4 = f.l3 + (s->version == 4 ? 20 : 40 + s->extension);
    f.payload_at = f.l4 + l4_header;
    f.length = f.payload_at + s->payload + (s->padded ? PADDING : 0);
    f.memory = malloc(PP_VNET_LEN + f.length);
    if (!f.memory)
        exit(1);
    f.data = f.memory + PP_VNET_LEN;
    uint8_t *ip = f.data + f.l3, *l4 = f.data + f.l4;
    uint32_t whole = l4_header + s->payload, total = f.l4 - f.l3 + whole;
    for (uint32_t i = 0; i < f.length; i++) /* a prime period: a slice from the wrong place differs */
        f.data[i] = (uint8_t)(i % 251 * 7 + 1);
    for (int i = 0; i < s->tags; i++)
        put32(f.data + 12 + 4 * i, i + 1 < s->tags ? 0x88a80064 : 0x81000065);
    put16(f.data + f.l3 - 2, s->version == 4 ? 0x0800 : 0x86dd);
    if (s->version == 4) {
        static const uint8_t head[20] = { 0x45, 0x02, 0, 0, 0, 0, 0x40, 0, 63, 0, 0, 0, 10, 18, 100, 6, 10, 18, 100, 7 };
        memcpy(ip, head, sizeof head);
        put16(ip + 2, total > 65535 ? 0 : total);
        put16(ip + 4, s->id);
        ip[9] = protocol;
        put16(ip + 10, 0xffff & ~add(0, ip, 20));
    } else {
        put32(ip, 0x60212345);
        put16(ip + 4, s->jumbo ? 0 : total - 40);
        ip[6] = s->jumbo ? 0 : s->extension ? 60 : protocol;
        ip[7] = 64;
        if (s->extension) {
            memset(ip + 40, 0, s->extension);
            ip[40] = protocol;
            ip[41] = (uint8_t)(s->extension / 8 - 1);
            ip[42] = s->jumbo ? 0xc2 : 1; /* RFC 2675 section 2, or PadN over the rest */
            ip[43] = s->jumbo ? 4 : (uint8_t)(s->extension - 4);
            if (s->jumbo)
                put32(ip + 44, total - 40);
        }
    }
    if (s->is_udp) {
        put16(l4 + 4, whole);
    } else {
        put32(l4 + 4, s->sequence);
        put16(l4 + 12, (l4_header / 4) << 12 | CWR | ECE | ACK | PSH | FIN);
    }
    put16(l4 + (s->is_udp ? 6 : 16), s->no_sum ? 0 : pseudo(ip, s->version, protocol, whole));
    f.vnet = (pp_vnet){ .flags = s->no_sum ? 0 : VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = s->is_udp ? VIRTIO_NET_HDR_GSO_UDP_L4
                  : (uint8_t)(VIRTIO_NET_HDR_GSO_ECN | (s->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6)),
        .hdr_len = (uint16_t)f.payload_at, .gso_size = s->gso_size, .csum_start = s->no_sum ? 0 : (uint16_t)f.l4,
        .csum_offset = s->no_sum ? 0 : s->is_udp ? 6 : 16 };
    memcpy(f.memory, &f.vnet, PP_VNET_LEN);
    return f;
}

/* The fields in which segments may differ from the super-frame, set to what this one must hold, checksums judged. */
static void check_segment(const spec *s, const frame *f, uint8_t *p, uint32_t length, uint32_t index, uint32_t done, int last)
{
    uint32_t skip = s->jumbo ? 8 : 0, at4 = f->l4 - skip;
    uint8_t *ip = p + f->l3, *l4 = p + at4, want[400];
    uint32_t header = f->payload_at - skip, datagram = length - at4, field = s->is_udp ? 6 : 16;
    uint8_t protocol = s->is_udp ? 17 : 6;
    memcpy(want, f->data, f->l3 + 40 < header ? f->l3 + 40 : header);
    if (header > f->l3 + 40)
        memcpy(want + f->l3 + 40, f->data + f->l3 + 40 + skip, header - f->l3 - 40);
    if (s->version == 4) {
        CHECK_EQ(get16(ip + 4), (s->id + index) & 0xffff);
        CHECK_EQ(get16(ip + 2), length - f->l3);
        CHECK_EQ(add(0, ip, 20), 0xffff);
        memcpy(want + f->l3 + 2, ip + 2, 4);
        memcpy(want + f->l3 + 10, ip + 10, 2);
    } else {
        CHECK_EQ(get16(ip + 4), length - f->l3 - 40);
        memcpy(want + f->l3 + 4, ip + 4, 2);
        if (s->jumbo) {
            CHECK_EQ(ip[6], protocol);
            want[f->l3 + 6] = protocol;
        }
    }
    if (s->is_udp) {
        CHECK_EQ(get16(l4 + 4), datagram);
        memcpy(want + at4 + 4, l4 + 4, 2);
    } else {
        CHECK_EQ(get32(l4 + 4), s->sequence + done);
        CHECK_EQ(l4[13], ECE | ACK | (index == 0 ? CWR : 0) | (last ? PSH | FIN : 0));
        memcpy(want + at4 + 4, l4 + 4, 4);
        want[at4 + 13] = l4[13];
    }
    uint32_t stored = get16(l4 + field), sum = add(pseudo(ip, s->version, protocol, datagram), l4, datagram);
    if (s->no_sum)
        CHECK_EQ(stored, 0);
    else
        CHECK_EQ(sum, 0xffff); /* a field of 0 where ffff belongs sums to ffff as well: */
    if (s->is_udp && !s->no_sum)
        CHECK_THAT(stored != 0, "UDP, segment %u: 0 means no checksum (RFC 768)", index);
    memcpy(want + at4 + field, l4 + field, 2);
    CHECK_THAT(memcmp(want, p, header) == 0, "segment %u: an octet changed that is the same in all", index);
}

/* Split, check all segments and that they make up the payload.  size: what each but the last must carry. */
static void check_split(const char *name, const spec *s, uint32_t mtu, uint32_t size)
{
    frame f = build(s);
    uint8_t *before = malloc(f.length), *head = malloc(PP_SPLIT_HEAD), *p = malloc(70000);
    pp_split split;
    pp_segment segment;
    pp_vnet vnet;
    if (!before || !head || !p)
        exit(1);
    memcpy(before, f.data, f.length);
    memcpy(&vnet, f.memory, PP_VNET_LEN);
    uint32_t count = (s->payload + size - 1) / size, index = 0, done = 0, skip = s->jumbo ? 8 : 0;
    int rc = pp_split_begin(&split, f.data, f.length, &vnet, f.l3, mtu);
    CHECK_THAT(rc == (int)count, "%s: %d segments, want %u", name, rc, count);
    while (rc > 0 && index <= count && pp_split_next(&split, head, &segment) == 1) {
        CHECK_EQ(segment.payload_length, index + 1 < count ? size : s->payload - size * (count - 1));
        CHECK_EQ(segment.head_length, f.payload_at - skip);
        CHECK_THAT(segment.payload == f.data + f.payload_at + done, "%s, segment %u: not the next slice", name, index);
        if (segment.payload != f.data + f.payload_at + done || segment.head_length > PP_SPLIT_HEAD)
            break;
        memcpy(p, segment.head, segment.head_length);
        memcpy(p + segment.head_length, segment.payload, segment.payload_length);
        check_segment(s, &f, p, segment.head_length + segment.payload_length, index, done, index + 1 == count);
        CHECK_THAT(memcmp(p + segment.head_length, before + f.payload_at + done, segment.payload_length) == 0, "%s: payload", name);
        done += segment.payload_length;
        index++;
    }
    CHECK_EQ(index, count);
    CHECK_EQ(done, s->payload);
    CHECK_THAT(rc < 0 || pp_split_next(&split, head, &segment) == 0, "%s: a segment after the last", name);
    CHECK_THAT(memcmp(before, f.data, f.length) == 0, "%s: the frame was written to", name);
    free(p);
    free(head);
    free(before);
    free(f.memory);
}

static void test_split(void)
{
    static const spec base = { .version = 4, .gso_size = 1448, .options = 12, .payload = 10 * 1448 + 700, .id = 0xfffc, .sequence = 0xffffe000 };
    for (int version = 4; version <= 6; version += 2)
        for (int is_udp = 0; is_udp < 2; is_udp++)
            for (int tags = 0; tags < 3; tags++) {
                spec s = base;
                s.version = version, s.is_udp = is_udp, s.tags = tags;
                check_split("many", &s, MTU, 1448);
                s.payload = 3 * 1448;
                check_split("no remainder", &s, MTU, 1448);
                s.payload = 1448;
                check_split("one full segment", &s, MTU, 1448);
                s.payload = 1;
                check_split("one octet", &s, MTU, 1448);
                s.gso_size = 1447, s.payload = 4 * 1447 + 1;
                check_split("odd slices, odd rest", &s, MTU, 1447);
                s.gso_size = 1, s.payload = 33;
                check_split("an octet each", &s, MTU, 1);
                s = base, s.version = version, s.is_udp = is_udp, s.tags = tags, s.padded = 1;
                check_split("padded frame", &s, MTU, 1448);
                s.padded = 0, s.payload = 65000;
                check_split("nearly 64 KiB", &s, MTU, 1448);
                /* an egress of 1000: TCP payload is what fits behind the headers, datagrams are never cut */
                s.payload = 5001;
                check_split("small mtu", &s, 1000, is_udp ? 1448 : 1000 - (version == 4 ? 20 : 40) - 32);
            }
    spec s = base;
    s.options = 0;
    check_split("no TCP options", &s, 1500, 1448);
    s = base, s.payload = 69000; /* BIG TCP over IPv4: total length 0 */
    check_split("BIG TCP, IPv4", &s, 1500, 1448);
    s = base, s.version = 6, s.extension = 8, s.jumbo = 1, s.payload = 69000;
    check_split("BIG TCP, IPv6", &s, 1500, 1428);
    s = base, s.version = 6, s.extension = 24;
    check_split("destination options", &s, MTU, 1448);
    s = base, s.is_udp = 1, s.no_sum = 1;
    check_split("UDP without a checksum", &s, MTU, 1448);
}

/* RFC 768: a computed zero goes out as all ones.  The last payload word is chosen so that the sum of all is ffff. */
static void test_udp_computed_zero(void)
{
    for (int version = 4; version <= 6; version += 2) {
        spec s = { .version = version, .is_udp = 1, .gso_size = 100, .payload = 100 };
        frame f = build(&s);
        uint8_t head[PP_SPLIT_HEAD], *word = f.data + f.payload_at + 98;
        pp_split split;
        pp_segment segment;
        put16(word, 0);
        put16(f.data + f.l4 + 6, 0);
        uint32_t rest = add(pseudo(f.data + f.l3, version, 17, 108), f.data + f.l4, 108);
        put16(word, 0xffff - rest);
        put16(f.data + f.l4 + 6, pseudo(f.data + f.l3, version, 17, 108));
        CHECK_EQ(pp_split_begin(&split, f.data, f.length, &f.vnet, f.l3, MTU), 1);
        CHECK_EQ(pp_split_next(&split, head, &segment), 1);
        CHECK_EQ(get16(head + f.l4 + 6), 0xffff);
        CHECK_EQ(pp_complete(f.data, f.length, &f.vnet), 0);
        CHECK_EQ(get16(f.data + f.l4 + 6), 0xffff);
        free(f.memory);
    }
}

/* "A wrong seed stays wrong": by as much in each segment as in the whole. */
static void test_wrong_seed_stays_wrong(void)
{
    spec s = { .version = 4, .gso_size = 500, .payload = 1400, .options = 12 };
    frame f = build(&s);
    uint8_t head[PP_SPLIT_HEAD];
    pp_split split;
    pp_segment segment;
    put16(f.data + f.l4 + 16, add(get16(f.data + f.l4 + 16), (const uint8_t[]){ 0x12, 0x34 }, 2));
    CHECK_EQ(pp_split_begin(&split, f.data, f.length, &f.vnet, f.l3, MTU), 3);
    while (pp_split_next(&split, head, &segment) == 1) {
        uint32_t datagram = 32 + segment.payload_length, sum = pseudo(head + f.l3, 4, 6, datagram);
        /* the field is the complement of a sum 1234 too large: what remains of ffff is ffff - 1234 */
        CHECK_EQ(add(add(sum, head + f.l4, 32), segment.payload, segment.payload_length), 0xffff - 0x1234);
    }
    free(f.memory);
}

/* One contradiction each, in a copy of exactly the frame's size. */
static void test_contradictions_are_refused(void)
{
    enum { V4 = 1, V6 = 2, T = 4, U = 8, ANY = 15 };
    static const struct {
        const char *what;
        int of; /* versions and protocols it applies to */
        int at; /* octets behind the IP header's start; from 1000 behind the transport header's; -1: see vnet */
        uint8_t value;
        int want;
    } cases[] = {
        { "version 5", ANY, 0, 0x55, -EINVAL }, { "header of 16 octets", V4 | T | U, 0, 0x44, -EINVAL },
        { "total length beyond the frame", V4 | T | U, 2, 0xff, -EINVAL }, { "total length within the headers", V4 | T | U, 2, 0x00, -EINVAL },
        { "more fragments", V4 | T | U, 6, 0x20, -EINVAL }, { "fragment offset", V4 | T | U, 7, 0x01, -EINVAL },
        { "protocol ICMP", V4 | T | U, 9, 1, -EINVAL }, { "payload length beyond the frame", V6 | T | U, 4, 0xff, -EINVAL },
        { "payload length within the headers", V6 | T | U, 4, 0x00, -EINVAL }, { "next header ICMPv6", V6 | T | U, 6, 58, -EINVAL },
        { "next header fragment", V6 | T | U, 6, 44, -EINVAL }, { "protocol UDP for TCP", V4 | T, 9, 17, -EINVAL },
        { "protocol TCP for UDP", V4 | U, 9, 6, -EINVAL }, { "TCP header of 16 octets", V4 | V6 | T, 1012, 0x40, -EINVAL },
        { "TCP header of 0 octets", V4 | V6 | T, 1012, 0x00, -EINVAL } };
    for (int version = 4; version <= 6; version += 2)
        for (int is_udp = 0; is_udp < 2; is_udp++) {
            spec s = { .version = version, .is_udp = is_udp, .gso_size = 100, .payload = 150 };
            pp_split split;
            for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
                if (!(cases[i].of & (version == 4 ? V4 : V6)) || !(cases[i].of & (is_udp ? U : T)))
                    continue;
                frame f = build(&s);
                uint32_t at = cases[i].at >= 1000 ? f.l4 + (uint32_t)cases[i].at - 1000 : f.l3 + (uint32_t)cases[i].at;
                f.data[at] = cases[i].value;
                if (cases[i].value == 0 && cases[i].at < 1000)
                    f.data[at + 1] = version == 4 ? 24 : 4;
                int rc = pp_split_begin(&split, f.data, f.length, &f.vnet, f.l3, MTU);
                CHECK_THAT(rc == cases[i].want, "IPv%d %s, %s: %d", version, is_udp ? "UDP" : "TCP", cases[i].what, rc);
                free(f.memory);
            }
        }
}

static int begin_with(const frame *f, pp_vnet vnet, uint32_t length, uint32_t l3)
{
    pp_split split;
    uint8_t *copy = malloc(length + 1); /* never null */
    memcpy(copy + 1, f->data, length < f->length ? length : f->length);
    int rc = pp_split_begin(&split, copy + 1, length, &vnet, l3, MTU);
    free(copy);
    return rc;
}

static void test_vnet_contradictions_are_refused(void)
{
    for (int version = 4; version <= 6; version += 2)
        for (int is_udp = 0; is_udp < 2; is_udp++) {
            spec s = { .version = version, .is_udp = is_udp, .gso_size = 100, .payload = 150 };
            frame f = build(&s);
            pp_vnet v = f.vnet;
            CHECK_EQ(begin_with(&f, v, f.length, f.l3), 2);
            static const uint8_t unknown[] = { 0, 2, 3, 6, 127, VIRTIO_NET_HDR_GSO_ECN };
            for (size_t i = 0; i < sizeof unknown; i++) {
                v.gso_type = unknown[i];
                CHECK_THAT(begin_with(&f, v, f.length, f.l3) == -EOPNOTSUPP, "GSO type %u", unknown[i]);
            }
            static const uint8_t types[] = { VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_HDR_GSO_UDP_L4 };
            for (size_t i = 0; i < sizeof types; i++) {
                v.gso_type = types[i];
                CHECK_EQ(begin_with(&f, v, f.length, f.l3), types[i] == (f.vnet.gso_type & 0x7f) ? 2 : -EINVAL);
            }
            v = f.vnet, v.gso_size = 0;
            CHECK_EQ(begin_with(&f, v, f.length, f.l3), -EINVAL);
            v = f.vnet, v.csum_start++;
            CHECK_EQ(begin_with(&f, v, f.length, f.l3), -EINVAL);
            v = f.vnet, v.csum_start = 0xffff;
            CHECK_EQ(begin_with(&f, v, f.length, f.l3), -EINVAL);
            v = f.vnet, v.csum_offset = 0xffff;
            CHECK_EQ(begin_with(&f, v, f.length, f.l3), -EINVAL);
            v = f.vnet, v.csum_offset++, v.csum_start--;
            CHECK_EQ(begin_with(&f, v, f.length, f.l3), -EINVAL);
            v = f.vnet, v.flags = 0; /* a field that is not 0 and nobody vouches for as a seed */
            CHECK_EQ(begin_with(&f, v, f.length, f.l3), -EINVAL);
            CHECK_EQ(begin_with(&f, f.vnet, f.length, f.length), -EINVAL);
            CHECK_EQ(begin_with(&f, f.vnet, f.length, f.length + 1), -EINVAL);
            CHECK_EQ(begin_with(&f, f.vnet, f.length, UINT32_MAX), -EINVAL);
            for (uint32_t length = 0; length < f.length; length++) /* the lengths in the headers promise more */
                CHECK_EQ(begin_with(&f, f.vnet, length, f.l3), -EINVAL);
            free(f.memory);
        }
    spec none = { .version = 4, .gso_size = 100, .payload = 0 }, large = { .version = 6, .gso_size = 100, .payload = 150, .extension = 208 };
    frame f = build(&none);
    CHECK_EQ(begin_with(&f, f.vnet, f.length, f.l3), -EINVAL); /* nothing to split */
    free(f.memory);
    f = build(&large);
    CHECK_EQ(begin_with(&f, f.vnet, f.length, f.l3), -EMSGSIZE); /* 14 + 40 + 208 + 20 octets of header */
    free(f.memory);
}

/* A segment has to fit its own IP and UDP length fields, 16 bits wide. */
static void test_segments_beyond_64k_are_refused(void)
{
    spec s = { .version = 4, .gso_size = 65535, .payload = 69000, .options = 12 };
    frame f = build(&s);
    CHECK_EQ(begin_with(&f, f.vnet, f.length, f.l3), -EINVAL);
    free(f.memory);
    s.is_udp = 1;
    f = build(&s);
    CHECK_EQ(begin_with(&f, f.vnet, f.length, f.l3), -EINVAL);
    free(f.memory);
}

static void test_complete(void)
{
    for (int version = 4; version <= 6; version += 2)
        for (int is_udp = 0; is_udp < 2; is_udp++)
            for (uint32_t payload = 0; payload < 300; payload++) {
                spec s = { .version = version, .is_udp = is_udp, .gso_size = 1448, .payload = payload };
                frame f = build(&s);
                CHECK_EQ(pp_complete(f.data, f.length, &f.vnet), 0);
                CHECK_EQ(add(pseudo(f.data + f.l3, version, is_udp ? 17 : 6, f.length - f.l4), f.data + f.l4, f.length - f.l4), 0xffff);
                free(f.memory);
            }
    static const uint16_t outside[][2] = { { 100, 0 }, { 99, 0 }, { 98, 1 }, { 0, 99 }, { 0, 100 }, { 65535, 0 }, { 0, 65535 }, { 65535, 65535 }, { 34, 65 } };
    uint8_t *data = calloc(1, 100), zero[100] = { 0 };
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        pp_vnet v = { .flags = 1, .csum_start = outside[i][0], .csum_offset = outside[i][1] };
        CHECK_THAT(pp_complete(data, 100, &v) == -EINVAL, "field at %u + %u of 100", v.csum_start, v.csum_offset);
        CHECK_THAT(memcmp(data, zero, 100) == 0, "written to, though refused");
    }
    CHECK_EQ(pp_complete(data, 0, &(pp_vnet){ .flags = 1 }), -EINVAL);
    free(data);
}

int main(void)
{
    test_split();
    test_udp_computed_zero();
    test_wrong_seed_stays_wrong();
    test_contradictions_are_refused();
    test_vnet_contradictions_are_refused();
    test_segments_beyond_64k_are_refused();
    test_complete();
    return DONE;
}
