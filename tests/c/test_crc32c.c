/* test_crc32c.c - CRC32c against RFC 3720's vectors, a bit-by-bit oracle that knows no table, and guard pages.
 *
 * Rule: the oracle divides polynomials most significant bit first, with the polynomial as RFC 3720 section 12.1
 * prints it (11edc6f41) and the reflections written out; the engine works reflected.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include <pktmend/sum.h>

enum { LENGTHS = 300, ALIGNMENTS = 16, LONGEST = 3 * 3072 + 500 };

typedef uint32_t crc_fn(uint32_t crc, const void *data, size_t length);

static const struct {
    const char *name;
    crc_fn *crc;
} functions[] = { { "pp_crc32c", pp_crc32c }, { "pp_crc32c_portable", pp_crc32c_portable } };

static uint32_t reflect(uint32_t v, unsigned bits)
{
    uint32_t r = 0;
    for (unsigned i = 0; i < bits; i++)
        r |= ((v >> i) & 1u) << (bits - 1 - i);
    return r;
}

static uint32_t oracle(const uint8_t *p, size_t length)
{
    uint32_t r = 0xffffffffu;
    for (size_t i = 0; i < length; i++) {
        r ^= reflect(p[i], 8) << 24;
        for (int bit = 0; bit < 8; bit++)
            r = (r & 0x80000000u) ? (r << 1) ^ 0x1edc6f41u : r << 1;
    }
    return reflect(~r, 32);
}

static void fill(uint8_t *p, size_t length)
{
    for (size_t i = 0; i < length; i++) /* a prime period: swapped words are seen */
        p[i] = (uint8_t)(i % 251 * 7 + 1);
}

/* The RFC prints the bytes in the order of the wire, "aa 36 91 8a"; a number has them little-endian: 8a9136aa. */
static void test_published_vectors(crc_fn *crc)
{
    static const uint8_t read10[48] = { /* "An iSCSI - SCSI Read (10) Command PDU" */
                                        0x01, 0xc0, 0, 0, 0, 0, 0,    0, 0,    0, 0, 0,    0, 0, 0, 0,
                                        0x14, 0,    0, 0, 0, 0, 0x04, 0, 0,    0, 0, 0x14, 0, 0, 0, 0x18,
                                        0x28, 0,    0, 0, 0, 0, 0,    0, 0x02, 0, 0, 0,    0, 0, 0, 0
    };
    uint8_t data[32];
    memset(data, 0, sizeof data);
    CHECK_EQ(crc(0, data, sizeof data), 0x8a9136aa);
    memset(data, 0xff, sizeof data);
    CHECK_EQ(crc(0, data, sizeof data), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)i;
    CHECK_EQ(crc(0, data, sizeof data), 0x46dd794e);
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(31 - i);
    CHECK_EQ(crc(0, data, sizeof data), 0x113fdb5c);
    CHECK_EQ(crc(0, read10, sizeof read10), 0xd9963a56);
    CHECK_EQ(crc(0, "123456789", 9), 0xe3069283); /* the check value of CRC catalogues (CRC-32/ISCSI) */
    CHECK_EQ(crc(0, data, 0), 0);
}

/* The oracle itself is held to a published value. */
static void test_oracle(void)
{
    uint8_t zeros[32] = { 0 };
    CHECK_EQ(oracle(zeros, sizeof zeros), 0x8a9136aa);
    CHECK_EQ(oracle((const uint8_t *)"123456789", 9), 0xe3069283);
}

static void test_every_length_at_every_alignment(const char *name, crc_fn *crc)
{
    static _Alignas(64) uint8_t data[LENGTHS + ALIGNMENTS];
    fill(data, sizeof data);
    for (size_t at = 0; at < ALIGNMENTS; at++)
        for (size_t length = 0; length <= LENGTHS; length++)
            CHECK_THAT(crc(0, data + at, length) == oracle(data + at, length), "%s, %zu bytes at %zu", name, length,
                       at);
}

/* Streams of every size, and more of them than fit in one turn. */
static void test_long_slices(const char *name, crc_fn *crc)
{
    static uint8_t data[LONGEST + 8];
    fill(data, sizeof data);
    for (size_t length = LENGTHS; length <= LONGEST; length += length < 4000 ? 7 : 61)
        CHECK_THAT(crc(0, data + length % 8, length) == oracle(data + length % 8, length), "%s, %zu bytes", name,
                   length);
    CHECK_EQ(crc(0, data, LONGEST), oracle(data, LONGEST));
}

/* "Continues from crc": any cut gives what the whole gives. */
static void test_continuation(crc_fn *crc)
{
    uint8_t data[97];
    fill(data, sizeof data);
    uint32_t whole = oracle(data, sizeof data);
    for (size_t cut = 0; cut <= sizeof data; cut++) {
        CHECK_EQ(crc(crc(0, data, cut), data + cut, sizeof data - cut), whole);
        CHECK_EQ(pp_crc32c_portable(crc(0, data, cut), data + cut, sizeof data - cut), whole);
    }
}

static void test_guard_pages(crc_fn *crc)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *map = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *data = map + page;
    CHECK_THAT(map != MAP_FAILED, "mmap");
    if (map == MAP_FAILED)
        return;
    CHECK_EQ(mprotect(data, page, PROT_READ | PROT_WRITE), 0);
    fill(data, page);
    for (size_t length = 0; length <= LENGTHS; length++) {
        CHECK_EQ(crc(0, data, length), oracle(data, length));
        CHECK_EQ(crc(0, data + page - length, length), oracle(data + page - length, length));
    }
    CHECK_EQ(crc(0, data, page), oracle(data, page));
    munmap(map, 3 * page);
}

int main(void)
{
    test_oracle();
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        test_published_vectors(functions[i].crc);
        test_every_length_at_every_alignment(functions[i].name, functions[i].crc);
        test_long_slices(functions[i].name, functions[i].crc);
        test_continuation(functions[i].crc);
        test_guard_pages(functions[i].crc);
    }
    return DONE;
}
