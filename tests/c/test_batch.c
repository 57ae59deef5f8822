/* A batch's memory and its columns: what a source appends is in, and nothing of an earlier packet shows through. */
#include <string.h>

#include "check.h"
#include "io/batch.h"

enum { ROOM = 3 };

static void test_batch_says_what_it_is(void)
{
    pp_batch b;
    CHECK_THAT(pp_batch_init(&b, ROOM) == 0, "no memory");
    CHECK_THAT(b.size == sizeof b && b.abi == 2 && b.capacity == ROOM && b.count == 0, "head of a new batch");
    CHECK_THAT(offsetof(pp_batch, size) == 0 && offsetof(pp_batch, abi) == 4,
               "size and abi come first, whatever the ABI");
    pp_batch_free(&b);
    CHECK_THAT(b.data == NULL && b.drop == NULL && b.checks == NULL, "freed");
}

/* Fill every byte of every column, as a rude stage would, then take two packets in. */
static void test_fresh_batch_shows_nothing_of_the_one_before(void)
{
    pp_batch b;
    uint8_t frames[2] = { 1, 2 };
    CHECK_THAT(pp_batch_init(&b, ROOM) == 0, "no memory");
    for (size_t c = 0; c < pp_column_count; c++) {
        void *column;
        memcpy(&column, (const char *)&b + pp_columns[c].offset, sizeof column);
        memset(column, 0xee, (size_t)ROOM * pp_columns[c].size);
    }
    uint32_t fills = b.fills;
    for (uint32_t i = 0; i < 2; i++)
        pp_batch_append(&b, &(pp_arrival){ .data = &frames[i],
                                           .caplen = 1,
                                           .wirelen = 1000 + i,
                                           .time_ns = 1u << 31,
                                           .number = 7 + i,
                                           .flags = PP_PKT_VLAN,
                                           .link = 1,
                                           .vlan_tpid = 0x88a8,
                                           .vlan_tci = 0xfff,
                                           .interface = 5 });
    pp_batch_fresh(&b);
    CHECK_THAT(b.count == 2 && b.fills == fills + 1, "count %u, fills %u", b.count, b.fills);
    for (uint32_t i = 0; i < 2; i++) {
        CHECK_THAT(b.data[i] == &frames[i] && b.caplen[i] == 1 && b.wirelen[i] == 1000 + i && b.number[i] == 7 + i,
                   "%u", i);
        CHECK_THAT(b.time_ns[i] == 1u << 31 && b.flags[i] == PP_PKT_VLAN && b.link[i] == 1 && b.interface[i] == 5, "%u",
                   i);
        CHECK_THAT(b.vlan_tpid[i] == 0x88a8 && b.vlan_tci[i] == 0xfff, "%u", i);
        CHECK_THAT(!b.l3[i] && !b.l4[i] && !b.version[i] && !b.protocol[i] && !b.status[i] && !b.cause[i], "%u", i);
        CHECK_THAT(!b.check_first[i] && !b.check_count[i] && !b.verdict[i] && !b.drop[i], "%u", i);
    }
    CHECK_THAT(b.status[2] == 0xee && b.wirelen[2] == 0xeeeeeeee, "nothing beyond the packets is touched");
    pp_batch_free(&b);
}

static void test_columns_do_not_overlap(void)
{
    pp_batch b;
    CHECK_THAT(pp_batch_init(&b, ROOM) == 0, "no memory");
    for (size_t c = 0; c < pp_column_count; c++) {
        void *column;
        CHECK_THAT(c == 0 || pp_columns[c].offset > pp_columns[c - 1].offset, "%s before its place",
                   pp_columns[c].name);
        memcpy(&column, (const char *)&b + pp_columns[c].offset, sizeof column);
        memset(column, (int)c, (size_t)ROOM * pp_columns[c].size); /* AddressSanitizer sees one byte too many */
    }
    CHECK_THAT(pp_columns[pp_column_count - 1].offset + sizeof(void *) == sizeof b, "columns end with the batch");
    pp_batch_free(&b);
}

int main(void)
{
    test_batch_says_what_it_is();
    test_fresh_batch_shows_nothing_of_the_one_before();
    test_columns_do_not_overlap();
    return DONE;
}
