/* test_capture.c - classic pcap: files written here byte by byte, read whole, in chunks, and when they are broken.
 *
 * Rules:
 *   1. What a file says is known because this file wrote it (draft-ietf-opsawg-pcap); each number is distinct.
 *   2. A window is malloc'ed to the byte: ASan sees one too far.
 */
#include <errno.h>

#include "io/capture.h"
#include "check.h"
#include "columns.h"

enum { PACKETS = 9, ROOM = 64, FILE_MAX = 4096 };

/* A file in the making. */
typedef struct file {
    int big_endian, modified;
    uint32_t magic, length;
    uint8_t bytes[FILE_MAX];
} file;

typedef struct packet {
    uint32_t seconds, fraction, caplen, wirelen;
} packet;

/* Odd lengths and none, more than the snap length of 100, a wire length beyond, seconds after 2038. */
static const packet packets[PACKETS] = { { 1, 2, 60, 60 },     { 3, 999999, 0, 0 },
                                         { 4, 5, 1, 1 },       { 0x80000001, 6, 33, 1514 },
                                         { 7, 8, 150, 150 },   { 0xffffffff, 9, 64, 65 },
                                         { 10, 11, 0, 70000 }, { 12, 13, 97, 97 },
                                         { 14, 15, 14, 14 } };

static pp_batch batch(uint32_t capacity)
{
    static pp_batch b;
    if (!b.capacity)
        b = columns(ROOM);
    b.capacity = capacity;
    return b;
}

static void put(file *f, uint32_t value, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        f->bytes[f->length++] = (uint8_t)(value >> 8 * (f->big_endian ? width - 1 - i : i));
}

static file begin(uint32_t magic, int big_endian, uint32_t link)
{
    file f = { .big_endian = big_endian, .magic = magic, .modified = magic == 0xa1b2cd34 };
    put(&f, magic, 4);
    put(&f, 2, 2);
    put(&f, 4, 2);
    put(&f, 0, 4);
    put(&f, 0, 4);
    put(&f, 100, 4);
    put(&f, link, 4);
    return f;
}

static void record(file *f, uint32_t seconds, uint32_t fraction, uint32_t cap, uint32_t wire)
{
    put(f, seconds, 4);
    put(f, fraction, 4);
    put(f, cap, 4);
    put(f, wire, 4);
    if (f->modified) { /* interface index, protocol, packet type, padding (libpcap sf-pcap.c, pcap_sf_patched_pkthdr) */
        put(f, 0x01020304, 4);
        put(f, 0x0506, 2);
        put(f, 0x07, 1);
        put(f, 0x08, 1);
    }
}

static file whole(uint32_t magic, int big_endian, uint32_t link)
{
    file f = begin(magic, big_endian, link);
    for (unsigned i = 0; i < PACKETS; i++) {
        record(&f, packets[i].seconds, packets[i].fraction, packets[i].caplen, packets[i].wirelen);
        for (uint32_t j = 0; j < packets[i].caplen; j++)
            f.bytes[f.length++] = (uint8_t)(17 * i + j);
    }
    return f;
}

/* Packet seen of the file that whole() wrote. */
static void check_packet(const file *f, const pp_batch *b, uint32_t i, unsigned seen, const uint8_t *window,
                         size_t length)
{
    const packet *p = &packets[seen];
    uint64_t unit = f->magic == 0xa1b23c4d ? 1 : 1000;
    CHECK_EQ(b->caplen[i], p->caplen);
    CHECK_EQ(b->wirelen[i], p->wirelen);
    CHECK_EQ(b->time_ns[i], p->seconds * UINT64_C(1000000000) + p->fraction * unit);
    CHECK_EQ(b->flags[i], p->caplen < p->wirelen ? PP_PKT_TRUNCATED : 0);
    CHECK_EQ(b->link[i], 1);
    CHECK_EQ(b->interface[i], 0);
    CHECK_EQ(b->vlan_tpid[i], 0);
    CHECK_EQ(b->verdict[i], PP_VERDICT_PASS);
    CHECK_EQ(b->drop[i], PP_DROP_NONE);
    int within = b->data[i] >= window && b->data[i] + b->caplen[i] <= window + length;
    CHECK_THAT(within, "packet %u lies outside of the window", seen);
    for (uint32_t j = 0; within && j < b->caplen[i]; j++)
        CHECK_EQ(b->data[i][j], (uint8_t)(17 * seen + j));
}

/* Read the file: windows grow by step bytes until something is consumed.  Packets seen; *rc, *c: how it ended. */
static unsigned read_file(const file *f, uint32_t step, uint32_t capacity, int verify, int *rc, pp_capture *c)
{
    unsigned seen = 0, calls = 0;
    uint32_t done = 0, have = 0;
    pp_capture_init(c);
    for (;;) {
        have = f->length - have > step ? have + step : f->length;
        uint8_t *memory = malloc(have - done + 1), *window = memory + 1; /* never null, and never aligned */
        pp_batch b = batch(capacity);
        size_t consumed = 0;
        int final = have == f->length;
        memcpy(window, f->bytes + done, have - done);
        *rc = pp_capture_next(c, window, have - done, final, &b, &consumed);
        CHECK_THAT(consumed <= have - done && (*rc < 0 || (uint32_t)*rc == b.count) && b.count <= capacity,
                   "%zu bytes, %d packets", consumed, *rc);
        for (uint32_t i = 0; verify && *rc > 0 && i < b.count && seen + i < PACKETS; i++)
            check_packet(f, &b, i, seen + i, window, have - done);
        free(memory);
        seen += *rc > 0 ? (unsigned)*rc : 0;
        done += (uint32_t)consumed;
        CHECK_EQ(c->offset, done);
        CHECK_EQ(c->packets, seen);
        if (*rc < 0 || (*rc == 0 && final))
            break;
        if (++calls > 2 * FILE_MAX) {
            CHECK_THAT(0, "no end");
            break;
        }
    }
    CHECK_THAT(*rc < 0 || done == f->length, "%u of %u bytes consumed", done, f->length);
    pp_capture_free(c);
    return seen;
}

static void test_byte_orders_and_resolutions(void)
{
    static const uint32_t magics[] = { 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34 };
    for (unsigned m = 0; m < 3; m++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            file f = whole(magics[m], big_endian, 1);
            pp_capture c;
            int rc;
            CHECK_EQ(read_file(&f, FILE_MAX, ROOM, 1, &rc, &c), PACKETS);
            CHECK_EQ(rc, 0);
            CHECK_EQ(c.format, PP_CAPTURE_PCAP);
            CHECK_EQ(read_file(&f, FILE_MAX, 1, 1, &rc, &c), PACKETS);       /* a batch of one */
            CHECK_EQ(read_file(&f, FILE_MAX, PACKETS, 1, &rc, &c), PACKETS); /* a batch that is just full */
            for (uint32_t step = 1; step < 260;
                 step += step < 30 ? 1 : 23) { /* in chunks: 150 + 24 is the longest record */
                CHECK_EQ(read_file(&f, step, 4, 1, &rc, &c), PACKETS);
                CHECK_EQ(rc, 0);
            }
        }
}

static void test_header_alone_is_an_empty_capture(void)
{
    file f = begin(0xa1b2c3d4, 0, 1);
    pp_capture c;
    int rc;
    CHECK_EQ(read_file(&f, FILE_MAX, ROOM, 0, &rc, &c), 0);
    CHECK_EQ(rc, 0);
}

/* FCS length in the top four bits, in units of two bytes, counts with bit 26 only (draft-ietf-opsawg-pcap section 4). */
static void test_link_type_with_upper_bits(void)
{
    static const struct {
        uint32_t field, caplen, wirelen, want_caplen, want_wirelen;
        uint16_t link;
    } cases[] = { { 0x30000001, 60, 60, 60, 60, 1 },   { 0x24000001, 64, 64, 60, 60, 1 },
                  { 0x24000001, 62, 64, 60, 60, 1 },   { 0x24000001, 50, 64, 50, 60, 1 },
                  { 0x24000001, 3, 3, 3, 3, 1 },       { 0x04000071, 40, 40, 40, 40, 113 },
                  { 0x14000114, 40, 40, 38, 38, 276 }, { 0xf4000001, 30, 30, 0, 0, 1 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            file f = begin(0xa1b2c3d4, big_endian, cases[i].field);
            pp_capture c;
            pp_batch b = batch(ROOM);
            size_t consumed;
            record(&f, 1, 2, cases[i].caplen, cases[i].wirelen);
            f.length += cases[i].caplen;
            pp_capture_init(&c);
            int rc = pp_capture_next(&c, f.bytes, f.length, 1, &b, &consumed);
            CHECK_EQ(rc, 1);
            CHECK_EQ(consumed, f.length);
            CHECK_EQ(b.link[0], cases[i].link);
            CHECK_EQ(b.caplen[0], cases[i].want_caplen);
            CHECK_EQ(b.wirelen[0], cases[i].want_wirelen);
            CHECK_EQ(b.flags[0], cases[i].want_caplen < cases[i].want_wirelen ? PP_PKT_TRUNCATED : 0);
            pp_capture_free(&c);
        }
}

/* The file ends wherever it may: what is complete is given out, the rest is named with its place. */
static void test_truncated_anywhere(void)
{
    for (int modified = 0; modified < 2; modified++) {
        file f = whole(modified ? 0xa1b2cd34 : 0xa1b2c3d4, 0, 1);
        uint32_t full = f.length, header = modified ? 24 : 16, start = 24, complete = 0;
        for (uint32_t length = 0; length < full; length++) {
            while (complete < PACKETS && start + header + packets[complete].caplen <= length)
                start += header + packets[complete++].caplen;
            f.length = length;
            pp_capture c;
            int rc;
            CHECK_EQ(read_file(&f, FILE_MAX, ROOM, 1, &rc, &c), complete);
            if (length == start) {
                CHECK_EQ(rc, 0); /* between two records */
                continue;
            }
            CHECK_THAT(rc == -EBADMSG && c.error, "cut to %u bytes: %d", length, rc);
            CHECK_THAT(length < 24 ? c.error_offset <= length : c.error_offset >= start && c.error_offset <= length,
                       "cut to %u bytes: error at %" PRIu64 ", record at %u", length, c.error_offset, start);
            uint64_t at = c.error_offset;
            int again;
            CHECK_EQ(read_file(&f, 7, 2, 1, &again, &c), complete); /* in chunks: the same end, the same place */
            CHECK_THAT(again == rc && c.error_offset == at, "in chunks: %d at %" PRIu64, again, c.error_offset);
        }
    }
}

static void test_absurd_caplen(void)
{
    static const uint32_t absurd[] = { 0xffffffff, 0xfffffff0, 0xffffffef, 0x80000000, 0x7fffffff, 0x10000001 };
    for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++)
        for (int good = 0; good < 2; good++) {
            file f = good ? whole(0xa1b2c3d4, 0, 1) : begin(0xa1b2c3d4, 0, 1);
            uint32_t start = f.length;
            pp_capture c;
            pp_batch b = batch(ROOM);
            size_t consumed;
            int rc;
            record(&f, 1, 2, absurd[i], absurd[i]);
            f.length += 40;
            CHECK_EQ(read_file(&f, FILE_MAX, ROOM, 1, &rc, &c), good ? PACKETS : 0);
            CHECK_THAT(rc == -EBADMSG && c.error, "caplen %08x: %d", absurd[i], rc);
            CHECK_THAT(c.error_offset >= start && c.error_offset < start + 16, "error at %" PRIu64 ", record at %u",
                       c.error_offset, start);
            pp_capture_init(&c); /* more bytes to come must not make a reader wait for 2 GiB of them */
            while ((rc = pp_capture_next(&c, f.bytes + c.offset, f.length - c.offset, 0, &b, &consumed)) > 0)
                ;
            CHECK_EQ(rc, -EBADMSG);
            CHECK_EQ(pp_capture_next(&c, f.bytes + c.offset, f.length - c.offset, 0, &b, &consumed),
                     -EBADMSG); /* and stays so */
            pp_capture_free(&c);
        }
}

static void test_garbage(void)
{
    static const struct {
        uint8_t bytes[40];
        uint32_t length;
    } files[] = { { { 0 }, 0 },
                  { { 0xd4 }, 1 },
                  { { 0xd4, 0xc3, 0xb2 }, 3 },
                  { { 0xd4, 0xc3, 0xb2, 0xa1 }, 4 },
                  { { 0 }, 40 },
                  { "#!/bin/sh\necho this is not a capture\n", 37 },
                  { { 0xd4, 0xc3, 0xb2, 0xa2 }, 40 },
                  { { 0xc3, 0xd4, 0xa1, 0xb2 }, 40 },
                  { { 0x0a, 0x0d, 0x0d, 0x0a }, 4 } };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        file f = { .length = files[i].length };
        memcpy(f.bytes, files[i].bytes, sizeof files[i].bytes);
        for (uint32_t step = 1; step <= 40; step += 13) {
            pp_capture c;
            int rc;
            CHECK_EQ(read_file(&f, step, ROOM, 0, &rc, &c), 0);
            CHECK_THAT(rc == -EBADMSG || rc == -ENOTSUP, "file %zu: %d", i, rc);
            CHECK_THAT(c.error && c.error[0] && c.error_offset <= f.length, "file %zu: what, and where?", i);
        }
    }
}

/* A packet block whose mark says "not ready", at the end of its memory; a stage has written to its lengths since it was read. */
static void test_mark_is_cleared_within_the_block_alone(void)
{
    enum { BLOCK = 28 + 4 + 12 + 4 };
    static const struct {
        uint32_t size, caplen;
        int is_cleared;
    } cases[] = { { BLOCK, 4, 1 }, { BLOCK + 4, 4, 0 },      { 0x7ffffffc, 4, 0 },     { 31, 4, 0 },
                  { 0, 4, 0 },     { BLOCK, 0x7ffffff0, 0 }, { BLOCK, 0xffffffff, 0 }, { BLOCK, BLOCK - 31, 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t block[BLOCK / 4] = { 6, cases[i].size, 0, 0, 0, cases[i].caplen, 4, 0xaaaaaaaa, 0, 0x202, 0, BLOCK };
        memcpy(&block[8], (uint16_t[]){ 2, 4 }, 4); /* option epb_flags, four bytes of it */
        uint8_t *memory = malloc(BLOCK);
        memcpy(memory, block, BLOCK);
        pp_pcapng_set_ready(memory + 28, memory, memory + BLOCK);
        block[9] = cases[i].is_cleared ? 2 : 0x202;
        CHECK_THAT(memcmp(memory, block, BLOCK) == 0, "case %zu", i);
        pp_pcapng_set_ready(memory + 28, memory + 4, memory + BLOCK); /* one that began before the window */
        CHECK_THAT(memcmp(memory, block, BLOCK) == 0, "case %zu", i);
        free(memory);
    }
}

/* One block of pcapng whose body is at `from`, its two lengths put in. */
static void close_block(file *f, uint32_t from)
{
    uint32_t total = f->length + 4 - from, end = f->length;
    f->length = from + 4;
    put(f, total, 4);
    f->length = end;
    put(f, total, 4);
}

static void option(file *f, uint16_t code, uint16_t length, uint32_t value)
{
    put(f, code, 2);
    put(f, length, 2);
    if (length == 1) {
        put(f, value, 1);
        put(f, 0, 3);
    } else {
        put(f, value, 4);
    }
}

/* A section with one interface (its resolution and FCS length) and one packet of 64 bytes (its epb_flags). */
static file pcapng(int big_endian, uint8_t tsresol, uint8_t fcs, uint64_t stamp, uint32_t epb_flags)
{
    file f = { .big_endian = big_endian };
    put(&f, 0x0a0d0d0a, 4), put(&f, 0, 4), put(&f, 0x1a2b3c4d, 4);
    put(&f, 1, 2), put(&f, 0, 2), put(&f, UINT32_MAX, 4), put(&f, UINT32_MAX, 4);
    close_block(&f, 0);
    uint32_t from = f.length;
    put(&f, 1, 4), put(&f, 0, 4), put(&f, 1, 2), put(&f, 0, 2), put(&f, 0, 4);
    option(&f, 9, 1, tsresol); /* if_tsresol */
    if (fcs)
        option(&f, 13, 1, fcs); /* if_fcslen */
    put(&f, 0, 4);
    close_block(&f, from);
    from = f.length;
    put(&f, 6, 4), put(&f, 0, 4), put(&f, 0, 4), put(&f, (uint32_t)(stamp >> 32), 4), put(&f, (uint32_t)stamp, 4);
    put(&f, 64, 4), put(&f, 64, 4);
    f.length += 64;
    option(&f, 2, 4, epb_flags);
    put(&f, 0, 4);
    close_block(&f, from);
    return f;
}

static pp_batch one_packet(const file *f)
{
    static uint8_t window[FILE_MAX];
    pp_batch b = batch(ROOM);
    pp_capture c;
    size_t consumed;
    memcpy(window, f->bytes, f->length);
    pp_capture_init(&c);
    int rc = pp_capture_next(&c, window, f->length, 1, &b, &consumed);
    CHECK_EQ(rc, 1);
    CHECK_EQ(consumed, f->length);
    pp_capture_free(&c);
    return b;
}

/* Bits 5 to 8 of epb_flags are the packet's own FCS length; 0 leaves it to the interface. */
static void test_fcs_length_of_a_packet_goes_before_the_interface(void)
{
    static const struct {
        uint8_t interface;
        uint32_t own, want;
    } cases[] = { { 0, 0, 64 }, { 4, 0, 60 }, { 0, 4, 60 }, { 4, 2, 62 }, { 2, 15, 49 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            file f = pcapng(big_endian, 9, cases[i].interface, 1, cases[i].own << 5 | 1);
            pp_batch b = one_packet(&f);
            CHECK_EQ(b.caplen[0], cases[i].want);
            CHECK_EQ(b.wirelen[0], cases[i].want);
        }
}

/* 10^-n, or 2^-n with the top bit set; what is finer than nanoseconds is cut off. */
static void test_time_stamp_resolutions(void)
{
    static const struct {
        uint8_t tsresol;
        uint64_t stamp, want_ns;
    } cases[] = { { 0, 7, 7000000000u },
                  { 6, 1234567, 1234567000u },
                  { 9, 1234567891, 1234567891 },
                  { 10, 98765432109, 9876543210 },
                  { 12, 1234567890123, 1234567890 },
                  { 13, 12345678901234, 1234567890 },
                  { 19, 12345678901234567890u, 1234567890 },
                  { 27, 18446744073709551615u, 18 },
                  { 28, 18446744073709551615u, 1 },
                  { 29, 18446744073709551615u, 0 },
                  { 0x80 | 1, 3, 1500000000 },
                  { 0x80 | 32, 0x180000000, 1500000000 },
                  { 0x80 | 63, 0xc000000000000000, 1500000000 },
                  { 0x80 | 64, 0xc000000000000000, 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            file f = pcapng(big_endian, cases[i].tsresol, 0, cases[i].stamp, 1);
            CHECK_THAT(one_packet(&f).time_ns[0] == cases[i].want_ns, "if_tsresol %u", cases[i].tsresol);
        }
}

int main(void)
{
    test_byte_orders_and_resolutions();
    test_header_alone_is_an_empty_capture();
    test_link_type_with_upper_bits();
    test_fcs_length_of_a_packet_goes_before_the_interface();
    test_time_stamp_resolutions();
    test_truncated_anywhere();
    test_absurd_caplen();
    test_garbage();
    test_mark_is_cleared_within_the_block_alone();
    return DONE;
}
