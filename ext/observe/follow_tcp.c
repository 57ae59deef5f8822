/* follow_tcp.c - see follow_tcp.h.
 *
 * Does: follow what left with a partial checksum until something shows that it arrived, or that it was sent again.
 * Does not: draw conclusions (Python does).
 *
 * What shows that segments arrived: their acknowledgment; a block of a selective one (RFC 2018), also of what came
 * twice (RFC 2883); and, less surely, a duplicate acknowledgment: a receiver sends one for what came out of order.
 * Where the other direction was not captured: an end that goes on after its SYN has got an answer to it.
 */
#include "observe/follow_tcp.h"

#include "parse/headers.h"
#include "sum/bytes.h"

#define SEQUENCE_WINDOW (1u << 24) /* bytes of sequence space within which two segments are of one stream */

#define KEEPALIVE_NS 1000000000u /* the shortest time of silence after which an end probes, one byte back */

enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_SACK = 5, SACK_BLOCK = 8 };

static inline int32_t after(uint32_t a, uint32_t b) { return (int32_t)(a - b); }

static int is_covered(const pp_segment *s, uint32_t from, uint32_t to)
{
    return s->length && after(s->from, from) >= 0 && after(s->to, to) <= 0;
}

/* All that lies in [from, to) has arrived; 1 if something did not count as arrived before. */
static int arrived(pp_direction *d, uint32_t from, uint32_t to)
{
    int is_new = 0;
    for (unsigned i = 0; i < PP_SEGMENTS; i++) {
        pp_segment *s = &d->sent[i];
        if (!is_covered(s, from, to) || s->is_arrived)
            continue;
        s->is_arrived = 1;
        is_new = 1;
        if (s->length > d->passed_longest)
            d->passed_longest = s->length;
    }
    return is_new;
}

/* --- what is sent ------------------------------------------------------------------------------------------- */

static pp_segment *remember(pp_direction *d, uint32_t from, uint32_t to, uint32_t wirelen, uint64_t now)
{
    pp_segment *s = &d->sent[d->next_sent++ % PP_SEGMENTS];
    *s = (pp_segment){ .from = from, .to = to, .length = wirelen, .ns = now };
    return s;
}

/* A complete copy makes what waits worthless as proof. */
static void track_complete(pp_direction *d, uint32_t from, uint32_t to, int is_near)
{
    d->is_mixed = 1;
    if (is_near && after(from, d->in_flight_to) < 0 && after(to, d->in_flight_from) > 0)
        d->is_in_flight = 0;
    for (unsigned i = 0; i < PP_SEGMENTS; i++)
        if (after(from, d->sent[i].to) < 0 && after(to, d->sent[i].from) > 0)
            d->sent[i].length = 0;
}

/* The same bytes once more: another tap's copy if they are close in time, else sent again. */
static void track_again(pp_direction *d, uint32_t from, uint32_t to, uint32_t wirelen, uint64_t now)
{
    uint64_t sent = d->in_flight_ns;
    pp_segment *known = NULL;
    for (unsigned i = 0; i < PP_SEGMENTS; i++)
        if (d->sent[i].length && d->sent[i].from == from && d->sent[i].to == to)
            known = &d->sent[i];
    if (known && known->ns > sent)
        sent = known->ns;
    if (now < sent || now - sent < PP_RETRANSMISSION_NS)
        return;
    d->retransmitted++;
    d->in_vain++;
    d->in_flight_ns = now;
    if (!d->again_shortest || wirelen < d->again_shortest)
        d->again_shortest = wirelen;
    if (!known)
        known = remember(d, from, to, wirelen, now);
    known->ns = now;
}

static void track_partial(pp_direction *d, uint32_t from, uint32_t to, int is_near, uint32_t wirelen, uint64_t now)
{
    if (!is_near) {
        d->is_in_flight = 1;
        d->in_flight_from = from;
        d->in_flight_to = to;
        d->in_flight_ns = now;
    } else if (after(to, d->in_flight_to) > 0) {
        d->in_flight_to = to;
    } else if (after(from, d->in_flight_from) < 0) { /* bytes before what was seen first */
        d->in_flight_from = from;
    } else {
        track_again(d, from, to, wirelen, now);
        return;
    }
    remember(d, from, to, wirelen, now);
}

/* --- what the other end says -------------------------------------------------------------------------------- */

static void note_arrival(pp_direction *d, uint64_t now)
{
    d->acked++;
    d->in_vain = 0;
    d->in_flight_ns = now;
}

static void track_acknowledgment(pp_direction *d, uint32_t acknowledged, uint64_t now)
{
    int32_t covers = after(acknowledged, d->in_flight_from);
    if (!d->is_in_flight || covers <= 0 || covers > (int32_t)SEQUENCE_WINDOW)
        return;
    arrived(d, acknowledged - SEQUENCE_WINDOW, acknowledged);
    note_arrival(d, now);
    d->in_flight_from = acknowledged;
    d->is_in_flight = after(acknowledged, d->in_flight_to) < 0;
}

/* What an end sends after its SYN, it sends because that was answered. */
static void track_established(pp_direction *d, uint32_t from, uint64_t now)
{
    if (d->is_in_flight && d->is_syn && from == d->in_flight_from + 1)
        track_acknowledgment(d, from, now);
}

static void track_blocks(pp_direction *d, const uint8_t *option, uint32_t length, uint64_t now)
{
    for (uint32_t at = 2; at + SACK_BLOCK <= length; at += SACK_BLOCK) {
        uint32_t from = pp_get32(option + at), to = pp_get32(option + at + 4);
        if (after(to, from) > 0 && after(to, from) <= (int32_t)SEQUENCE_WINDOW && arrived(d, from, to))
            note_arrival(d, now);
    }
}

static void track_options(pp_direction *d, const uint8_t *t, uint32_t end, uint64_t now)
{
    for (uint32_t at = TCP_LEN; at + 1 < end && t[at] != OPTION_END;) {
        if (t[at] == OPTION_NOP) {
            at++;
            continue;
        }
        uint32_t length = t[at + 1];
        if (length < 2 || at + length > end)
            return;
        if (t[at] == OPTION_SACK)
            track_blocks(d, t + at, length, now);
        at += length;
    }
}

/* An acknowledgment that says nothing new, sent for something that came after the last one: what was sent since beyond
 * the number that it repeats.  Another tap's copy of the last one is none, nor is a probe. */
static void track_duplicate(pp_direction *d, const pp_direction *back, uint32_t acknowledged, uint64_t now)
{
    if (!d->is_in_flight || d->is_mixed)
        return;
    pp_segment *last = NULL;
    for (unsigned i = 0; i < PP_SEGMENTS; i++) {
        pp_segment *s = &d->sent[i];
        if (s->length && !s->is_arrived && s->ns >= back->ack_ns && now - s->ns < PP_RETRANSMISSION_NS &&
            after(s->from, acknowledged) > 0 && (!last || s->ns >= last->ns))
            last = s;
    }
    if (!last)
        return;
    last->is_arrived = 1;
    d->duplicates++;
    d->in_vain = 0;
    if (last->length > d->passed_longest)
        d->passed_longest = last->length;
}

static void follow_acknowledgment(pp_conversation *c, unsigned direction, const pp_inner *p, uint32_t header,
                                  uint32_t bytes, uint64_t now)
{
    const uint8_t *t = p->transport;
    pp_direction *d = &c->direction[!direction], *back = &c->direction[direction];
    uint32_t acknowledged = pp_get32(t + TCP_ACKNOWLEDGED), sequence = pp_get32(t + TCP_SEQUENCE);
    uint16_t window = pp_get16(t + TCP_WINDOW);
    int is_probe = sequence + 1 == back->ack_next && now - back->ack_ns >= KEEPALIVE_NS;
    int is_duplicate = back->has_ack && !bytes && !(t[TCP_FLAGS] & TCP_RST) && acknowledged == back->ack &&
                       window == back->ack_window && !is_probe;
    track_acknowledgment(d, acknowledged, now);
    track_options(d, t, header < p->captured ? header : p->captured, now);
    if (is_duplicate)
        track_duplicate(d, back, acknowledged, now);
    back->has_ack = 1;
    back->ack = acknowledged;
    back->ack_window = window;
    back->ack_next = sequence + bytes;
    back->ack_ns = now;
}

void pp_follow_tcp(pp_conversation *c, unsigned direction, const pp_inner *p, unsigned kind, uint32_t wirelen,
                   uint64_t now)
{
    const uint8_t *t = p->transport;
    uint32_t header = (t[TCP_OFFSET] >> 4) * 4u, from = pp_get32(t + TCP_SEQUENCE);
    uint32_t bytes =
        (p->length > header ? p->length - header : 0) + !!(t[TCP_FLAGS] & TCP_SYN) + !!(t[TCP_FLAGS] & TCP_FIN);
    pp_direction *d = &c->direction[direction];
    if (kind == PP_DIRECTION_BAD)
        return;
    if ((t[TCP_FLAGS] & (TCP_ACK | TCP_SYN | TCP_RST)) == TCP_ACK)
        track_established(d, from, now);
    int is_near = d->is_in_flight && after(from, d->in_flight_from) > -(int32_t)SEQUENCE_WINDOW &&
                  after(from, d->in_flight_from) < (int32_t)SEQUENCE_WINDOW;
    if (bytes && pp_kind_is_partial(kind))
        track_partial(d, from, from + bytes, is_near, wirelen, now);
    else if (bytes)
        track_complete(d, from, from + bytes, is_near);
    if (bytes && !is_near)
        d->is_syn = !!(t[TCP_FLAGS] & TCP_SYN);
    if (t[TCP_FLAGS] & TCP_ACK)
        follow_acknowledgment(c, direction, p, header, bytes, now);
}
