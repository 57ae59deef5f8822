/* comment.c - see comment.h. */
#include "io/comment.h"

#include <string.h>

#include "io/pcapng.h"
#include "parse/headers.h"
#include "sum/bytes.h"

enum { LONGEST_CHECK = 128, CODE_AND_LENGTH = 4 };

#define WORD(kind, word, value) [value] = #word,
static const char *const causes[] = { PP_CAUSE_WORDS(WORD) };
static const char *const protos[] = { PP_PROTO_WORDS(WORD) };

typedef struct text {
    char *at, *end;
} text;

static void say(text *t, const char *words)
{
    while (*words && t->at < t->end)
        *t->at++ = *words++;
}

/* A word as JSON and the command line have it: NEVER_FILLED is never-filled. */
static void say_word(text *t, const char *word)
{
    for (; *word && t->at < t->end; word++)
        *t->at++ = *word == '_' ? '-' : *word >= 'A' && *word <= 'Z' ? (char)(*word - 'A' + 'a') : *word;
}

static void say_hex(text *t, uint32_t value, unsigned digits)
{
    while (digits-- && t->at < t->end)
        *t->at++ = "0123456789abcdef"[(value >> 4 * digits) & 0xf];
}

static void say_number(text *t, uint32_t value)
{
    char digits[10];
    unsigned n = 0;
    do
        digits[n++] = (char)('0' + value % 10);
    while (value /= 10);
    while (n && t->at < t->end)
        *t->at++ = digits[--n];
}

static int is_said(const pp_check *k)
{
    return k->status == PP_STATUS_BAD || (k->flags & PP_CHECK_REPAIRED) ||
           (k->status == PP_STATUS_PENDING && k->reason == PP_REASON_NO_METADATA);
}

/* `inner tcp leaked: field 143f, right c3a9, byte 50` */
static void say_check(text *t, const pp_check *k, uint32_t tag)
{
    unsigned digits = k->flags & PP_CHECK_CRC32C ? 8 : 4;
    int is_repaired = (k->flags & PP_CHECK_REPAIRED) != 0;
    say(t, k->flags & PP_CHECK_QUOTED ? "quoted " : k->depth ? "inner " : "");
    if (k->proto < PP_PROTOS)
        say_word(t, protos[k->proto]);
    say(t, " ");
    if (k->cause != PP_CAUSE_NONE && k->cause < PP_CAUSES)
        say_word(t, causes[k->cause]);
    else
        say(t, k->status == PP_STATUS_BAD ? "bad" : "unfinished");
    say(t, is_repaired ? " (repaired)" : "");
    if (!(k->flags & PP_CHECK_NO_FIELD)) {
        int has_changed = is_repaired && (k->flags & PP_CHECK_HAS_EXPECTED) && k->stored != k->expected;
        say(t, has_changed ? ": field was " : ": field ");
        say_hex(t, k->stored, digits);
        if (has_changed || (!is_repaired && (k->flags & PP_CHECK_HAS_EXPECTED))) {
            say(t, has_changed ? ", is " : ", right ");
            say_hex(t, k->expected, digits);
        }
        say(t, ", byte ");
        say_number(t, k->offset + tag);
    }
    say(t, k->flags & PP_CHECK_CLAIMED_VALID ? "; the kernel vouched for it" : "");
}

uint32_t pp_comment_make(const pp_batch *b, uint32_t i, char into[PP_COMMENT_ROOM])
{
    const pp_check *k = b->checks + b->check_first[i];
    text t = { into, into + PP_COMMENT_ROOM };
    uint32_t left = 0, tag = b->flags[i] & PP_PKT_VLAN ? VLAN_LEN : 0; /* a file has it in the frame again */
    if (b->status[i] < PP_STATUS_PENDING && !(b->flags[i] & PP_PKT_REPAIRED))
        return 0; /* nearly always */
    for (unsigned j = 0; j < b->check_count[i]; j++) {
        if (!is_said(&k[j]))
            continue;
        if (t.end - t.at < 2 * LONGEST_CHECK) {
            left++;
            continue;
        }
        say(&t, t.at == into ? "pktmend: " : "; ");
        say_check(&t, &k[j], tag);
    }
    if (left) {
        say(&t, "; and ");
        say_number(&t, left);
        say(&t, " more");
    }
    return (uint32_t)(t.at - into);
}

static void put16(uint8_t *at, uint16_t value, int swapped)
{
    pp_store16(at, swapped ? __builtin_bswap16(value) : value);
}

uint8_t *pp_comment_put(uint8_t *at, const char *text_, uint32_t length, int swapped)
{
    uint32_t padded = (length + 3u) & ~3u;
    put16(at, OPT_COMMENT, swapped);
    put16(at + 2, (uint16_t)length, swapped);
    memcpy(at + CODE_AND_LENGTH, text_, length);
    memset(at + CODE_AND_LENGTH + length, 0, padded - length);
    return at + CODE_AND_LENGTH + padded;
}

void pp_comment_fill(uint8_t *at, const char *text_, uint32_t length, uint32_t room, int swapped)
{
    uint32_t most = room - 2 * CODE_AND_LENGTH; /* the end of options is as long as the head of one */
    uint8_t *end = at + room;
    if (length > most) {
        length = most;
        while (length && ((uint8_t)text_[length] & 0xc0) == 0x80) /* not within a letter of UTF-8 */
            length--;
    }
    if (length)
        at = pp_comment_put(at, text_, length, swapped);
    memset(at, 0, (size_t)(end - at));
}
