/* sum_neon.c - 8 words a vector: one instruction adds pairs of words to 32-bit lanes.
 *
 * Lanes may wrap: see PP_SUM_CHUNK.  Every AArch64 processor has these instructions.
 */
#include "sum/sum_impl.h"

#if defined(__aarch64__)

#include <arm_neon.h>

#define SHORT 64u

/* Sliding window: load at n for a mask that keeps the last n bytes of a vector. */
static const uint8_t keep_last[32] = {
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
};

static inline uint32x4_t step(uint32x4_t lanes, uint8x16_t bytes)
{
    return vpadalq_u16(lanes, vreinterpretq_u16_u8(bytes));
}

uint64_t pp_sum_neon(const void *data, size_t length)
{
    const uint8_t *p = data;
    if (length < SHORT)
        return pp_sum_portable(data, length);
    if (length > PP_SUM_CHUNK)
        return pp_sum_in_chunks(pp_sum_neon, data, length);
    uint32x4_t a = vdupq_n_u32(0), b = a, c = a, d = a;
    uint64_t odd = 0;
    if (length & 1) {
        uint8_t word[2] = { p[--length], 0 }; /* the odd byte is the first of its word */
        uint16_t w;
        __builtin_memcpy(&w, word, sizeof w);
        odd = w;
    }
    for (; length >= 128; p += 128, length -= 128) {
        a = step(a, vld1q_u8(p));
        b = step(b, vld1q_u8(p + 16));
        c = step(c, vld1q_u8(p + 32));
        d = step(d, vld1q_u8(p + 48));
        a = step(a, vld1q_u8(p + 64));
        b = step(b, vld1q_u8(p + 80));
        c = step(c, vld1q_u8(p + 96));
        d = step(d, vld1q_u8(p + 112));
    }
    for (; length >= 32; p += 32, length -= 32) {
        a = step(a, vld1q_u8(p));
        b = step(b, vld1q_u8(p + 16));
    }
    if (length >= 16) {
        c = step(c, vld1q_u8(p));
        p += 16;
        length -= 16;
    }
    if (length) /* the 16 bytes that end the slice, those already added masked out */
        d = step(d, vandq_u8(vld1q_u8(p + length - 16), vld1q_u8(keep_last + length)));
    return odd + vaddvq_u32(vaddq_u32(vaddq_u32(a, b), vaddq_u32(c, d)));
}

#else
/* ISO C wants a declaration in every translation unit. */
typedef int pp_sum_neon_is_for_aarch64;
#endif
