/* batch.h - the memory of a batch, and what every source does to one: make it fresh, append packets.
 *
 * All of it follows PP_COLUMNS of <pktmend/stage.h>: no column is named here.
 */
#ifndef PP_BATCH_H
#define PP_BATCH_H

#include <string.h>

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

/* Give batch its columns; 0, or -ENOMEM with nothing left to free. */
int pp_batch_init(pp_batch *batch, uint32_t capacity);
void pp_batch_free(pp_batch *batch);

/* The columns and the words as tables, to find them by name at run time. */
enum pp_column_access { PP_COLUMN_HIDDEN, PP_COLUMN_READ, PP_COLUMN_WRITE };
typedef struct pp_column {
    const char *name;
    size_t offset; /* of the pointer in pp_batch */
    uint32_t size; /* of an element */
    uint32_t access;
} pp_column;
typedef struct pp_word {
    const char *kind, *word; /* PP_<kind>_<word> */
    int value;
} pp_word;
extern const pp_column pp_columns[];
extern const size_t pp_column_count;
extern const pp_column pp_heads[]; /* the members of pp_batch before its columns; offset and size are their own */
extern const size_t pp_head_count;
extern const pp_word pp_words[];
extern const size_t pp_word_count;

/* A packet as a source appends it: the columns that sources set. */
#define PP_MEMBER_SOURCE(type, name) type name;
#define PP_MEMBER_VERIFY(type, name)
#define PP_MEMBER_STAGE(type, name)
#define PP_MEMBER(type, name, setter, fresh, python) PP_MEMBER_##setter(type, name)
typedef struct pp_arrival {
    PP_COLUMNS(PP_MEMBER)
} pp_arrival;
#undef PP_MEMBER
#undef PP_MEMBER_SOURCE
#undef PP_MEMBER_VERIFY
#undef PP_MEMBER_STAGE

/* Append a packet to a batch that has room for it. */
static inline void pp_batch_append(pp_batch *b, const pp_arrival *packet)
{
    uint32_t i = b->count++;
#define PP_COPY_SOURCE(name) b->name[i] = packet->name;
#define PP_COPY_VERIFY(name)
#define PP_COPY_STAGE(name)
#define PP_COPY(type, name, setter, fresh, python) PP_COPY_##setter(name)
    PP_COLUMNS(PP_COPY)
#undef PP_COPY
#undef PP_COPY_SOURCE
#undef PP_COPY_VERIFY
#undef PP_COPY_STAGE
}

/* The source has filled it: clear the columns that verify and the stages set, for the packets that are in. */
static inline void pp_batch_fresh(pp_batch *b)
{
#define PP_FRESH_SOURCE(name, fresh)
#define PP_FRESH_VERIFY(name, fresh)                                                                                   \
    memset(b->name, fresh, b->count * sizeof b->name[0]);                                                              \
    _Static_assert((fresh) == 0 || sizeof b->name[0] == 1, "memset() fills " #name " byte by byte");
#define PP_FRESH_STAGE PP_FRESH_VERIFY
#define PP_FRESH(type, name, setter, fresh, python) PP_FRESH_##setter(name, fresh)
    PP_COLUMNS(PP_FRESH)
#undef PP_FRESH
#undef PP_FRESH_SOURCE
#undef PP_FRESH_VERIFY
#undef PP_FRESH_STAGE
    b->fills++;
}

#pragma GCC visibility pop
#endif
