/* rows.c - see rows.h. */
#include "observe/rows.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "parse/endpoints.h"
#include "sum/bytes.h"
#include "sum/pages.h"

#define TEXTS (2 * PP_ROWS_CAPACITY) /* addresses: each row may bring two */
#define SLOTS (1u << 20)
#define TEXT_LEN INET6_ADDRSTRLEN
#define KEY_LEN (1 + PP_ADDRESS_LEN)

_Static_assert(SLOTS >= 2 * TEXTS, "the table of addresses has free slots, so a walk ends");
_Static_assert((size_t)TEXTS *TEXT_LEN <= INT32_MAX, "offsets of texts are 32 bits");

#define COLUMN(type, name, group) { #name, offsetof(pp_rows, name), sizeof(type), PP_ROW_##group },
const pp_row_column pp_row_columns[] = { PP_ROW_COLUMNS(COLUMN) };
const size_t pp_row_column_count = sizeof pp_row_columns / sizeof pp_row_columns[0];

#define BITMAP_LEN (PP_ROWS_CAPACITY / 8 + 1)

pp_rows *pp_rows_new(void)
{
    pp_rows *r = pp_pages_new(sizeof *r);
    int is_complete = 1;
    if (!r)
        return NULL;
    for (unsigned i = 0; i < PP_ROW_BITMAPS; i++)
        is_complete &= (r->has[i] = pp_pages_new(BITMAP_LEN)) != NULL;
#define ALLOCATE(type, name, group) is_complete &= (r->name = pp_pages_new(PP_ROWS_CAPACITY * sizeof(type))) != NULL;
    PP_ROW_COLUMNS(ALLOCATE)
    is_complete &= (r->text_at = pp_pages_new((TEXTS + 1) * sizeof *r->text_at)) != NULL;
    is_complete &= (r->text = pp_pages_new((size_t)TEXTS * TEXT_LEN)) != NULL;
    is_complete &= (r->keys = pp_pages_new((size_t)TEXTS * KEY_LEN)) != NULL;
    is_complete &= (r->slots = pp_pages_new(SLOTS * sizeof *r->slots)) != NULL;
    is_complete &= (r->taken = pp_pages_new(TEXTS * sizeof *r->taken)) != NULL;
    if (is_complete)
        return r;
    pp_rows_free(r);
    return NULL;
}

void pp_rows_free(pp_rows *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < PP_ROW_BITMAPS; i++)
        pp_pages_free(r->has[i], BITMAP_LEN);
#define FREE(type, name, group) pp_pages_free(r->name, PP_ROWS_CAPACITY * sizeof(type));
    PP_ROW_COLUMNS(FREE)
    pp_pages_free(r->text_at, (TEXTS + 1) * sizeof *r->text_at);
    pp_pages_free(r->text, (size_t)TEXTS * TEXT_LEN);
    pp_pages_free(r->keys, (size_t)TEXTS * KEY_LEN);
    pp_pages_free(r->slots, SLOTS * sizeof *r->slots);
    pp_pages_free(r->taken, TEXTS * sizeof *r->taken);
    pp_pages_free(r, sizeof *r);
}

void pp_rows_clear(pp_rows *r)
{
    for (unsigned i = 0; i < PP_ROW_BITMAPS; i++)
        memset(r->has[i], 0, (r->count + 7) / 8);
    for (uint32_t i = 0; i < r->texts; i++)
        r->slots[r->taken[i]] = 0;
    memset(r->there, 0, sizeof r->there);
    r->count = r->texts = 0;
}

static int is_text(const pp_rows *r, uint32_t index, uint8_t version, const uint8_t *address)
{
    const uint8_t *key = r->keys + (size_t)index * KEY_LEN;
    return key[0] == version && !memcmp(key + 1, address, PP_ADDRESS_LEN);
}

/* The index of an address among the texts; last: that of the row before, which it often is. */
static uint32_t text_of(pp_rows *r, uint8_t version, const uint8_t *address, uint32_t last)
{
    if (last < r->texts && is_text(r, last, version, address))
        return last;
    uint32_t at = (uint32_t)(pp_mix(pp_load64(address), pp_mix(pp_load64(address + 8), version)) >> 40) % SLOTS;
    for (; r->slots[at]; at = (at + 1) % SLOTS)
        if (is_text(r, r->slots[at] - 1, version, address))
            return r->slots[at] - 1;
    uint32_t index = r->texts++;
    uint8_t *key = r->keys + (size_t)index * KEY_LEN;
    char *text = r->text + r->text_at[index];
    r->slots[at] = index + 1;
    r->taken[index] = at;
    key[0] = version;
    memcpy(key + 1, address, PP_ADDRESS_LEN);
    inet_ntop(version == 4 ? AF_INET : AF_INET6, address, text, TEXT_LEN); /* has room, so cannot fail */
    r->text_at[index + 1] = r->text_at[index] + (int32_t)strlen(text);
    return index;
}

/* What all rows of a packet have in common; the indices of its addresses are those of one chunk. */
typedef struct ends {
    uint8_t source[PP_ADDRESS_LEN], target[PP_ADDRESS_LEN];
    const pp_rows *of;
    uint32_t src, dst;
    uint16_t sport, dport;
    uint8_t version;
} ends;

static void ends_of(ends *e, const pp_batch *b, uint32_t i)
{
    e->of = NULL;
    e->src = e->dst = 0;
    e->sport = e->dport = 0;
    e->version = b->version[i] == 4 || b->version[i] == 6 ? b->version[i] : 0;
    if (e->version)
        pp_endpoints_of(b, i, e->source, e->target, &e->sport, &e->dport);
}

static void locate(ends *e, pp_rows *r, uint32_t row)
{
    if (e->of == r || !e->version)
        return;
    e->src = text_of(r, e->version, e->source, row ? r->src[row - 1] : UINT32_MAX);
    e->dst = text_of(r, e->version, e->target, row ? r->dst[row - 1] : UINT32_MAX);
    e->of = r;
}

static void set(pp_rows *r, enum pp_row_group group, uint32_t row, int is_there)
{
    r->has[group][row >> 3] |= (uint8_t)((is_there != 0) << (row & 7));
    r->there[group] += is_there != 0;
}

/* Append a row; k is null for a packet without a checksum. */
static void append(const pp_row_filler *filler, const pp_batch *b, uint32_t i, ends *e, const pp_check *k)
{
    uint8_t status = k ? k->status : b->status[i];
    pp_rows *r = filler->rows[status];
    uint32_t row = r->count++;
    int has_field = k && !(k->flags & PP_CHECK_NO_FIELD);
    r->time[row] = (int64_t)b->time_ns[i];
    set(r, PP_ROW_TIME, row, b->time_ns[i] <= INT64_MAX);
    r->n[row] = b->number[i];
    r->interface[row] = b->interface[i];
    r->caplen[row] = b->caplen[i];
    r->wirelen[row] = b->wirelen[i];
    locate(e, r, row);
    r->src[row] = e->src;
    r->dst[row] = e->dst;
    r->protocol[row] = b->protocol[i];
    set(r, PP_ROW_ENDS, row, e->version);
    r->sport[row] = e->sport;
    r->dport[row] = e->dport;
    set(r, PP_ROW_PORTS, row, e->sport || e->dport);
    r->status[row] = status;
    if (!k)
        return;
    set(r, PP_ROW_CHECK, row, 1);
    r->proto[row] = k->proto;
    r->offset[row] = k->offset;
    r->depth[row] = k->depth;
    r->cause[row] = k->cause;
    set(r, PP_ROW_CAUSE, row, k->cause);
    r->reason[row] = k->reason;
    set(r, PP_ROW_REASON, row, k->reason);
    r->stored[row] = k->stored;
    set(r, PP_ROW_STORED, row, has_field);
    r->expected[row] = k->expected;
    set(r, PP_ROW_EXPECTED, row, has_field && (k->flags & PP_CHECK_HAS_EXPECTED));
}

/* The check that gave a packet its status. */
static const pp_check *decisive(const pp_batch *b, uint32_t i)
{
    const pp_check *k = b->checks + b->check_first[i];
    for (unsigned j = 0; j < b->check_count[i]; j++, k++)
        if (k->status == b->status[i] && !(k->flags & PP_CHECK_QUOTED))
            return k;
    return NULL;
}

int pp_stage_fill_rows(pp_batch *b, void *context)
{
    pp_row_filler *filler = context;
    ends e;
    for (unsigned s = 0; s < PP_STATUSES; s++)
        if (b->count > PP_ROWS_CAPACITY - filler->rows[s]->count ||
            b->checks_used > PP_ROWS_CAPACITY - filler->rows[s]->count)
            return -ENOBUFS;
    for (uint32_t i = 0; i < b->count; i++) {
        if (!filler->is_by_packet && !b->check_count[i])
            continue;
        ends_of(&e, b, i);
        if (filler->is_by_packet) {
            append(filler, b, i, &e, decisive(b, i));
            continue;
        }
        for (unsigned j = 0; j < b->check_count[i]; j++)
            append(filler, b, i, &e, b->checks + b->check_first[i] + j);
    }
    filler->is_full = 0;
    for (unsigned s = 0; s < PP_STATUSES; s++)
        filler->is_full |= filler->rows[s]->count >= PP_ROWS_CHUNK;
    return 0;
}
