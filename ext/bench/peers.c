/* peers.c - see peers.h.  Compiled with -O3 and no -m flag, as a distribution would. */
#include "peers.h"

#include <string.h>
#include <time.h>

uint64_t peer_dpdk16(const void *data, size_t length)
{
    const uint8_t *p = data, *end = p + (length & ~(size_t)1);
    uint32_t sum = 0;
    for (; p != end; p += 2) {
        uint16_t word;
        memcpy(&word, p, sizeof word);
        sum += word;
    }
    if (length & 1) {
        uint16_t word = 0;
        memcpy(&word, end, 1);
        sum += word;
    }
    return sum;
}

#if defined(__x86_64__)

/* sum += the five words at p, end-around carry. */
#define ADD_40(sum, p)                                                                                                 \
    __asm__("addq 0*8(%1), %0\n\tadcq 1*8(%1), %0\n\tadcq 2*8(%1), %0\n\tadcq 3*8(%1), %0\n\tadcq 4*8(%1), %0\n\t"     \
            "adcq $0, %0"                                                                                              \
            : "+r"(sum)                                                                                                \
            : "r"(p), "m"(*(const uint8_t (*)[40])(p))                                                                 \
            : "cc")

static inline uint64_t add_carry(uint64_t sum, uint64_t word)
{
    __asm__("addq %1, %0\n\tadcq $0, %0" : "+r"(sum) : "rm"(word) : "cc");
    return sum;
}

static inline uint64_t load64(const uint8_t *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w;
}

uint64_t peer_adc2(const void *data, size_t length)
{
    const uint8_t *p = data;
    uint64_t a = 0, b = 0;
    for (; length >= 80; p += 80, length -= 80) {
        ADD_40(a, p);
        ADD_40(b, p + 40);
    }
    a = add_carry(a, b);
    if (length >= 40) {
        ADD_40(a, p);
        p += 40;
        length -= 40;
    }
    for (; length >= 8; p += 8, length -= 8)
        a = add_carry(a, load64(p));
    if (length) {
        uint64_t last = 0; /* the original reads a whole word and survives the fault; here the slice ends the reading */
        if (length & 4) {
            uint32_t w;
            memcpy(&w, p, sizeof w);
            last = w;
            p += 4;
        }
        for (unsigned i = 0; i < (length & 3); i++)
            last |= (uint64_t)p[i] << (8 * (i + (length & 4)));
        a = add_carry(a, last);
    }
    return (a & 0xffffffffu) + (a >> 32);
}

#define TARGET(isa) __attribute__((target(isa)))
#else
#define TARGET(isa)
#endif

static inline uint64_t or_bytes(uint64_t x)
{
    x |= x >> 32;
    x |= x >> 16;
    return (x | x >> 8) & 0xff;
}

/* Less than a vector: words that may overlap, which an OR does not mind. */
static inline uint64_t load_few(const uint8_t *p, size_t length)
{
    uint64_t all = 0, w;
    if (length < 8) {
        for (size_t i = 0; i < length; i++)
            all |= p[i];
        return all;
    }
    for (size_t i = 0; i + 8 <= length; i += 8) {
        memcpy(&w, p + i, sizeof w);
        all |= w;
    }
    memcpy(&w, p + length - 8, sizeof w);
    return or_bytes(all | w);
}

#define LOAD(width, isa)                                                                                               \
    typedef uint64_t vector##width __attribute__((vector_size(width), aligned(1), may_alias));                         \
    TARGET(isa) uint64_t peer_load##width(const void *data, size_t length)                                             \
    {                                                                                                                  \
        typedef vector##width v;                                                                                       \
        const uint8_t *p = data;                                                                                       \
        if (length < width)                                                                                            \
            return load_few(p, length);                                                                                \
        v a = *(const v *)(p + length - width), b = a, c = a, d = a;                                                   \
        for (; length >= 4 * width; p += 4 * width, length -= 4 * width) {                                             \
            a |= *(const v *)p;                                                                                        \
            b |= *(const v *)(p + width);                                                                              \
            c |= *(const v *)(p + 2 * width);                                                                          \
            d |= *(const v *)(p + 3 * width);                                                                          \
        }                                                                                                              \
        for (; length >= width; p += width, length -= width)                                                           \
            a |= *(const v *)p;                                                                                        \
        a |= b | c | d;                                                                                                \
        uint64_t lanes[width / 8], all = 0;                                                                            \
        memcpy(lanes, &a, sizeof lanes);                                                                               \
        for (unsigned i = 0; i < width / 8; i++)                                                                       \
            all |= lanes[i];                                                                                           \
        return or_bytes(all);                                                                                          \
    }

LOAD(16, "sse2")
#if defined(__x86_64__)
LOAD(32, "avx2")
LOAD(64, "avx512f")
#endif

uintptr_t peer_address(const char *name)
{
    if (strcmp(name, "dpdk16") == 0)
        return (uintptr_t)peer_dpdk16;
    if (strcmp(name, "load16") == 0)
        return (uintptr_t)peer_load16;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (strcmp(name, "adc2") == 0)
        return (uintptr_t)peer_adc2;
    if (strcmp(name, "load32") == 0 && __builtin_cpu_supports("avx2"))
        return (uintptr_t)peer_load32;
    if (strcmp(name, "load64") == 0 && __builtin_cpu_supports("avx512f"))
        return (uintptr_t)peer_load64;
#endif
    return 0;
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

uint64_t peer_call(uintptr_t sum, const void *data, size_t length) { return ((peer_sum_fn *)sum)(data, length); }

double peer_time_slices(uintptr_t sum, const uintptr_t *data, const uint32_t *length, uint32_t count, uint32_t turns,
                        uint32_t trials)
{
    peer_sum_fn *call = (peer_sum_fn *)sum;
    double least = 0;
    for (uint32_t i = 0; i < trials; i++) {
        volatile uint64_t keep;
        uint64_t all = 0;
        double start = now_ns();
        for (uint32_t j = 0; j < turns; j++)
            for (uint32_t k = 0; k < count; k++)
                all += call((const void *)data[k], length[k]);
        keep = all;
        (void)keep;
        double took = now_ns() - start;
        if (i == 0 || took < least)
            least = took;
    }
    return least / turns;
}

double peer_time(uintptr_t sum, const void *data, size_t length, uint32_t calls, uint32_t trials)
{
    uintptr_t slice = (uintptr_t)data;
    uint32_t size = (uint32_t)length;
    return peer_time_slices(sum, &slice, &size, 1, calls, trials);
}

const char *peer_compiler(void)
{
#if defined(__clang__)
    return __VERSION__;
#else
    return "gcc " __VERSION__;
#endif
}
