/* annotate.c - see annotate.h. */
#include "io/annotate.h"

#include <errno.h>
#include <string.h>

#include "io/comment.h"
#include "io/pcapng.h"
#include "sum/bytes.h"

enum { BLOCK_LEAST = 12, SIMPLE_HEAD = 12, SECTION_HEAD = 24, SECTION_LENGTH = 16, TAIL = 4 };

static uint32_t load32(const pp_annotated *a, const uint8_t *at)
{
    uint32_t v = pp_load32(at);
    return a->swapped ? __builtin_bswap32(v) : v;
}

static uint16_t load16(const pp_annotated *a, const uint8_t *at)
{
    uint16_t v = pp_load16(at);
    return a->swapped ? __builtin_bswap16(v) : v;
}

static int put(pp_annotated *a, const void *data, size_t length) { return pp_writer_put(a->writer, data, length); }

static int put32(pp_annotated *a, uint32_t value)
{
    value = a->swapped ? __builtin_bswap32(value) : value;
    return put(a, &value, sizeof value);
}

/* Where the end of options is, or the end of the block if that is missing; *same: is our comment among them? */
static const uint8_t *end_of_options(const pp_annotated *a, const uint8_t *at, const uint8_t *end, const char *comment,
                                     uint32_t length, int *same)
{
    while (end - at >= 4) {
        uint16_t code = load16(a, at), size = load16(a, at + 2);
        if (code == OPT_END || (size_t)((size + 3u) & ~3u) > (size_t)(end - at) - 4)
            break; /* what reaches beyond the block was refused by the reader: only a stage can have made it */
        if (code == OPT_COMMENT && length && size == length && memcmp(at + 4, comment, length) == 0)
            *same = 1;
        at += 4 + ((size + 3u) & ~3u);
    }
    return at;
}

/* The first section: with room for a comment behind the options that it has. */
static int put_section(pp_annotated *a, const uint8_t *w, uint32_t size)
{
    static const uint8_t unknown[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    uint8_t room[PP_WRITER_ROOM];
    int rc, same = 0, is_first = a->room && !a->room_at;
    const uint8_t *end = w + size - TAIL, *options = end;
    if (is_first)
        options = end_of_options(a, w + SECTION_HEAD, end, NULL, 0, &same);
    uint32_t grown = is_first ? (uint32_t)(options - w) + a->room + TAIL : size;
    if ((rc = put(a, w, 4)) < 0 || (rc = put32(a, grown)) < 0 || (rc = put(a, w + 8, SECTION_LENGTH - 8)) < 0 ||
        (rc = put(a, unknown, sizeof unknown)) < 0 ||
        (rc = put(a, w + SECTION_HEAD, (size_t)(options - w) - SECTION_HEAD)) < 0)
        return rc;
    if (is_first) {
        a->room_at = a->writer->bytes;
        a->room_swapped = a->swapped;
        pp_comment_fill(room, a->comment, a->length, a->room, a->swapped);
        if ((rc = put(a, room, a->room)) < 0)
            return rc;
    }
    return put32(a, grown);
}

/* A packet block, its packet at w + EPB_HEAD, with a comment before the options that it has. */
static int put_packet(pp_annotated *a, const uint8_t *w, uint32_t size, const pp_batch *b, uint32_t i)
{
    char text[PP_COMMENT_ROOM];
    uint8_t option[8 + PP_COMMENT_ROOM] = { 0 };
    uint32_t caplen = load32(a, w + 20), length = pp_comment_make(b, i, text);
    const uint8_t *end = w + size - TAIL;
    int rc, same = 0;
    if (size < EPB_LEAST || caplen > size - EPB_LEAST || !length)
        return put(a, w, size);
    const uint8_t *options = w + EPB_HEAD + ((caplen + 3u) & ~3u);
    int had_some = end - options >= 4;
    (void)end_of_options(a, options, end, text, length, &same);
    a->commented++;
    if (same)
        return put(a, w, size);
    uint32_t more = (uint32_t)(pp_comment_put(option, text, length, a->swapped) - option) + (had_some ? 0 : 4);
    if ((rc = put(a, w, 4)) < 0 || (rc = put32(a, size + more)) < 0 ||
        (rc = put(a, w + 8, (size_t)(options - w) - 8)) < 0 || (rc = put(a, option, more)) < 0 ||
        (rc = put(a, options, (size_t)(end - options))) < 0)
        return rc;
    return put32(a, size + more);
}

/* One block of `size` bytes; *next: the packet of the batch that is not copied yet. */
static int put_block(pp_annotated *a, const uint8_t *w, uint32_t size, const pp_batch *b, uint32_t *next)
{
    uint32_t type = load32(a, w);
    if (pp_capture_is_section(w))
        return put_section(a, w, size);
    int is_simple = type == PCAPNG_SIMPLE;
    if (type != PCAPNG_ENHANCED && type != PCAPNG_PACKET && !is_simple)
        return put(a, w, size);
    if (!b || *next == b->count || b->data[*next] != w + (is_simple ? SIMPLE_HEAD : EPB_HEAD))
        return a->only_taken ? 0 : put(a, w, size);
    uint32_t i = (*next)++;
    if (!is_simple)
        return put_packet(a, w, size, b, i);
    char text[PP_COMMENT_ROOM];
    a->uncommented += pp_comment_make(b, i, text) != 0;
    return put(a, w, size);
}

int pp_annotate(pp_annotated *a, const pp_batch *b)
{
    pp_reader *r = a->reader;
    const uint8_t *w = r->data + r->copied, *end = r->data + r->at;
    uint32_t next = 0;
    int rc = 0;
    while (end - w >= BLOCK_LEAST && rc == 0) {
        if (pp_capture_is_section(w))
            a->swapped = pp_load32(w + 8) == PCAPNG_BYTE_ORDER_SWAPPED;
        uint32_t size = load32(a, w + 4), least = pp_capture_is_section(w) ? SECTION_HEAD + TAIL : BLOCK_LEAST;
        if (size < least || size % 4 || size > (size_t)(end - w))
            break; /* a stage wrote over it: as it is then */
        rc = put_block(a, w, size, b, &next);
        w += size;
    }
    if (rc == 0)
        rc = put(a, w, (size_t)(end - w));
    r->copied = r->at;
    return rc;
}

int pp_annotated_take(pp_batch *b, pp_ledger *ledger, void *context)
{
    pp_annotated *a = context;
    pp_copy_set_ready(b, a->reader);
    int rc = pp_annotate(a, b);
    if (rc == 0)
        rc = pp_writer_flush(a->writer); /* a file is complete up to here whenever the writing ends */
    if (rc < 0)
        return rc;
    ledger->sent += b->count;
    ledger->sent_frames += b->count;
    return 0;
}

int pp_annotated_finish(pp_annotated *a)
{
    int rc = pp_annotate(a, NULL);
    return rc < 0 ? rc : pp_writer_flush(a->writer);
}
