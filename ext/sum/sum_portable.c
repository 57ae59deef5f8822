/* sum_portable.c - the reference kernel: any machine, any byte order; the one that judges the others. */
#include <pktmend/sum.h>

#include "sum/bytes.h"

/* Of a word that ends a slice: drop what others have added, keep its last n bytes where a word of them and zeros
 * would have them.  0 < n < its size. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define KEEP_LAST(word, n) ((word) >> (8 * (sizeof(word) - (n))))
#else
#define KEEP_LAST(word, n) ((word) << (8 * (sizeof(word) - (n))))
#endif

/* Less than one 64-bit word. */
static inline uint64_t sum_few(const uint8_t *p, size_t length)
{
    uint64_t sum = 0;
    if (length >= 4) {
        uint32_t last = pp_load32(p + length - 4);
        return (uint64_t)pp_load32(p) + (length > 4 ? KEEP_LAST(last, length - 4) : 0);
    }
    if (length & 1) {
        uint8_t word[2] = { p[length - 1], 0 }; /* the odd byte is the first of its word */
        uint16_t w;
        memcpy(&w, word, sizeof w);
        sum = w;
    }
    if (length & 2) {
        uint16_t w;
        memcpy(&w, p, sizeof w);
        sum += w;
    }
    return sum;
}

/* Carries are counted beside the sum: an add and an add-with-carry a word, which compilers find.  Two chains, for each
 * waits for itself. */
uint64_t pp_sum_portable(const void *data, size_t length)
{
    const uint8_t *p = data;
    uint64_t a = 0, b = 0, carries = 0, more = 0, w;
    if (length < 8)
        return sum_few(p, length);
    if (length & 7) {
        w = pp_load64(p + length - 8);
        a = KEEP_LAST(w, length & 7);
    }
    for (; length >= 32; p += 32, length -= 32) {
        w = pp_load64(p);
        a += w;
        carries += a < w;
        w = pp_load64(p + 8);
        b += w;
        more += b < w;
        w = pp_load64(p + 16);
        a += w;
        carries += a < w;
        w = pp_load64(p + 24);
        b += w;
        more += b < w;
    }
    for (; length >= 8; p += 8, length -= 8) {
        w = pp_load64(p);
        a += w;
        carries += a < w;
    }
    a = (a & 0xffffffffu) + (a >> 32) + (b & 0xffffffffu) + (b >> 32);
    return a + carries + more; /* < 2^34 + a carry for every 8 bytes: < 2^48 up to 2 PiB */
}
