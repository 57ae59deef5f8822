/* rows.h - what was found of packets as rows in columns, in Arrow's layout: for a writer that copies nothing.
 *
 * Rules:
 *   1. Fixed memory: a chunk takes what batches bring until PP_ROWS_CHUNK rows are in, and then has to be changed for another.
 *      Each status has a chunk of its own, as it has files of its own: no row is moved again.
 *   2. Addresses are text in a dictionary of the chunk; words of enumerations are their numbers.
 *   3. A value that is not there has a zero bit in the bitmap of its group (Arrow: least significant bit first).
 *
 * Source: https://arrow.apache.org/docs/format/Columnar.html
 */
#ifndef PP_ROWS_H
#define PP_ROWS_H

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

#define PP_ROWS_CHUNK 131072u
#define PP_ROWS_BATCH (1024u * PP_CHECKS_PER_PACKET) /* rows that one batch may bring */
#define PP_ROWS_CAPACITY (PP_ROWS_CHUNK + PP_ROWS_BATCH)

/* Which bitmap says whether a value is there. */
#define PP_ROW_GROUPS(X)                                                                                               \
    X(TIME)   /* up to the year 2262 */                                                                                \
    X(ENDS)   /* an IP header */                                                                                       \
    X(PORTS)  /* ports */                                                                                              \
    X(CHECK)  /* a row of a packet: a checksum */                                                                      \
    X(CAUSE)  /* it is bad */                                                                                          \
    X(REASON) /* it is unchecked, or pending for want of metadata */                                                   \
    X(STORED) /* the header has the field */                                                                           \
    X(EXPECTED)
#define PP_ROW_GROUP(name) PP_ROW_##name,
enum pp_row_group { PP_ROW_GROUPS(PP_ROW_GROUP) PP_ROW_BITMAPS, PP_ROW_ALWAYS = PP_ROW_BITMAPS };

/* X(type, name, group) */
#define PP_ROW_COLUMNS(X)                                                                                              \
    X(int64_t, time, TIME)                                                                                             \
    X(uint64_t, n, ALWAYS)                                                                                             \
    X(uint32_t, interface, ALWAYS)                                                                                     \
    X(uint32_t, src, ENDS) /* index into the texts */                                                                  \
    X(uint32_t, dst, ENDS)                                                                                             \
    X(uint16_t, sport, PORTS)                                                                                          \
    X(uint16_t, dport, PORTS)                                                                                          \
    X(uint8_t, protocol, ENDS)                                                                                         \
    X(uint8_t, proto, CHECK)                                                                                           \
    X(uint8_t, status, ALWAYS)                                                                                         \
    X(uint8_t, cause, CAUSE)                                                                                           \
    X(uint8_t, reason, REASON)                                                                                         \
    X(uint32_t, stored, STORED)                                                                                        \
    X(uint32_t, expected, EXPECTED)                                                                                    \
    X(uint32_t, offset, CHECK)                                                                                         \
    X(uint8_t, depth, CHECK)                                                                                           \
    X(uint32_t, caplen, ALWAYS)                                                                                        \
    X(uint32_t, wirelen, ALWAYS)

#define PP_ROW_MEMBER(type, name, group) type *name;
typedef struct pp_rows {
    uint32_t count;
    uint32_t texts;                 /* different addresses */
    uint32_t there[PP_ROW_BITMAPS]; /* bits that are set */
    uint8_t *has[PP_ROW_BITMAPS];
    PP_ROW_COLUMNS(PP_ROW_MEMBER)
    int32_t *text_at; /* texts + 1 offsets into text */
    char *text;       /* not terminated */
    uint8_t *keys;    /* packed addresses, version first */
    uint32_t *slots;  /* of a hash table: index + 1 */
    uint32_t *taken;  /* the slot of each address */
} pp_rows;
#undef PP_ROW_MEMBER

/* A writer's side of the stage: the chunks that are being filled. */
typedef struct pp_row_filler {
    pp_rows *rows[PP_STATUSES];
    int is_by_packet; /* one row a packet: of the first check that gave it its status; else one a check */
    uint32_t is_full; /* a chunk has to be changed */
} pp_row_filler;

/* The columns as a table; group is PP_ROW_ALWAYS where every value is there. */
typedef struct pp_row_column {
    const char *name;
    size_t offset; /* of the pointer in pp_rows */
    uint32_t size; /* of a value */
    uint32_t group;
} pp_row_column;
extern const pp_row_column pp_row_columns[];
extern const size_t pp_row_column_count;

pp_rows *pp_rows_new(void); /* null: no memory */
void pp_rows_free(pp_rows *rows);
/* Make it empty.  Its memory stays, so that the next rows cost no new pages: those were half of what filling took. */
void pp_rows_clear(pp_rows *rows);
/* The stage; context is a pp_row_filler.  -ENOBUFS where a chunk was not changed when it was full. */
pp_stage_fn pp_stage_fill_rows;

#pragma GCC visibility pop
#endif
