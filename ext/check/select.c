/* select.c - see select.h. */
#include "check/select.h"

#include "parse/headers.h"
#include "sum/bytes.h"

static int has_port(const pp_batch *b, uint32_t i, int port)
{
    const uint8_t *transport = b->data[i] + b->l4[i];
    return (b->protocol[i] == IPPROTO_TCP || b->protocol[i] == IPPROTO_UDP) && b->l4[i] &&
           b->l4[i] + (uint32_t)PORTS_LEN <= b->caplen[i] &&
           (pp_get16(transport + PORT_SOURCE) == port || pp_get16(transport + PORT_TARGET) == port);
}

static int matches(const pp_batch *b, uint32_t i, const pp_select *s)
{
    return b->verdict[i] == PP_VERDICT_PASS && (s->status < 0 || b->status[i] == s->status) &&
           (s->cause < 0 || b->cause[i] == s->cause) && (s->version < 0 || b->version[i] == s->version) &&
           (s->protocol < 0 || b->protocol[i] == s->protocol) && (b->flags[i] & s->flags) == s->flags &&
           (s->port < 0 || has_port(b, i, s->port));
}

uint32_t pp_where(const pp_batch *b, const pp_select *s, uint32_t *out)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->count; i++)
        if (matches(b, i, s))
            out[n++] = i;
    return n;
}

uint32_t pp_mark(pp_batch *b, const pp_select *s, uint8_t verdict, uint8_t drop)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->count; i++)
        if (matches(b, i, s)) {
            b->verdict[i] = verdict;
            b->drop[i] = drop;
            n++;
        }
    return n;
}

int pp_filter_match(void *context, uint16_t link, const uint8_t *data, uint32_t wirelen, uint32_t caplen)
{
    const pp_filter *f = context;
    for (uint32_t i = 0; i < f->count; i++)
        if (f->link[i] == link)
            return f->run(f->program[i], data, wirelen, caplen) != 0;
    return 0;
}
