/* fuzz_annotate.c - any bytes as pcapng, copied with comments on whatever packets the input calls bad; and once more while a
 * stage writes over the blocks that are copied.
 *
 * Invariants: the copy is a capture with the packets, times, flags and interfaces of the original, up to where reading ended; all
 * of it can be read.  A copy of the copy is the copy: no comment is written twice.  Nothing outside of the window is touched,
 * whatever is written over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/annotate.h"
#include "../c/columns.h"

enum { ROOM = 16, LONGEST = 16384, COPY_MOST = 64 * LONGEST, SECTION_ROOM = 64 };

/* What a reading amounts to. */
typedef struct digest {
    uint64_t hash, packets, commented;
    size_t length; /* of the copy */
    int rc;
} digest;

typedef struct input {
    const uint8_t *bytes; /* what becomes of packets, one after the other, again and again */
    size_t length;
    uint32_t room;
    int is_rough; /* write over blocks */
} input;

static void mix(uint64_t *hash, const void *data, size_t length) /* FNV-1a */
{
    for (const uint8_t *p = data; length; length--)
        *hash = (*hash ^ *p++) * 0x100000001b3u;
}

/* Findings as the input has them: the words of a check are of the lists, as verify leaves them. */
static void judge(pp_batch *b, const input *in, uint64_t packets)
{
    b->checks_used = 0;
    for (uint32_t i = 0; i < b->count; i++) {
        uint8_t word = in->bytes[(packets + i) % in->length];
        b->check_first[i] = b->checks_used;
        b->check_count[i] = (uint8_t)(word % (PP_CHECKS_PER_PACKET + 1));
        b->status[i] = b->check_count[i] ? PP_STATUS_BAD : PP_STATUS_GOOD;
        for (unsigned j = 0; j < b->check_count[i]; j++)
            b->checks[b->checks_used++] = (pp_check){ .proto = (uint8_t)((word + j) % PP_PROTOS),
                                                      .status = PP_STATUS_BAD,
                                                      .cause = (uint8_t)((word ^ j) % PP_CAUSES),
                                                      .flags = PP_CHECK_HAS_EXPECTED,
                                                      .depth = (uint8_t)(j % 3),
                                                      .stored = word * 257u,
                                                      .offset = j * 1000 };
    }
}

static void write_over(pp_batch *b, const input *in, const pp_reader *r)
{
    for (uint32_t i = 0; i < b->count; i++) {
        uint8_t word = in->bytes[(i * 7) % in->length];
        long at = b->data[i] - r->data + (word % 64) - 32;
        if (at >= 0 && (size_t)at < r->at)
            r->data[at] ^= (uint8_t)(word | 1);
    }
}

static int filled(const uint8_t *bytes, size_t length)
{
    int fd = memfd_create("fuzz", 0);
    if (fd < 0 || write(fd, bytes, length) != (ssize_t)length || lseek(fd, 0, SEEK_SET))
        exit(1);
    return fd;
}

/* Read all; annotate != 0: into `out` as well. */
static digest go_through(const uint8_t *file, size_t size, const input *in, int annotate, uint8_t *out)
{
    static pp_batch b;
    pp_reader r;
    pp_writer w;
    pp_ledger ledger = { 0 };
    pp_annotated a = { .reader = &r, .writer = &w, .comment = "of the fuzzer", .length = 13, .room = in->room };
    digest d = { .hash = 0xcbf29ce484222325u };
    int from = filled(file, size), to = memfd_create("copy", 0);
    if (!b.data)
        b = columns(ROOM);
    if (to < 0 || pp_reader_init(&r, from) || pp_writer_init(&w, to, PP_CAPTURE_PCAPNG))
        exit(1);
    if (annotate) {
        r.copy_fd = to;
        r.annotated = &a;
    }
    while ((d.rc = pp_reader_next(&b, &r)) >= 0) {
        for (uint32_t i = 0; d.rc && i < b.count; i++) {
            mix(&d.hash, b.data[i], b.caplen[i]);
            mix(&d.hash, &b.caplen[i], sizeof b.caplen[i]);
            mix(&d.hash, &b.wirelen[i], sizeof b.wirelen[i]);
            mix(&d.hash, &b.time_ns[i], sizeof b.time_ns[i]);
            mix(&d.hash, &b.number[i], sizeof b.number[i]);
            mix(&d.hash, &b.flags[i], sizeof b.flags[i]);
            mix(&d.hash, &b.interface[i], sizeof b.interface[i]);
        }
        if (!d.rc)
            continue;
        judge(&b, in, d.packets);
        if (in->is_rough)
            write_over(&b, in, &r);
        d.packets += b.count;
        if (annotate && pp_annotated_take(&b, &ledger, &a))
            abort();
    }
    if (annotate) {
        if (pp_annotated_finish(&a) || ledger.sent != d.packets)
            abort();
        d.length = (size_t)lseek(to, 0, SEEK_CUR);
        if (d.length != w.bytes || d.length > COPY_MOST || pread(to, out, d.length, 0) != (ssize_t)d.length)
            abort();
        if (a.room_at && a.room_at + a.room > d.length)
            abort();
    }
    d.commented = a.commented;
    pp_reader_free(&r);
    pp_writer_free(&w);
    close(from);
    close(to);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t magic[4] = { 0x0a, 0x0d, 0x0d, 0x0a };
    static uint8_t file[LONGEST], one[COPY_MOST], two[COPY_MOST];
    if (size < 8 || size > LONGEST)
        return 0;
    input in = { .length = data[0] % 32 + 1u, .room = data[1] & 1 ? SECTION_ROOM : 0, .is_rough = data[1] & 2 };
    if (in.length + 6 > size)
        return 0;
    in.bytes = data + 2;
    size -= 2 + in.length;
    memcpy(file, data + 2 + in.length, size);
    memcpy(file, magic, sizeof magic);
    digest plain = go_through(file, size, &in, 0, NULL), copy = go_through(file, size, &in, 1, one);
    if (in.is_rough)
        return 0;
    if (copy.hash != plain.hash || copy.packets != plain.packets || copy.rc != plain.rc)
        abort(); /* copying changes what is read */
    if (!copy.packets && !copy.length)
        return 0;
    in.room = 0;
    digest again = go_through(one, copy.length, &in, 1, two);
    if (again.hash != plain.hash || again.packets != plain.packets)
        abort(); /* the copy has other packets */
    if (plain.rc == -ENODATA && again.rc != -ENODATA)
        abort(); /* or cannot be read to its end */
    if (again.length != copy.length || memcmp(one, two, copy.length) != 0 || again.commented != copy.commented)
        abort(); /* something was said twice */
    return 0;
}
