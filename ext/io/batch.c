/* batch.c - see batch.h. */
#include "io/batch.h"

#include <errno.h>
#include <stdlib.h>

#define COLUMN(type, name, setter, fresh, python) { #name, offsetof(pp_batch, name), sizeof(type), PP_COLUMN_##python },
const pp_column pp_columns[] = { PP_COLUMNS(COLUMN) };
const size_t pp_column_count = sizeof pp_columns / sizeof pp_columns[0];

#define HEAD(name) { #name, offsetof(pp_batch, name), sizeof((pp_batch *)NULL)->name, PP_COLUMN_HIDDEN }
const pp_column pp_heads[] = { HEAD(size),        HEAD(abi),   HEAD(count), HEAD(capacity),
                               HEAD(checks_used), HEAD(fills), HEAD(tally), HEAD(checks) };
const size_t pp_head_count = sizeof pp_heads / sizeof pp_heads[0];

#define WORD(kind, word, value) { #kind, #word, value },
const pp_word pp_words[] = { PP_ALL_WORDS(WORD) };
const size_t pp_word_count = sizeof pp_words / sizeof pp_words[0];

int pp_batch_init(pp_batch *b, uint32_t capacity)
{
    int complete = 1;
    memset(b, 0, sizeof *b);
    b->size = sizeof *b;
    b->abi = PP_ABI;
    b->capacity = capacity;
    /* Touched only as far as it is used: the bound costs address space, not memory. */
    complete &= (b->checks = calloc((size_t)capacity * PP_CHECKS_PER_PACKET, sizeof *b->checks)) != NULL;
#define ALLOCATE(type, name, setter, fresh, python) complete &= (b->name = calloc(capacity, sizeof *b->name)) != NULL;
    PP_COLUMNS(ALLOCATE)
    if (complete)
        return 0;
    pp_batch_free(b);
    return -ENOMEM;
}

void pp_batch_free(pp_batch *b)
{
#define FREE(type, name, setter, fresh, python) free(b->name);
    PP_COLUMNS(FREE)
    free(b->checks);
    memset(b, 0, sizeof *b);
}
