/* test_sample.c - a few of each cause and no more; flows counted exactly, and the heaviest kept when there are too many. */
#include "observe/sample.h"

#include "check.h"
#include "columns.h"

static uint8_t frames[64][60];

/* count bad UDP packets over IPv4, packet i from port `port(i)`, all of one cause. */
static pp_batch bad(uint32_t count, uint8_t cause, uint16_t first_port, uint32_t ports)
{
    pp_batch b = columns(count);
    b.count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t port = (uint16_t)(first_port + i % ports);
        uint8_t *f = frames[i % 64];
        memset(f, 0, sizeof frames[0]);
        f[26] = 10, f[29] = 1, f[30] = 10, f[33] = 2;
        f[34] = (uint8_t)(port >> 8), f[35] = (uint8_t)port, f[37] = 53;
        b.data[i] = f;
        b.caplen[i] = b.wirelen[i] = 60;
        b.l3[i] = 14, b.l4[i] = 34, b.version[i] = 4, b.protocol[i] = 17;
        b.status[i] = PP_STATUS_BAD;
        b.cause[i] = cause;
        b.time_ns[i] = i;
        b.check_first[i] = i;
        b.check_count[i] = 1;
        b.checks[i].stored = i;
    }
    return b;
}

static void test_some_of_each_cause(void)
{
    pp_sample *s = pp_sample_new();
    pp_sampled out[PP_SAMPLE_MOST];
    pp_batch flood = bad(64, PP_CAUSE_LEAKED, 1000, 1), rare = bad(1, PP_CAUSE_CORRUPT, 2000, 1);
    flood.status[0] = flood.status[2] = PP_STATUS_PENDING;
    for (unsigned turn = 0; turn < 100; turn++)
        pp_stage_sample(&flood, s);
    pp_stage_sample(&rare, s);
    CHECK_EQ(pp_sample_take(s, out), PP_SAMPLE_PER_CAUSE + 1);
    CHECK_EQ(out[0].checks[0].stored, 1); /* the first ones */
    CHECK_EQ(out[1].checks[0].stored, 3);
    CHECK_EQ(out[0].flow.source_port, 1000);
    CHECK_EQ(out[0].flow.target_port, 53);
    CHECK_EQ(out[0].flow.source[3], 1);
    CHECK_EQ(out[PP_SAMPLE_PER_CAUSE].cause, PP_CAUSE_CORRUPT);
    CHECK_EQ(pp_sample_take(s, out), 0);
    pp_stage_sample(&rare, s);
    CHECK_EQ(pp_sample_take(s, out), 1);
    columns_free(&flood);
    columns_free(&rare);
    pp_sample_free(s);
}

static void test_flows_are_exact_and_sorted(void)
{
    pp_sample *s = pp_sample_new();
    pp_bad_flow out[64];
    pp_batch many = bad(60, PP_CAUSE_LEAKED, 1000, 30);
    pp_stage_sample(&many, s);
    pp_batch one = bad(5, PP_CAUSE_CORRUPT, 1007, 1);
    pp_stage_sample(&one, s);
    CHECK_EQ(pp_sample_flows(s, out, 64), 30);
    CHECK_EQ(out[0].flow.source_port, 1007);
    CHECK_EQ(out[0].packets, 7);
    CHECK_EQ(out[0].cause, PP_CAUSE_CORRUPT);
    uint64_t sum = 0;
    for (unsigned i = 0; i < 30; i++) {
        sum += out[i].packets;
        CHECK_EQ(out[i].over, 0);
    }
    CHECK_EQ(sum, 65);
    CHECK_EQ(pp_sample_flows(s, out, 3), 3);
    CHECK_EQ(out[0].packets, 7);
    CHECK_EQ(pp_sample_flows(s, out, 0), 0);
    columns_free(&many);
    columns_free(&one);
    pp_sample_free(s);
}

/* 20,000 flows of one packet, and among them one of 2,000: it is found, and its count is right within `over`. */
static void test_heavy_flow_among_too_many(void)
{
    pp_sample *s = pp_sample_new();
    pp_bad_flow out[1];
    pp_batch heavy = bad(1, PP_CAUSE_LEAKED, 7, 1);
    for (uint32_t turn = 0; turn < 2000; turn++) {
        pp_batch light = bad(10, PP_CAUSE_CORRUPT, (uint16_t)(10000 + turn * 10), 10);
        pp_stage_sample(&light, s);
        heavy.data[0][34] = 0, heavy.data[0][35] = 7;
        pp_stage_sample(&heavy, s);
        columns_free(&light);
    }
    CHECK_EQ(pp_sample_flows(s, out, 1), 1);
    CHECK_EQ(out[0].flow.source_port, 7);
    CHECK(out[0].packets >= 2000 && out[0].packets - out[0].over <= 2000);
    columns_free(&heavy);
    pp_sample_free(s);
}

/* Addresses beyond the captured bytes are not read (the sanitizer is the judge), and count as none. */
static void test_short_frame(void)
{
    pp_sample *s = pp_sample_new();
    pp_bad_flow out[1];
    pp_batch b = bad(1, PP_CAUSE_CORRUPT, 7, 1);
    b.data[0] = malloc(16);
    memset(b.data[0], 0xff, 16);
    b.caplen[0] = 16;
    pp_stage_sample(&b, s);
    CHECK_EQ(pp_sample_flows(s, out, 1), 1);
    CHECK_EQ(out[0].flow.source[0], 0);
    CHECK_EQ(out[0].flow.source_port, 0);
    free(b.data[0]);
    columns_free(&b);
    pp_sample_free(s);
}

int main(void)
{
    test_some_of_each_cause();
    test_flows_are_exact_and_sorted();
    test_heavy_flow_among_too_many();
    test_short_frame();
    return DONE;
}
