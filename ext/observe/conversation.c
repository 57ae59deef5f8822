/* conversation.c - see conversation.h.
 *
 * Does: find the conversation of each packet, count its kind, and follow what left with a partial checksum until it
 * is answered (TCP: follow_tcp.c).
 * Does not: judge packets (verify.c), draw conclusions (Python does).
 */
#include "observe/conversation.h"

#include <stdlib.h>

#include "observe/follow_tcp.h"
#include "observe/innermost.h"
#include "parse/headers.h"
#include <pktmend/parse.h>
#include "sum/bytes.h"

#define PROBES 8u

pp_conversations *pp_conversations_new(void) { return calloc(1, sizeof(pp_conversations)); }
void pp_conversations_free(pp_conversations *c) { free(c); }

/* --- the table ------------------------------------------------------------------------------------------------ */

static void ports_of(const pp_inner *p, uint16_t port[2])
{
    uint8_t type = p->transport[ICMP_TYPE];
    port[0] = port[1] = 0;
    if (p->protocol == IPPROTO_ICMP || p->protocol == IPPROTO_ICMPV6) {
        if (type == ICMP_ECHO || (type == ICMP_ECHOREPLY && p->protocol == IPPROTO_ICMP) ||
            type == ICMP6_ECHO_REQUEST || type == ICMP6_ECHO_REPLY)
            port[0] = port[1] = pp_get16(p->transport + ICMP_ID);
    } else if (pp_has_ports(p->protocol)) {
        port[0] = pp_get16(p->transport + PORT_SOURCE);
        port[1] = pp_get16(p->transport + PORT_TARGET);
    }
}

/* How little would be lost with this conversation: those of interest last. */
static int is_dispensable(const pp_conversation *c)
{
    for (unsigned w = 0; w < 2; w++)
        for (unsigned k = PP_DIRECTION_PENDING_FLAGGED; k < PP_DIRECTION_KINDS; k++)
            if (c->direction[w].kind[k])
                return 0;
    return 1;
}

/* The conversation of that key, made if there is none yet. */
static pp_conversation *look_up(pp_conversations *t, const pp_conversation *key)
{
    uint64_t h = pp_mix(pp_load64(key->address[0]), pp_load64(key->address[0] + 8));
    h = pp_mix(h, pp_mix(pp_load64(key->address[1]), pp_load64(key->address[1] + 8)));
    h = pp_mix(h, (uint64_t)key->port[0] << 32 | (uint64_t)key->port[1] << 16 | (uint64_t)key->protocol << 8 |
                      key->version);
    pp_conversation *victim = NULL;
    for (unsigned i = 0; i < PROBES; i++) {
        pp_conversation *c = &t->at[((h >> 40) + i) & (PP_CONVERSATIONS - 1)];
        if (!c->is_used) {
            victim = c;
            break;
        }
        if (memcmp(c->address, key->address, sizeof key->address) == 0 && c->port[0] == key->port[0] &&
            c->port[1] == key->port[1] && c->protocol == key->protocol && c->version == key->version)
            return c;
        if (!victim || is_dispensable(c) > is_dispensable(victim) ||
            (is_dispensable(c) == is_dispensable(victim) && c->last < victim->last))
            victim = c;
    }
    t->lost += victim->is_used;
    *victim = *key;
    victim->is_used = 1;
    return victim;
}

/* The conversation and direction of a packet.  The lower end comes first, so that both directions meet. */
static pp_conversation *conversation_of(pp_conversations *t, const pp_batch *b, uint32_t i, const pp_inner *p,
                                        unsigned *direction)
{
    pp_conversation key = { .version = p->version, .protocol = p->protocol };
    const uint8_t *source = b->data[i] + p->l3 + (p->version == 4 ? IP4_SOURCE : IP6_SOURCE);
    uint32_t width = p->version == 4 ? IP4_ADDRESS_LEN : IP6_ADDRESS_LEN;
    uint16_t port[2];
    ports_of(p, port);
    int order = memcmp(source, source + width, width);
    unsigned from = order > 0 || (order == 0 && port[0] > port[1]);
    memcpy(key.address[from], source, width);
    memcpy(key.address[!from], source + width, width);
    key.port[from] = port[0];
    key.port[!from] = port[1];
    *direction = from;
    return look_up(t, &key);
}

/* --- what a packet carries ------------------------------------------------------------------------------------ */

static unsigned kind_of(const pp_batch *b, uint32_t i, const pp_inner *p)
{
    const pp_check *checks = b->checks + b->check_first[i];
    unsigned kind = PP_DIRECTION_GOOD;
    for (unsigned j = 0; j < b->check_count[i]; j++) {
        const pp_check *k = &checks[j];
        if (k->flags & PP_CHECK_QUOTED)
            break;
        unsigned found = PP_DIRECTION_GOOD;
        if (k->status == PP_STATUS_BAD)
            found = k->cause == PP_CAUSE_LEAKED          ? PP_DIRECTION_LEAKED
                    : k->cause == PP_CAUSE_NEVER_FILLED  ? PP_DIRECTION_NEVER_FILLED
                    : k->cause == PP_CAUSE_INNER_PENDING ? PP_DIRECTION_LEAKED
                                                         : PP_DIRECTION_BAD;
        else if (k->status == PP_STATUS_PENDING)
            found = k->reason == PP_REASON_NO_METADATA ? PP_DIRECTION_PENDING_UNKNOWN : PP_DIRECTION_PENDING_FLAGGED;
        else if (k == p->check && k->status == PP_STATUS_ABSENT)
            found = PP_DIRECTION_ABSENT;
        else if (k == p->check && k->status == PP_STATUS_UNCHECKED)
            found = PP_DIRECTION_UNCHECKED;
        if (found > kind)
            kind = found;
    }
    return kind;
}

/* Without numbers an answer is what there is: a packet back after a partial one. */
static void follow_others(pp_conversation *c, unsigned direction, unsigned kind)
{
    pp_direction *there = &c->direction[direction], *back = &c->direction[!direction];
    if (pp_kind_is_partial(kind))
        there->is_in_flight = 1;
    if (kind != PP_DIRECTION_BAD && back->is_in_flight) {
        back->is_in_flight = 0;
        back->acked++;
    }
}

static void count_packet(pp_direction *d, const pp_batch *b, uint32_t i, unsigned kind)
{
    if (!d->packets) {
        if (b->link[i] == PP_LINK_ETHERNET && b->caplen[i] >= ETH_ADDRESSES)
            memcpy(d->mac, b->data[i], ETH_ADDRESSES);
        else if (b->link[i] == PP_LINK_SLL && b->caplen[i] >= SLL_ADDRESS + ETH_ALEN)
            memcpy(d->mac + ETH_ALEN, b->data[i] + SLL_ADDRESS, ETH_ALEN);
    }
    d->packets++;
    d->kind[kind]++;
    d->outgoing += !!(b->flags[i] & PP_PKT_OUTGOING);
    if (b->wirelen[i] > d->largest)
        d->largest = b->wirelen[i];
    d->short_frames += b->link[i] == PP_LINK_ETHERNET && b->wirelen[i] < ETH_ZLEN;
}

int pp_stage_track_conversations(pp_batch *batch, void *context)
{
    pp_conversations *t = context;
    for (uint32_t i = 0; i < batch->count; i++) {
        pp_inner p;
        if (!pp_innermost(batch, i, &p))
            continue;
        unsigned direction, kind = kind_of(batch, i, &p);
        pp_conversation *c = conversation_of(t, batch, i, &p, &direction);
        c->last = ++t->clock;
        count_packet(&c->direction[direction], batch, i, kind);
        if (p.protocol == IPPROTO_TCP)
            pp_follow_tcp(c, direction, &p, kind, batch->wirelen[i], batch->time_ns[i]);
        else
            follow_others(c, direction, kind);
    }
    return 0;
}
