/* columns.h - a batch with every column, for tests. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include <stdlib.h>

#include "io/batch.h"

static inline pp_batch columns(uint32_t capacity)
{
    pp_batch b;
    if (pp_batch_init(&b, capacity) < 0)
        abort();
    return b;
}

static inline void columns_free(pp_batch *b) { pp_batch_free(b); }

#endif
