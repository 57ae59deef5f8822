/* <pktmend/sum.h> - the Internet checksum (RFC 1071) and CRC32c, one kernel per instruction set, chosen at run time.
 *
 * Rules:
 *   1. A kernel reads data[0..length) and nothing beside it, at any alignment, up to the last byte of a page.
 *   2. Sums are in host byte order over 16-bit words as memcpy loads them; the odd last byte is the first of its word.
 *      The caller swaps once, at the end (RFC 1071 section 2(B)).
 *   3. Every kernel's folded result equals that of pp_sum_portable; so does zero: only all-zero data sums to 0.
 */
#ifndef PP_SUM_H
#define PP_SUM_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Return a value congruent (mod 0xffff) to the sum of the 16-bit words; < 2^48, and 0 only for all-zero data. */
typedef uint64_t pp_sum_fn(const void *data, size_t length);

typedef struct pp_kernel {
    const char *name; /* portable, avx2, avx512, neon */
    pp_sum_fn *sum;
    int (*supported)(void); /* by this processor and operating system */
} pp_kernel;

/* All kernels compiled in, the slowest (portable) first; *count receives how many. */
const pp_kernel *pp_kernels(size_t *count);
/* The kernel in use: the last supported one, or what pp_kernel_use() forced.  Never null. */
const pp_kernel *pp_kernel_active(void);
/* Force one by name, or null for the automatic choice.  0; -ENOENT unknown name; -ENOTSUP not on this machine. */
int pp_kernel_use(const char *name);
/* Compare the active kernel with portable over lengths and alignments; 0, or -EIO at the first difference. */
int pp_kernel_self_test(void);

pp_sum_fn pp_sum_portable;

/* Fold to 16 bits, host order, end-around carry; not complemented. */
static inline uint16_t pp_fold(uint64_t sum)
{
    sum = (sum & 0xffffffffu) + (sum >> 32);
    uint32_t half = (uint32_t)((sum & 0xffffffffu) + (sum >> 32));
    return (uint16_t)((half + (half << 16 | half >> 16)) >> 16); /* the lower half's carry is the end-around one */
}

/* a - b in one's complement: 0 and 0xffff are both zero. */
static inline uint16_t pp_difference(uint16_t a, uint16_t b) { return pp_fold((uint64_t)a + (uint16_t)~b); }

/* CRC32c (RFC 9260 appendix A) as SCTP stores it: the number whose little-endian bytes lie on the wire.
 * Continues from crc (0 to begin); the hardware instruction where there is one, else a table. */
uint32_t pp_crc32c(uint32_t crc, const void *data, size_t length);
/* Of a packet whose four bytes at field are taken as zero: the number whose hex digits belong there, in wire order.
 * field + 4 <= length. */
uint32_t pp_crc32c_around(const void *data, size_t length, size_t field);
uint32_t pp_crc32c_portable(uint32_t crc, const void *data, size_t length);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif
