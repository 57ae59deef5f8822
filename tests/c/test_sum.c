/* test_sum.c - every kernel against RFC 1071's own text, published values, guard pages and full lanes.
 *
 * Rules:
 *   1. The oracle is the plain loop of RFC 1071 section 1: 16-bit words, end-around carry, one byte pair at a time.
 *   2. Results are compared as numbers whose hex digits are the bytes in wire order (ntohs of a kernel's fold).
 *   3. A slice that a kernel may not leave ends or begins at a PROT_NONE page.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include <pktmend/sum.h>
#include "sum/sum_impl.h"

enum { LENGTHS = 2048, ALIGNMENTS = 64, LANES = 70000, TURNS = (3 << 20) + 77 };

/* RFC 1071 section 1: pair bytes into 16-bit integers and add with end-around carry; an odd last byte is [Z,0]. */
static uint16_t oracle(const uint8_t *p, size_t length)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i += 2) {
        sum += (uint32_t)(p[i] << 8) + (i + 1 < length ? p[i + 1] : 0u);
        if (sum > 0xffff)
            sum -= 0xffff;
    }
    return (uint16_t)sum;
}

static uint16_t fold(const pp_kernel *k, const void *data, size_t length)
{
    return ntohs(pp_fold(k->sum(data, length)));
}

/* 251 is prime: no two blocks of a power of two of bytes hold the same, so one lost or added twice is seen. */
static void fill(uint8_t *p, size_t length)
{
    for (size_t i = 0; i < length; i++)
        p[i] = (uint8_t)(i % 251 * 7 + 1);
}

static void test_rfc1071_section3_example(const pp_kernel *k)
{
    /* "Sum1" of the table in section 3 is 2ddf0, folded ddf2; swapped bytes give the swapped sum f2dd. */
    static const uint8_t example[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
    static const uint8_t swapped[] = { 0x01, 0x00, 0x03, 0xf2, 0xf5, 0xf4, 0xf7, 0xf6 };
    CHECK_EQ(fold(k, example, sizeof example), 0xddf2);
    CHECK_EQ(fold(k, swapped, sizeof swapped), 0xf2dd);
    CHECK_EQ(fold(k, example, 0), 0);
    CHECK_EQ(fold(k, example + 7, 1), 0xf700); /* an odd last byte is the first of its word */
}

/* Values others have published, each a sum that can be followed by hand. */
static void test_published_values(const pp_kernel *k)
{
    static const struct {
        uint16_t published;
        uint8_t length;
        uint8_t bytes[24];
    } vectors[] = {
        /* from a public report: TCP, 10.18.100.6 -> 10.18.100.7, 40 bytes: 0a12+6406+0a12+6407+0006+0028 */
        { 0xdc5f, 12, { 10, 18, 100, 6, 10, 18, 100, 7, 0, 6, 0, 40 } },
        /* weaveworks/weave issue 2354: TCP, 192.168.128.0 -> 192.168.0.1, total length 60:
         * c0a8+8000+c0a8+0001+0006+0028 = 2017f */
        { 0x0181, 12, { 192, 168, 128, 0, 192, 168, 0, 1, 0, 6, 0, 40 } },
        /* DHCP, krolaw/dhcp4 issue 52: 10.226.137.197 -> 255.255.255.255, total length 302: 0ae2+89c5+0011+011a */
        { 0x95d2, 12, { 10, 226, 137, 197, 255, 255, 255, 255, 0, 17, 1, 26 } },
        /* the-tcpdump-group/tcpdump issue 62, added up there with bc: 1a952, complement 56ac */
        { 0xa953, 18, { 0xc0, 0xa8, 0, 0x62, 0xc0, 0xa8, 0, 0x63, 0, 0x11, 0, 0x0c, 0x13, 0x8a, 0x13, 0x8a, 0, 0x0c } },
        /* the IP header printed there; with its checksum b8b7 in place it sums to all ones */
        { 0xffff, 20, { 0x45, 0,    0,    0x20, 0, 0,    0x40, 0,    0x40, 0x11,
                        0xb8, 0xb7, 0xc0, 0xa8, 0, 0x62, 0xc0, 0xa8, 0,    0x63 } },
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        CHECK_EQ(oracle(vectors[i].bytes, vectors[i].length), vectors[i].published);
        CHECK_EQ(fold(k, vectors[i].bytes, vectors[i].length), vectors[i].published);
    }
}

static void test_every_length_at_every_alignment(const pp_kernel *k)
{
    static _Alignas(64) uint8_t data[LENGTHS + ALIGNMENTS];
    fill(data, sizeof data);
    for (size_t at = 0; at < ALIGNMENTS; at++)
        for (size_t length = 0; length <= LENGTHS; length++) {
            uint64_t sum = k->sum(data + at, length);
            uint16_t want = oracle(data + at, length);
            CHECK_THAT(ntohs(pp_fold(sum)) == want && sum < (uint64_t)1 << 48, "%s, %zu bytes at %zu: %04x, want %04x",
                       k->name, length, at, ntohs(pp_fold(sum)), want);
        }
}

/* Each byte weighs: alone among zeros it must be seen, in the right half of its word. */
static void test_every_byte_counts_once(const pp_kernel *k)
{
    static uint8_t data[700];
    for (size_t length = 1; length <= sizeof data; length += length < 200 ? 1 : 97)
        for (size_t i = 0; i < length; i++) {
            data[i] = 0x5a;
            CHECK_THAT(fold(k, data, length) == (i & 1 ? 0x005a : 0x5a00), "%s, byte %zu of %zu", k->name, i, length);
            data[i] = 0;
        }
}

static void test_guard_pages(const pp_kernel *k)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), room = 2 * page;
    uint8_t *map = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *data = map + page;
    CHECK_THAT(map != MAP_FAILED, "mmap");
    if (map == MAP_FAILED)
        return;
    CHECK_EQ(mprotect(data, room, PROT_READ | PROT_WRITE), 0);
    fill(data, room);
    for (size_t length = 0; length <= room; length += length < LENGTHS ? 1 : 131) {
        CHECK_EQ(fold(k, data, length), oracle(data, length)); /* starts right after a forbidden page */
        CHECK_EQ(fold(k, data + room - length, length),
                 oracle(data + room - length, length)); /* ends right before one */
    }
    CHECK_EQ(fold(k, data, room), oracle(data, room));
    munmap(map, room + 2 * page);
}

/* All ones and all zeros drive every lane to its ends; the sums are known without adding. */
static void test_full_lanes(const pp_kernel *k, uint8_t *data)
{
    memset(data, 0xff, TURNS);
    for (size_t length = 0; length <= LANES; length += 1 + length / 97) {
        CHECK_EQ(fold(k, data, length), length == 0 ? 0 : length & 1 ? 0xff00 : 0xffff);
        CHECK_EQ(fold(k, data + 1, length), length == 0 ? 0 : length & 1 ? 0xff00 : 0xffff);
    }
    CHECK_EQ(fold(k, data, LANES), 0xffff);
    CHECK_EQ(fold(k, data, TURNS - 1), 0xffff);
    CHECK_EQ(fold(k, data, TURNS), 0xff00);
    memset(data, 0, TURNS);
    for (size_t length = 0; length <= LANES; length += 1 + length / 97)
        CHECK_EQ(k->sum(data, length), 0); /* not 0xffff: only all-zero data sums to 0, and it does */
    CHECK_EQ(k->sum(data, TURNS), 0);
    data[LANES - 1] = 1;
    CHECK_EQ(fold(k, data, LANES), 1);
    for (size_t i = 0; i < TURNS; i++) /* words of 0x8000, the one that is its own negative after the xor */
        data[i] = i & 1 ? 0 : 0x80;
    CHECK_EQ(fold(k, data, LANES), oracle(data, LANES));
    CHECK_EQ(fold(k, data + 1, TURNS - 1), oracle(data + 1, TURNS - 1));
    fill(data, TURNS);
    for (size_t length = LANES - 300; length <= LANES; length++)
        CHECK_EQ(fold(k, data + 3, length), oracle(data + 3, length));
    CHECK_EQ(fold(k, data, TURNS), oracle(data, TURNS));
}

/* RFC 1071 section 1: 0 and ffff are the two zeros; a fold keeps the one that was not empty. */
static void test_fold(void)
{
    CHECK_EQ(pp_fold(0), 0);
    CHECK_EQ(pp_fold(0xffff), 0xffff);
    CHECK_EQ(pp_fold(0x10000), 1);
    CHECK_EQ(pp_fold(0x1fffe), 0xffff);
    CHECK_EQ(pp_fold(0xffffffffu), 0xffff);
    CHECK_EQ(pp_fold(UINT64_MAX), 0xffff);
    CHECK_EQ(pp_fold(0xfffffffffffffffeu), 0xfffe);
    CHECK_EQ(pp_fold(0x0001000100010001u), 4);
    CHECK_EQ(pp_fold(0x8000800080008001u), 3); /* 4 x 8000 = 20000, end-around 2, and 1 */
}

static void test_dispatch(const pp_kernel *kernels, size_t count)
{
    CHECK_THAT(count >= 1, "no kernel at all");
    CHECK_THAT(strcmp(kernels[0].name, "portable") == 0 && kernels[0].supported(), "the first is %s", kernels[0].name);
    CHECK_EQ(pp_kernel_use("abacus"), -ENOENT);
    for (size_t i = 0; i < count; i++) {
        CHECK_EQ(pp_kernel_use(kernels[i].name), kernels[i].supported() ? 0 : -ENOTSUP);
        if (kernels[i].supported()) {
            CHECK_THAT(pp_kernel_active() == &kernels[i], "%s was forced", kernels[i].name);
            CHECK_EQ(pp_kernel_self_test(), 0);
        }
    }
    CHECK_EQ(pp_kernel_use(NULL), 0);
    size_t last = count - 1;
    while (!kernels[last].supported())
        last--;
    CHECK_THAT(pp_kernel_active() == &kernels[last], "the automatic choice is the last supported one");
}

static void test_kernel(const pp_kernel *k, uint8_t *data)
{
    if (!k->supported()) {
        printf("%s: not on this machine, skipped\n", k->name);
        return;
    }
    test_rfc1071_section3_example(k);
    test_published_values(k);
    test_every_length_at_every_alignment(k);
    test_every_byte_counts_once(k);
    test_guard_pages(k);
    test_full_lanes(k, data);
}

/* What a kernel chooses among at run time, each by itself. */
static const pp_kernel forms[] = {
#if defined(__x86_64__)
    { "avx512 without vnni", pp_sum_avx512_bw, pp_supported_avx512 },
    { "avx512 with vnni", pp_sum_avx512_vnni, pp_supported_avx512_vnni },
#endif
    { "portable", pp_sum_portable, NULL },
};

int main(void)
{
    size_t count;
    const pp_kernel *kernels = pp_kernels(&count);
    uint8_t *data = malloc(TURNS); /* exact: ASan sees one byte too far */
    if (!data)
        return 1;
    for (size_t i = 0; i < count; i++)
        test_kernel(&kernels[i], data);
    for (size_t i = 0; forms[i].supported; i++)
        test_kernel(&forms[i], data);
    test_fold();
    test_dispatch(kernels, count);
    free(data);
    return DONE;
}
