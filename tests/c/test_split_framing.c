/* test_split_framing.c - super-frames with lengths outside IP, and with IPv6 jumbograms around or within a tunnel.
 *
 * Rules:
 *   1. Super-frames and the segments they must become were written by scapy, lengths and sums too; the field of a super-frame's
 *      innermost transport holds the seed of scapy's pseudo header.  tests/net/test_framing.py makes some again, live.
 *   2. What is refused differs from one of these by the bytes that the case names.
 */
#include <errno.h>
#include <linux/virtio_net.h>

#include "check.h"
#include <pktmend/split.h>

enum { TCPV4 = 1, TCPV6 = 4, UDP_L4 = 5, SIZE = 4, SEGMENTS = 3, MTU = 1500, ROOM = 4096 };

static const struct {
    const char *name;
    uint32_t l3; /* of the outermost */
    uint16_t csum_start, csum_offset;
    uint8_t gso_type;
    const char *frame, *segments[SEGMENTS]; /* hexadecimal */
} cases[] = {
    { "PPPoE, IPv4, TCP",
      22,
      42,
      16,
      TCPV4,
      "020000000002020000000001886411000003003500214500003300074000400626ae0a0700010a0700029c400050fffffffe000007d05019"
      "2000143600004142434445464748494a4b",
      { "020000000002020000000001886411000003002e00214500002c00074000400626b50a0700010a0700029c400050fffffffe000007d05010"
        "200052da000041424344",
        "020000000002020000000001886411000003002e00214500002c00084000400626b40a0700010a0700029c40005000000002000007d05010"
        "20004acf000045464748",
        "020000000002020000000001886411000003002d00214500002b00094000400626b40a0700010a0700029c40005000000006000007d05019"
        "200043070000494a4b" } },
    { "PPPoE behind a tag, IPv6, UDP",
      26,
      66,
      6,
      UDP_L4,
      "02000000000202000000000181000005886411000003003d00576000000000131140fd070000000000000000000000000001fd0700000000"
      "000000000000000000029c4013880013fa364142434445464748494a4b",
      { "020000000002020000000001810000058864110000030036005760000000000c1140fd070000000000000000000000000001fd0700000000"
        "000000000000000000029c401388000cd17441424344",
        "020000000002020000000001810000058864110000030036005760000000000c1140fd070000000000000000000000000001fd0700000000"
        "000000000000000000029c401388000cc96c45464748",
        "020000000002020000000001810000058864110000030035005760000000000b1140fd070000000000000000000000000001fd0700000000"
        "000000000000000000029c401388000bc1b2494a4b" } },
    { "802.3, SNAP, IPv6, TCP",
      22,
      62,
      16,
      TCPV6,
      "020000000002020000000001004faaaa0300000086dd60000000001f0640fd070000000000000000000000000001fd070000000000000000"
      "0000000000029c400050fffffffe000007d050192000fa3700004142434445464748494a4b",
      { "0200000000020200000000010048aaaa0300000086dd6000000000180640fd070000000000000000000000000001fd070000000000000000"
        "0000000000029c400050fffffffe000007d0501020006cd8000041424344",
        "0200000000020200000000010048aaaa0300000086dd6000000000180640fd070000000000000000000000000001fd070000000000000000"
        "0000000000029c40005000000002000007d05010200064cd000045464748",
        "0200000000020200000000010047aaaa0300000086dd6000000000170640fd070000000000000000000000000001fd070000000000000000"
        "0000000000029c40005000000006000007d0501920005d050000494a4b" } },
    { "802.3, SNAP, PPPoE, IPv4, UDP",
      30,
      50,
      6,
      UDP_L4,
      "0200000000020200000000010037aaaa03000000886411000003002900214500002700074000401126af0a0700010a0700029c4013880013"
      "14354142434445464748494a4b",
      { "0200000000020200000000010030aaaa03000000886411000003002200214500002000074000401126b60a0700010a0700029c401388000c"
        "b77641424344",
        "0200000000020200000000010030aaaa03000000886411000003002200214500002000084000401126b50a0700010a0700029c401388000c"
        "af6e45464748",
        "020000000002020000000001002faaaa03000000886411000003002100214500001f00094000401126b50a0700010a0700029c401388000b"
        "a7b4494a4b" } },
    { "VXLAN in a jumbogram, IPv4, TCP",
      14,
      112,
      16,
      TCPV4,
      "02000000000202000000000186dd6000000000000040fd070000000000000000000000000001fd0700000000000000000000000000021100"
      "c20400000059c35012b50051286b0800000000000500020000000102020000000101080045000033ffff0000400666b10a0900010a090002"
      "9c400050fffffffe000007d050192000143a00004142434445464748494a4b",
      { "02000000000202000000000186dd60000000004a1140fd070000000000000000000000000001fd070000000000000000000000000002c350"
        "12b5004a2872080000000000050002000000010202000000010108004500002cffff0000400666b80a0900010a0900029c400050fffffffe"
        "000007d05010200052d6000041424344",
        "02000000000202000000000186dd60000000004a1140fd070000000000000000000000000001fd070000000000000000000000000002c350"
        "12b5004a2872080000000000050002000000010202000000010108004500002c00000000400666b80a0900010a0900029c40005000000002"
        "000007d0501020004acb000045464748",
        "02000000000202000000000186dd6000000000491140fd070000000000000000000000000001fd070000000000000000000000000002c350"
        "12b500492873080000000000050002000000010202000000010108004500002b00010000400666b80a0900010a0900029c40005000000006"
        "000007d05019200043030000494a4b" } },
    { "802.3 in VXLAN in PPPoE, IPv4, TCP",
      22,
      100,
      16,
      TCPV4,
      "020000000002020000000001886411000003006f00214500006d00074000401126690a0700010a070002c35012b500596077080000000000"
      "0500020000000102020000000101003baaaa03000000080045000033ffff0000400666b10a0900010a0900029c400050fffffffe000007d0"
      "50192000143a00004142434445464748494a4b",
      { "020000000002020000000001886411000003006800214500006600074000401126700a0700010a070002c35012b500526085080000000000"
        "05000200000001020200000001010034aaaa0300000008004500002cffff0000400666b80a0900010a0900029c400050fffffffe000007d0"
        "5010200052d6000041424344",
        "0200000000020200000000018864110000030068002145000066000840004011266f0a0700010a070002c35012b500526085080000000000"
        "05000200000001020200000001010034aaaa0300000008004500002c00000000400666b80a0900010a0900029c40005000000002000007d0"
        "501020004acb000045464748",
        "0200000000020200000000018864110000030067002145000065000940004011266f0a0700010a070002c35012b500516087080000000000"
        "05000200000001020200000001010033aaaa0300000008004500002b00010000400666b80a0900010a0900029c40005000000006000007d0"
        "5019200043030000494a4b" } },
    { "jumbogram in a jumbogram, TCP",
      14,
      110,
      16,
      TCPV6,
      "02000000000202000000000186dd6000000000000040fd070000000000000000000000000001fd0700000000000000000000000000022900"
      "c204000000576000000000000040fd090000000000000000000000000001fd0900000000000000000000000000020600c204000000279c40"
      "0050fffffffe000007d050192000fa3b00004142434445464748494a4b",
      { "02000000000202000000000186dd6000000000402940fd070000000000000000000000000001fd0700000000000000000000000000026000"
        "000000180640fd090000000000000000000000000001fd0900000000000000000000000000029c400050fffffffe000007d0501020006cd4"
        "000041424344",
        "02000000000202000000000186dd6000000000402940fd070000000000000000000000000001fd0700000000000000000000000000026000"
        "000000180640fd090000000000000000000000000001fd0900000000000000000000000000029c40005000000002000007d05010200064c9"
        "000045464748",
        "02000000000202000000000186dd60000000003f2940fd070000000000000000000000000001fd0700000000000000000000000000026000"
        "000000170640fd090000000000000000000000000001fd0900000000000000000000000000029c40005000000006000007d0501920005d01"
        "0000494a4b" } },
    { "jumbogram in GRE with a sum, TCP",
      14,
      90,
      16,
      TCPV6,
      "02000000000202000000000108004500006b00074000402f264d0a0700010a070002800086ddd0da00006000000000000040fd0900000000"
      "00000000000000000001fd0900000000000000000000000000020600c204000000279c400050fffffffe000007d050192000fa3b00004142"
      "434445464748494a4b",
      { "02000000000202000000000108004500005c00074000402f265c0a0700010a070002800086dd92e700006000000000180640fd0900000000"
        "00000000000000000001fd0900000000000000000000000000029c400050fffffffe000007d0501020006cd4000041424344",
        "02000000000202000000000108004500005c00084000402f265b0a0700010a070002800086dd92e700006000000000180640fd0900000000"
        "00000000000000000001fd0900000000000000000000000000029c40005000000002000007d05010200064c9000045464748",
        "02000000000202000000000108004500005b00094000402f265b0a0700010a070002800086dd92e700006000000000170640fd0900000000"
        "00000000000000000001fd0900000000000000000000000000029c40005000000006000007d0501920005d010000494a4b" } },
    { "GRE with a sum in a jumbogram, UDP",
      14,
      90,
      6,
      UDP_L4,
      "02000000000202000000000186dd6000000000000040fd070000000000000000000000000001fd0700000000000000000000000000022f00"
      "c20400000037800008008c38000045000027ffff0000401166b20a0900010a0900029c401388001314394142434445464748494a4b",
      { "02000000000202000000000186dd6000000000282f40fd070000000000000000000000000001fd0700000000000000000000000000028000"
        "08008c31000045000020ffff0000401166b90a0900010a0900029c401388000cb77241424344",
        "02000000000202000000000186dd6000000000282f40fd070000000000000000000000000001fd0700000000000000000000000000028000"
        "08008c3100004500002000000000401166b90a0900010a0900029c401388000caf6a45464748",
        "02000000000202000000000186dd6000000000272f40fd070000000000000000000000000001fd0700000000000000000000000000028000"
        "08008c3000004500001f00010000401166b90a0900010a0900029c401388000ba7b0494a4b" } },
};

enum { IN_PPPOE, IN_TAGGED_PPPOE, IN_SNAP, IN_SNAP_PPPOE, VXLAN_IN_JUMBO, SNAP_IN_VXLAN, JUMBO_IN_JUMBO };

/* One of the cases, to be changed. */
typedef struct frame {
    uint32_t length, l3;
    pp_vnet vnet;
    uint8_t data[ROOM];
} frame;

static uint32_t bytes(const char *hex, uint8_t *to)
{
    uint32_t length = (uint32_t)strlen(hex) / 2;
    for (uint32_t i = 0; i < length; i++) {
        unsigned byte;
        CHECK_EQ(sscanf(hex + (size_t)i * 2, "%2x", &byte), 1);
        to[i] = (uint8_t)byte;
    }
    return length;
}

static frame take(size_t i)
{
    frame f = { .l3 = cases[i].l3,
                .vnet = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                          .gso_type = cases[i].gso_type,
                          .gso_size = SIZE,
                          .csum_start = cases[i].csum_start,
                          .csum_offset = cases[i].csum_offset } };
    f.length = bytes(cases[i].frame, f.data);
    return f;
}

/* Begin to split a copy that ends where its memory does; free it. */
static int begin(pp_split *s, uint8_t **copy, const frame *f, uint32_t mtu)
{
    if (!(*copy = malloc(f->length)))
        exit(1);
    memcpy(*copy, f->data, f->length);
    return pp_split_begin(s, *copy, f->length, &f->vnet, f->l3, mtu);
}

static void check_begin(const char *what, const frame *f, uint32_t mtu, int want, uint32_t size)
{
    uint8_t *copy;
    pp_split s;
    int rc = begin(&s, &copy, f, mtu);
    CHECK_THAT(rc == want, "%s: %d", what, rc);
    CHECK_THAT(rc < 0 || s.payload_size == size, "%s: segments of %u", what, s.payload_size);
    free(copy);
}

static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }

static void test_every_byte_of_every_segment(void)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t want[ROOM], *copy, *head = malloc(PP_SPLIT_HEAD);
        frame f = take(i);
        pp_split s;
        pp_segment g;
        uint32_t n = 0;
        int rc = begin(&s, &copy, &f, MTU);
        CHECK_THAT(rc == SEGMENTS, "%s: %d", cases[i].name, rc);
        for (; rc == SEGMENTS && pp_split_next(&s, head, &g) == 1; n++) {
            uint32_t wanted = bytes(cases[i].segments[n], want);
            CHECK_THAT(g.head_length + g.payload_length == wanted, "%s: segment %u has %u bytes", cases[i].name, n,
                       g.head_length + g.payload_length);
            for (uint32_t at = 0; at < g.head_length && at < wanted; at++)
                CHECK_THAT(g.head[at] == want[at], "%s: segment %u, byte %u: %02x, want %02x", cases[i].name, n, at,
                           g.head[at], want[at]);
            CHECK_THAT(memcmp(g.payload, want + g.head_length, g.payload_length) == 0, "%s: payload %u", cases[i].name,
                       n);
        }
        CHECK_EQ(n, SEGMENTS);
        free(copy);
        free(head);
    }
}

static void test_lengths_that_contradict_are_refused(void)
{
    static const struct {
        const char *what;
        size_t of;
        uint32_t at;
        uint16_t value;
    } wrong[] = { { "PPPoE length 0", IN_PPPOE, 18, 0 },
                  { "PPPoE length one short", IN_PPPOE, 18, 52 },
                  { "PPPoE length beyond the frame", IN_PPPOE, 18, 54 },
                  { "PPPoE behind a tag", IN_TAGGED_PPPOE, 22, 60 },
                  { "802.3 length one short", IN_SNAP, 12, 78 },
                  { "802.3 length beyond the frame", IN_SNAP, 12, 1500 },
                  { "802.3 length around PPPoE", IN_SNAP_PPPOE, 12, 54 },
                  { "PPPoE within 802.3", IN_SNAP_PPPOE, 26, 40 },
                  { "802.3 length within VXLAN", SNAP_IN_VXLAN, 70, 58 } };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        frame f = take(wrong[i].of);
        put16(f.data + wrong[i].at, wrong[i].value);
        check_begin(wrong[i].what, &f, MTU, -EINVAL, 0);
    }
    frame f = take(IN_PPPOE); /* BIG TCP: IPv4 leaves its length to the frame, which is longer than PPPoE says */
    put16(f.data + 18, 52);
    put16(f.data + 24, 0);
    check_begin("BIG TCP in PPPoE", &f, MTU, -EINVAL, 0);
}

/* 802.3 counts no more than 1,500 bytes; an MTU counts what the Ethernet header precedes, PPPoE and LLC too. */
static void test_segments_fit_the_framing_and_the_mtu(void)
{
    frame f = take(IN_SNAP); /* 8 bytes of LLC and SNAP, 40 of IPv6, 20 of TCP */
    f.length = 14 + 1520;
    put16(f.data + 12, 1520);
    put16(f.data + 26, 1520 - 8 - 40);
    f.vnet.gso_size = 1452;
    check_begin("802.3 of 1,520", &f, 9000, -EINVAL, 0);
    check_begin("802.3 of 1,520 to an MTU of 1,500", &f, 1500, 2, 1432);
    f.vnet.gso_size = 1432;
    check_begin("802.3 of 1,500", &f, 9000, 2, 1432);
    f = take(IN_PPPOE); /* 8 bytes of PPPoE and PPP, 20 of IPv4, 20 of TCP */
    f.length = 62 + 3000;
    put16(f.data + 18, 42 + 3000);
    put16(f.data + 24, 40 + 3000);
    f.vnet.gso_size = 1460;
    check_begin("PPPoE to an MTU of 1,500", &f, 1500, 3, 1452);
    check_begin("PPPoE to an MTU of 9,000", &f, 9000, 3, 1460);
}

/* A jumbo payload option that has company: eight bytes of padding behind it, in the header at 54 or at 102. */
static void test_other_hop_by_hop_headers_are_refused(void)
{
    static const struct {
        const char *what;
        size_t of;
        uint32_t at;
    } where[] = { { "outer", VXLAN_IN_JUMBO, 54 },
                  { "outer of two", JUMBO_IN_JUMBO, 54 },
                  { "inner of two", JUMBO_IN_JUMBO, 102 } };
    for (size_t i = 0; i < sizeof where / sizeof where[0]; i++) {
        frame f = take(where[i].of);
        uint8_t *header = f.data + where[i].at;
        memmove(header + 16, header + 8, f.length - where[i].at - 8);
        memcpy(header + 8, "\1\6\0\0\0\0\0\0", 8);
        header[1] = 1;
        f.length += 8;
        f.vnet.csum_start = (uint16_t)(f.vnet.csum_start + 8);
        put16(header + 6, f.length - where[i].at);
        if (where[i].at == 102)
            put16(f.data + 60, f.length - 54);
        check_begin(where[i].what, &f, MTU, -EOPNOTSUPP, 0);
    }
}

static void test_what_cannot_be_written_again_is_refused(void)
{
    frame f = take(VXLAN_IN_JUMBO); /* an authentication header, 8 bytes long, for the jumbo payload header */
    put16(f.data + 18, f.length - 54);
    f.data[20] = 51;
    check_begin("authenticated", &f, MTU, -EOPNOTSUPP, 0);

    f = take(VXLAN_IN_JUMBO); /* GTP-U by its source port: version 1, a G-PDU, right behind UDP and without Ethernet */
    memmove(f.data + 78, f.data + 92, f.length - 92);
    f.length -= 14;
    f.vnet.csum_start = (uint16_t)(f.vnet.csum_start - 14);
    put16(f.data + 60, f.length - 54);
    put16(f.data + 62, 2152), put16(f.data + 64, 9999), put16(f.data + 66, f.length - 62);
    put16(f.data + 70, 0x30ff), put16(f.data + 72, f.length - 78);
    check_begin("GTP-U", &f, MTU, -EOPNOTSUPP, 0);

    f = take(SNAP_IN_VXLAN); /* the same source port, and yet VXLAN */
    put16(f.data + 42, 2152);
    check_begin("VXLAN from 2152", &f, MTU, SEGMENTS, SIZE);
}

int main(void)
{
    test_every_byte_of_every_segment();
    test_lengths_that_contradict_are_refused();
    test_segments_fit_the_framing_and_the_mtu();
    test_other_hop_by_hop_headers_are_refused();
    test_what_cannot_be_written_again_is_refused();
    return DONE;
}
