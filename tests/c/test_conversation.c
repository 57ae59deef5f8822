/* test_conversation.c - what becomes of partial segments, where one conversation ends, and what a full table keeps.
 *
 * Rule: the checks are set by hand: whether a checksum is right is not what is tested here.
 */
#include "check.h"
#include "columns.h"
#include "observe/conversation.h"

enum { ROOM = 8, FRAME = 128, MS = 1000000 };
enum { SYN = 2, RST = 4, ACK = 16 };

static uint8_t memory[ROOM][FRAME];
static pp_batch batch;
static pp_conversations *table;

static void put(uint8_t *p, uint32_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

/* One TCP segment from host (10.0.x.x) to host, with a check of that status and cause. */
static void send(uint32_t from, uint32_t to, uint32_t seq, uint32_t ack, uint8_t flags, uint32_t payload,
                 uint8_t status, uint8_t cause, uint64_t ms)
{
    uint8_t *f = memory[0], *h = f + 14, *t = h + 20;
    memset(f, 0, FRAME);
    put(f + 12, 0x0800, 2);
    put(h, 0x45000000 + 40 + payload, 4);
    put(h + 8, 64 << 8 | 6, 2);
    put(h + 12, 0x0a000000 + from, 4);
    put(h + 16, 0x0a000000 + to, 4);
    put(t, from & 0xffff, 2);
    put(t + 2, to & 0xffff, 2);
    put(t + 4, seq, 4);
    put(t + 8, ack, 4);
    put(t + 12, 0x5000u | flags, 2);
    batch.count = 1;
    batch.data[0] = f;
    batch.caplen[0] = batch.wirelen[0] = 54 + payload;
    batch.link[0] = 1;
    batch.number[0]++;
    batch.time_ns[0] = ms * MS;
    batch.l3[0] = 14;
    batch.l4[0] = 34;
    batch.version[0] = 4;
    batch.protocol[0] = 6;
    batch.check_count[0] = 1;
    batch.checks[0] = (pp_check){ .offset = 50,
                                  .start = 34,
                                  .length = 20 + payload,
                                  .proto = PP_PROTO_TCP,
                                  .status = status,
                                  .cause = cause,
                                  .reason = status == PP_STATUS_PENDING ? PP_REASON_NO_METADATA : 0 };
    CHECK_EQ(pp_stage_track_conversations(&batch, table), 0);
}

static void partial(uint32_t from, uint32_t to, uint32_t seq, uint32_t payload, uint8_t flags, uint64_t ms)
{
    send(from, to, seq, 0, flags, payload, PP_STATUS_PENDING, 0, ms);
}

static void acknowledge(uint32_t from, uint32_t to, uint32_t ack, uint64_t ms)
{
    send(from, to, 1, ack, ACK, 0, PP_STATUS_GOOD, 0, ms);
}

/* The direction from -> to. */
static const pp_direction *direction(uint32_t from, uint32_t to)
{
    uint8_t address[4];
    put(address, 0x0a000000 + from, 4);
    for (unsigned i = 0; i < PP_CONVERSATIONS; i++)
        for (unsigned w = 0; table->at[i].is_used && w < 2; w++)
            if (memcmp(table->at[i].address[w], address, 4) == 0 && table->at[i].port[!w] == (to & 0xffff))
                return &table->at[i].direction[w];
    return NULL;
}

static void test_acknowledged(void)
{
    partial(1, 2, 1000, 0, SYN, 0);
    acknowledge(2, 1, 1001, 1);
    acknowledge(2, 1, 1001, 2); /* nothing new */
    partial(1, 2, 1001, 50, ACK, 3);
    acknowledge(2, 1, 1026, 4); /* a part of it, then the rest */
    acknowledge(2, 1, 1051, 5);
    CHECK_EQ(direction(1, 2)->acked, 3);
    CHECK_EQ(direction(1, 2)->retransmitted, 0);
    CHECK_EQ(direction(1, 2)->kind[PP_DIRECTION_PENDING_UNKNOWN], 2);
    CHECK_EQ(direction(2, 1)->acked, 0);
    CHECK_EQ(direction(2, 1)->kind[PP_DIRECTION_GOOD], 4);
}

static void test_again(void)
{
    partial(3, 4, 5000, 0, SYN, 0);
    partial(3, 4, 5000, 0, SYN, 1); /* a second tap's copy */
    CHECK_EQ(direction(3, 4)->retransmitted, 0);
    partial(3, 4, 5000, 0, SYN, 1000);
    partial(3, 4, 5000, 0, SYN, 3000);
    acknowledge(4, 3, 4000, 3001); /* of something older */
    CHECK_EQ(direction(3, 4)->retransmitted, 2);
    CHECK_EQ(direction(3, 4)->acked, 0);
    partial(3, 4, 5000 + (1u << 30), 0, SYN, 9000); /* another connection of the same ports */
    CHECK_EQ(direction(3, 4)->retransmitted, 2);
    acknowledge(4, 3, 5001 + (1u << 30), 9001);
    CHECK_EQ(direction(3, 4)->acked, 1);
}

static void test_sequence_numbers_wrap(void)
{
    partial(5, 6, 0xfffffff0, 32, ACK, 0);
    acknowledge(6, 5, 0x10, 1);
    CHECK_EQ(direction(5, 6)->acked, 1);
}

static void test_complete_copy_is_what_was_acknowledged(void)
{
    partial(7, 8, 100, 20, ACK, 0);
    send(7, 8, 100, 0, ACK, 20, PP_STATUS_GOOD, 0, 0);
    acknowledge(8, 7, 120, 1);
    CHECK_EQ(direction(7, 8)->acked, 0);
}

static void test_bad_packets_prove_nothing(void)
{
    partial(9, 10, 100, 20, ACK, 0);
    send(10, 9, 1, 120, ACK, 0, PP_STATUS_BAD, PP_CAUSE_CORRUPT, 1);
    CHECK_EQ(direction(9, 10)->acked, 0);
    CHECK_EQ(direction(10, 9)->kind[PP_DIRECTION_BAD], 1);
    send(9, 10, 200, 0, ACK, 20, PP_STATUS_BAD, PP_CAUSE_LEAKED, 2);
    send(9, 10, 300, 0, ACK, 20, PP_STATUS_BAD, PP_CAUSE_NEVER_FILLED, 3);
    CHECK_EQ(direction(9, 10)->kind[PP_DIRECTION_LEAKED], 1);
    CHECK_EQ(direction(9, 10)->kind[PP_DIRECTION_NEVER_FILLED], 1);
}

/* Ethernet pads to 60 bytes what it carries: a shorter frame was taken at its sender. */
static void test_frames_below_the_least_of_ethernet_are_counted(void)
{
    static const uint32_t payloads[] = { 0, 5, 6, 7 }; /* 54, 59, 60 and 61 bytes */
    for (unsigned i = 0; i < 4; i++)
        send(15, 16, 1 + i, 0, ACK, payloads[i], PP_STATUS_GOOD, 0, i);
    CHECK_EQ(direction(15, 16)->short_frames, 2);
    batch.link[0] = 101; /* raw IP: nothing pads it */
    batch.caplen[0] = batch.wirelen[0] = 54;
    CHECK_EQ(pp_stage_track_conversations(&batch, table), 0);
    CHECK_EQ(direction(15, 16)->short_frames, 2);
}

static void test_full_table_keeps_what_is_partial(void)
{
    partial(11, 12, 1, 20, ACK, 0);
    for (uint32_t i = 0; i < 20 * PP_CONVERSATIONS; i++)
        send(0x10000 + i, 12, 1, 0, ACK, 20, PP_STATUS_GOOD, 0, 1);
    CHECK(direction(11, 12) != NULL);
    CHECK(table->lost > 10 * PP_CONVERSATIONS);
}

static void test_cut_frames_are_left_out(void)
{
    uint64_t clock = table->clock;
    for (uint32_t cap = 0; cap < 54; cap++) {
        send(13, 14, 1, 0, ACK, 20, PP_STATUS_GOOD, 0, 0);
        uint8_t *exact = malloc(cap ? cap : 1); /* the sanitizer sees one byte too far */
        memcpy(exact, memory[0], cap);
        batch.data[0] = exact;
        batch.caplen[0] = cap;
        pp_stage_track_conversations(&batch, table);
        uint64_t print;
        pp_fingerprints(&batch, &print);
        CHECK_EQ(print, 0);
        free(exact);
    }
    CHECK_EQ(table->clock, clock + 54);
}

int main(void)
{
    batch = columns(ROOM);
    table = pp_conversations_new();
    test_acknowledged();
    test_again();
    test_sequence_numbers_wrap();
    test_complete_copy_is_what_was_acknowledged();
    test_bad_packets_prove_nothing();
    test_cut_frames_are_left_out();
    test_frames_below_the_least_of_ethernet_are_counted();
    test_full_table_keeps_what_is_partial();
    pp_conversations_free(table);
    return DONE;
}
