/* sum_portable.c - the reference kernel: any machine, any byte order; the one that judges the others. */
#include "sum.h"

#include <string.h>

/* Halves of a 64-bit load into 64-bit sums: 2^31 loads before overflow, and 16 GiB need 2^31. */
static inline uint64_t halves(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return (w & 0xffffffffu) + (w >> 32);
}

uint64_t pp_sum_portable(const void *data, size_t length)
{
    const uint8_t *p = data;
    uint64_t a = 0, b = 0;
    for (; length >= 32; p += 32, length -= 32) {
        a += halves(p) + halves(p + 8);
        b += halves(p + 16) + halves(p + 24);
    }
    for (; length >= 8; p += 8, length -= 8)
        a += halves(p);
    if (length & 4) {
        uint32_t w;
        memcpy(&w, p, sizeof w);
        b += w;
        p += 4;
    }
    if (length & 2) {
        uint16_t w;
        memcpy(&w, p, sizeof w);
        b += w;
        p += 2;
    }
    if (length & 1) {
        uint8_t word[2] = { *p, 0 }; /* the odd octet is the first of its word */
        uint16_t w;
        memcpy(&w, word, sizeof w);
        b += w;
    }
    a = (a & 0xffffffffu) + (a >> 32) + (b & 0xffffffffu) + (b >> 32);
    return (a & 0xffffffffu) + (a >> 32);
}
