/* sum_avx512.c - 32 words a vector: xor 0x8000 makes them signed, a dot product with ones adds them to 32-bit lanes.
 *
 * Two forms: vnni (vpdpwssd), and bw (vpmaddwd, vpaddd) for the processors that have AVX-512BW and VL alone.
 * The bias of 32768 a word is added back from the number of vectors.  What lies beside the slice is masked out, in
 * registers and in memory: a masked load does not touch it.
 * Up to a vector's length sums are made in 256-bit registers, which cost no change of clock.
 */
#include "sum/sum_impl.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,bmi2")))
#define INLINE static inline __attribute__((always_inline)) TARGET

#define LINE 64u
#define LONG 1024u /* from here on aligned loads repay the vector more that they may need */

enum form { BW, VNNI };

INLINE __m512i step(enum form form, __m512i lanes, __m512i words)
{
    const __m512i one = _mm512_set1_epi16(1);
    words = _mm512_xor_si512(words, _mm512_set1_epi16((short)0x8000));
    if (form == BW)
        return _mm512_add_epi32(lanes, _mm512_madd_epi16(words, one));
    /* not the intrinsic: functions of one target would have to be inlined into those of another */
    __asm__("vpdpwssd %2, %1, %0" : "+v"(lanes) : "v"(words), "v"(one));
    return lanes;
}

INLINE __m512i load(const uint8_t *p) { return _mm512_loadu_si512(p); }
INLINE __m512i load_some(uint64_t bytes, const uint8_t *p) { return _mm512_maskz_loadu_epi8(bytes, p); }

/* Add the lanes of v, and the bias of so many vectors: 32 words of 32768 each. */
INLINE uint32_t reduce(__m512i v, size_t vectors)
{
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(four) + ((uint32_t)vectors << 20);
}

/* length <= 64: halves of 64-bit lanes, without a branch. */
INLINE uint64_t sum_short(const uint8_t *p, size_t length)
{
    uint64_t bytes = _bzhi_u64(~(uint64_t)0, (unsigned)length);
    __m256i low = _mm256_maskz_loadu_epi8((__mmask32)bytes, p);
    __m256i high = _mm256_maskz_loadu_epi8((__mmask32)(bytes >> 32), p + 32);
    __m256i half = _mm256_set1_epi64x(0xffffffff);
    __m256i sum = _mm256_add_epi64(_mm256_add_epi64(_mm256_and_si256(low, half), _mm256_srli_epi64(low, 32)),
                                   _mm256_add_epi64(_mm256_and_si256(high, half), _mm256_srli_epi64(high, 32)));
    __m128i two = _mm_add_epi64(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    return (uint64_t)_mm_cvtsi128_si64(two) + (uint64_t)_mm_extract_epi64(two, 1);
}

/* Vectors as they come, the last one masked. */
INLINE uint64_t sum_medium(const uint8_t *p, size_t length, enum form form)
{
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    size_t vectors = (length + LINE - 1) / LINE;
    for (; length >= 4 * LINE; p += 4 * LINE, length -= 4 * LINE) {
        a = step(form, a, load(p));
        b = step(form, b, load(p + LINE));
        c = step(form, c, load(p + 2 * LINE));
        d = step(form, d, load(p + 3 * LINE));
    }
    if (length & (2 * LINE)) {
        a = step(form, a, load(p));
        b = step(form, b, load(p + LINE));
        p += 2 * LINE;
    }
    if (length & LINE) {
        c = step(form, c, load(p));
        p += LINE;
    }
    if (length % LINE)
        d = step(form, d, load_some(_bzhi_u64(~(uint64_t)0, length % LINE), p));
    return reduce(_mm512_add_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(c, d)), vectors);
}

/* Whole cache lines, the first and the last one masked: a load that straddles two lines costs two.  Eight sums, for a dot
 * product takes five cycles.  length >= 2 lines and <= PP_SUM_CHUNK. */
INLINE uint64_t sum_long(const uint8_t *data, size_t length, enum form form)
{
    size_t before = (uintptr_t)data % LINE, lines = (before + length + LINE - 1) / LINE, left = lines - 2;
    const uint8_t *p = (const uint8_t *)((uintptr_t)data - before);
    __m512i zero = _mm512_setzero_si512(), a = zero, b = zero, c = zero, d = zero, e = zero, f = zero;
    __m512i g = step(form, zero, load_some(~(uint64_t)0 << before, p));
    __m512i h = step(form, zero, load_some(~(uint64_t)0 >> (-(before + length) % LINE), p + (lines - 1) * LINE));
    for (p += LINE; left >= 8; p += 8 * LINE, left -= 8) {
        a = step(form, a, load(p));
        b = step(form, b, load(p + LINE));
        c = step(form, c, load(p + 2 * LINE));
        d = step(form, d, load(p + 3 * LINE));
        e = step(form, e, load(p + 4 * LINE));
        f = step(form, f, load(p + 5 * LINE));
        g = step(form, g, load(p + 6 * LINE));
        h = step(form, h, load(p + 7 * LINE));
    }
    if (left & 4) {
        a = step(form, a, load(p));
        b = step(form, b, load(p + LINE));
        c = step(form, c, load(p + 2 * LINE));
        d = step(form, d, load(p + 3 * LINE));
        p += 4 * LINE;
    }
    if (left & 2) {
        e = step(form, e, load(p));
        f = step(form, f, load(p + LINE));
        p += 2 * LINE;
    }
    if (left & 1)
        g = step(form, g, load(p));
    a = _mm512_add_epi32(_mm512_add_epi32(a, b), _mm512_add_epi32(c, d));
    e = _mm512_add_epi32(_mm512_add_epi32(e, f), _mm512_add_epi32(g, h));
    uint64_t sum = reduce(_mm512_add_epi32(a, e), lines);
    return before & 1 ? sum << 8 : sum; /* at an odd address every word was read swapped: RFC 1071 section 2(B) */
}

INLINE uint64_t sum_chunk(const uint8_t *p, size_t length, enum form form)
{
    if (length <= LINE)
        return sum_short(p, length);
    return length < LONG ? sum_medium(p, length, form) : sum_long(p, length, form);
}

TARGET uint64_t pp_sum_avx512_bw(const void *data, size_t length)
{
    if (__builtin_expect(length > PP_SUM_CHUNK, 0))
        return pp_sum_in_chunks(pp_sum_avx512_bw, data, length);
    return sum_chunk(data, length, BW);
}

TARGET uint64_t pp_sum_avx512_vnni(const void *data, size_t length)
{
    if (__builtin_expect(length > PP_SUM_CHUNK, 0))
        return pp_sum_in_chunks(pp_sum_avx512_vnni, data, length);
    return sum_chunk(data, length, VNNI);
}

static int has_vnni; /* found by pp_supported_avx512(); until then bw, which needs less */

TARGET uint64_t pp_sum_avx512(const void *data, size_t length)
{
    if (length <= LINE)
        return sum_short(data, length);
    return __atomic_load_n(&has_vnni, __ATOMIC_RELAXED) ? pp_sum_avx512_vnni(data, length)
                                                        : pp_sum_avx512_bw(data, length);
}

int pp_supported_avx512(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("bmi2"))
        return 0;
    __atomic_store_n(&has_vnni, __builtin_cpu_supports("avx512vnni") != 0, __ATOMIC_RELAXED);
    return 1;
}

int pp_supported_avx512_vnni(void) { return pp_supported_avx512() && has_vnni; }

#else
/* ISO C wants a declaration in every translation unit. */
typedef int pp_sum_avx512_is_for_x86;
#endif
