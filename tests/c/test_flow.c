/* test_flow.c - witnesses of address translation: what is proof, what is not, and for how long it is remembered.
 *
 * Rule: every checksum here is made by total(), 16 bits at a time in network order as RFC 1071 section 1 has it, and every
 * update by update(), equation 3 of RFC 1624.  Neither shares a line with the engine.
 */
#include "check.h"
#include "columns.h"
#include "check/witness.h"
#include "check/classify.h"
#include "check/verify.h"

enum { ROOM = 4096, FRAME = 128, TCP = 6, UDP = 17 };
enum { SYN = 2, ACK = 16 };

typedef struct packet {
    uint8_t protocol;
    uint32_t source, target;
    uint16_t source_port, target_port;
    uint32_t sequence, acknowledged;
    uint8_t flags;
    uint32_t payload; /* bytes, made from seed */
    uint32_t seed;
} packet;

static uint8_t memory[ROOM][FRAME];
static pp_batch batch;

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint16_t total(const uint8_t *p, uint32_t length, uint32_t sum)
{
    for (uint32_t i = 0; i < length; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    return fold(sum);
}

/* RFC 1624 [Eqn. 3]: HC' = ~(~HC + ~m + m') */
static uint16_t update(uint16_t hc, uint16_t m, uint16_t now)
{
    return (uint16_t)~fold((uint32_t)(uint16_t)~hc + (uint16_t)~m + now);
}

static uint16_t update32(uint16_t hc, uint32_t m, uint32_t now)
{
    return update(update(hc, (uint16_t)(m >> 16), (uint16_t)(now >> 16)), (uint16_t)m, (uint16_t)now);
}

static void put(uint8_t *p, uint32_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

static uint8_t *field(uint32_t i, const packet *p) { return memory[i] + 34 + (p->protocol == TCP ? 16 : 6); }

/* Write p as packet i of the batch; returns its right checksum, which is also what it carries. */
static uint16_t write_packet(uint32_t i, const packet *p)
{
    uint8_t *f = memory[i], *h = f + 14, *t = h + 20;
    uint32_t header = p->protocol == TCP ? 20 : 8, length = header + p->payload;
    memset(f, 0, FRAME);
    put(f + 12, 0x0800, 2);
    put(h, 0x45000000 + 20 + length, 4);
    put(h + 8, 64, 1);
    put(h + 9, p->protocol, 1);
    put(h + 12, p->source, 4);
    put(h + 16, p->target, 4);
    put(h + 10, (uint16_t)~total(h, 20, 0), 2);
    put(t, p->source_port, 2);
    put(t + 2, p->target_port, 2);
    if (p->protocol == TCP) {
        put(t + 4, p->sequence, 4);
        put(t + 8, p->acknowledged, 4);
        put(t + 12, 0x5000u | p->flags, 2);
    } else {
        put(t + 4, length, 2);
    }
    for (uint32_t j = 0; j < p->payload; j++)
        t[header + j] = (uint8_t)((p->seed + j) * 2654435761u >> 24);
    uint16_t right = (uint16_t)~total(t, length, total(h + 12, 8, p->protocol + length));
    if (right == 0 && p->protocol == UDP)
        right = 0xffff;
    put(field(i, p), right, 2);
    batch.data[i] = f;
    batch.caplen[i] = batch.wirelen[i] = 34 + length;
    batch.link[i] = 1;
    batch.flags[i] = PP_PKT_METADATA;
    return right;
}

static void store(uint32_t i, const packet *p, uint16_t value) { put(field(i, p), value, 2); }

/* Judge and classify the first count packets. */
static void classify(pp_witnesses *flow, uint32_t count)
{
    batch.count = count;
    for (uint32_t i = 0; i < count; i++)
        batch.flags[i] = PP_PKT_METADATA;
    CHECK_EQ(pp_stage_verify(&batch, NULL), 0);
    CHECK_EQ(pp_stage_classify(&batch, flow), 0);
}

static const packet inside = { TCP, 0x0a070001, 0xc6336407, 40000, 443, 0x12345678, 0x9abcdef0, ACK, 37, 5 };

static packet translated(const packet *p, uint32_t source, uint16_t port)
{
    packet q = *p;
    q.source = source;
    q.source_port = port;
    return q;
}

static void test_twin_is_a_witness_and_nothing_else_is(void)
{
    packet outside = translated(&inside, 0xcb007109, 61234), other = outside;
    other.sequence++; /* the same stream, another segment */
    uint16_t right = write_packet(0, &inside);
    uint16_t port_only = update(right, inside.source_port, outside.source_port);
    uint16_t address_only = update32(right, inside.source, outside.source);
    uint16_t twice = update(update32(write_packet(1, &outside), inside.source, outside.source), inside.source_port,
                            outside.source_port);
    uint16_t wrong[] = { right, port_only, address_only, twice };
    for (unsigned n = 0; n < 4; n++) {
        pp_witnesses *flow = pp_witnesses_new();
        CHECK_THAT(wrong[n] != write_packet(1, &outside), "case %u", n);
        store(1, &outside, wrong[n]);
        classify(flow, 2);
        CHECK_EQ(batch.status[0], PP_STATUS_GOOD);
        CHECK_EQ(batch.cause[1], PP_CAUSE_NAT_DELTA);
        classify(NULL, 2); /* without a table nobody has seen anything */
        CHECK(batch.cause[1] == PP_CAUSE_CORRUPT || batch.cause[1] == PP_CAUSE_BIT_FLIP);
        pp_witnesses_free(flow);
        flow = pp_witnesses_new();
        write_packet(1, &other);
        store(1, &other, (uint16_t)(wrong[n] - 1)); /* its sequence number is one more */
        classify(flow, 2);
        CHECK(batch.cause[1] == PP_CAUSE_CORRUPT || batch.cause[1] == PP_CAUSE_BIT_FLIP);
        pp_witnesses_free(flow);
    }
}

static void test_witness_may_come_after_within_a_batch(void)
{
    pp_witnesses *flow = pp_witnesses_new();
    packet outside = translated(&inside, 0xcb007109, 61234);
    uint16_t right = write_packet(1, &inside);
    write_packet(0, &outside);
    store(0, &outside, right);
    classify(flow, 2);
    CHECK_EQ(batch.cause[0], PP_CAUSE_NAT_DELTA);
    pp_witnesses_free(flow);
}

static void test_damaged_twin_is_no_witness(void)
{
    pp_witnesses *flow = pp_witnesses_new();
    packet outside = translated(&inside, 0xcb007109, 61234);
    uint16_t right = write_packet(0, &inside);
    write_packet(1, &outside);
    memory[1][34 + 20 + 9] ^= 0x55; /* the payload is not that of the twin any more */
    store(1, &outside, right);
    classify(flow, 2);
    CHECK_EQ(batch.cause[1], PP_CAUSE_CORRUPT);
    pp_witnesses_free(flow);
}

/* The same numbers, flags and length around another payload: no twin, although stored is right for the old address. */
static void test_twin_of_another_payload_is_no_witness(void)
{
    pp_witnesses *flow = pp_witnesses_new();
    packet other = inside;
    other.seed++;
    packet outside = translated(&other, 0xcb007109, 61234);
    uint16_t right = write_packet(0, &other);
    write_packet(0, &inside);
    write_packet(1, &outside);
    store(1, &outside, right);
    classify(flow, 2);
    CHECK_EQ(batch.cause[1], PP_CAUSE_CORRUPT);
    pp_witnesses_free(flow);
}

/* One bit of an address, the IPv4 header not updated: damage on the way is the simpler explanation. */
static void test_flipped_address_bit_is_no_translation(void)
{
    pp_witnesses *flow = pp_witnesses_new();
    write_packet(0, &inside);
    write_packet(1, &inside);
    memory[1][14 + 15] ^= 0x02;
    classify(flow, 2);
    CHECK_EQ(batch.checks[batch.check_first[1]].cause, PP_CAUSE_BIT_FLIP);
    CHECK_EQ(batch.checks[batch.check_first[1] + 1].cause, PP_CAUSE_BIT_FLIP);
    pp_witnesses_free(flow);
}

/* A:40000 -> V:443; the answer comes from R:443 with the checksum that it had for V: the address was restored halfway. */
static void test_other_direction_is_a_witness_within_its_sequence_numbers(void)
{
    packet answer = {
        TCP, 0x0a090909, inside.source, 443, 40000, inside.acknowledged, inside.sequence + 37, ACK, 50, 9
    };
    packet as_asked = answer;
    as_asked.source = inside.target;
    for (unsigned is_stranger = 0; is_stranger < 2; is_stranger++) {
        pp_witnesses *flow = pp_witnesses_new();
        write_packet(0, &inside);
        if (is_stranger)
            answer.acknowledged = as_asked.acknowledged = inside.sequence + 0x40000000;
        uint16_t right = write_packet(1, &as_asked);
        write_packet(1, &answer);
        store(1, &answer, right);
        classify(flow, 2);
        CHECK_EQ(batch.cause[1], is_stranger ? PP_CAUSE_CORRUPT : PP_CAUSE_NAT_DELTA);
        pp_witnesses_free(flow);
    }
}

/* Both sides of a translation were seen and right; of a later segment only the far side is seen, with the near side's sum. */
static void test_address_before_the_last_one_is_remembered(void)
{
    pp_witnesses *flow = pp_witnesses_new();
    packet near_side = { TCP, inside.target, 0xcb007109, 443, 40000, 5000, 7000, ACK, 50, 9 }, far_side = near_side;
    far_side.target = 0x0a070001;
    write_packet(0, &near_side);
    write_packet(1, &far_side);
    near_side.sequence = far_side.sequence += 50;
    uint16_t right = write_packet(2, &near_side);
    write_packet(2, &far_side);
    store(2, &far_side, right);
    classify(flow, 3);
    CHECK_EQ(batch.cause[2], PP_CAUSE_NAT_DELTA);
    pp_witnesses_free(flow);
}

static const packet tunnel = { UDP, 0x0a070001, 0x0a070002, 50000, 4790, 0, 0, 0, 40, 3 };

static void test_zero_of_the_twin_updated_once_or_twice(void)
{
    packet outside = translated(&tunnel, 0xac100005, 33333);
    uint16_t once = update(update32(0, tunnel.source, outside.source), tunnel.source_port, outside.source_port);
    uint16_t twice = update(update32(once, tunnel.source, outside.source), tunnel.source_port, outside.source_port);
    uint16_t wrong[] = { once, twice, update32(0, tunnel.source, outside.source), 0xffff };
    for (unsigned n = 0; n < 4; n++) {
        pp_witnesses *flow = pp_witnesses_new();
        write_packet(0, &tunnel);
        store(0, &tunnel, 0);
        write_packet(1, &outside);
        store(1, &outside, wrong[n]);
        classify(flow, 2);
        CHECK_EQ(batch.status[0], PP_STATUS_ABSENT);
        CHECK_EQ(batch.cause[1], PP_CAUSE_NAT_ON_ZERO);
        store(1, &outside, (uint16_t)(wrong[n] ^ 0x1801));
        pp_witnesses_free(flow);
        flow = pp_witnesses_new();
        classify(flow, 2);
        CHECK(batch.cause[1] != PP_CAUSE_NAT_ON_ZERO);
        pp_witnesses_free(flow);
    }
}

/* One value over payloads whose right sums differ; batch by batch, so that what is known at each is seen. */
static uint8_t repeated(uint16_t value, unsigned times, unsigned contents, unsigned has_lengths, unsigned has_zero)
{
    pp_witnesses *flow = pp_witnesses_new();
    packet p = tunnel;
    if (has_zero) {
        p.source_port++;
        write_packet(1, &p);
        store(1, &p, 0);
        p.source_port--;
    }
    for (unsigned n = 0; n < times; n++) {
        p.seed = 100 * (n % contents) + 1;
        p.payload = 40 + (has_lengths ? 3 * (n % contents) : 0);
        CHECK(write_packet(0, &p) != value);
        store(0, &p, value);
        classify(flow, has_zero ? 2 : 1);
    }
    pp_witnesses_free(flow);
    return batch.cause[0];
}

static void test_repetition_needs_right_sums_that_differ(void)
{
    CHECK_EQ(repeated(0x35a7, 1, 1, 1, 0), PP_CAUSE_CORRUPT);
    CHECK_EQ(repeated(0x35a7, 2, 2, 1, 0), PP_CAUSE_CORRUPT);
    CHECK_EQ(repeated(0x35a7, 3, 3, 1, 0), PP_CAUSE_NAT_ON_ZERO);
    CHECK_EQ(repeated(0x35a7, 9, 9, 0, 0), PP_CAUSE_CORRUPT); /* of one length: may be a seed that was translated */
    CHECK_EQ(repeated(0xffff, 2, 2, 0, 0), PP_CAUSE_CORRUPT);
    CHECK_EQ(repeated(0xffff, 3, 3, 0, 0), PP_CAUSE_NAT_ON_ZERO);
    CHECK_EQ(repeated(0x35a7, 1, 1, 0, 1), PP_CAUSE_CORRUPT);
    CHECK_EQ(repeated(0x35a7, 2, 2, 0, 1), PP_CAUSE_NAT_ON_ZERO);
    CHECK_EQ(repeated(0x35a7, 8, 2, 1, 0), PP_CAUSE_CORRUPT); /* two take turns: not more for it */
    CHECK_EQ(repeated(0xffff, 8, 2, 0, 0), PP_CAUSE_CORRUPT);
    pp_witnesses *flow = pp_witnesses_new();
    for (unsigned n = 0; n < 9; n++) { /* the same datagram again and again proves nothing */
        write_packet(0, &tunnel);
        store(0, &tunnel, 0x35a7);
        classify(flow, 1);
        CHECK_EQ(batch.cause[0], PP_CAUSE_CORRUPT);
    }
    pp_witnesses_free(flow);
}

/* A good segment in one batch, its translated twin in the next: remembered if it is a SYN, or once something was amiss. */
static void test_sleeps_until_something_is_amiss(void)
{
    for (unsigned n = 0; n < 3; n++) {
        pp_witnesses *flow = pp_witnesses_new();
        packet before = inside;
        if (n == 1) {
            before.flags = SYN;
            before.acknowledged = 0;
        }
        if (n == 2) {
            packet amiss = translated(&inside, 0x01020304, 77);
            amiss.sequence ^= 0x5a5a5a5a;
            write_packet(0, &amiss);
            store(0, &amiss, 0x4321);
            classify(flow, 1);
            CHECK_EQ(batch.cause[0], PP_CAUSE_CORRUPT);
        }
        packet after = translated(&before, 0xcb007109, 61234);
        uint16_t right = write_packet(0, &before);
        classify(flow, 1);
        write_packet(0, &after);
        store(0, &after, right);
        classify(flow, 1);
        CHECK_EQ(batch.cause[0], n ? PP_CAUSE_NAT_DELTA : PP_CAUSE_CORRUPT);
        pp_witnesses_free(flow);
    }
}

/* Far more flows than there is room for: the newest are known, the oldest forgotten, and nothing is named by mistake. */
static void test_table_is_bounded_and_the_newest_wins(void)
{
    pp_witnesses *flow = pp_witnesses_new();
    packet p = inside, outside;
    uint32_t count = ROOM - 1, known = 0, forgotten = 0;
    write_packet(0, &p);
    store(0, &p, 0x4321);
    classify(flow, 1);
    for (uint32_t round = 0; round < 8; round++) {
        for (uint32_t i = 0; i < count; i++) {
            p.source = 0x0a000000 + round * 65536 + i;
            p.sequence = 7919 * (round * count + i);
            write_packet(i, &p);
        }
        classify(flow, count);
    }
    p = inside;
    for (unsigned is_old = 0; is_old < 2; is_old++)
        for (uint32_t i = 0; i < 64; i++) {
            uint32_t round = is_old ? 0 : 7, n = is_old ? i : count - 1 - i;
            p.source = 0x0a000000 + round * 65536 + n;
            p.sequence = 7919 * (round * count + n);
            outside = translated(&p, 0xcb007109, 61234);
            uint16_t right = write_packet(0, &p);
            write_packet(0, &outside);
            store(0, &outside, right);
            classify(flow, 1);
            if (batch.cause[0] == PP_CAUSE_NAT_DELTA)
                is_old ? forgotten-- : known++;
            if (is_old)
                forgotten++;
        }
    CHECK_THAT(known >= 60, "%u of 64 known", known);
    CHECK_THAT(forgotten >= 60, "%u of 64 forgotten", forgotten);
    pp_witnesses_free(flow);
}

/* Random damage among good segments of the same streams: what is named must stay as rare as a coincidence of 16 bits. */
static void test_noise_is_not_named(void)
{
    pp_witnesses *flow = pp_witnesses_new();
    uint32_t state = 1, named = 0, bad = 0;
    for (uint32_t round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 1000; i++) {
            packet p = i & 1 ? inside : tunnel;
            p.source = 0x0a070000 + i % 7;
            p.sequence += 37 * i;
            p.seed = i;
            write_packet(i, &p);
            state = state * 1664525u + 1013904223u;
            if (i % 3 == 0)
                store(i, &p, (uint16_t)(state >> 16));
        }
        classify(flow, 1000);
        for (uint32_t i = 0; i < 1000; i += 3) {
            bad += batch.status[i] == PP_STATUS_BAD;
            named += batch.cause[i] == PP_CAUSE_NAT_DELTA || batch.cause[i] == PP_CAUSE_NAT_ON_ZERO;
        }
    }
    CHECK_THAT(bad > 6000, "%u bad", bad);
    CHECK_THAT(named <= 3, "%u of %u named", named, bad);
    pp_witnesses_free(flow);
}

int main(void)
{
    batch = columns(ROOM);
    test_twin_is_a_witness_and_nothing_else_is();
    test_witness_may_come_after_within_a_batch();
    test_damaged_twin_is_no_witness();
    test_twin_of_another_payload_is_no_witness();
    test_flipped_address_bit_is_no_translation();
    test_address_before_the_last_one_is_remembered();
    test_other_direction_is_a_witness_within_its_sequence_numbers();
    test_zero_of_the_twin_updated_once_or_twice();
    test_repetition_needs_right_sums_that_differ();
    test_sleeps_until_something_is_amiss();
    test_table_is_bounded_and_the_newest_wins();
    test_noise_is_not_named();
    return DONE;
}
