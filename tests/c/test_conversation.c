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

/* The same with a selective acknowledgment of [left, right) (RFC 2018 section 3). */
static void acknowledge_block(uint32_t from, uint32_t to, uint32_t ack, uint32_t left, uint32_t right, uint64_t ms)
{
    acknowledge(from, to, ack, ms);
    uint8_t *t = memory[0] + 34;
    t[12] = 8 << 4; /* 32 bytes of header: NOP, NOP, kind 5, length 10, one block */
    put(t + 20, 0x0101050a, 4);
    put(t + 24, left, 4);
    put(t + 28, right, 4);
    put(memory[0] + 14 + 2, 52, 2);
    batch.caplen[0] = batch.wirelen[0] = 66;
    batch.checks[0].length = 32;
    CHECK_EQ(pp_stage_track_conversations(&batch, table), 0);
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

static void test_acknowledged_selectively(void)
{
    partial(21, 22, 1000, 60, ACK, 0); /* lost: too long for the path */
    partial(21, 22, 1060, 20, ACK, 1);
    acknowledge_block(22, 21, 1000, 1060, 1080, 10);
    CHECK_EQ(direction(21, 22)->acked, 1);
    acknowledge_block(22, 21, 1000, 1060, 1080, 11); /* nothing new */
    CHECK_EQ(direction(21, 22)->acked, 1);
    partial(21, 22, 1000, 60, ACK, 300);
    partial(21, 22, 1000, 60, ACK, 900);
    CHECK_EQ(direction(21, 22)->in_vain, 2);
    CHECK_EQ(direction(21, 22)->again_shortest, 114);
    CHECK_EQ(direction(21, 22)->passed_longest, 74);
    acknowledge_block(22, 21, 1000, 990, 1050, 901); /* a part of a segment is none */
    CHECK_EQ(direction(21, 22)->acked, 1);
    acknowledge_block(22, 21, 1000, 1060, 1000, 902); /* backwards */
    CHECK_EQ(direction(21, 22)->acked, 1);
}

static void test_blocks_of_complete_segments_prove_nothing(void)
{
    partial(23, 24, 1000, 60, ACK, 0);
    send(23, 24, 1060, 0, ACK, 20, PP_STATUS_GOOD, 0, 1);
    acknowledge_block(24, 23, 1000, 1060, 1080, 10);
    CHECK_EQ(direction(23, 24)->acked, 0);
    send(23, 24, 1000, 0, ACK, 60, PP_STATUS_GOOD, 0, 11); /* a complete copy of what was partial */
    acknowledge_block(24, 23, 900, 1000, 1080, 12);
    CHECK_EQ(direction(23, 24)->acked, 0);
}

static void test_duplicate_acknowledgments_after_later_data(void)
{
    acknowledge(26, 25, 1000, 0);
    acknowledge(26, 25, 1000, 1); /* nothing was sent: perhaps another tap's copy */
    partial(25, 26, 1000, 60, ACK, 2);
    acknowledge(26, 25, 1000, 3); /* what was sent is what it asks for */
    CHECK_EQ(direction(25, 26)->duplicates, 0);
    partial(25, 26, 1060, 20, ACK, 4);
    acknowledge(26, 25, 1000, 5);
    acknowledge(26, 25, 1000, 5); /* a copy */
    CHECK_EQ(direction(25, 26)->duplicates, 1);
    CHECK_EQ(direction(25, 26)->acked, 0);
    CHECK_EQ(direction(25, 26)->passed_longest, 74);

    acknowledge(30, 29, 1000, 0);
    partial(29, 30, 1000, 60, ACK, 2000);
    partial(29, 30, 1060, 20, ACK, 2001);
    send(30, 29, 0, 1000, ACK, 0, PP_STATUS_GOOD, 0, 2002); /* a probe after two seconds of silence */
    CHECK_EQ(direction(29, 30)->duplicates, 0);

    acknowledge(28, 27, 1000, 0);
    partial(27, 28, 1000, 60, ACK, 1);
    send(27, 28, 1060, 0, ACK, 20, PP_STATUS_GOOD, 0, 2); /* that one arrived */
    partial(27, 28, 1080, 20, ACK, 2);
    acknowledge(28, 27, 1000, 3);
    CHECK_EQ(direction(27, 28)->duplicates, 0);
}

static void test_what_came_before_the_first_that_was_seen(void)
{
    partial(31, 32, 1060, 20, ACK, 0);
    partial(31, 32, 1000, 60, ACK, 200); /* earlier bytes, seen once */
    CHECK_EQ(direction(31, 32)->retransmitted, 0);
    acknowledge(32, 31, 1060, 201);
    CHECK_EQ(direction(31, 32)->acked, 1);
}

/* Three interfaces show each segment, over longer than the timer, and nobody is heard to acknowledge. */
static void test_copies_of_other_taps_are_not_sent_again(void)
{
    for (uint32_t i = 0; i < 10; i++)
        for (uint32_t copy = 0; copy < 3; copy++)
            partial(33, 34, 1000 + 20 * i, 20, ACK, 100 * i + copy);
    CHECK_EQ(direction(33, 34)->retransmitted, 0);
    partial(33, 34, 1000, 20, ACK, 1200);
    partial(33, 34, 1000, 20, ACK, 1201);
    CHECK_EQ(direction(33, 34)->retransmitted, 1);
}

/* One direction alone was captured. */
static void test_who_goes_on_after_a_syn_was_answered(void)
{
    partial(35, 36, 1000, 0, SYN, 0);
    send(35, 36, 1001, 77, RST | ACK, 0, PP_STATUS_PENDING, 0, 1); /* gave up */
    CHECK_EQ(direction(35, 36)->acked, 0);
    send(35, 36, 1001, 77, ACK, 0, PP_STATUS_PENDING, 0, 2);
    CHECK_EQ(direction(35, 36)->acked, 1);
    send(35, 36, 1001, 77, ACK, 20, PP_STATUS_PENDING, 0, 3);
    send(35, 36, 1002, 77, ACK, 20, PP_STATUS_PENDING, 0, 4); /* no SYN before it */
    CHECK_EQ(direction(35, 36)->acked, 1);

    partial(39, 40, 1000, 0, SYN, 0);
    send(39, 40, 1001, 77, ACK, 20, PP_STATUS_PENDING, 0, 1); /* data in the segment that shows it */
    CHECK_EQ(direction(39, 40)->acked, 1);
    acknowledge(40, 39, 1021, 2);
    CHECK_EQ(direction(39, 40)->acked, 2);

    partial(37, 38, 1000, 0, SYN, 0);
    send(37, 38, 1000, 0, SYN, 0, PP_STATUS_GOOD, 0, 0); /* completed on the way: that copy was answered */
    send(37, 38, 1001, 77, ACK, 0, PP_STATUS_PENDING, 0, 1);
    CHECK_EQ(direction(37, 38)->acked, 0);
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
    test_acknowledged_selectively();
    test_blocks_of_complete_segments_prove_nothing();
    test_duplicate_acknowledgments_after_later_data();
    test_what_came_before_the_first_that_was_seen();
    test_copies_of_other_taps_are_not_sent_again();
    test_who_goes_on_after_a_syn_was_answered();
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
