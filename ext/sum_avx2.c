/* sum_avx2.c - 16 words a vector: xor 0x8000 makes them signed, multiply-add by ones pairs them into 32-bit lanes.
 *
 * The bias of 32768 a word is added back at the end, from the number of words.  Short slices are summed by scalar code:
 * setting up and reducing vectors costs more than it saves below about 100 octets.
 */
#include "sum_impl.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define SHORT 96u
#define TURNS 8192u /* of 128 octets: a lane gains at most 65,536 in magnitude a step and holds 2^31 */

/* Sliding window: load at 32 - n for a mask that keeps the last n octets. */
static const uint8_t keep_last[64] __attribute__((aligned(64))) = {
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};

#define TARGET __attribute__((target("avx2")))

static inline TARGET __m256i load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }

static inline TARGET __m256i pairs(__m256i x)
{
    return _mm256_madd_epi16(_mm256_xor_si256(x, _mm256_set1_epi16((short)0x8000)), _mm256_set1_epi16(1));
}

/* Add signed 32-bit lanes. */
static inline TARGET int64_t reduce(__m256i v)
{
    __m256i wide = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(v)),
                                    _mm256_cvtepi32_epi64(_mm256_extracti128_si256(v, 1)));
    __m128i two = _mm_add_epi64(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    return _mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1);
}

TARGET uint64_t pp_sum_avx2(const void *data, size_t length)
{
    if (length < SHORT)
        return pp_sum_portable(data, length);
    const uint8_t *p = data;
    int64_t sum = 0;
    uint64_t vectors = 0;
    if (length & 1) /* the odd octet is the first of its word: the low one here */
        sum = p[--length];
    for (;;) {
        __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
        size_t turns = length / 128 < TURNS ? length / 128 : TURNS;
        length -= turns * 128;
        vectors += turns * 4;
        for (; turns; turns--, p += 128) {
            a = _mm256_add_epi32(a, pairs(load(p)));
            b = _mm256_add_epi32(b, pairs(load(p + 32)));
            c = _mm256_add_epi32(c, pairs(load(p + 64)));
            d = _mm256_add_epi32(d, pairs(load(p + 96)));
        }
        if (length >= 128) {
            sum += reduce(a) + reduce(b) + reduce(c) + reduce(d);
            continue;
        }
        for (; length >= 32; p += 32, length -= 32, vectors++)
            a = _mm256_add_epi32(a, pairs(load(p)));
        if (length) { /* the 32 octets that end the slice, those already added masked out */
            b = _mm256_add_epi32(b, pairs(_mm256_and_si256(load(p + length - 32), load(keep_last + length))));
            vectors++;
        }
        /* at most 4 more steps than TURNS: a + b stays below 2^31 in magnitude */
        sum += reduce(_mm256_add_epi32(a, b)) + reduce(_mm256_add_epi32(c, d));
        return (uint64_t)(sum + (int64_t)(vectors * 16 * 32768));
    }
}

int pp_supported_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
}

#else
typedef int pp_sum_avx2_is_for_x86;
#endif
