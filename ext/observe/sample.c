/* sample.c - see sample.h. */
#include "observe/sample.h"

#include <stdlib.h>
#include <string.h>

#include "parse/headers.h"
#include <pktmend/parse.h>
#include "sum/bytes.h"

pp_sample *pp_sample_new(void)
{
    pp_sample *s = calloc(1, sizeof *s);
    if (s && pthread_mutex_init(&s->lock, NULL)) {
        free(s);
        s = NULL;
    }
    return s;
}

void pp_sample_free(pp_sample *s)
{
    if (s)
        pthread_mutex_destroy(&s->lock);
    free(s);
}

static pp_flow flow_of(const pp_batch *b, uint32_t i)
{
    pp_flow t;
    memset(&t, 0, sizeof t);
    const uint8_t *l3 = b->data[i] + b->l3[i], *l4 = b->data[i] + b->l4[i];
    if (b->version[i] == 4 && b->l3[i] + (uint32_t)IP4_LEN <= b->caplen[i]) {
        memcpy(t.source, l3 + IP4_SOURCE, IP4_ADDRESS_LEN);
        memcpy(t.target, l3 + IP4_TARGET, IP4_ADDRESS_LEN);
    } else if (b->version[i] == 6 && b->l3[i] + (uint32_t)IP6_LEN <= b->caplen[i]) {
        memcpy(t.source, l3 + IP6_SOURCE, IP6_ADDRESS_LEN);
        memcpy(t.target, l3 + IP6_TARGET, IP6_ADDRESS_LEN);
    }
    t.version = b->version[i];
    t.protocol = b->protocol[i];
    if (b->l4[i] && b->l4[i] + (uint32_t)PORTS_LEN <= b->caplen[i] && pp_has_ports(t.protocol)) {
        t.source_port = pp_get16(l4 + PORT_SOURCE);
        t.target_port = pp_get16(l4 + PORT_TARGET);
    }
    return t;
}

static uint32_t set_of(const pp_flow *t)
{
    uint64_t words[sizeof *t / 8], h = 0;
    memcpy(words, t, sizeof words);
    for (unsigned i = 0; i < sizeof *t / 8; i++)
        h = pp_mix(words[i], h); /* which spreads the upper bits too: the ports, on a big-endian machine */
    return (uint32_t)(h >> 40) % PP_SAMPLE_SETS;
}

_Static_assert(sizeof(pp_flow) == 40, "a flow has no padding: it is compared and hashed as bytes");

static void count_flow(pp_sample *s, const pp_flow *t, uint8_t cause, uint64_t time_ns)
{
    pp_bad_flow *set = s->bad_flows[set_of(t)], *least = set;
    for (unsigned w = 0; w < PP_SAMPLE_WAYS; w++) {
        if (set[w].packets && !memcmp(&set[w].flow, t, sizeof *t)) {
            least = &set[w];
            goto found;
        }
        if (set[w].packets < least->packets)
            least = &set[w];
    }
    least->flow = *t;
    least->over = least->packets; /* the newcomer inherits the count of whom it replaces */
found:
    least->packets++;
    least->cause = cause;
    least->last_ns = time_ns;
}

static void keep(pp_sample *s, const pp_batch *b, uint32_t i, const pp_flow *t, uint8_t cause)
{
    pp_sampled *k = &s->sampled[cause][s->kept[cause]++];
    k->flow = *t;
    k->time_ns = b->time_ns[i];
    k->caplen = b->caplen[i];
    k->wirelen = b->wirelen[i];
    k->flags = b->flags[i];
    k->cause = cause;
    k->check_count = b->check_count[i] < PP_CHECKS_PER_PACKET ? b->check_count[i] : PP_CHECKS_PER_PACKET;
    memcpy(k->checks, b->checks + b->check_first[i], k->check_count * sizeof k->checks[0]);
}

int pp_stage_sample(pp_batch *b, void *context)
{
    pp_sample *s = context;
    const uint8_t *at = memchr(b->status, PP_STATUS_BAD, b->count), *end = b->status + b->count;
    if (!at)
        return 0;
    pthread_mutex_lock(&s->lock);
    for (; at; at = memchr(at + 1, PP_STATUS_BAD, (size_t)(end - at - 1))) {
        uint32_t i = (uint32_t)(at - b->status);
        uint8_t cause = b->cause[i] < PP_CAUSES ? b->cause[i] : PP_CAUSE_CORRUPT;
        pp_flow t = flow_of(b, i);
        count_flow(s, &t, cause, b->time_ns[i]);
        if (s->kept[cause] < PP_SAMPLE_PER_CAUSE)
            keep(s, b, i, &t, cause);
    }
    pthread_mutex_unlock(&s->lock);
    return 0;
}

uint32_t pp_sample_take(pp_sample *s, pp_sampled *out)
{
    uint32_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (unsigned cause = 0; cause < PP_CAUSES; cause++) {
        memcpy(out + n, s->sampled[cause], s->kept[cause] * sizeof *out);
        n += s->kept[cause];
        s->kept[cause] = 0;
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}

uint32_t pp_sample_flows(pp_sample *s, pp_bad_flow *out, uint32_t most)
{
    uint32_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (unsigned f = 0; f < PP_SAMPLE_SETS * PP_SAMPLE_WAYS; f++) {
        const pp_bad_flow *each = &s->bad_flows[0][0] + f;
        if (each->packets == 0 || most == 0 || (n == most && each->packets <= out[n - 1].packets))
            continue;
        uint32_t at = n < most ? n++ : n - 1;
        for (; at > 0 && out[at - 1].packets < each->packets; at--)
            out[at] = out[at - 1];
        out[at] = *each;
    }
    pthread_mutex_unlock(&s->lock);
    return n;
}
