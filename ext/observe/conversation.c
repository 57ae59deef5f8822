/* conversation.c - see conversation.h.
 *
 * Does: find the conversation of each packet, count its kind, and follow unfinished octets until they are acknowledged.
 * Does not: judge packets (verify.c), draw conclusions (Python does).
 */
#include "observe/conversation.h"

#include <stdlib.h>

#include "parse/headers.h"
#include "parse/layers.h"
#include "sum/bytes.h"

#define PROBES 8u
#define LEAST 8u                   /* bytes of transport that must be there */
#define PAYLOAD_BYTES 64u          /* of a payload that identify it, with the last 8 */
#define SEQUENCE_WINDOW (1u << 24) /* bytes of sequence space within which two segments are of one stream */

/* The innermost IP packet. */
typedef struct inner {
    const uint8_t *transport;
    uint32_t l3, l4;
    uint32_t captured, length; /* octets from the transport header on: here, and by the headers */
    uint8_t version, protocol, depth;
    const pp_check *check; /* of the transport; null if it has none */
} inner;

pp_conversations *pp_conversations_new(void) { return calloc(1, sizeof(pp_conversations)); }
void pp_conversations_free(pp_conversations *c) { free(c); }

/* The length of the transport by its IP header, bounded by what the frame had. */
static uint32_t length_of(const pp_batch *b, uint32_t i, const inner *p)
{
    const uint8_t *ip = b->data[i] + p->l3;
    uint32_t frame = b->wirelen[i] - p->l4, header = p->l4 - p->l3, total;
    if (p->check)
        return p->check->length;
    total = p->version == 4 ? pp_get16(ip + IP4_TOTAL) : pp_get16(ip + IP6_PAYLOAD) + (uint32_t)IP6_LEN;
    return total > header && total - header < frame ? total - header : frame;
}

/* The innermost IP packet with eight octets of transport at least; 0 if there is none. */
static int innermost(const pp_batch *b, uint32_t i, inner *p)
{
    const pp_check *checks = b->checks + b->check_first[i];
    unsigned count = b->check_count[i];
    *p = (inner){ .l3 = b->l3[i], .l4 = b->l4[i], .version = b->version[i], .protocol = b->protocol[i] };
    while (count && (checks[count - 1].flags & PP_CHECK_QUOTED))
        count--;
    if (count && checks[count - 1].depth) {
        pp_layer layers[PP_MAX_DEPTH];
        unsigned found = pp_layers_of(b, i, layers);
        if (found) {
            const pp_layer *last = &layers[found - 1];
            p->l3 = last->l3;
            p->l4 = last->l4;
            p->version = last->version;
            p->protocol = last->protocol;
            p->depth = (uint8_t)(found - 1);
        }
    }
    if (!p->version || !p->l4 || p->l4 <= p->l3 || p->l4 + LEAST > b->caplen[i] || (b->flags[i] & PP_PKT_FRAGMENT))
        return 0;
    p->transport = b->data[i] + p->l4;
    p->captured = b->caplen[i] - p->l4;
    for (unsigned j = 0; j < count; j++)
        if (checks[j].start == p->l4 && checks[j].proto != PP_PROTO_IP)
            p->check = &checks[j];
    p->length = length_of(b, i, p);
    return p->protocol != IPPROTO_TCP || p->captured >= TCP_LEN;
}

/* --- the table ------------------------------------------------------------------------------------------------ */

static void ports_of(const inner *p, uint16_t port[2])
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
        for (unsigned k = PP_WAY_NOTED; k < PP_WAY_KINDS; k++)
            if (c->way[w].kind[k])
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
static pp_conversation *conversation_of(pp_conversations *t, const pp_batch *b, uint32_t i, const inner *p,
                                        unsigned *way)
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
    *way = from;
    return look_up(t, &key);
}

/* --- what a packet carries ------------------------------------------------------------------------------------ */

static unsigned kind_of(const pp_batch *b, uint32_t i, const inner *p)
{
    const pp_check *checks = b->checks + b->check_first[i];
    unsigned kind = PP_WAY_GOOD;
    for (unsigned j = 0; j < b->check_count[i]; j++) {
        const pp_check *k = &checks[j];
        if (k->flags & PP_CHECK_QUOTED)
            break;
        unsigned mine = PP_WAY_GOOD;
        if (k->status == PP_STATUS_BAD)
            mine = k->cause == PP_CAUSE_LEAKED          ? PP_WAY_LEAKED
                   : k->cause == PP_CAUSE_NEVER_FILLED  ? PP_WAY_BLANK
                   : k->cause == PP_CAUSE_INNER_PENDING ? PP_WAY_LEAKED
                                                        : PP_WAY_BAD;
        else if (k->status == PP_STATUS_PENDING)
            mine = k->reason == PP_REASON_NO_METADATA ? PP_WAY_BARE : PP_WAY_NOTED;
        else if (k == p->check && k->status == PP_STATUS_ABSENT)
            mine = PP_WAY_ABSENT;
        else if (k == p->check && k->status == PP_STATUS_UNCHECKED)
            mine = PP_WAY_UNCHECKED;
        if (mine > kind)
            kind = mine;
    }
    return kind;
}

static inline int is_unfinished(unsigned kind) { return kind >= PP_WAY_NOTED && kind <= PP_WAY_BLANK; }
static inline int32_t after(uint32_t a, uint32_t b) { return (int32_t)(a - b); }

/* A TCP segment of [from, to) on way w.  is_unfinished: its octets wait for proof; else a finished copy makes what waits
 * worthless as proof. */
static void note_octets(pp_way *w, uint32_t from, uint32_t to, int unfinished, uint64_t now)
{
    int is_near = w->is_open && after(from, w->open_from) > -(int32_t)SEQUENCE_WINDOW &&
                  after(from, w->open_from) < (int32_t)SEQUENCE_WINDOW;
    if (!unfinished) {
        if (is_near && after(from, w->open_to) < 0 && after(to, w->open_from) > 0)
            w->is_open = 0;
    } else if (!is_near) {
        w->is_open = 1;
        w->open_from = from;
        w->open_to = to;
        w->open_ns = now;
    } else if (after(to, w->open_to) > 0) {
        w->open_to = to;
    } else if (now - w->open_ns >= PP_AGAIN_NS && now >= w->open_ns) {
        w->again++;
        w->open_ns = now;
    }
}

static void note_acknowledgment(pp_way *w, uint32_t acknowledged, uint64_t now)
{
    int32_t covers = after(acknowledged, w->open_from);
    if (!w->is_open || covers <= 0 || covers > (int32_t)SEQUENCE_WINDOW)
        return;
    w->accepted++;
    w->open_ns = now;
    w->open_from = acknowledged;
    w->is_open = after(acknowledged, w->open_to) < 0;
}

static void follow_tcp(pp_conversation *c, unsigned way, const inner *p, unsigned kind, uint64_t now)
{
    const uint8_t *t = p->transport;
    uint32_t header = (t[TCP_OFFSET] >> 4) * 4u, from = pp_get32(t + TCP_SEQUENCE);
    uint32_t octets =
        (p->length > header ? p->length - header : 0) + !!(t[TCP_FLAGS] & TCP_SYN) + !!(t[TCP_FLAGS] & TCP_FIN);
    if (octets && kind != PP_WAY_BAD)
        note_octets(&c->way[way], from, from + octets, is_unfinished(kind), now);
    if ((t[TCP_FLAGS] & TCP_ACK) && kind != PP_WAY_BAD)
        note_acknowledgment(&c->way[!way], pp_get32(t + TCP_ACKNOWLEDGED), now);
}

/* Without numbers an answer is what there is: a packet the other way after an unfinished one. */
static void follow_others(pp_conversation *c, unsigned way, unsigned kind)
{
    pp_way *there = &c->way[way], *back = &c->way[!way];
    if (is_unfinished(kind))
        there->is_open = 1;
    if (kind != PP_WAY_BAD && back->is_open) {
        back->is_open = 0;
        back->accepted++;
    }
}

static void note_packet(pp_way *w, const pp_batch *b, uint32_t i, const inner *p, unsigned kind)
{
    const pp_check *checks = b->checks + b->check_first[i];
    if (!w->packets) {
        w->first = b->number[i];
        w->interface = b->interface[i];
        if (b->link[i] == PP_LINK_ETHERNET && b->caplen[i] >= ETH_ADDRESSES)
            memcpy(w->mac, b->data[i], ETH_ADDRESSES);
        else if (b->link[i] == PP_LINK_SLL && b->caplen[i] >= SLL_ADDRESS + ETH_ALEN)
            memcpy(w->mac + ETH_ALEN, b->data[i] + SLL_ADDRESS, ETH_ALEN);
    }
    w->packets++;
    w->octets += b->wirelen[i];
    w->last = b->number[i];
    w->kind[kind]++;
    if (is_unfinished(kind) && !w->first_unfinished)
        w->first_unfinished = b->number[i];
    w->outgoing += !!(b->flags[i] & PP_PKT_OUTGOING);
    w->super_frames += !!(b->flags[i] & PP_PKT_SUPER_FRAME);
    if (b->wirelen[i] > w->largest)
        w->largest = b->wirelen[i];
    w->short_frames += b->link[i] == PP_LINK_ETHERNET && b->wirelen[i] < ETH_ZLEN;
    for (unsigned j = 0; j < b->check_count[i]; j++)
        if (checks[j].flags & PP_CHECK_CLAIMED_VALID) {
            w->vouched++;
            break;
        }
    if (p->depth > w->largest_depth)
        w->largest_depth = p->depth;
}

int pp_stage_converse(pp_batch *batch, void *context)
{
    pp_conversations *t = context;
    for (uint32_t i = 0; i < batch->count; i++) {
        inner p;
        if (!innermost(batch, i, &p))
            continue;
        unsigned way, kind = kind_of(batch, i, &p);
        pp_conversation *c = conversation_of(t, batch, i, &p, &way);
        c->last = ++t->clock;
        note_packet(&c->way[way], batch, i, &p, kind);
        if (p.protocol == IPPROTO_TCP)
            follow_tcp(c, way, &p, kind, batch->time_ns[i]);
        else
            follow_others(c, way, kind);
    }
    return 0;
}

/* --- fingerprints --------------------------------------------------------------------------------------------- */

/* The first octets of [from, from + count), the last ones, and how many there are. */
static uint64_t sample(const uint8_t *from, uint32_t count, uint64_t h)
{
    uint32_t end = count < PAYLOAD_BYTES ? count : PAYLOAD_BYTES, i = 0;
    for (; i + 8 <= end; i += 8)
        h = pp_mix(pp_load64(from + i), h);
    uint64_t last = 0;
    if (count >= PAYLOAD_BYTES)
        last = pp_load64(from + count - 8);
    else
        memcpy(&last, from + i, end - i);
    return pp_mix(last, h ^ count);
}

static uint64_t fingerprint_of(const pp_batch *b, uint32_t i)
{
    inner p;
    if (!innermost(b, i, &p))
        return 0;
    const uint8_t *t = p.transport;
    uint32_t count = p.captured < p.length ? p.captured : p.length, from = UDP_LEN;
    uint64_t h = pp_mix((uint64_t)p.version << 8 | p.protocol, p.length);
    switch (p.protocol) {
    case IPPROTO_TCP: {
        uint32_t header = (t[TCP_OFFSET] >> 4) * 4u;
        uint64_t rest = (uint64_t)(t[TCP_FLAGS] & (TCP_SYN | TCP_RST | TCP_ACK)) << 32 |
                        (uint64_t)pp_get16(t + TCP_WINDOW) << 8 | (p.length > header);
        return pp_mix(pp_load64(t + TCP_SEQUENCE), rest << 8 | IPPROTO_TCP) | 1;
    }
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6: {
        uint8_t type = t[ICMP_TYPE];
        int is_error = p.protocol == IPPROTO_ICMPV6 ? !(type & ICMP6_INFOMSG_MASK) : pp_is_icmp_error(type);
        h = pp_mix(h, (uint64_t)type << 8 | t[ICMP_CODE]);
        if (is_error) /* what it quotes may be rewritten, but for the number of the packet */
            return pp_mix(h, count >= ICMP_LEN + 6 ? pp_get32(t + ICMP_LEN + IP4_TOTAL) : 0) | 1;
        h = pp_mix(h, pp_get16(t + ICMP_SEQUENCE));
        break;
    }
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
        break;
    case IPPROTO_SCTP:
    case IPPROTO_DCCP:
        from = SCTP_LEN;
        break;
    default:
        from = 0;
        break;
    }
    return sample(t + (from < count ? from : count), from < count ? count - from : 0, h) | 1;
}

void pp_fingerprints(const pp_batch *b, uint64_t *out)
{
    for (uint32_t i = 0; i < b->count; i++)
        out[i] = fingerprint_of(b, i);
}
