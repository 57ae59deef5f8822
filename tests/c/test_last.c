/* test_last.c - the last bad packets of a flow, the latest first; other flows and interfaces are others; never more memory. */
#include "observe/sample.h"

#include "check.h"
#include "columns.h"

#define MS UINT64_C(1000000)

/* A UDP packet over IPv4 from 10.0.0.1:port to 10.0.0.2:53, at a time, whose second check is its first bad one. */
static pp_batch bad(uint16_t port, uint64_t time_ns, uint8_t *frame, uint32_t length)
{
    pp_batch b = columns(4);
    memset(frame, 0xa5, length);
    static const uint8_t head[] = { 2, 0, 0, 0, 0, 2,  2,  0, 0, 0,  0, 1, 8, 0,  0x45, 0, 0,
                                    0, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0,    0, 2 };
    memcpy(frame, head, sizeof head);
    frame[16] = (uint8_t)((length - 14) >> 8), frame[17] = (uint8_t)(length - 14);
    frame[34] = (uint8_t)(port >> 8), frame[35] = (uint8_t)port, frame[36] = 0, frame[37] = 53;
    frame[38] = (uint8_t)((length - 34) >> 8), frame[39] = (uint8_t)(length - 34);
    b.count = 1;
    b.data[0] = frame;
    b.caplen[0] = length;
    b.wirelen[0] = length + 1000;
    b.link[0] = 1, b.l3[0] = 14, b.l4[0] = 34, b.version[0] = 4, b.protocol[0] = 17;
    b.status[0] = PP_STATUS_BAD, b.cause[0] = PP_CAUSE_CORRUPT;
    b.time_ns[0] = time_ns;
    b.check_first[0] = 1, b.check_count[0] = 3;
    b.checks[1] = (pp_check){ .status = PP_STATUS_GOOD, .start = 14 };
    b.checks[2] = (pp_check){ .status = PP_STATUS_BAD, .start = 34, .offset = 40, .stored = 0xa5a5 };
    b.checks[3] = (pp_check){ .status = PP_STATUS_BAD, .start = 50, .offset = 66 };
    return b;
}

static void put(pp_sample *s, uint16_t port, uint64_t time_ns, uint32_t length)
{
    uint8_t frame[600];
    pp_batch b = bad(port, time_ns, frame, length);
    pp_stage_sample(&b, s);
    columns_free(&b);
}

static pp_flow flow_from(uint16_t port)
{
    return (pp_flow){ .source = { 10, 0, 0, 1 },
                      .target = { 10, 0, 0, 2 },
                      .source_port = port,
                      .target_port = 53,
                      .version = 4,
                      .protocol = 17 };
}

static void test_the_latest_first_of_each_flow_and_interface(void)
{
    pp_last *last = pp_last_new();
    pp_sample *a = pp_sample_new(), *b = pp_sample_new(), *none = pp_sample_new();
    pp_sample_keep_last(a, last, 1);
    pp_sample_keep_last(b, last, 2);
    pp_last_packet out[PP_LAST_EACH];
    pp_flow flow = flow_from(1000), other = flow_from(1001);
    CHECK_EQ(pp_last_find(last, 1, &flow, out), 0);
    put(none, 1000, 99, 60);
    put(b, 1000, 50, 60);
    for (uint32_t i = 1; i <= 6; i++) {
        put(a, 1000, i * MS, 60 + i);
        CHECK_EQ(pp_last_find(last, 1, &flow, out), i < PP_LAST_EACH ? i : PP_LAST_EACH);
        CHECK_EQ(out[0].time_ns, i * MS);
    }
    for (uint32_t i = 0; i < PP_LAST_EACH; i++)
        CHECK_EQ(out[i].caplen, 66 - i);
    CHECK_EQ(out[0].wirelen, 1066);
    CHECK_EQ(out[0].kept, 66);
    CHECK_EQ(out[0].frame[65], 0xa5);
    CHECK_EQ(out[0].check.stored, 0xa5a5); /* the first bad one */
    CHECK_EQ(pp_last_find(last, 1, &other, out), 0);
    CHECK_EQ(pp_last_find(last, 2, &flow, out), 1);
    CHECK_EQ(out[0].time_ns, 50);
    CHECK_EQ(pp_last_find(last, 0, &flow, out), 0);
    pp_sample_free(a);
    pp_sample_free(b);
    pp_sample_free(none);
    pp_last_free(last);
}

/* Of a flood one each millisecond is kept; of what comes first, and after the clock was set back, all. */
static void test_flood(void)
{
    pp_last *last = pp_last_new();
    pp_sample *s = pp_sample_new();
    pp_sample_keep_last(s, last, 1);
    pp_last_packet out[PP_LAST_EACH];
    pp_flow flow = flow_from(1000);
    for (uint64_t i = 1; i <= 3500; i++)
        put(s, 1000, 9 * MS + i * 1000, 60);
    CHECK_EQ(pp_last_find(last, 1, &flow, out), PP_LAST_EACH);
    CHECK_EQ(out[0].time_ns, 9 * MS + 3004 * 1000);
    CHECK_EQ(out[1].time_ns, 9 * MS + 2004 * 1000);
    CHECK_EQ(out[2].time_ns, 9 * MS + 1004 * 1000);
    CHECK_EQ(out[3].time_ns, 9 * MS + 4 * 1000);
    put(s, 1000, 5 * MS, 60);
    pp_last_find(last, 1, &flow, out);
    CHECK_EQ(out[0].time_ns, 5 * MS);
    pp_sample_free(s);
    pp_last_free(last);
}

/* Of a long frame only the beginning is kept, and its header is found in that. */
static void test_first_bytes_and_the_header_of_the_check(void)
{
    pp_last *last = pp_last_new();
    pp_sample *s = pp_sample_new();
    pp_sample_keep_last(s, last, 1);
    pp_last_packet out[PP_LAST_EACH];
    pp_layer layer;
    pp_flow flow = flow_from(1000);
    put(s, 1000, 1, 600);
    CHECK_EQ(pp_last_find(last, 1, &flow, out), 1);
    CHECK_EQ(out[0].kept, PP_LAST_BYTES);
    CHECK_EQ(out[0].caplen, 600);
    CHECK_EQ(pp_last_layer(&out[0], &layer), 1);
    CHECK_EQ(layer.l3, 14);
    CHECK_EQ(layer.version, 4);
    out[0].check.start = 13; /* before any IP header */
    CHECK_EQ(pp_last_layer(&out[0], &layer), 0);
    out[0].check.start = 34;
    out[0].kept = 20; /* cut within it */
    CHECK_EQ(pp_last_layer(&out[0], &layer), 0);
    pp_sample_free(s);
    pp_last_free(last);
}

/* A flow that goes on is not forgotten for 20,000 others; one that does not is. */
static void test_quiet_flows_are_forgotten(void)
{
    pp_last *last = pp_last_new();
    pp_sample *s = pp_sample_new();
    pp_sample_keep_last(s, last, 1);
    pp_last_packet out[PP_LAST_EACH];
    pp_flow quiet = flow_from(1), busy = flow_from(2);
    uint64_t now = 1;
    put(s, 1, now++, 60);
    for (uint16_t port = 10000; port < 30000; port++) {
        if (port % 100 == 0)
            put(s, 2, now++, 60);
        put(s, port, now++, 60);
    }
    CHECK_EQ(pp_last_find(last, 1, &quiet, out), 0);
    CHECK_EQ(pp_last_find(last, 1, &busy, out), PP_LAST_EACH);
    pp_sample_free(s);
    pp_last_free(last);
}

int main(void)
{
    test_the_latest_first_of_each_flow_and_interface();
    test_flood();
    test_first_bytes_and_the_header_of_the_check();
    test_quiet_flows_are_forgotten();
    return DONE;
}
