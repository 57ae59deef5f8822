/* last.c - see last.h. */
#include "observe/last.h"

#include "sum/pages.h"

pp_last *pp_last_new(void)
{
    pp_last *s = pp_pages_new(sizeof *s);
    if (s && pthread_mutex_init(&s->lock, NULL)) {
        pp_pages_free(s, sizeof *s);
        s = NULL;
    }
    return s;
}

void pp_last_free(pp_last *s)
{
    if (s)
        pthread_mutex_destroy(&s->lock);
    pp_pages_free(s, sizeof *s);
}

static uint32_t set_of(uint32_t interface, uint32_t hash) { return (hash + interface) % PP_LAST_SETS; }

/* Where a flow is kept, else null and in *oldest which way is to be had. */
static pp_last_key *key_of(pp_last_key *set, uint32_t interface, const pp_flow *flow, pp_last_key **oldest)
{
    *oldest = set;
    for (unsigned w = 0; w < PP_LAST_WAYS; w++) {
        if (set[w].turn && set[w].interface == interface && pp_flow_is(&set[w].flow, flow))
            return &set[w];
        if (set[w].last_ns < (*oldest)->last_ns)
            *oldest = &set[w];
    }
    return NULL;
}

static void copy_packet(pp_last_packet *k, const pp_batch *b, uint32_t i)
{
    const pp_check *first = b->checks + b->check_first[i], *end = first + b->check_count[i], *bad = first;
    while (bad < end && bad->status != PP_STATUS_BAD)
        bad++;
    k->time_ns = b->time_ns[i];
    k->caplen = b->caplen[i];
    k->wirelen = b->wirelen[i];
    k->check = bad < end ? *bad : (pp_check){ 0 };
    k->flags = b->flags[i];
    k->link = b->link[i];
    k->kept = (uint16_t)(b->caplen[i] < PP_LAST_BYTES ? b->caplen[i] : PP_LAST_BYTES);
    memcpy(k->frame, b->data[i], k->kept);
}

void pp_last_put(pp_last *s, uint32_t interface, const pp_flow *flow, uint32_t hash, const pp_batch *b, uint32_t i)
{
    uint32_t set = set_of(interface, hash);
    pp_last_key *oldest, *key = key_of(s->keys[set], interface, flow, &oldest);
    if (!key) {
        key = oldest;
        *key = (pp_last_key){ .flow = *flow, .interface = interface };
    }
    uint64_t now = key->last_ns = b->time_ns[i];
    if (key->turn >= PP_LAST_EACH && now - key->kept_ns < PP_LAST_APART_NS)
        return; /* a clock that went back makes a large difference */
    copy_packet(&s->packets[set][key - s->keys[set]][key->turn % PP_LAST_EACH], b, i);
    if (++key->turn == 0)
        key->turn = PP_LAST_EACH; /* it stays in use, and in step */
    key->kept_ns = now;
}

uint32_t pp_last_find(pp_last *s, uint32_t interface, const pp_flow *flow, pp_last_packet *out)
{
    uint32_t set = set_of(interface, pp_flow_hash(flow)), n = 0;
    pthread_mutex_lock(&s->lock);
    pp_last_key *oldest, *key = key_of(s->keys[set], interface, flow, &oldest);
    for (; key && n < PP_LAST_EACH && n < key->turn; n++)
        out[n] = s->packets[set][key - s->keys[set]][(key->turn - 1 - n) % PP_LAST_EACH];
    pthread_mutex_unlock(&s->lock);
    return n;
}

int pp_last_layer(const pp_last_packet *k, pp_layer *layer)
{
    pp_check found[PP_CHECKS_PER_PACKET];
    pp_layer layers[PP_MAX_DEPTH];
    pp_packet p = { .data = k->frame,
                    .cap = k->kept,
                    .wire = k->wirelen,
                    .link = k->link,
                    .flags = k->flags,
                    .layers = layers,
                    .checks = found };
    pp_parse(&p);
    unsigned n = p.layer_count;
    while (n > 0 && layers[n - 1].l3 > k->check.start)
        n--;
    if (n > 0)
        *layer = layers[n - 1];
    return n > 0;
}
