/* test_emit.c - the sink on a datagram socket, each message looked at: order is kept, and no wrong sum leaves with the
 * source's mark or becomes right on the way.  Sums are judged by this file's own loop (RFC 1071).
 */
#include "io/emit.h"

#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "columns.h"
#include "check/classify.h"
#include "check/verify.h"

enum {
    PACKETS = 3,
    L3 = 14,
    L4 = 34,
    INNER_L3 = 64,
    INNER_L4 = 84,
    PAYLOAD_AT = 104,
    ROOM = 2048,
    UDP_L4 = 5,
    TCPV4 = 1
};

static struct {
    uint8_t vnet[PP_VNET_LEN], frame[ROOM];
} memory[PACKETS];
static uint8_t got[PP_VNET_LEN + ROOM];
static int ends[2];

static void put16(uint8_t *p, uint32_t v) { p[0] = (uint8_t)(v >> 8), p[1] = (uint8_t)v; }
static uint32_t get16(const uint8_t *p) { return (uint32_t)(p[0] << 8 | p[1]); }

static uint16_t add(uint32_t sum, const uint8_t *p, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* The sum of the datagram at l4 with its pseudo header: 0xffff if its checksum is right. */
static uint16_t total(const uint8_t *f, uint32_t l3, uint32_t length)
{
    return add(f[l3 + 9] + length, f + l3 + 12, 8 + length);
}

static void ip4(uint8_t *f, uint32_t l3, uint8_t protocol, uint32_t length)
{
    memcpy(f + l3, "\x45\0\0\0\0\0\x40\0\x40\0\0\0\x0a\x07\0\x01\x0a\x07\0\x02", 20);
    f[l3 + 9] = protocol;
    put16(f + l3 + 2, 20 + length);
    put16(f + l3 + 10, (uint16_t)~add(0, f + l3, 20));
}

static void mark(pp_batch *b, uint32_t i, pp_vnet v)
{
    b->flags[i] = PP_PKT_METADATA | PP_PKT_VNET;
    if (v.flags)
        b->flags[i] |= PP_PKT_NOT_READY;
    if (v.gso_type)
        b->flags[i] |= PP_PKT_SUPER_FRAME;
    memcpy(memory[i].vnet, &v, sizeof v);
}

/* A UDP datagram whose sum is right; its payload is its number, over and over. */
static void datagram(pp_batch *b, uint32_t i, uint32_t payload)
{
    uint8_t *f = memory[i].frame;
    memset(f, 0, ROOM);
    memset(f + L4 + 8, (int)i, payload);
    put16(f + 12, 0x0800);
    ip4(f, L3, 17, 8 + payload);
    put16(f + L4, 1000), put16(f + L4 + 2, 5000), put16(f + L4 + 4, 8 + payload);
    put16(f + L4 + 6, (uint16_t)~total(f, L3, 8 + payload));
    b->data[i] = f;
    b->caplen[i] = b->wirelen[i] = L4 + 8 + payload;
    b->link[i] = 1;
    mark(b, i, (pp_vnet){ 0 });
}

/* TCP within VXLAN: the inner field holds its seed, the outer one is right for that (local checksum offload). */
static void tunnelled(pp_batch *b, uint32_t payload, uint16_t gso_size)
{
    uint8_t *f = memory[0].frame;
    uint32_t inner = 20 + payload, outer = 8 + 8 + 14 + 20 + inner;
    datagram(b, 0, outer - 8);
    memset(f + L4 + 8, 0, outer - 8);
    put16(f + L4 + 2, 4789);
    f[L4 + 8] = 8;
    put16(f + INNER_L3 - 2, 0x0800);
    ip4(f, INNER_L3, 6, inner);
    f[INNER_L4 + 12] = 0x50, f[INNER_L4 + 13] = 0x10;
    memset(f + PAYLOAD_AT, 0xa5, payload);
    uint16_t seed = add(6 + inner, f + INNER_L3 + 12, 8);
    put16(f + INNER_L4 + 16, (uint16_t)~total(f, INNER_L3, inner));
    put16(f + L4 + 6, 0);
    put16(f + L4 + 6, (uint16_t)~total(f, L3, outer));
    put16(f + INNER_L4 + 16, seed);
    mark(b, 0,
         (pp_vnet){ .flags = 1,
                    .gso_type = gso_size ? TCPV4 : 0,
                    .gso_size = gso_size,
                    .hdr_len = PAYLOAD_AT,
                    .csum_start = INNER_L4,
                    .csum_offset = 16 });
}

static pp_ledger send_all(pp_batch *b, uint32_t count, int coalesce)
{
    pp_ledger ledger = { 0 };
    pp_emit *e = pp_emit_new(ends[0], PACKETS, 1500, 0, coalesce);
    b->count = count;
    pp_stage_verify(b, NULL);
    pp_stage_classify(b, NULL);
    CHECK_EQ(pp_emit_take(b, &ledger, e), 0);
    pp_emit_free(e);
    return ledger;
}

/* The next message; its frame's bytes, or 0 if there is none. */
static uint32_t next(pp_vnet *v)
{
    memset(v, 0xee, sizeof *v);
    ssize_t n = recv(ends[1], got, sizeof got, MSG_DONTWAIT);
    if (n < PP_VNET_LEN)
        return 0;
    memcpy(v, got, sizeof *v);
    return (uint32_t)n - PP_VNET_LEN;
}

static void test_a_split_frame_is_not_overtaken(pp_batch *b)
{
    pp_vnet v;
    for (uint32_t i = 0; i < 3; i++)
        datagram(b, i, 100);
    datagram(b, 1, 150); /* a super-frame with a wrong seed: it is split here */
    mark(b, 1,
         (pp_vnet){
             .flags = 1, .gso_type = UDP_L4, .gso_size = 100, .hdr_len = L4 + 8, .csum_start = L4, .csum_offset = 6 });
    for (uint32_t i = 0; i < 3; i++) /* the kernel joins datagrams whose ids follow */
        put16(memory[i].frame + L3 + 4, i ? 1 : 0), put16(memory[i].frame + L3 + 10, 0),
            put16(memory[i].frame + L3 + 10, (uint16_t)~add(0, memory[i].frame + L3, 20));
    CHECK_EQ(send_all(b, 3, PP_COALESCE_WANT_UDP).sent, 3);
    static const uint8_t order[] = { 0, 1, 1, 2 };
    for (unsigned i = 0; i < sizeof order; i++) {
        CHECK(next(&v) != 0);
        CHECK_EQ(got[PP_VNET_LEN + L4 + 8], order[i]);
    }
    CHECK_EQ(next(&v), 0);
}

static void test_sum_around_a_partial_one(pp_batch *b, uint16_t damage)
{
    pp_vnet v;
    tunnelled(b, 300, 0);
    uint8_t *f = memory[0].frame;
    put16(f + L4 + 6, get16(f + L4 + 6) ^ damage);
    CHECK_EQ(send_all(b, 1, 0).sent, 1);
    CHECK_EQ(next(&v), PAYLOAD_AT + 300);
    CHECK_EQ(v.flags, damage ? 0 : 1);
    CHECK_EQ(memcmp(got + PP_VNET_LEN, f, PAYLOAD_AT + 300), 0);
}

static void test_sums_around_segments(pp_batch *b, uint16_t damage)
{
    pp_vnet v;
    uint32_t length;
    tunnelled(b, 900, 400);
    put16(memory[0].frame + L4 + 6, get16(memory[0].frame + L4 + 6) ^ damage);
    CHECK_EQ(send_all(b, 1, 0).sent_frames, 3);
    for (unsigned i = 0; i < 3; i++) {
        length = next(&v);
        CHECK_EQ(length, PAYLOAD_AT + (i < 2 ? 400u : 100u));
        CHECK_EQ(v.flags, 0);
        CHECK_EQ(total(got + PP_VNET_LEN, INNER_L3, length - INNER_L4), 0xffff);
        CHECK((total(got + PP_VNET_LEN, L3, length - L4) == 0xffff) == !damage);
    }
}

static void test_mark_on_another_field(pp_batch *b, uint16_t damage)
{
    pp_vnet v;
    datagram(b, 0, 100);
    memory[0].frame[L4 + 1] ^= (uint8_t)damage; /* of the port */
    mark(b, 0, (pp_vnet){ .flags = 1, .csum_start = L4 + 8, .csum_offset = 20 });
    CHECK_EQ(send_all(b, 1, 0).sent, 1);
    CHECK_EQ(next(&v), L4 + 108);
    CHECK_EQ(v.flags, 0); /* it would write into payload that is right, or make a receiver take what is not */
}

/* As a file has it: no header before the frame, but a mark that something is partial. */
static void test_mark_of_a_file(pp_batch *b, uint16_t flags, uint16_t damage, int complete)
{
    pp_vnet v;
    pp_ledger ledger = { 0 };
    pp_emit *e = pp_emit_new(ends[0], PACKETS, 1500, complete, 0);
    uint8_t *f = memory[0].frame;
    datagram(b, 0, 101);
    put16(f + L4 + 6, add(17 + 109, f + L3 + 12, 8) ^ damage);
    memset(memory[0].vnet, 0xee, sizeof memory[0].vnet); /* somebody else's bytes */
    b->flags[0] = flags;
    b->vlan_tpid[0] = 0x8100;
    b->count = 1;
    pp_stage_verify(b, NULL);
    pp_stage_classify(b, NULL);
    CHECK_EQ(pp_emit_take(b, &ledger, e), 0);
    CHECK_EQ(ledger.sent, 1);
    pp_emit_free(e);
    uint32_t tag = flags & PP_PKT_VLAN ? 4 : 0;
    int is_marked = (flags & PP_PKT_NOT_READY) && !damage && !complete;
    CHECK_EQ(next(&v), L4 + 109 + tag);
    CHECK_EQ(v.flags, is_marked);
    CHECK_EQ(v.csum_start, is_marked ? L4 + tag : 0);
    CHECK_EQ(v.csum_offset, is_marked ? 6 : 0);
    CHECK_EQ(v.gso_type | v.gso_size, 0);
    CHECK((total(got + PP_VNET_LEN + tag, L3, 109) == 0xffff) == ((flags & PP_PKT_NOT_READY) && !damage && complete));
    for (unsigned i = 0; i < PP_VNET_LEN; i++)
        CHECK_EQ(memory[0].vnet[i], 0xee);
}

int main(void)
{
    pp_batch b = columns(PACKETS);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    test_a_split_frame_is_not_overtaken(&b);
    for (unsigned i = 0; i < 2; i++) {
        test_sum_around_a_partial_one(&b, i ? 0x0140 : 0);
        test_sums_around_segments(&b, i ? 0x0140 : 0);
        test_mark_on_another_field(&b, i ? 0x55 : 0);
    }
    for (unsigned i = 0; i < 16; i++)
        test_mark_of_a_file(&b,
                            (uint16_t)(PP_PKT_METADATA | (i & 1 ? PP_PKT_NOT_READY : 0) | (i & 2 ? PP_PKT_VLAN : 0)),
                            i & 4 ? 0x0140 : 0, i & 8 ? 1 : 0);
    columns_free(&b);
    close(ends[0]), close(ends[1]);
    return DONE;
}
