/* sum_impl.h - the kernels by name; for the dispatcher and for tests of forms that it does not choose. */
#ifndef PP_SUM_IMPL_H
#define PP_SUM_IMPL_H

#include <pktmend/sum.h>

/* Bytes that a kernel with 32-bit lanes sums in one go.  65,536 words of 65,535 are less than 2^32: lanes may wrap, and
 * so may the sum of the lanes, for what is known modulo 2^32 and less than 2^32 is known. */
#define PP_SUM_CHUNK 131072u

#if defined(__x86_64__)
pp_sum_fn pp_sum_avx2, pp_sum_avx512;
int pp_supported_avx2(void);
int pp_supported_avx512(void);

/* The two forms of avx512; bw needs what pp_supported_avx512() asks for, vnni that instruction too. */
pp_sum_fn pp_sum_avx512_bw, pp_sum_avx512_vnni;
int pp_supported_avx512_vnni(void);
#endif

#if defined(__aarch64__)
pp_sum_fn pp_sum_neon;
#endif

/* Sum a slice longer than PP_SUM_CHUNK with a kernel that takes no more than that; < 2^41. */
static inline uint64_t pp_sum_in_chunks(pp_sum_fn *chunk, const uint8_t *p, size_t length)
{
    uint64_t sum = 0;
    for (; length > PP_SUM_CHUNK; p += PP_SUM_CHUNK, length -= PP_SUM_CHUNK) {
        sum += chunk(p, PP_SUM_CHUNK);
        sum = (sum & 0xffffffffu) + (sum >> 32);
    }
    sum += chunk(p, length);
    return (sum & 0xffffffffu) + (sum >> 32);
}

#endif
