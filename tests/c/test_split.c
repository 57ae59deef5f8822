/* test_split.c - super-frames built by hand, split, and every byte of every segment accounted for.
 *
 * Rules:
 *   1. What a segment must hold follows from the super-frame that was built here and from RFC 791, 793, 768 and 8200;
 *      checksums are judged by this file's own loop.
 *   2. Frame and header room are malloc'ed to the byte: ASan sees one too far.
 */
#include <errno.h>
#include <linux/virtio_net.h>

#include "check.h"
#include <pktmend/split.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

enum { FIN = 0x01, PSH = 0x08, ACK = 0x10, ECE = 0x40, CWR = 0x80 };
enum { PADDING = 6, MTU = 65535, V4 = 1, V6 = 2, TCP = 4, UDP = 8 };

/* What to build. */
typedef struct spec {
    int version, is_udp, tags; /* tags: 802.1Q headers in the frame */
    uint32_t extension;        /* IPv6: bytes of destination options; 8 with jumbo: the jumbo payload header instead */
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

static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}
static uint32_t get16(const uint8_t *p) { return (uint32_t)(p[0] << 8 | p[1]); }

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
    if (!(f.memory = malloc(PP_VNET_LEN + f.length)))
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
        static const uint8_t head[20] = {
            0x45, 0x02, 0, 0, 0, 0, 0x40, 0, 63, 0, 0, 0, 10, 18, 100, 6, 10, 18, 100, 7
        };
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
    f.vnet =
        (pp_vnet){ .flags = s->no_sum ? 0 : VIRTIO_NET_HDR_F_NEEDS_CSUM,
                   .gso_type = s->is_udp
                                   ? VIRTIO_NET_HDR_GSO_UDP_L4
                                   : (uint8_t)(VIRTIO_NET_HDR_GSO_ECN |
                                               (s->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6)),
                   .hdr_len = (uint16_t)f.payload_at,
                   .gso_size = s->gso_size,
                   .csum_start = s->no_sum ? 0 : (uint16_t)f.l4,
                   .csum_offset = s->no_sum   ? 0
                                  : s->is_udp ? 6
                                              : 16 };
    memcpy(f.memory, &f.vnet, PP_VNET_LEN);
    return f;
}

/* Every byte of the header of segment index, which follows done bytes of payload. */
static void check_segment(const spec *s, const frame *f, const pp_segment *g, uint32_t index, uint32_t done, int last)
{
    uint32_t skip = s->jumbo ? 8 : 0, at4 = f->l4 - skip, header = f->payload_at - skip, to_ip6 = f->l3 + 40;
    uint32_t datagram = header - at4 + g->payload_length;
    uint8_t want[PP_SPLIT_HEAD], *ip = want + f->l3, *l4 = want + at4, *field = l4 + (s->is_udp ? 6 : 16),
                                 protocol = s->is_udp ? 17 : 6;
    memcpy(want, f->data, header < to_ip6 ? header : to_ip6);
    if (header > to_ip6) /* the jumbo payload header, if there is one, lies behind the IPv6 header */
        memcpy(want + to_ip6, f->data + to_ip6 + skip, header - to_ip6);
    if (s->version == 4) {
        put16(ip + 2, at4 - f->l3 + datagram);
        put16(ip + 4, s->id + index);
        put16(ip + 10, 0);
        put16(ip + 10, 0xffff - add(0, ip, 20));
    } else {
        put16(ip + 4, at4 - to_ip6 + datagram);
        ip[6] = s->jumbo ? protocol : ip[6];
    }
    if (s->is_udp) {
        put16(l4 + 4, datagram);
    } else {
        put32(l4 + 4, s->sequence + done);
        l4[13] = (uint8_t)(ECE | ACK | (index == 0 ? CWR : 0) | (last ? PSH | FIN : 0));
    }
    put16(field, 0);
    uint32_t sum = add(add(pseudo(ip, s->version, protocol, datagram), l4, header - at4),
                       f->data + f->payload_at + done, g->payload_length);
    if (!s->no_sum)
        put16(field, s->is_udp && sum == 0xffff ? 0xffff : 0xffff - sum);
    for (uint32_t i = 0; i < header; i++)
        CHECK_THAT(g->head[i] == want[i], "segment %u, byte %u: %02x, want %02x (IP at %u, transport at %u)", index, i,
                   g->head[i], want[i], f->l3, at4);
}

/* Split, check all segments and that they make up the payload.  size: what each but the last must carry. */
static void check_split(const char *name, const spec *s, uint32_t mtu, uint32_t size)
{
    frame f = build(s);
    uint8_t *before = malloc(f.length), *head = malloc(PP_SPLIT_HEAD);
    pp_split split;
    pp_segment segment;
    pp_vnet vnet;
    if (!before || !head)
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
        if (segment.payload != f.data + f.payload_at + done || segment.head_length != f.payload_at - skip)
            break;
        check_segment(s, &f, &segment, index, done, index + 1 == count);
        done += segment.payload_length;
        index++;
    }
    CHECK_EQ(index, count);
    CHECK_EQ(done, s->payload);
    CHECK_THAT(rc < 0 || pp_split_next(&split, head, &segment) == 0, "%s: a segment after the last", name);
    CHECK_THAT(memcmp(before, f.data, f.length) == 0, "%s: the frame was written to, so the slices are not the payload",
               name);
    if (!s->no_sum) { /* the super-frame as a whole; its padding is not summed */
        uint32_t datagram = f.payload_at - f.l4 + s->payload,
                 seed = pseudo(f.data + f.l3, s->version, s->is_udp ? 17 : 6, datagram);
        CHECK_EQ(pp_complete(f.data, f.l4 + datagram, &vnet), 0);
        CHECK_EQ(add(seed, f.data + f.l4, datagram), 0xffff);
    }
    free(head);
    free(before);
    free(f.memory);
}

static void test_split(void)
{
    static const struct {
        const char *name;
        uint32_t payload, mtu;
        uint16_t gso_size;
        int padded;
    } cases[] = { { "many", 10 * 1448 + 700, MTU, 1448, 0 },
                  { "no remainder", 3 * 1448, MTU, 1448, 0 },
                  { "one full segment", 1448, MTU, 1448, 0 },
                  { "one byte", 1, MTU, 1448, 0 },
                  { "odd slices, odd rest", 4 * 1447 + 2, MTU, 1447, 0 },
                  { "a byte each", 33, MTU, 1, 0 },
                  { "padded frame", 4001, MTU, 1448, 1 },
                  { "nearly 64 KiB", 65000, MTU, 1448, 0 },
                  { "small mtu", 5001, 1000, 1448, 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int variant = 0; variant < 12; variant++) {
            spec s = { .version = variant & 1 ? 6 : 4,
                       .is_udp = variant >> 1 & 1,
                       .tags = variant / 4,
                       .gso_size = cases[i].gso_size,
                       .options = 12,
                       .padded = cases[i].padded,
                       .payload = cases[i].payload,
                       .id = 0xfffc,
                       .sequence = 0xffffe000 }; /* both wrap */
            /* an egress of 1000: TCP payload is what fits behind the headers, datagrams are never cut */
            check_split(cases[i].name, &s, cases[i].mtu,
                        cases[i].mtu == 1000 && !s.is_udp ? 1000 - (s.version == 4 ? 20 : 40) - 32 : s.gso_size);
        }
    spec s = { .version = 4, .gso_size = 1448, .payload = 69000, .sequence = 7 };
    check_split("BIG TCP, IPv4: total length 0", &s, 1500, 1448);
    s.version = 6, s.options = 12, s.extension = 8, s.jumbo = 1;
    check_split("BIG TCP, IPv6: no jumbo header in segments", &s, 1500, 1428);
    s.jumbo = 0, s.extension = 24, s.payload = 4001;
    check_split("destination options stay", &s, MTU, 1448);
    s = (spec){ .version = 4, .is_udp = 1, .no_sum = 1, .gso_size = 1448, .payload = 4001 };
    check_split("UDP without a checksum", &s, MTU, 1448);
}

/* RFC 768: a computed zero goes out as all ones.  The last payload word is chosen so that the sum of all is ffff. */
static void test_udp_computed_zero(void)
{
    for (int version = 4; version <= 6; version += 2) {
        spec s = { .version = version, .is_udp = 1, .gso_size = 100, .payload = 100 };
        frame f = build(&s);
        uint8_t head[PP_SPLIT_HEAD], *word = f.data + f.payload_at + 98, *field = f.data + f.l4 + 6;
        uint32_t seed = get16(field);
        pp_split split;
        pp_segment segment;
        put16(word, 0);
        put16(field, 0);
        put16(word, 0xffff - add(seed, f.data + f.l4, 108));
        put16(field, seed);
        CHECK_EQ(pp_split_begin(&split, f.data, f.length, &f.vnet, f.l3, MTU), 1);
        CHECK_EQ(pp_split_next(&split, head, &segment), 1);
        CHECK_EQ(get16(head + f.l4 + 6), 0xffff);
        CHECK_EQ(pp_complete(f.data, f.length, &f.vnet), 0);
        CHECK_EQ(get16(field), 0xffff);
        free(f.memory);
    }
}

/* "A wrong seed stays wrong": by 1234 in each segment as in the whole. */
static void test_wrong_seed_stays_wrong(void)
{
    spec s = { .version = 4, .gso_size = 500, .payload = 1400 };
    frame f = build(&s);
    uint8_t head[PP_SPLIT_HEAD], *field = f.data + f.l4 + 16;
    pp_split split;
    pp_segment segment;
    put16(field, add(get16(field), (const uint8_t[]){ 0x12, 0x34 }, 2));
    CHECK_EQ(pp_split_begin(&split, f.data, f.length, &f.vnet, f.l3, MTU), 3);
    while (pp_split_next(&split, head, &segment) == 1) {
        uint32_t sum = pseudo(head + f.l3, 4, 6, 20 + segment.payload_length);
        CHECK_EQ(add(add(sum, head + f.l4, 20), segment.payload, segment.payload_length), 0xffff - 0x1234);
    }
    free(f.memory);
}

/* Without the mark the sum is complete: segments of a right one are right, those of a wrong one wrong by as much. */
static void test_complete_sums(void)
{
    for (int variant = 0; variant < 8; variant++) {
        spec s = { .version = variant & 1 ? 6 : 4, .is_udp = variant >> 1 & 1, .gso_size = 500, .payload = 1401 };
        frame f = build(&s);
        const uint32_t off = variant & 4 ? 0x1234 : 0;
        uint8_t head[PP_SPLIT_HEAD], *field = f.data + f.l4 + (s.is_udp ? 6 : 16), protocol = s.is_udp ? 17 : 6;
        uint32_t header = s.is_udp ? 8 : 20;
        pp_split split;
        pp_segment segment;
        put16(field, 0);
        uint32_t right = 0xffff - add(pseudo(f.data + f.l3, s.version, protocol, header + s.payload), f.data + f.l4,
                                      header + s.payload);
        put16(field, add(right, (const uint8_t[]){ (uint8_t)(off >> 8), (uint8_t)off }, 2));
        f.vnet.flags = 0;
        f.vnet.csum_start = f.vnet.csum_offset = 0;
        CHECK_EQ(pp_split_begin(&split, f.data, f.length, &f.vnet, f.l3, MTU), 3);
        while (pp_split_next(&split, head, &segment) == 1) {
            uint32_t sum = pseudo(head + f.l3, s.version, protocol, header + segment.payload_length);
            sum = add(add(sum, head + f.l4, header), segment.payload, segment.payload_length);
            CHECK_EQ(sum, off ? off : 0xffff);
        }
        free(f.memory);
    }
}

static int begin_cut(const frame *f, uint32_t length, uint32_t l3, uint32_t mtu)
{
    pp_split split;
    uint8_t *copy = malloc(length + 1); /* never of no bytes */
    memcpy(copy + 1, f->data, length);
    int rc = pp_split_begin(&split, copy + 1, length, &f->vnet, l3, mtu);
    free(copy);
    return rc;
}

/* One contradiction each: width bytes of a header overwritten with one value. */
static void test_contradictions_are_refused(void)
{
    enum { ALL = V4 | V6 | TCP | UDP, IP4 = V4 | TCP | UDP, IP6 = V6 | TCP | UDP, ONLY_TCP = V4 | V6 | TCP };
    enum part { IP, L4, VNET };
    enum { TYPE = 1, SIZE = 4, START = 6, OFFSET = 8 }; /* in struct virtio_net_hdr */
    static const struct {
        const char *what;
        int of;
        enum part part;
        uint8_t at, width, byte;
        int want;
    } cases[] = { { "version 5", ALL, IP, 0, 1, 0x55, -EINVAL },
                  { "IP header of 16 bytes", IP4, IP, 0, 1, 0x44, -EINVAL },
                  { "total length beyond the frame", IP4, IP, 2, 1, 0xff, -EINVAL },
                  { "total length within the headers", IP4, IP, 3, 1, 24, -EINVAL },
                  { "more fragments", IP4, IP, 6, 1, 0x20, -EINVAL },
                  { "fragment offset", IP4, IP, 7, 1, 1, -EINVAL },
                  { "protocol ICMP", IP4, IP, 9, 1, 1, -EINVAL },
                  { "UDP for TCP", V4 | TCP, IP, 9, 1, 17, -EINVAL },
                  { "TCP for UDP", V4 | UDP, IP, 9, 1, 6, -EINVAL },
                  { "payload length beyond the frame", IP6, IP, 4, 1, 0xff, -EINVAL },
                  { "payload length within the headers", IP6, IP, 5, 1, 4, -EINVAL },
                  { "next header ICMPv6", IP6, IP, 6, 1, 58, -EINVAL },
                  { "next header fragment", IP6, IP, 6, 1, 44, -EINVAL },
                  { "TCP header of 16 bytes", ONLY_TCP, L4, 12, 1, 0x40, -EINVAL },
                  { "TCP header of none", ONLY_TCP, L4, 12, 1, 0, -EINVAL },
                  { "no GSO", ALL, VNET, TYPE, 1, 0, -EOPNOTSUPP },
                  { "GSO type 2", ALL, VNET, TYPE, 1, 2, -EOPNOTSUPP },
                  { "UFO", ALL, VNET, TYPE, 1, 3, -EOPNOTSUPP },
                  { "GSO type 127", ALL, VNET, TYPE, 1, 127, -EOPNOTSUPP },
                  { "ECN alone", ALL, VNET, TYPE, 1, 128, -EOPNOTSUPP },
                  { "TCPv4 over IPv6", V6 | TCP, VNET, TYPE, 1, 1, -EINVAL },
                  { "TCPv4, but UDP", V4 | UDP, VNET, TYPE, 1, 1, -EINVAL },
                  { "TCPv6 over IPv4", V4 | TCP, VNET, TYPE, 1, 4, -EINVAL },
                  { "UDP, but TCP", ONLY_TCP, VNET, TYPE, 1, 5, -EINVAL },
                  { "gso_size 0", ALL, VNET, SIZE, 2, 0, -EINVAL },
                  { "csum_start 0", ALL, VNET, START, 2, 0, -EINVAL },
                  { "csum_start 65535", ALL, VNET, START, 2, 0xff, -EINVAL },
                  { "csum_offset 0", ALL, VNET, OFFSET, 2, 0, -EINVAL },
                  { "csum_offset 65535", ALL, VNET, OFFSET, 2, 0xff, -EINVAL } };
    for (int variant = 0; variant < 4; variant++) {
        spec s = { .version = variant & 1 ? 6 : 4, .is_udp = variant >> 1, .gso_size = 100, .payload = 150 };
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            if (!(cases[i].of & (variant & 1 ? V6 : V4)) || !(cases[i].of & (s.is_udp ? UDP : TCP)))
                continue;
            frame f = build(&s);
            uint8_t *part = cases[i].part == IP   ? f.data + f.l3
                            : cases[i].part == L4 ? f.data + f.l4
                                                  : (uint8_t *)&f.vnet;
            memset(part + cases[i].at, cases[i].byte, cases[i].width);
            int rc = begin_cut(&f, f.length, f.l3, MTU);
            CHECK_THAT(rc == cases[i].want, "IPv%d %s, %s: %d", s.version, s.is_udp ? "UDP" : "TCP", cases[i].what, rc);
            free(f.memory);
        }
        frame f = build(&s);
        CHECK_EQ(begin_cut(&f, f.length, f.l3, MTU), 2);
        for (uint32_t length = 0; length < f.length; length++) /* the headers promise more */
            CHECK_EQ(begin_cut(&f, length, f.l3, MTU), -EINVAL);
        const uint32_t elsewhere[] = { 0,        f.l3 - 1,     f.l3 + 1,        f.length - 20, f.length - 1,
                                       f.length, f.length + 1, UINT32_MAX - 19, UINT32_MAX };
        for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++)
            CHECK_THAT(begin_cut(&f, f.length, elsewhere[i], MTU) == -EINVAL, "IP header at %u", elsewhere[i]);
        f.vnet.csum_start--, f.vnet.csum_offset++; /* the right field, a wrong start */
        CHECK_EQ(begin_cut(&f, f.length, f.l3, MTU), -EINVAL);
        free(f.memory);
    }
    spec none = { .version = 4, .gso_size = 100 },
         large = { .version = 6, .gso_size = 100, .payload = 150, .extension = 208 };
    frame f = build(&none), g = build(&large);
    CHECK_EQ(begin_cut(&f, f.length, f.l3, MTU), -EINVAL);   /* nothing to split */
    CHECK_EQ(begin_cut(&g, g.length, g.l3, MTU), -EMSGSIZE); /* 14 + 40 + 208 + 20 bytes of header */
    free(f.memory);
    free(g.memory);
}

/* Refused, or cut so that every segment fits its own length field of 16 bits; the loopback device has an MTU of 65536. */
static void test_no_segment_beyond_its_length_field(void)
{
    for (int variant = 0; variant < 8; variant++) {
        spec s = { .version = variant & 1 ? 6 : 4,
                   .is_udp = variant >> 1 & 1,
                   .gso_size = 65535,
                   .payload = 69000,
                   .options = 12,
                   .extension = variant & 1 ? 8 : 0,
                   .jumbo = variant & 1 };
        frame f = build(&s);
        uint8_t head[PP_SPLIT_HEAD];
        pp_split split;
        pp_segment g;
        int rc = pp_split_begin(&split, f.data, f.length, &f.vnet, f.l3, variant & 4 ? 1u << 20 : 65536);
        CHECK_THAT(rc == -EINVAL || rc > 1, "%d", rc);
        while (rc > 0 && pp_split_next(&split, head, &g) == 1)
            CHECK_EQ(get16(head + f.l3 + (s.version == 4 ? 2 : 4)),
                     g.head_length + g.payload_length - f.l3 - (s.version == 4 ? 0 : 40));
        free(f.memory);
    }
}

/* VXLAN with an outer checksum: only a mark that names the inner transport header is followed, whichever byte it names;
 * on a port that the parser does not know too. */
static void test_a_mark_that_points_elsewhere_in_a_tunnel(uint16_t port)
{
    enum { OUTER = 14 + 20 + 8 + 8 };
    spec s = { .version = 4, .gso_size = 100, .payload = 150 };
    frame inner = build(&s), f = { .length = OUTER + inner.length, .l3 = 14, .vnet = inner.vnet };
    f.data = f.memory = calloc(1, f.length);
    if (!f.data)
        exit(1);
    memcpy(f.data + OUTER, inner.data, inner.length);
    memcpy(f.data, inner.data, 14 + 20); /* the inner's addresses do for the outer */
    put16(f.data + 14 + 2, f.length - 14);
    f.data[14 + 9] = 17;
    put16(f.data + 14 + 10, 0);
    put16(f.data + 14 + 10, 0xffff & ~add(0, f.data + 14, 20));
    uint8_t *udp = f.data + 34;
    put16(udp + 2, port);
    put16(udp + 4, f.length - 34);
    put16(udp + 6, 0x1234); /* present, not looked at by the split */
    udp[8] = 8;             /* RFC 7348: the network identifier is valid */
    for (uint32_t start = 0; start < f.length; start++) {
        f.vnet.csum_start = (uint16_t)start;
        int rc = begin_cut(&f, f.length, f.l3, MTU), want = start == OUTER + inner.l4;
        CHECK_THAT(want ? rc == 2 : rc < 0, "checksum from byte %u on: %d", start, rc);
    }
    free(f.memory);
    free(inner.memory);
}

static void test_complete_refuses_a_field_outside(void)
{
    static const uint16_t outside[][2] = { { 100, 0 }, { 99, 0 },    { 98, 1 },    { 0, 99 },
                                           { 0, 100 }, { 65535, 0 }, { 0, 65535 }, { 65535, 65535 } };
    uint8_t *data = calloc(1, 100), zero[100] = { 0 };
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        pp_vnet v = { .flags = 1, .csum_start = outside[i][0], .csum_offset = outside[i][1] };
        CHECK_THAT(pp_complete(data, 100, &v) == -EINVAL, "field at %u + %u of 100", v.csum_start, v.csum_offset);
        CHECK_THAT(memcmp(data, zero, 100) == 0, "written to, though refused");
    }
    free(data);
}

int main(void)
{
    test_split();
    test_udp_computed_zero();
    test_wrong_seed_stays_wrong();
    test_complete_sums();
    test_contradictions_are_refused();
    test_no_segment_beyond_its_length_field();
    test_a_mark_that_points_elsewhere_in_a_tunnel(4789);
    test_a_mark_that_points_elsewhere_in_a_tunnel(5555);
    test_complete_refuses_a_field_outside();
    return DONE;
}
