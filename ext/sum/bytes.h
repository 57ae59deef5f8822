/* bytes.h - unaligned loads and stores, and the two byte orders of a 16-bit sum. */
#ifndef PP_BYTES_H
#define PP_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t pp_get16(const uint8_t *p) { return (uint16_t)((p[0] << 8) | p[1]); }
static inline uint32_t pp_get32(const uint8_t *p)
{
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
}
static inline void pp_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void pp_put32(uint8_t *p, uint32_t v)
{
    pp_put16(p, (uint16_t)(v >> 16));
    pp_put16(p + 2, (uint16_t)v);
}

/* As the machine loads it: sums are kept that way (RFC 1071 section 2(B)). */
static inline uint16_t pp_load16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint32_t pp_load32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t pp_load64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void pp_store16(void *p, uint16_t v) { memcpy(p, &v, sizeof v); }
static inline void pp_store32(void *p, uint32_t v) { memcpy(p, &v, sizeof v); }

static inline int pp_is_power_of_two(uint64_t v) { return v != 0 && (v & (v - 1)) == 0; }

/* A hash of two numbers: upper bits choose a slot, lower ones tell its tenants apart. */
static inline uint64_t pp_mix(uint64_t a, uint64_t b)
{
    uint64_t h = a * 0x9e3779b97f4a7c15u + b;
    h = (h ^ (h >> 32)) * 0xd6e8feb86659fd93u;
    return h ^ (h >> 29);
}

static inline uint16_t pp_swap16(uint16_t v) { return (uint16_t)((v << 8) | (v >> 8)); }

/* Between a sum's order and the number whose digits are the bytes on the wire; its own inverse. */
static inline uint16_t pp_wire16(uint16_t v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return pp_swap16(v);
#else
    return v;
#endif
}

/* The sum of an IPv6 address, host order. */
static inline uint64_t pp_sum_ip6(const uint8_t *a)
{
    return (uint64_t)pp_load32(a) + pp_load32(a + 4) + pp_load32(a + 8) + pp_load32(a + 12);
}

#endif
