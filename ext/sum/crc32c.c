/* crc32c.c - CRC32c (Castagnoli, reflected 0x82f63b78): the SSE 4.2 instruction where there is one, else tables.
 *
 * The instruction takes three cycles and starts every cycle: three chunks are summed side by side and put together by
 * a carry-less product, which moves a CRC over the bytes behind it.
 *
 * Source: RFC 9260 appendix A, RFC 3720 appendix B.4; Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using CRC32
 *         Instruction", Intel 2011; tables: Kounavis and Berry, "A Systematic Approach to Building High Performance
 *         Software-based CRC Generators", 2005.
 */
#include "sum/bytes.h"
#include <pktmend/sum.h>

#define POLYNOMIAL 0x82f63b78u
#define CHUNK 128u /* 64-bit words at most that one of the three streams takes at a time */

static uint32_t table[8][256];       /* [k]: of a byte with k bytes of zeros behind it */
static uint32_t move[2 * CHUNK + 1]; /* [n]: x^(64 n - 33), what moves a CRC over n words */
static int ready;

/* Any thread makes the same: two that come here first do no harm. */
static void make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = (c >> 1) ^ ((c & 1) ? POLYNOMIAL : 0);
        __atomic_store_n(&table[0][i], c, __ATOMIC_RELAXED);
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++) {
            uint32_t c = table[k - 1][i];
            __atomic_store_n(&table[k][i], (c >> 8) ^ table[0][c & 0xff], __ATOMIC_RELAXED);
        }
    uint32_t power = 1; /* x^31: the lowest bit is the highest power */
    for (uint32_t n = 1; n <= 2 * CHUNK; n++) {
        __atomic_store_n(&move[n], power, __ATOMIC_RELAXED);
        for (int byte = 0; byte < 8; byte++)
            power = (power >> 8) ^ table[0][power & 0xff];
    }
    __atomic_store_n(&ready, 1, __ATOMIC_RELEASE);
}

static inline void need_tables(void)
{
    if (__builtin_expect(!__atomic_load_n(&ready, __ATOMIC_ACQUIRE), 0))
        make_tables();
}

static inline uint32_t little32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint32_t pp_crc32c_portable(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *p = data;
    need_tables();
    crc = ~crc;
    for (; length >= 8; p += 8, length -= 8) {
        uint32_t low = crc ^ little32(p), high = little32(p + 4);
        crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^ table[5][low >> 16 & 0xff] ^ table[4][low >> 24] ^
              table[3][high & 0xff] ^ table[2][high >> 8 & 0xff] ^ table[1][high >> 16 & 0xff] ^ table[0][high >> 24];
    }
    for (; length; length--)
        crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
#include <immintrin.h>

#define FEW 12u /* words for which putting streams together costs more than it saves */
#define TARGET __attribute__((target("sse4.2,pclmul")))

/* The product of two polynomials of 32 bits, times x: their bits are in reverse. */
static inline TARGET uint64_t product(uint64_t a, uint32_t b)
{
    return (uint64_t)_mm_cvtsi128_si64(
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)a), _mm_cvtsi64_si128((long long)b), 0));
}

static TARGET uint32_t crc32c_streams(uint32_t crc, const uint8_t *p, size_t length)
{
    uint64_t a = (uint32_t)~crc;
    if (length >= FEW * 8)
        need_tables();
    while (length >= FEW * 8) {
        size_t words = length / 24 < CHUNK ? length / 24 : CHUNK;
        const uint8_t *second = p + words * 8, *third = second + words * 8;
        uint64_t b = 0, c = 0;
        for (size_t i = 0; i < words * 8; i += 8) {
            a = _mm_crc32_u64(a, pp_load64(p + i));
            b = _mm_crc32_u64(b, pp_load64(second + i));
            c = _mm_crc32_u64(c, pp_load64(third + i));
        }
        a = c ^ _mm_crc32_u64(0, product(a, move[2 * words]) ^ product(b, move[words]));
        p = third + words * 8;
        length -= words * 24;
    }
    for (; length >= 8; p += 8, length -= 8)
        a = _mm_crc32_u64(a, pp_load64(p));
    if (length & 4) {
        a = _mm_crc32_u32((uint32_t)a, pp_load32(p));
        p += 4;
    }
    for (length &= 3; length; length--)
        a = _mm_crc32_u8((uint32_t)a, *p++);
    return (uint32_t)~a;
}

uint32_t pp_crc32c(uint32_t crc, const void *data, size_t length)
{
    static int has; /* 0 unknown, 1 yes, 2 no */
    int h = __atomic_load_n(&has, __ATOMIC_RELAXED);
    if (!h) {
        __builtin_cpu_init();
        h = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") ? 1 : 2;
        __atomic_store_n(&has, h, __ATOMIC_RELAXED);
    }
    return h == 1 ? crc32c_streams(crc, data, length) : pp_crc32c_portable(crc, data, length);
}
#else
uint32_t pp_crc32c(uint32_t crc, const void *data, size_t length) { return pp_crc32c_portable(crc, data, length); }
#endif

uint32_t pp_crc32c_around(const void *data, size_t length, size_t field)
{
    static const uint8_t zero[4];
    const uint8_t *p = data;
    uint32_t crc = pp_crc32c(pp_crc32c(0, p, field), zero, 4);
    return __builtin_bswap32(pp_crc32c(crc, p + field + 4, length - field - 4));
}
