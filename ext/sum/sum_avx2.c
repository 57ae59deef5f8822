/* sum_avx2.c - 16 words a vector: xor 0x8000 makes them signed, multiply-add by ones pairs them into 32-bit lanes.
 *
 * The bias of 32768 a word is added back at the end, from the number of vectors.  Lanes may wrap: see PP_SUM_CHUNK.
 * Short slices are summed by scalar code: reducing vectors costs more than they save below about 150 bytes.
 */
#include "sum/sum_impl.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define SHORT 144u
#define LONG 2048u /* from here on aligned loads repay what it takes to come to them */

/* Sliding windows: load at n for a mask that keeps the last n bytes of a vector, at 64 - n for the first n. */
static const uint8_t keep[96] __attribute__((aligned(32))) = {
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
};

#define TARGET __attribute__((target("avx2")))

static inline TARGET __m256i load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }

static inline TARGET __m256i step(__m256i lanes, __m256i words)
{
    words = _mm256_xor_si256(words, _mm256_set1_epi16((short)0x8000));
    return _mm256_add_epi32(lanes, _mm256_madd_epi16(words, _mm256_set1_epi16(1)));
}

/* Add the lanes of v, and the bias of so many vectors: 16 words of 32768 each. */
static inline TARGET uint32_t reduce(__m256i v, uint32_t vectors)
{
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(four) + (vectors << 19);
}

TARGET uint64_t pp_sum_avx2(const void *data, size_t length)
{
    const uint8_t *p = data;
    if (length < SHORT)
        return pp_sum_portable(data, length);
    if (__builtin_expect(length > PP_SUM_CHUNK, 0))
        return pp_sum_in_chunks(pp_sum_avx2, data, length);
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    uint64_t odd = 0;
    uint32_t vectors = 0;
    if (length & 1) /* the odd byte is the first of its word: the low one here */
        odd = p[--length];
    size_t ahead = -(uintptr_t)p % 32;
    if (length >= LONG && ahead && !(ahead & 1)) {
        d = step(d, _mm256_and_si256(load(p), load(keep + 64 - ahead)));
        p += ahead;
        length -= ahead;
        vectors = 1;
    }
    vectors += (uint32_t)((length + 31) / 32);
    for (; length >= 128; p += 128, length -= 128) {
        a = step(a, load(p));
        b = step(b, load(p + 32));
        c = step(c, load(p + 64));
        d = step(d, load(p + 96));
    }
    if (length & 64) {
        a = step(a, load(p));
        b = step(b, load(p + 32));
        p += 64;
    }
    if (length & 32) {
        c = step(c, load(p));
        p += 32;
    }
    if (length & 31) /* the 32 bytes that end the slice, those already added masked out */
        d = step(d, _mm256_and_si256(load(p + (length & 31) - 32), load(keep + (length & 31))));
    return odd + reduce(_mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d)), vectors);
}

int pp_supported_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
}

#else
/* ISO C wants a declaration in every translation unit. */
typedef int pp_sum_avx2_is_for_x86;
#endif
