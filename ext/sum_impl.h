/* sum_impl.h - the kernels by name; for the dispatcher alone. */
#ifndef PP_SUM_IMPL_H
#define PP_SUM_IMPL_H

#include "sum.h"

#if defined(__x86_64__)
pp_sum_fn pp_sum_avx2;
int pp_supported_avx2(void);
#endif

#endif
