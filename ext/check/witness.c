/* witness.c - see witness.h.
 *
 * Sums and addresses are those of segment.h.
 *
 * Source: RFC 1624 (incremental update).
 */
#include "check/witness.h"

#include "check/delta.h"
#include "check/segment.h"
#include "parse/headers.h"
#include "parse/layers.h"
#include "sum/bytes.h"
#include "sum/pages.h"
#include <pktmend/sum.h>

/* Bytes of sequence space within which two segments are of one stream: fewer than conversation.c allows, for a witness. */
#define STREAM_WINDOW (1u << 20)

enum witness { NOBODY = 0, WITH_SUM, WITHOUT_SUM, WITH_ZERO };

typedef struct twin {
    uint32_t tag;
    uint16_t rest; /* WITH_SUM: the sum of what translation leaves alone */
    uint16_t witness;
    uint16_t word[PP_WORDS];
} twin;

typedef struct stream { /* what one end sent */
    uint32_t tag;
    uint16_t peer, other; /* sums of the address it was last sent to, and of the one before that differs; 0 none */
    uint32_t sequence, acknowledged;
} stream;

typedef struct repeat { /* a bad sum of a UDP flow, and over how many distinct right sums and contents, three at most */
    uint32_t tag;
    uint16_t stored, length;
    uint16_t right[2], content[2];
    uint8_t rights, contents;
    uint8_t has_lengths; /* more than one */
} repeat;

struct pp_witnesses {
    twin twins[PP_WITNESS_TWINS];
    stream streams[PP_WITNESS_STREAMS];
    repeat repeats[PP_WITNESS_REPEATS];
    uint32_t tunnels[PP_WITNESS_TUNNELS];
    uint32_t awake; /* packets left to look at */
};

pp_witnesses *pp_witnesses_new(void) { return pp_pages_new(sizeof(pp_witnesses)); }
void pp_witnesses_free(pp_witnesses *w) { pp_pages_free(w, sizeof *w); }

static inline uint32_t tag_of(uint64_t h) { return (uint32_t)h | 1u; } /* 0 is an empty slot */
static inline size_t slot_of(uint64_t h, size_t slots) { return (size_t)(h >> 40) & (slots - 1); }

static inline int is_near(uint32_t a, uint32_t b) { return a - b + STREAM_WINDOW < 2 * STREAM_WINDOW; }

static inline void remember_stream(pp_witnesses *w, const segment *s)
{
    uint64_t h = stream_of(s->source, s->word[PP_WORD_SOURCE_PORT], s->word[PP_WORD_TARGET_PORT]);
    stream *e = &w->streams[slot_of(h, PP_WITNESS_STREAMS)];
    uint32_t sequence = pp_get32(s->transport + TCP_SEQUENCE);
    if (e->tag != tag_of(h) || !is_near(sequence, e->sequence))
        *e = (stream){ .tag = tag_of(h) };
    else if (e->peer != s->word[PP_WORD_TARGET])
        e->other = e->peer;
    e->peer = s->word[PP_WORD_TARGET];
    e->sequence = sequence;
    e->acknowledged = pp_get32(s->transport + TCP_ACKNOWLEDGED);
}

/* Is all here that is looked at, though the packet was cut?  Of TCP without a sum, its header. */
static int is_enough(const pp_batch *b, uint32_t i, const pp_check *k)
{
    return k->proto == PP_PROTO_TCP && k->status == PP_STATUS_PENDING && k->start + TCP_LEN <= b->caplen[i];
}

static void remember(pp_witnesses *w, const pp_batch *b, uint32_t i)
{
    unsigned at = b->version[i] == 4; /* an IPv4 header's own check is the first */
    const pp_check *k = b->checks + b->check_first[i] + at;
    if (at >= b->check_count[i] || k->proto > PP_PROTO_UDP || k->proto < PP_PROTO_TCP || k->start != b->l4[i] ||
        k->length < (uint32_t)(k->proto == PP_PROTO_TCP ? TCP_LEN : UDP_LEN) ||
        (b->flags[i] & (PP_PKT_MALFORMED | PP_PKT_FRAGMENT)) ||
        ((b->flags[i] & PP_PKT_TRUNCATED) && !is_enough(b, i, k)))
        return;
    uint16_t witness = k->status == PP_STATUS_GOOD      ? WITH_SUM
                       : k->status == PP_STATUS_PENDING ? WITHOUT_SUM
                       : k->status == PP_STATUS_ABSENT  ? WITH_ZERO
                                                        : NOBODY;
    if (witness == NOBODY)
        return;
    segment s = segment_of(b->data[i], b->l3[i], b->version[i], k);
    uint64_t h = content(&s);
    twin *t = &w->twins[slot_of(h, PP_WITNESS_TWINS)];
    t->tag = tag_of(h);
    t->rest = rest_of(&s, pp_wire16((uint16_t)k->stored));
    t->witness = witness;
    memcpy(t->word, s.word, sizeof t->word);
    if (s.is_tcp) {
        remember_stream(w, &s);
    } else if (witness == WITH_ZERO) {
        uint64_t tunnel = tunnel_of(&s);
        w->tunnels[slot_of(tunnel, PP_WITNESS_TUNNELS)] = tag_of(tunnel);
    }
}

static inline int is_syn(const pp_batch *b, uint32_t i)
{
    return b->protocol[i] == IPPROTO_TCP && b->l4[i] && b->l4[i] + TCP_FLAGS + 1u <= b->caplen[i] &&
           (b->data[i][b->l4[i] + TCP_FLAGS] & TCP_SYN);
}

void pp_witnesses_add(pp_witnesses *w, const pp_batch *b, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (w->awake) {
            w->awake--;
            remember(w, b, i);
        } else if (is_syn(b, i)) {
            remember(w, b, i);
        }
}

static void wake(pp_witnesses *w, const pp_batch *b, uint32_t before)
{
    for (uint32_t i = 0; !w->awake && i < before; i++)
        remember(w, b, i);
    w->awake = PP_WITNESS_AWAKE;
}

/* Translated in one address, the other end and both ports being the same, within the same sequence numbers. */
static int is_stream_delta(const pp_witnesses *w, const segment *s, uint16_t stored, uint16_t right)
{
    uint32_t sequence = pp_get32(s->transport + TCP_SEQUENCE), acknowledged = pp_get32(s->transport + TCP_ACKNOWLEDGED);
    for (unsigned is_reverse = 0; is_reverse < 2; is_reverse++) {
        unsigned end = is_reverse ? PP_WORD_TARGET : PP_WORD_SOURCE,
                 peer = is_reverse ? PP_WORD_SOURCE : PP_WORD_TARGET;
        uint64_t h = stream_of(is_reverse ? s->target : s->source, s->word[end + 2], s->word[peer + 2]);
        const stream *e = &w->streams[slot_of(h, PP_WITNESS_STREAMS)];
        if (e->tag != tag_of(h))
            continue;
        uint32_t own = is_reverse ? acknowledged : sequence, other = is_reverse ? sequence : acknowledged;
        /* an acknowledgment number of 0 is a SYN's: there is none yet */
        if (!is_near(own, e->sequence) || (other && e->acknowledged && !is_near(other, e->acknowledged)))
            continue;
        uint16_t then[PP_WORDS];
        memcpy(then, s->word, sizeof then);
        then[peer] = e->peer;
        if (pp_is_delta(stored, right, s->word, then, s->is_rewritten))
            return 1;
        then[peer] = e->other;
        if (e->other && pp_is_delta(stored, right, s->word, then, s->is_rewritten))
            return 1;
    }
    return 0;
}

/* Count distinct values, three at most. */
static void count_distinct(uint8_t *count, uint16_t first, uint16_t *second, uint16_t now)
{
    if (*count == 1 && now != first) {
        *second = now;
        *count = 2;
    } else if (*count == 2 && now != first && now != *second) {
        *count = 3;
    }
}

/* So small a difference explains itself: no witness's many candidates are asked. */
static int is_one_bit(uint16_t stored, uint16_t right)
{
    uint16_t d = pp_difference(stored, right);
    return pp_is_power_of_two(d) || pp_is_power_of_two((uint16_t)~d);
}

/* Does the flow's stored value not depend on what is summed?  A payload alone is no test of that in a tunnel: where the
 * inner sums are right it cancels out of the outer one. */
static int is_repeat(pp_witnesses *w, const segment *s, uint64_t hash, uint16_t stored, uint16_t right, int is_first)
{
    uint64_t h = flow_of(s);
    uint16_t content_now = (uint16_t)hash;
    repeat *r = &w->repeats[slot_of(h, PP_WITNESS_REPEATS)];
    if (r->tag != tag_of(h) || r->stored != stored) {
        if (is_first)
            *r = (repeat){ .tag = tag_of(h),
                           .stored = stored,
                           .length = (uint16_t)s->length,
                           .right = { right },
                           .content = { content_now },
                           .rights = 1,
                           .contents = 1 };
        return 0;
    }
    if (is_first) {
        r->has_lengths |= r->length != (uint16_t)s->length;
        count_distinct(&r->rights, r->right[0], &r->right[1], right);
        count_distinct(&r->contents, r->content[0], &r->content[1], content_now);
    }
    if (r->rights == 1 && is_one_bit(stored, right))
        return 0; /* one difference again and again, and of one bit: a lost carry or a stuck bit */
    uint64_t tunnel = tunnel_of(s);
    int has_zero = w->tunnels[slot_of(tunnel, PP_WITNESS_TUNNELS)] == tag_of(tunnel);
    return (r->rights >= 3 && r->has_lengths) || (r->contents >= 3 && stored == 0xffff) ||
           (r->contents >= 2 && has_zero);
}

/* Where the IP header of a check lies: known for the outermost, parsed again for what is inside a tunnel. */
static int header_of(const pp_batch *b, uint32_t i, const pp_check *k, uint32_t *l3, uint8_t *version)
{
    if (k->depth == 0 && k->start == b->l4[i]) {
        *l3 = b->l3[i];
        *version = b->version[i];
        return 1;
    }
    pp_layer layers[PP_MAX_DEPTH];
    unsigned count = pp_layers_of(b, i, layers);
    for (unsigned j = 0; j < count; j++)
        if (layers[j].l4 == k->start) {
            *l3 = layers[j].l3;
            *version = layers[j].version;
            return 1;
        }
    return 0;
}

uint8_t pp_witness_cause(pp_witnesses *w, const pp_batch *b, uint32_t i, const pp_check *k, int is_first)
{
    uint32_t l3;
    uint8_t version;
    if ((k->proto != PP_PROTO_TCP && k->proto != PP_PROTO_UDP) || !(k->flags & PP_CHECK_HAS_EXPECTED) ||
        k->length < (uint32_t)(k->proto == PP_PROTO_TCP ? TCP_LEN : UDP_LEN) || !header_of(b, i, k, &l3, &version))
        return PP_CAUSE_NONE;
    wake(w, b, i);
    segment s = segment_of(b->data[i], l3, version, k);
    const pp_check *first = b->checks + b->check_first[i];
    for (unsigned j = 0; version == 4 && j < b->check_count[i]; j++)
        s.is_rewritten |= first[j].proto == PP_PROTO_IP && first[j].start == l3 && first[j].status == PP_STATUS_GOOD;
    uint16_t stored = pp_wire16((uint16_t)k->stored), right = pp_wire16((uint16_t)k->expected);
    uint64_t h = content(&s);
    const twin *t = &w->twins[slot_of(h, PP_WITNESS_TWINS)];
    int is_twin = t->tag == tag_of(h);
    if (is_twin && t->witness != WITH_ZERO && (t->witness == WITHOUT_SUM || t->rest == rest_of(&s, right)) &&
        pp_is_delta(stored, right, s.word, t->word, s.is_rewritten))
        return PP_CAUSE_NAT_DELTA;
    if (s.is_tcp)
        return is_stream_delta(w, &s, stored, right) ? PP_CAUSE_NAT_DELTA : PP_CAUSE_NONE;
    int repeats = is_repeat(w, &s, h, stored, right, is_first); /* counted even where the twin suffices */
    if (repeats ||
        (is_twin && t->witness == WITH_ZERO && !is_one_bit(stored, right) && pp_is_on_zero(stored, s.word, t->word)))
        return PP_CAUSE_NAT_ON_ZERO;
    return PP_CAUSE_NONE;
}
