/* sum_dispatch.c - which kernel?  Chosen once at run time, or forced by name. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <pktmend/sum.h>
#include "sum/sum_impl.h"

static int always(void) { return 1; }

static const pp_kernel kernels[] = {
    { "portable", pp_sum_portable, always },
#if defined(__x86_64__)
    { "avx2", pp_sum_avx2, pp_supported_avx2 },
    { "avx512", pp_sum_avx512, pp_supported_avx512 },
#endif
#if defined(__aarch64__)
    { "neon", pp_sum_neon, always },
#endif
};

#define KERNELS (sizeof kernels / sizeof kernels[0])

static const pp_kernel *_Atomic active;

static const pp_kernel *best(void)
{
    size_t i = KERNELS - 1;
    while (i > 0 && !kernels[i].supported())
        i--;
    return &kernels[i];
}

const pp_kernel *pp_kernels(size_t *count)
{
    *count = KERNELS;
    return kernels;
}

const pp_kernel *pp_kernel_active(void)
{
    const pp_kernel *k = atomic_load_explicit(&active, memory_order_acquire);
    if (!k) { /* two threads that come here first find the same */
        k = best();
        atomic_store_explicit(&active, k, memory_order_release);
    }
    return k;
}

int pp_kernel_use(const char *name)
{
    const pp_kernel *k = NULL;
    if (!name) {
        k = best();
    } else {
        for (size_t i = 0; i < KERNELS && !k; i++)
            if (strcmp(kernels[i].name, name) == 0)
                k = &kernels[i];
        if (!k)
            return -ENOENT;
        if (!k->supported())
            return -ENOTSUP;
    }
    atomic_store_explicit(&active, k, memory_order_release);
    return 0;
}

int pp_kernel_self_test(void)
{
    uint8_t data[1600];
    const pp_kernel *k = pp_kernel_active();
    for (size_t i = 0; i < sizeof data; i++) /* a prime period: swapped vectors cannot cancel */
        data[i] = (uint8_t)(i % 251 * 7 + 1);
    for (size_t at = 0; at < 4; at++)
        for (size_t length = 0; length + at <= sizeof data; length += length < 300 ? 1 : 37)
            if (pp_fold(k->sum(data + at, length)) != pp_fold(pp_sum_portable(data + at, length)))
                return -EIO;
    return 0;
}
