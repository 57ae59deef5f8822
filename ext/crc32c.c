/* crc32c.c - CRC32c (Castagnoli, reflected 0x82f63b78): the SSE 4.2 instruction where there is one, else a table.
 *
 * Source: RFC 9260 appendix A, RFC 3720 appendix B.4.
 */
#include <string.h>

#include "sum.h"

static uint32_t table[256];
static int table_ready;

static void make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = (c >> 1) ^ ((c & 1) ? 0x82f63b78u : 0);
        __atomic_store_n(&table[i], c, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&table_ready, 1, __ATOMIC_RELEASE);
}

uint32_t pp_crc32c_portable(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *p = data;
    if (!__atomic_load_n(&table_ready, __ATOMIC_ACQUIRE))
        make_table();
    crc = ~crc;
    for (; length; length--)
        crc = (crc >> 8) ^ table[(crc ^ *p++) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const uint8_t *p, size_t length)
{
    uint64_t c = (uint32_t)~crc;
    for (; length >= 8; p += 8, length -= 8) {
        uint64_t w;
        memcpy(&w, p, sizeof w);
        c = _mm_crc32_u64(c, w);
    }
    for (; length; length--)
        c = _mm_crc32_u8((uint32_t)c, *p++);
    return (uint32_t)~c;
}

uint32_t pp_crc32c(uint32_t crc, const void *data, size_t length)
{
    static int has; /* 0 unknown, 1 yes, 2 no */
    int h = __atomic_load_n(&has, __ATOMIC_RELAXED);
    if (!h) {
        __builtin_cpu_init();
        h = __builtin_cpu_supports("sse4.2") ? 1 : 2;
        __atomic_store_n(&has, h, __ATOMIC_RELAXED);
    }
    return h == 1 ? crc32c_sse42(crc, data, length) : pp_crc32c_portable(crc, data, length);
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
