/* flow.c - see flow.h.
 *
 * All sums are kept in host order, as memcpy loads 16-bit words, so that no packet pays for a swap (RFC 1071 section 2(B)).
 * An address is kept as its sum: two addresses of equal sum make no difference to a checksum.
 *
 * Source: RFC 1624 (incremental update); RFC 3022 section 4.1 (what translation changes).
 */
#include "check/witness.h"

#include <stdlib.h>

#include "parse/headers.h"
#include "parse/layers.h"
#include "sum/bytes.h"
#include <pktmend/sum.h>

/* Bytes of a datagram that identify it, with the last 8: more than conversation.c takes, for within a tunnel they have to
 * reach the inner headers. */
#define TWIN_BYTES 80u
/* Bytes of sequence space within which two segments are of one stream: fewer than conversation.c allows, for a witness. */
#define STREAM_WINDOW (1u << 20)

enum { SOURCE, TARGET, SOURCE_PORT, TARGET_PORT, WORDS };
enum witness { NOBODY = 0, WITH_SUM, WITHOUT_SUM, WITH_ZERO };

typedef struct twin {
    uint32_t tag;
    uint16_t rest; /* WITH_SUM: the sum of what translation leaves alone */
    uint16_t witness;
    uint16_t word[WORDS];
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

struct pp_flow {
    twin twins[PP_FLOW_TWINS];
    stream streams[PP_FLOW_STREAMS];
    repeat repeats[PP_FLOW_REPEATS];
    uint32_t tunnels[PP_FLOW_TUNNELS];
    uint32_t awake; /* packets left to look at */
};

/* A segment or datagram as translation sees it. */
typedef struct segment {
    const uint8_t *transport;
    uint32_t length;
    int is_tcp;
    int is_rewritten;        /* its IPv4 header's own sum is right: whoever changed an address updated that */
    uint64_t source, target; /* equal for equal addresses */
    uint16_t word[WORDS];
} segment;

pp_flow *pp_flow_new(void) { return calloc(1, sizeof(pp_flow)); }
void pp_flow_free(pp_flow *f) { free(f); }

static inline uint32_t tag_of(uint64_t h) { return (uint32_t)h | 1u; } /* 0 is an empty slot */
static inline size_t slot_of(uint64_t h, size_t slots) { return (size_t)(h >> 40) & (slots - 1); }

static inline void address(const uint8_t *a, uint8_t version, uint64_t *key, uint16_t *sum)
{
    if (version == 4) {
        *key = pp_load32(a);
        *sum = pp_fold(*key);
    } else {
        uint64_t high = pp_load64(a), low = pp_load64(a + 8);
        *key = pp_mix(high, low);
        *sum = pp_fold((high >> 32) + (high & 0xffffffffu) + (low >> 32) + (low & 0xffffffffu));
    }
}

static inline segment segment_of(const uint8_t *data, uint32_t l3, uint8_t version, const pp_check *k)
{
    segment s = { .transport = data + k->start, .length = k->length, .is_tcp = k->proto == PP_PROTO_TCP };
    const uint8_t *source = data + l3 + (version == 4 ? IP4_SOURCE : IP6_SOURCE);
    address(source, version, &s.source, &s.word[SOURCE]);
    address(source + (version == 4 ? IP4_ADDRESS_LEN : IP6_ADDRESS_LEN), version, &s.target, &s.word[TARGET]);
    s.word[SOURCE_PORT] = pp_load16(s.transport + PORT_SOURCE);
    s.word[TARGET_PORT] = pp_load16(s.transport + PORT_TARGET);
    return s;
}

/* What identifies a segment or datagram whoever it is from. */
static inline uint64_t content(const segment *s)
{
    if (s->is_tcp) /* sequence and acknowledgment numbers; header length and flags */
        return pp_mix(pp_load64(s->transport + TCP_SEQUENCE),
                      (uint64_t)s->length << 32 | (uint64_t)pp_load16(s->transport + TCP_OFFSET) << 8 | IPPROTO_TCP);
    uint32_t end = s->length < TWIN_BYTES ? s->length : TWIN_BYTES, i = UDP_LEN;
    uint64_t h = (uint64_t)s->length << 8 | IPPROTO_UDP, last = 0;
    for (; i + 8 <= end; i += 8)
        h = pp_mix(pp_load64(s->transport + i), h);
    memcpy(&last, s->length < TWIN_BYTES ? s->transport + i : s->transport + s->length - 8,
           s->length < TWIN_BYTES ? s->length - i : 8);
    return pp_mix(last, h);
}

/* The sum without addresses, ports and checksum, given the right checksum; < 0xffff. */
static inline uint16_t rest_of(const segment *s, uint16_t right)
{
    uint64_t sum = (uint16_t)~right;
    for (unsigned i = 0; i < WORDS; i++)
        sum += (uint16_t)~s->word[i];
    uint16_t rest = pp_fold(sum);
    return rest == 0xffff ? 0 : rest;
}

static inline int is_near(uint32_t a, uint32_t b) { return a - b + STREAM_WINDOW < 2 * STREAM_WINDOW; }

static inline uint64_t stream_of(uint64_t end, uint16_t port, uint16_t peer_port)
{
    return pp_mix(end, (uint64_t)port << 16 | peer_port);
}

static inline uint64_t tunnel_of(const segment *s)
{
    return pp_mix(s->source, pp_mix(s->target, s->word[TARGET_PORT]));
}

static inline uint64_t flow_of(const segment *s)
{
    return pp_mix(s->source, pp_mix(s->target, (uint64_t)s->word[SOURCE_PORT] << 16 | s->word[TARGET_PORT]));
}

static inline void note_stream(pp_flow *f, const segment *s)
{
    uint64_t h = stream_of(s->source, s->word[SOURCE_PORT], s->word[TARGET_PORT]);
    stream *e = &f->streams[slot_of(h, PP_FLOW_STREAMS)];
    uint32_t sequence = pp_get32(s->transport + TCP_SEQUENCE);
    if (e->tag != tag_of(h) || !is_near(sequence, e->sequence))
        *e = (stream){ .tag = tag_of(h) };
    else if (e->peer != s->word[TARGET])
        e->other = e->peer;
    e->peer = s->word[TARGET];
    e->sequence = sequence;
    e->acknowledged = pp_get32(s->transport + TCP_ACKNOWLEDGED);
}

static void note(pp_flow *f, const pp_batch *b, uint32_t i)
{
    unsigned at = b->version[i] == 4; /* an IPv4 header's own check is the first */
    const pp_check *k = b->checks + b->check_first[i] + at;
    if (at >= b->check_count[i] || k->proto > PP_PROTO_UDP || k->proto < PP_PROTO_TCP || k->start != b->l4[i] ||
        k->length < (uint32_t)(k->proto == PP_PROTO_TCP ? TCP_LEN : UDP_LEN) ||
        (b->flags[i] & (PP_PKT_MALFORMED | PP_PKT_TRUNCATED | PP_PKT_FRAGMENT)))
        return;
    uint16_t witness = k->status == PP_STATUS_GOOD      ? WITH_SUM
                       : k->status == PP_STATUS_PENDING ? WITHOUT_SUM
                       : k->status == PP_STATUS_ABSENT  ? WITH_ZERO
                                                        : NOBODY;
    if (witness == NOBODY)
        return;
    segment s = segment_of(b->data[i], b->l3[i], b->version[i], k);
    uint64_t h = content(&s);
    twin *t = &f->twins[slot_of(h, PP_FLOW_TWINS)];
    t->tag = tag_of(h);
    t->rest = rest_of(&s, pp_wire16((uint16_t)k->stored));
    t->witness = witness;
    memcpy(t->word, s.word, sizeof t->word);
    if (s.is_tcp) {
        note_stream(f, &s);
    } else if (witness == WITH_ZERO) {
        uint64_t tunnel = tunnel_of(&s);
        f->tunnels[slot_of(tunnel, PP_FLOW_TUNNELS)] = tag_of(tunnel);
    }
}

static inline int is_syn(const pp_batch *b, uint32_t i)
{
    return b->protocol[i] == IPPROTO_TCP && b->l4[i] && b->l4[i] + TCP_FLAGS + 1u <= b->caplen[i] &&
           (b->data[i][b->l4[i] + TCP_FLAGS] & TCP_SYN);
}

void pp_flow_note(pp_flow *f, const pp_batch *b, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        if (f->awake) {
            f->awake--;
            note(f, b, i);
        } else if (is_syn(b, i)) {
            note(f, b, i);
        }
}

static void wake(pp_flow *f, const pp_batch *b, uint32_t before)
{
    for (uint32_t i = 0; !f->awake && i < before; i++)
        note(f, b, i);
    f->awake = PP_FLOW_AWAKE;
}

/* pp_difference() with one zero only. */
static inline uint16_t minus(uint16_t a, uint16_t b)
{
    uint16_t d = pp_difference(a, b);
    return d == 0xffff ? 0 : d;
}

/* One word that differs by +-2^k may be an octet damaged on the way, unless the IPv4 header vouches for its addresses. */
static int is_translated(const segment *s, const uint16_t then[WORDS])
{
    unsigned differ = 0;
    uint16_t change = 0;
    if (s->is_rewritten && (s->word[SOURCE] != then[SOURCE] || s->word[TARGET] != then[TARGET]))
        return 1;
    for (unsigned i = 0; i < WORDS; i++)
        if (s->word[i] != then[i]) {
            differ++;
            change = minus(s->word[i], then[i]);
        }
    return differ > 1 || (differ == 1 && !pp_is_power_of_two(change) && !pp_is_power_of_two((uint16_t)~change));
}

/* Is stored what it was right for before some of the words changed, or after all of them were counted twice?
 * then: the words as the witness has them. */
static int is_delta(uint16_t stored, uint16_t right, const segment *s, const uint16_t then[WORDS])
{
    const uint16_t *now = s->word;
    uint16_t wanted = minus(stored, right);
    if (!is_translated(s, then))
        return 0;
    for (unsigned some = 1; some < 1u << WORDS; some++) {
        uint64_t change = 0;
        int is_change = 1;
        for (unsigned i = 0; i < WORDS; i++)
            if (some >> i & 1) {
                is_change &= minus(now[i], then[i]) != 0;
                change += minus(now[i], then[i]);
            }
        /* a larger word makes a smaller checksum: right = before - change */
        if (is_change && minus(pp_fold(change), 0) == wanted)
            return 1;
    }
    uint64_t twice = 0;
    for (unsigned i = 0; i < WORDS; i++)
        twice += minus(then[i], now[i]);
    return minus(pp_fold(twice), 0) == wanted;
}

/* Is stored what incremental updates by some of the changes make of 0?  By no net change it is ffff: never 0 (RFC 768). */
static int is_on_zero(uint16_t stored, const uint16_t now[WORDS], const uint16_t then[WORDS])
{
    for (unsigned some = 0; some < 1u << WORDS; some++) {
        uint64_t change = 0;
        for (unsigned i = 0; i < WORDS; i++)
            if (some >> i & 1)
                change += minus(now[i], then[i]);
        uint16_t once = minus(0, pp_fold(change));
        if (minus(stored, 0) == once || minus(stored, 0) == minus(pp_fold(2u * once), 0))
            return 1;
    }
    return 0;
}

/* Translated in one address, the other end and both ports being the same, within the same sequence numbers. */
static int is_stream_delta(const pp_flow *f, const segment *s, uint16_t stored, uint16_t right)
{
    uint32_t sequence = pp_get32(s->transport + TCP_SEQUENCE), acknowledged = pp_get32(s->transport + TCP_ACKNOWLEDGED);
    for (unsigned is_reverse = 0; is_reverse < 2; is_reverse++) {
        unsigned end = is_reverse ? TARGET : SOURCE, peer = is_reverse ? SOURCE : TARGET;
        uint64_t h = stream_of(is_reverse ? s->target : s->source, s->word[end + 2], s->word[peer + 2]);
        const stream *e = &f->streams[slot_of(h, PP_FLOW_STREAMS)];
        if (e->tag != tag_of(h))
            continue;
        uint32_t mine = is_reverse ? acknowledged : sequence, yours = is_reverse ? sequence : acknowledged;
        /* an acknowledgment number of 0 is a SYN's: there is none yet */
        if (!is_near(mine, e->sequence) || (yours && e->acknowledged && !is_near(yours, e->acknowledged)))
            continue;
        uint16_t then[WORDS];
        memcpy(then, s->word, sizeof then);
        then[peer] = e->peer;
        if (is_delta(stored, right, s, then))
            return 1;
        then[peer] = e->other;
        if (e->other && is_delta(stored, right, s, then))
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

/* Does the flow's stored value not depend on what is summed?  A payload alone is no test of that in a tunnel: where the
 * inner sums are right it cancels out of the outer one. */
static int is_repeat(pp_flow *f, const segment *s, uint64_t hash, uint16_t stored, uint16_t right, int is_first)
{
    uint64_t h = flow_of(s);
    uint16_t content_now = (uint16_t)hash;
    repeat *r = &f->repeats[slot_of(h, PP_FLOW_REPEATS)];
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
    uint64_t tunnel = tunnel_of(s);
    int has_zero = f->tunnels[slot_of(tunnel, PP_FLOW_TUNNELS)] == tag_of(tunnel);
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

uint8_t pp_flow_cause(pp_flow *f, const pp_batch *b, uint32_t i, const pp_check *k, int is_first)
{
    uint32_t l3;
    uint8_t version;
    if ((k->proto != PP_PROTO_TCP && k->proto != PP_PROTO_UDP) || !(k->flags & PP_CHECK_HAS_EXPECTED) ||
        k->length < (uint32_t)(k->proto == PP_PROTO_TCP ? TCP_LEN : UDP_LEN) || !header_of(b, i, k, &l3, &version))
        return PP_CAUSE_NONE;
    wake(f, b, i);
    segment s = segment_of(b->data[i], l3, version, k);
    const pp_check *first = b->checks + b->check_first[i];
    for (unsigned j = 0; version == 4 && j < b->check_count[i]; j++)
        s.is_rewritten |= first[j].proto == PP_PROTO_IP && first[j].start == l3 && first[j].status == PP_STATUS_GOOD;
    uint16_t stored = pp_wire16((uint16_t)k->stored), right = pp_wire16((uint16_t)k->expected);
    uint64_t h = content(&s);
    const twin *t = &f->twins[slot_of(h, PP_FLOW_TWINS)];
    int is_twin = t->tag == tag_of(h);
    if (is_twin && t->witness != WITH_ZERO && (t->witness == WITHOUT_SUM || t->rest == rest_of(&s, right)) &&
        is_delta(stored, right, &s, t->word))
        return PP_CAUSE_NAT_DELTA;
    if (s.is_tcp)
        return is_stream_delta(f, &s, stored, right) ? PP_CAUSE_NAT_DELTA : PP_CAUSE_NONE;
    int repeats = is_repeat(f, &s, h, stored, right, is_first); /* counted even where the twin suffices */
    if (repeats || (is_twin && t->witness == WITH_ZERO && is_on_zero(stored, s.word, t->word)))
        return PP_CAUSE_NAT_ON_ZERO;
    return PP_CAUSE_NONE;
}
