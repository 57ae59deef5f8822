/* test_guard.c - stages that fail, lie and scribble: no count is lost, nothing runs off, policies hold. */
#include "run/guard.h"

#include <errno.h>

#include "offload/coalesce.h"
#include "run/loop.h"
#include "check/tally.h"
#include "check/verify.h"
#include "check.h"
#include "columns.h"

enum { PACKETS = 8, OFFSET_L3 = 14, OFFSET_L4 = 34, LENGTH = 74 };

static uint8_t frames[PACKETS][LENGTH];
static pp_batch batch;
static pp_guard guard;

/* RFC 1071, straight. */
static uint16_t sum(const uint8_t *p, unsigned length, uint32_t total)
{
    for (unsigned i = 0; i < length; i += 2)
        total += (uint32_t)p[i] << 8 | p[i + 1];
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return (uint16_t)~total;
}

static void put(uint8_t *at, unsigned value) { at[0] = (uint8_t)(value >> 8), at[1] = (uint8_t)value; }

/* TCP over IPv4, consecutive segments of 20 bytes of payload, every sum right. */
static void fill(void)
{
    batch.count = PACKETS;
    batch.checks_used = 0;
    for (unsigned i = 0; i < PACKETS; i++) {
        uint8_t *f = frames[i], *ip = f + OFFSET_L3, *tcp = f + OFFSET_L4;
        memset(f, 0, LENGTH);
        put(f + 12, 0x0800);
        memcpy(ip, "\x45\x00\x00\x3c\x00\x00\x40\x00\x40\x06\x00\x00\x0a\x07\x00\x01\x0a\x07\x00\x02", 20);
        put(ip + 4, i);
        put(ip + 10, sum(ip, 20, 0));
        put(tcp, 40000);
        put(tcp + 2, 80);
        put(tcp + 6, 20 * i);
        put(tcp + 12, 0x5010);
        put(tcp + 14, 500);
        put(tcp + 16, sum(tcp, 40, 0x0a07 + 0x0001 + 0x0a07 + 0x0002 + 6 + 40));
        batch.data[i] = f;
        batch.caplen[i] = batch.wirelen[i] = LENGTH;
        batch.link[i] = 1;
        batch.flags[i] = batch.verdict[i] = batch.drop[i] = 0;
    }
    pp_stage_verify(&batch, NULL);
}

static int raises(pp_batch *b, void *context)
{
    (void)context;
    b->verdict[2] = PP_VERDICT_DROP;
    return -EPERM;
}

/* Gives another reason to what an earlier stage has dropped, drops one more, and fails. */
static int rewrites_reasons(pp_batch *b, void *context)
{
    (void)context;
    b->drop[5] = PP_DROP_UNSPLITTABLE;
    b->verdict[6] = PP_VERDICT_DROP;
    b->drop[6] = PP_DROP_UNSPLITTABLE;
    return -EPERM;
}

static int shouts(pp_batch *b, void *context)
{
    memset(*(int *)context == 0   ? b->verdict
           : *(int *)context == 1 ? b->drop
           : *(int *)context == 2 ? b->status
                                  : b->cause,
           0xff, b->count);
    return 0;
}

static int grows(pp_batch *b, void *context)
{
    (void)context;
    b->count = 1u << 30;
    b->capacity = 0;
    b->checks_used = UINT32_MAX;
    b->data = NULL;
    b->verdict = NULL;
    b->tally = (pp_tally *)8;
    return 0;
}

static int drops_one(pp_batch *b, void *context)
{
    (void)context;
    b->verdict[1] = PP_VERDICT_DROP;
    return 7; /* not negative: fine */
}

static int shortens_header(pp_batch *b, void *context)
{
    for (uint32_t i = 0; i < b->count; i++) {
        b->data[i][OFFSET_L4 + 12] = 0; /* a TCP header of 0 bytes */
        if (context)
            b->flags[i] |= PP_PKT_EDITED;
    }
    return 0;
}

/* Leaves the TCP checksum to hardware, as a sender does: the pseudo-header sum in the field, and a mark that says so. */
static int leaves_to_hardware(pp_batch *b, void *context)
{
    pp_vnet v = { .flags = 1, .csum_start = OFFSET_L4, .csum_offset = 16 };
    uint16_t seed = (uint16_t)~sum(b->data[0], 0, 0x0a07 + 0x0001 + 0x0a07 + 0x0002 + 6 + 40);
    put(b->data[0] + OFFSET_L4 + 16, seed + *(unsigned *)context);
    memcpy(b->data[0] - PP_VNET_LEN, &v, sizeof v);
    b->flags[0] |= PP_PKT_EDITED;
    return 0;
}

static int finishes(pp_batch *b, void *context)
{
    (void)context;
    memset(b->data[0] - PP_VNET_LEN, 0, PP_VNET_LEN);
    put(b->data[0] + OFFSET_L4 + 16, 0);
    put(b->data[0] + OFFSET_L4 + 16, sum(b->data[0] + OFFSET_L4, 40, 0x0a07 + 0x0001 + 0x0a07 + 0x0002 + 6 + 40));
    b->flags[0] |= PP_PKT_EDITED;
    return 0;
}

static void use(pp_stage_fn *run, void *context, int on_error)
{
    fill();
    guard.run = run;
    guard.context = context;
    guard.on_error = on_error;
    guard.calls = guard.errors = guard.ns = 0;
    guard.fault = 0;
}

/* What a loop does with a batch: every packet in one counter, and the tally adds up. */
static void account(uint64_t want_drops, uint64_t want_reason, unsigned reason)
{
    pp_ledger ledger = { 0 };
    pp_tally tally = { 0 };
    batch.tally = &tally;
    CHECK_EQ(pp_stage_count(&batch, NULL), 0);
    CHECK_EQ(pp_null_take(&batch, &ledger, NULL), 0);
    uint64_t drops = 0;
    for (unsigned i = 0; i < PP_DROPS; i++)
        drops += ledger.dropped[i];
    CHECK_EQ(drops, PACKETS);
    CHECK_EQ(drops - ledger.dropped[PP_DROP_NO_SINK], want_drops);
    CHECK_EQ(ledger.dropped[reason], want_reason);
    CHECK_EQ(tally.packets, PACKETS);
    CHECK_EQ(tally.checks[PP_PROTO_TCP][PP_STATUS_GOOD], PACKETS);
    batch.tally = NULL;
}

static void expect(uint64_t calls, uint64_t errors, int fault)
{
    uint64_t got_calls, got_errors, ns;
    int got_fault;
    pp_guard_read(&guard, &got_calls, &got_errors, &ns, &got_fault);
    CHECK_EQ(got_calls, calls);
    CHECK_EQ(got_errors, errors);
    CHECK_THAT(got_fault == fault, "%d, not %d", got_fault, fault);
}

int main(void)
{
    batch = columns(PACKETS);
    CHECK_EQ(pp_guard_init(&guard, PACKETS), 0);
    guard.judge = pp_stage_verify;

    use(drops_one, NULL, PP_ON_ERROR_END);
    CHECK_EQ(pp_guard_run(&batch, &guard), 0);
    expect(1, 0, 0);
    account(1, 1, PP_DROP_STAGE);

    use(raises, NULL, PP_ON_ERROR_END);
    CHECK(pp_guard_run(&batch, &guard) == -EPERM);
    expect(1, 1, -EPERM);

    use(raises, NULL, PP_ON_ERROR_PASS);
    CHECK_EQ(pp_guard_run(&batch, &guard), 0);
    CHECK_EQ(pp_guard_run(&batch, &guard), 0);
    expect(2, 2, -EPERM);
    account(0, 0, PP_DROP_STAGE);

    use(raises, NULL, PP_ON_ERROR_DROP);
    batch.verdict[5] = PP_VERDICT_DROP; /* by an earlier stage: its reason stays */
    batch.drop[5] = PP_DROP_CORRUPT;
    CHECK_EQ(pp_guard_run(&batch, &guard), 0);
    CHECK_EQ(batch.drop[5], PP_DROP_CORRUPT);
    account(PACKETS, PACKETS - 1, PP_DROP_STAGE_ERROR);

    use(rewrites_reasons, NULL, PP_ON_ERROR_PASS);
    batch.verdict[5] = PP_VERDICT_DROP;
    batch.drop[5] = PP_DROP_CORRUPT;
    CHECK_EQ(pp_guard_run(&batch, &guard), 0);
    CHECK_EQ(batch.drop[5], PP_DROP_CORRUPT);
    CHECK_EQ(batch.drop[6], PP_DROP_NONE);
    account(1, 1, PP_DROP_CORRUPT);

    for (int column = 0; column < 4; column++) {
        use(shouts, &column, PP_ON_ERROR_END);
        CHECK(pp_guard_run(&batch, &guard) == -EBADMSG);
        use(shouts, &column, PP_ON_ERROR_PASS);
        CHECK_EQ(pp_guard_run(&batch, &guard), 0);
        expect(1, 1, -EBADMSG);
        account(0, 0, PP_DROP_STAGE);
        use(shouts, &column, PP_ON_ERROR_DROP);
        CHECK_EQ(pp_guard_run(&batch, &guard), 0);
        account(PACKETS, PACKETS, PP_DROP_STAGE_ERROR);
    }

    use(grows, NULL, PP_ON_ERROR_PASS);
    CHECK_EQ(pp_guard_run(&batch, &guard), 0);
    CHECK_EQ(batch.count, PACKETS);
    CHECK_EQ(batch.capacity, PACKETS);
    CHECK_EQ(batch.checks_used, 2 * PACKETS);
    expect(1, 1, -EBADMSG);
    account(0, 0, PP_DROP_STAGE);

    /* Joined segments get a new sum: what a stage wrote after verify must not be signed, nor a header of 0 bytes be used. */
    for (int says_so = 0; says_so < 2; says_so++) {
        pp_gro_slot *opened;
        static pp_coalesce c = { .tcp = 1, .mtu = 1500, .generation = 1 };
        use(shortens_header, says_so ? &c : NULL, PP_ON_ERROR_END);
        CHECK_EQ(pp_guard_run(&batch, &guard), 0);
        if (says_so)
            CHECK(batch.status[0] != PP_STATUS_GOOD && !(batch.flags[0] & PP_PKT_EDITED));
        for (uint32_t i = 0; i < PACKETS; i++) {
            CHECK(pp_coalesce_add(&c, &batch, i, &opened) == NULL);
            CHECK(opened == NULL);
        }
        pp_coalesce_reset(&c);
    }
    /* What a stage writes into the virtio-net header counts as if the source had said it. */
    static uint8_t room[PP_VNET_LEN + LENGTH];
    for (unsigned off = 0; off < 2; off++) {
        use(leaves_to_hardware, &off, PP_ON_ERROR_END);
        batch.data[0] = memcpy(room + PP_VNET_LEN, frames[0], LENGTH);
        batch.flags[0] = PP_PKT_METADATA | PP_PKT_VNET;
        CHECK_EQ(pp_guard_run(&batch, &guard), 0);
        CHECK_EQ(batch.flags[0], PP_PKT_METADATA | PP_PKT_VNET | PP_PKT_NOT_READY);
        CHECK_EQ(batch.status[0], off ? PP_STATUS_BAD : PP_STATUS_PENDING);
        CHECK(batch.checks[batch.check_first[0] + 1].flags & PP_CHECK_FLAGGED);
        guard.run = finishes;
        CHECK_EQ(pp_guard_run(&batch, &guard), 0);
        CHECK_EQ(batch.flags[0], PP_PKT_METADATA | PP_PKT_VNET);
        CHECK_EQ(batch.status[0], PP_STATUS_GOOD);
    }
    pp_guard_free(&guard);
    return DONE;
}
