/* innermost.c - see innermost.h. */
#include "observe/innermost.h"

#include "parse/headers.h"
#include "parse/layers.h"
#include "sum/bytes.h"

#define LEAST 8u /* bytes of transport that must be there */

/* The length of the transport by its IP header, bounded by what the frame had. */
static uint32_t length_of(const pp_batch *b, uint32_t i, const pp_inner *p)
{
    const uint8_t *ip = b->data[i] + p->l3;
    uint32_t frame = b->wirelen[i] - p->l4, header = p->l4 - p->l3, total;
    if (p->check)
        return p->check->length;
    total = p->version == 4 ? pp_get16(ip + IP4_TOTAL) : pp_get16(ip + IP6_PAYLOAD) + (uint32_t)IP6_LEN;
    return total > header && total - header < frame ? total - header : frame;
}

int pp_innermost(const pp_batch *b, uint32_t i, pp_inner *p)
{
    const pp_check *checks = b->checks + b->check_first[i];
    unsigned count = b->check_count[i];
    *p = (pp_inner){ .l3 = b->l3[i], .l4 = b->l4[i], .version = b->version[i], .protocol = b->protocol[i] };
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
