/* test_annotate.c - a pcapng file written here block by block, through the reader and out again with comments, in both byte
 * orders; and blocks that a stage has written over.
 *
 * Rules:
 *   1. The file that is wanted is written here as well (draft-ietf-opsawg-pcapng), with the comment where one belongs.
 *   2. Findings are set by hand, so what a comment says does not depend on the arithmetic.
 */
#define _GNU_SOURCE /* memfd_create() */
#include "io/annotate.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "columns.h"

enum { FILE_MAX = 8192, ROOM = 8, SECTION_ROOM = 64 };

/* A file in the making. */
typedef struct file {
    int big_endian;
    uint32_t length, start;
    uint8_t bytes[FILE_MAX];
} file;

static void put(file *f, uint32_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        f->bytes[f->length++] = (uint8_t)(value >> 8 * (f->big_endian ? width - 1 - i : i));
}

static void put_text(file *f, const char *text, size_t length)
{
    memcpy(f->bytes + f->length, text, length);
    f->length += (uint32_t)length;
    while (f->length % 4)
        f->bytes[f->length++] = 0;
}

static void begin(file *f, uint32_t type)
{
    f->start = f->length;
    put(f, type, 4);
    put(f, 0, 4);
}

static void end(file *f)
{
    uint32_t size = f->length + 4 - f->start, at = f->length;
    f->length = f->start + 4;
    put(f, size, 4);
    f->length = at;
    put(f, size, 4);
}

static void option(file *f, uint16_t code, const char *value, size_t length)
{
    put(f, code, 2);
    put(f, (uint32_t)length, 2);
    put_text(f, value, length);
}

/* room: bytes for a comment and the end of options, of which `comment` takes some; 0 none. */
static void section(file *f, const char *comment, uint32_t room, int length_is_known)
{
    begin(f, 0x0a0d0d0a);
    put(f, 0x1a2b3c4d, 4);
    put(f, 1, 2);
    put(f, 0, 2);
    put(f, length_is_known ? 400 : 0xffffffff, 4);
    put(f, length_is_known ? 0 : 0xffffffff, 4);
    option(f, 2, "a card", 6);
    uint32_t last = f->length + room;
    if (comment)
        option(f, 1, comment, strlen(comment));
    while (f->length < last)
        f->bytes[f->length++] = 0;
    end(f);
}

static void interface(file *f)
{
    begin(f, 1);
    put(f, 1, 2);
    put(f, 0, 2);
    put(f, 0, 4);
    end(f);
}

/* An Enhanced Packet Block of 21 bytes; said: their comment, comment: ours; null none. */
static void packet(file *f, uint8_t fill, const char *comment, const char *said)
{
    char frame[21];
    memset(frame, fill, sizeof frame);
    begin(f, 6);
    put(f, 0, 4);
    put(f, 1, 4);
    put(f, fill, 4);
    put(f, sizeof frame, 4);
    put(f, 60, 4);
    put_text(f, frame, sizeof frame);
    if (comment)
        option(f, 1, comment, strlen(comment));
    if (said)
        option(f, 1, said, strlen(said));
    if (comment || said)
        put(f, 0, 4); /* the end of options */
    end(f);
}

static void simple(file *f, uint8_t fill)
{
    char frame[6];
    memset(frame, fill, sizeof frame);
    begin(f, 3);
    put(f, sizeof frame, 4);
    put_text(f, frame, sizeof frame);
    end(f);
}

static void other(file *f) /* a block that nobody knows */
{
    begin(f, 0x0bad1dea);
    put(f, 0x01020304, 4);
    end(f);
}

/* Frames filled with 0xb0 and more are bad: a UDP checksum at byte 16 holds 1234 and should hold abcd. */
static const char wrong[] = "pktmend: udp leaked: field 1234, right abcd, byte 16";

static void judge(pp_batch *b)
{
    b->checks_used = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        b->check_first[i] = b->checks_used;
        b->check_count[i] = b->data[i][0] >= 0xb0;
        b->status[i] = b->check_count[i] ? PP_STATUS_BAD : PP_STATUS_GOOD;
        if (b->check_count[i])
            b->checks[b->checks_used++] = (pp_check){ .proto = PP_PROTO_UDP,
                                                      .status = PP_STATUS_BAD,
                                                      .cause = PP_CAUSE_LEAKED,
                                                      .flags = PP_CHECK_HAS_EXPECTED,
                                                      .offset = 16,
                                                      .stored = 0x1234,
                                                      .expected = 0xabcd };
    }
}

/* What a stage does to a batch. */
typedef void edit(pp_batch *b);

/* Copy `in` to `out` with comments; returns what the sink counted as sent. */
static uint64_t annotate(const file *in, file *out, pp_annotated *a, edit *change)
{
    static pp_batch b;
    pp_writer w;
    pp_reader r;
    pp_ledger ledger = { 0 };
    int from = memfd_create("in", 0), to = memfd_create("out", 0), rc;
    if (!b.data)
        b = columns(ROOM);
    CHECK_EQ(write(from, in->bytes, in->length), in->length);
    CHECK_EQ(lseek(from, 0, SEEK_SET), 0);
    CHECK_EQ(pp_reader_init(&r, from), 0);
    CHECK_EQ(pp_writer_init(&w, to, PP_CAPTURE_PCAPNG), 0);
    a->reader = &r;
    a->writer = &w;
    r.copy_fd = to;
    r.annotated = a;
    while ((rc = pp_reader_next(&b, &r)) >= 0) {
        if (!rc)
            continue;
        judge(&b);
        if (change)
            change(&b);
        CHECK_EQ(pp_annotated_take(&b, &ledger, a), 0);
    }
    CHECK_EQ(rc, -ENODATA);
    CHECK_EQ(pp_annotated_finish(a), 0);
    out->length = (uint32_t)pread(to, out->bytes, sizeof out->bytes, 0);
    CHECK_EQ(w.bytes, out->length);
    pp_reader_free(&r);
    pp_writer_free(&w);
    close(from);
    close(to);
    return ledger.sent;
}

static void check_same(const file *got, const file *want)
{
    CHECK_EQ(got->length, want->length);
    for (uint32_t i = 0; i < got->length && i < want->length; i++)
        CHECK_THAT(got->bytes[i] == want->bytes[i], "byte %u is %02x, not %02x", i, got->bytes[i], want->bytes[i]);
}

/* commented: as it should come out. */
static void write_mixed(file *f, int commented, int only_taken)
{
    const char *ours = commented ? wrong : NULL;
    section(f, commented ? "what was found" : NULL, commented ? SECTION_ROOM : 0, !commented);
    interface(f);
    packet(f, 1, NULL, NULL);
    packet(f, 0xb1, ours, NULL);
    other(f);
    packet(f, 0xb2, ours, "theirs");
    packet(f, 0xb3, NULL, wrong); /* said already */
    simple(f, 0xb4);
    packet(f, 4, NULL, "theirs");
    section(f, NULL, 0, !commented); /* only the first gets a comment */
    interface(f);
    if (!only_taken)
        simple(f, 5);
    packet(f, 0xb5, ours, NULL);
    other(f);
}

static void test_comments_and_all_else_as_it_was(int big_endian)
{
    file in = { .big_endian = big_endian }, want = in, got = { 0 }, again = { 0 };
    pp_annotated a = { .comment = "what was found", .length = 14, .room = SECTION_ROOM }, none = a;
    write_mixed(&in, 0, 0);
    write_mixed(&want, 1, 0);
    CHECK_EQ(annotate(&in, &got, &a, NULL), 8);
    check_same(&got, &want);
    CHECK_EQ(a.commented, 4);
    CHECK_EQ(a.uncommented, 1);
    CHECK_EQ(a.room_at, 24 + 12);
    CHECK_EQ(a.room_swapped, big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__));
    none.room = 0; /* once more without a comment on the section: nothing is left to do */
    annotate(&got, &again, &none, NULL);
    check_same(&again, &got);
}

static void leave_out_simple_ones(pp_batch *b)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->count; i++)
        if (b->data[i][0] != 5) {
            b->data[kept] = b->data[i];
            b->status[kept] = b->status[i];
            b->check_first[kept] = b->check_first[i];
            b->check_count[kept++] = b->check_count[i];
        }
    b->count = kept;
}

static void test_packets_that_no_batch_brings(void)
{
    file in = { 0 }, want = { 0 }, got = { 0 };
    pp_annotated a = { .comment = "what was found", .length = 14, .room = SECTION_ROOM, .only_taken = 1 };
    write_mixed(&in, 0, 0);
    write_mixed(&want, 1, 1);
    CHECK_EQ(annotate(&in, &got, &a, leave_out_simple_ones), 7);
    check_same(&got, &want);
    a = (pp_annotated){ .comment = "what was found", .length = 14, .room = SECTION_ROOM };
    want = (file){ 0 };
    write_mixed(&want, 1, 0); /* wanted or not, they stay */
    annotate(&in, &got, &a, leave_out_simple_ones);
    check_same(&got, &want);
}

static void spoil_length(pp_batch *b) { b->data[0][-24] = 0x43; }        /* no multiple of 4 */
static void spoil_end(pp_batch *b) { memset(b->data[0] - 23, 0xff, 3); } /* one, far behind the window */
static void spoil_caplen(pp_batch *b) { memset(b->data[0] - 8, 0xff, 4); }
static void spoil_options(pp_batch *b) { memset(b->data[0] + 24, 0xff, 4); }

/* A block whose lengths were written over comes out as it is then, and no byte beside it is read. */
static void test_what_a_stage_has_written_over(void)
{
    edit *const edits[] = { spoil_length, spoil_caplen, spoil_options, spoil_end };
    for (unsigned i = 0; i < sizeof edits / sizeof edits[0]; i++) {
        file in = { 0 }, want, got = { 0 };
        pp_annotated a = { .comment = "", .room = 0 };
        section(&in, NULL, 0, 0);
        interface(&in);
        uint32_t at = in.length;
        packet(&in, 0xb1, NULL, "theirs");
        want = in;
        uint8_t *block = want.bytes + at;
        if (i == 0)
            block[4] = 0x43;
        else if (i == 3)
            memset(block + 5, 0xff, 3);
        else
            memset(block + (i == 1 ? 20 : 28 + 24), 0xff, 4);
        if (i == 2) { /* its options are none now: ours comes first, theirs behind it as they are */
            want.length = at;
            packet(&want, 0xb1, wrong, "theirs");
            memset(want.bytes + at + 28 + 24 + 4 + ((sizeof wrong - 1 + 3) & ~(size_t)3), 0xff, 4);
        }
        annotate(&in, &got, &a, edits[i]);
        check_same(&got, &want);
    }
}

static void test_room_of_a_comment(void)
{
    file in = { 0 }, want = { 0 }, got = { 0 };
    pp_annotated a = { .comment = "\xc3\xa4\xc3\xa4\xc3\xa4", .length = 6, .room = 12 }; /* 4 bytes and the end fit */
    section(&in, NULL, 0, 0);
    section(&want, "\xc3\xa4\xc3\xa4", 12, 0);
    interface(&in);
    interface(&want);
    annotate(&in, &got, &a, NULL);
    check_same(&got, &want);
    a = (pp_annotated){ .comment = "\xc3\xa4x\xc3\xa4", .length = 5, .room = 12 }; /* not within a letter */
    want = (file){ 0 };
    section(&want, "\xc3\xa4x", 12, 0);
    interface(&want);
    annotate(&in, &got, &a, NULL);
    check_same(&got, &want);
}

int main(void)
{
    test_comments_and_all_else_as_it_was(0);
    test_comments_and_all_else_as_it_was(1);
    test_packets_that_no_batch_brings();
    test_what_a_stage_has_written_over();
    test_room_of_a_comment();
    return DONE;
}
