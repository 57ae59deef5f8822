/* test_repair.c - a tunnel whose own sum was written over a partial inner one: what repair may write, and what not.
 *
 * Rule: which bytes are right is known from this file's own sum (RFC 1071): the frame is completed by hand first, and the
 * inner field put back to its seed afterwards, as local checksum offload leaves it.
 */
#include "check/classify.h"
#include "check/repair.h"
#include "check/verify.h"

#include "check.h"
#include "columns.h"

enum { IP = 14, GRE = 34, INNER_IP = 42, TCP = 62, LENGTH = 102, GRE_FIELD = GRE + 4, TCP_FIELD = TCP + 16 };
enum { TCPV4 = 1 };

static uint8_t memory[PP_VNET_LEN + LENGTH], *const frame = memory + PP_VNET_LEN;
static uint8_t complete[LENGTH], partial[LENGTH];
static pp_batch batch;

static void put(uint8_t *at, unsigned value) { at[0] = (uint8_t)(value >> 8), at[1] = (uint8_t)value; }

static uint16_t sum(const uint8_t *p, unsigned length, uint32_t total)
{
    for (unsigned i = 0; i < length; i += 2)
        total += (uint32_t)p[i] << 8 | p[i + 1];
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return (uint16_t)total;
}

static void ip4(uint8_t *ip, unsigned length, unsigned protocol)
{
    memcpy(ip, "\x45\0\0\0\0\0\x40\0\x40\0\0\0\x0a\x07\0\x01\x0a\x07\0\x02", 20);
    put(ip + 2, length);
    ip[9] = (uint8_t)protocol;
    put(ip + 10, (uint16_t)~sum(ip, 20, 0));
}

/* IPv4, GRE with a checksum, IPv4, TCP with 20 bytes of payload. */
static void build(void)
{
    uint8_t *f = complete;
    uint16_t seed = sum(NULL, 0, 0x0a07 + 1 + 0x0a07 + 2 + 6 + 40);
    memset(f, 0, LENGTH);
    put(f + 12, 0x0800);
    ip4(f + IP, LENGTH - IP, 47);
    put(f + GRE, 0x8000), put(f + GRE + 2, 0x0800);
    ip4(f + INNER_IP, LENGTH - INNER_IP, 6);
    put(f + TCP, 40000), put(f + TCP + 2, 80), put(f + TCP + 12, 0x5010), put(f + TCP + 14, 500);
    memset(f + TCP + 20, 'x', 20);
    put(f + TCP_FIELD, (uint16_t)~sum(f + TCP, LENGTH - TCP, seed));
    put(f + GRE_FIELD, (uint16_t)~sum(f + GRE, LENGTH - GRE, 0));
    memcpy(partial, complete, LENGTH);
    put(partial + TCP_FIELD, seed);
}

/* Judge the partial frame as a source hands it over, and repair it. */
static void repair(uint16_t flags, uint8_t gso_type, uint32_t policy)
{
    uint32_t options = PP_VERIFY_EXPECTED;
    pp_vnet v = {
        .flags = flags & PP_PKT_NOT_READY ? 1 : 0, .gso_type = gso_type, .csum_start = TCP, .csum_offset = 16
    };
    if (gso_type)
        v.gso_size = 10, v.hdr_len = 82;
    memcpy(memory, &v, sizeof v);
    memcpy(frame, partial, LENGTH);
    batch.count = 1;
    batch.data[0] = frame;
    batch.caplen[0] = batch.wirelen[0] = LENGTH;
    batch.link[0] = 1;
    batch.flags[0] = (uint16_t)(flags | (gso_type ? PP_PKT_SUPER_FRAME : 0));
    CHECK_EQ(pp_stage_verify(&batch, &options), 0);
    CHECK_EQ(pp_stage_classify(&batch, NULL), 0);
    CHECK_EQ(batch.check_count[0], 4); /* IP, GRE, IP, TCP */
    CHECK_EQ(batch.checks[1].offset, GRE_FIELD);
    CHECK_EQ(batch.checks[1].cause, PP_CAUSE_INNER_PENDING);
    CHECK_EQ(pp_stage_repair(&batch, &policy), 0);
}

/* One packet: the inner field is completed, and the outer one is right without being touched. */
static void test_completing_the_inner_one_is_all(void)
{
    static const struct {
        uint16_t flags;
        uint32_t policy;
    } cases[] = { { PP_PKT_METADATA | PP_PKT_VNET | PP_PKT_NOT_READY, PP_REPAIR_ALL },
                  { PP_PKT_METADATA | PP_PKT_VNET, PP_REPAIR_LEAKED },
                  { PP_PKT_METADATA | PP_PKT_VNET, PP_REPAIR_ALL },
                  { 0, PP_REPAIR_UNFINISHED } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        repair(cases[i].flags, 0, cases[i].policy);
        CHECK_THAT(memcmp(frame, complete, LENGTH) == 0, "case %zu", i);
        CHECK_THAT(batch.status[0] == PP_STATUS_GOOD, "case %zu: status %u", i, batch.status[0]);
    }
}

/* A super-frame: the seed stays, for each segment gets a sum of its own; an outer sum that is right over the complete
 * packet must not be written over the partial one. */
static void test_a_super_frame_stays_as_it_is(void)
{
    static const uint32_t policies[] = { PP_REPAIR_LEAKED, PP_REPAIR_UNFINISHED, PP_REPAIR_ALL };
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        repair(PP_PKT_METADATA | PP_PKT_VNET | PP_PKT_NOT_READY, TCPV4, policies[i]);
        CHECK_THAT(memcmp(frame, partial, LENGTH) == 0, "policy %u: GRE %02x%02x", policies[i], frame[GRE_FIELD],
                   frame[GRE_FIELD + 1]);
        CHECK_EQ(memory[0], 1); /* the metadata stays too */
    }
}

int main(void)
{
    batch = columns(1);
    build();
    test_completing_the_inner_one_is_all();
    test_a_super_frame_stays_as_it_is();
    columns_free(&batch);
    return DONE;
}
