/* test_ring.c - a ring whose memory contradicts itself is refused; the frame that is right beside it is given out. */
#include "io/ring.h"

#include <errno.h>
#include <linux/if_packet.h>

#include "check.h"
#include "columns.h"

enum { BLOCK = 4096, FIRST = 48, MAC = 96, SLOT = 256 };

static uint8_t memory[BLOCK] __attribute__((aligned(BLOCK)));

static int read_ring(int version, int has_vnet)
{
    pp_batch b = columns(8);
    pp_ring r = { .map = memory,
                  .fd = -1,
                  .version = version,
                  .block_size = BLOCK,
                  .block_count = 1,
                  .frame_size = SLOT,
                  .frame_count = BLOCK / SLOT,
                  .has_vnet = has_vnet };
    int n = pp_ring_next(&r, &b);
    columns_free(&b);
    return n;
}

/* Two packets of 60 bytes; the first one's header is the caller's to damage. */
static struct tpacket3_hdr *fill_v3(void)
{
    memset(memory, 0, sizeof memory);
    struct tpacket_block_desc *d = (void *)memory;
    d->hdr.bh1 = (struct tpacket_hdr_v1){ .block_status = TP_STATUS_USER, .num_pkts = 2, .offset_to_first_pkt = FIRST };
    for (unsigned i = 0; i < 2; i++) {
        struct tpacket3_hdr *h = (void *)(memory + FIRST + i * 512);
        *h = (struct tpacket3_hdr){
            .tp_next_offset = i ? 0 : 512, .tp_snaplen = 60, .tp_len = 60, .tp_status = TP_STATUS_USER, .tp_mac = MAC
        };
    }
    return (void *)(memory + FIRST);
}

static void test_v3(void)
{
    fill_v3();
    CHECK_EQ(read_ring(3, 1), 2);
    fill_v3()->tp_status = TP_STATUS_VLAN_VALID; /* a place that was not filled; what lay there before still does */
    CHECK_EQ(read_ring(3, 1), 1);
    fill_v3()->tp_snaplen = BLOCK - FIRST - MAC + 1;
    CHECK_EQ(read_ring(3, 1), (uint64_t)-EPROTO);
    fill_v3()->tp_snaplen = UINT32_MAX;
    CHECK_EQ(read_ring(3, 1), (uint64_t)-EPROTO);
    for (uint16_t mac = 0; mac < 90; mac++) { /* over its own header or the address behind it */
        fill_v3()->tp_mac = mac;
        CHECK_THAT((read_ring(3, 0) == 2) == (mac >= 68), "frame at %u", mac);
        fill_v3()->tp_mac = mac;
        CHECK_THAT((read_ring(3, 1) == 2) == (mac >= 78), "frame at %u behind a virtio-net header", mac);
    }
    static const uint32_t offsets[] = { 4, 511, 513, BLOCK - FIRST - 8, BLOCK, UINT32_MAX, UINT32_MAX - FIRST + 1 };
    for (unsigned i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        fill_v3()->tp_next_offset = offsets[i];
        CHECK_THAT(read_ring(3, 1) == -EPROTO, "next packet at %u", offsets[i]);
    }
    static const uint32_t firsts[] = { 47, 50, BLOCK - 40, BLOCK, UINT32_MAX };
    for (unsigned i = 0; i < sizeof firsts / sizeof firsts[0]; i++) {
        fill_v3();
        ((struct tpacket_block_desc *)(void *)memory)->hdr.bh1.offset_to_first_pkt = firsts[i];
        CHECK_THAT(read_ring(3, 1) == -EPROTO, "first packet at %u", firsts[i]);
    }
}

/* A block whose one place was not filled (its timer fired just then) goes back at once, and the next is read. */
static void test_v3_block_without_a_packet(void)
{
    enum { HALF = BLOCK / 2 };
    pp_batch b = columns(8);
    pp_ring r = { .map = memory, .fd = -1, .version = 3, .block_size = HALF, .block_count = 2 };
    struct tpacket_block_desc *d = (void *)memory, *second = (void *)(memory + HALF);
    fill_v3()->tp_status = 0;
    d->hdr.bh1.num_pkts = 1;
    CHECK_EQ(pp_ring_next(&r, &b), 0);
    CHECK_EQ(d->hdr.bh1.block_status, TP_STATUS_KERNEL);
    fill_v3();
    memcpy(memory + HALF, memory, HALF);
    d->hdr.bh1.block_status = TP_STATUS_KERNEL;
    CHECK_EQ(pp_ring_next(&r, &b), 2);
    CHECK_EQ(second->hdr.bh1.block_status, TP_STATUS_USER);
    CHECK_EQ(pp_ring_next(&r, &b), 0); /* held, until it is released */
    pp_ring_release(&r);
    CHECK_EQ(second->hdr.bh1.block_status, TP_STATUS_KERNEL);
    columns_free(&b);
}

static struct tpacket2_hdr *fill_v2(void)
{
    memset(memory, 0, sizeof memory);
    struct tpacket2_hdr *h = (void *)memory;
    *h = (struct tpacket2_hdr){ .tp_status = TP_STATUS_USER, .tp_snaplen = 60, .tp_len = 60, .tp_mac = MAC };
    return h;
}

static void test_v2(void)
{
    fill_v2();
    CHECK_EQ(read_ring(2, 1), 1);
    fill_v2()->tp_snaplen = SLOT - MAC + 1;
    CHECK_EQ(read_ring(2, 1), (uint64_t)-EPROTO);
    fill_v2()->tp_snaplen = UINT32_MAX;
    CHECK_EQ(read_ring(2, 1), (uint64_t)-EPROTO);
    for (uint16_t mac = 0; mac < 90; mac++) {
        fill_v2()->tp_mac = mac;
        CHECK_THAT((read_ring(2, 0) == 1) == (mac >= 52), "frame at %u", mac);
        fill_v2()->tp_mac = mac;
        CHECK_THAT((read_ring(2, 1) == 1) == (mac >= 62), "frame at %u behind a virtio-net header", mac);
    }
}

int main(void)
{
    test_v3();
    test_v3_block_without_a_packet();
    test_v2();
    return DONE;
}
