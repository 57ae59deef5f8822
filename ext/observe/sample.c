/* sample.c - see sample.h. */
#include "observe/sample.h"

#include <stdlib.h>
#include <string.h>

#include "sum/pages.h"

pp_sample *pp_sample_new(void)
{
    pp_sample *s = pp_pages_new(sizeof *s);
    if (s && pthread_mutex_init(&s->lock, NULL)) {
        pp_pages_free(s, sizeof *s);
        s = NULL;
    }
    return s;
}

void pp_sample_free(pp_sample *s)
{
    if (s)
        pthread_mutex_destroy(&s->lock);
    pp_pages_free(s, sizeof *s);
}

void pp_sample_keep_last(pp_sample *s, pp_last *last, uint32_t interface)
{
    s->last = last;
    s->interface = interface;
}

static void count_flow(pp_sample *s, const pp_flow *flow, uint32_t hash, uint8_t cause, uint64_t time_ns)
{
    pp_bad_flow *set = s->bad_flows[hash % PP_SAMPLE_SETS], *least = set;
    for (unsigned w = 0; w < PP_SAMPLE_WAYS; w++) {
        if (set[w].packets && pp_flow_is(&set[w].flow, flow)) {
            least = &set[w];
            goto found;
        }
        if (set[w].packets < least->packets)
            least = &set[w];
    }
    least->flow = *flow;
    least->over = least->packets; /* the newcomer inherits the count of the flow it replaces */
found:
    least->packets++;
    least->cause = cause;
    least->last_ns = time_ns;
}

static void keep(pp_sample *s, const pp_batch *b, uint32_t i, const pp_flow *flow, uint8_t cause)
{
    pp_sampled *k = &s->sampled[cause][s->kept[cause]++];
    k->flow = *flow;
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
    if (s->last)
        pthread_mutex_lock(&s->last->lock);
    for (; at; at = memchr(at + 1, PP_STATUS_BAD, (size_t)(end - at - 1))) {
        uint32_t i = (uint32_t)(at - b->status);
        uint8_t cause = b->cause[i] < PP_CAUSES ? b->cause[i] : PP_CAUSE_CORRUPT;
        pp_flow flow = pp_flow_of(b, i);
        uint32_t hash = pp_flow_hash(&flow);
        count_flow(s, &flow, hash, cause, b->time_ns[i]);
        if (s->kept[cause] < PP_SAMPLE_PER_CAUSE)
            keep(s, b, i, &flow, cause);
        if (s->last)
            pp_last_put(s->last, s->interface, &flow, hash, b, i);
    }
    if (s->last)
        pthread_mutex_unlock(&s->last->lock);
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
