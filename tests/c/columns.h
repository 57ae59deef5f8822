/* columns.h - a batch with every column, for tests. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include <stdlib.h>

#include <pktmend/stage.h>

static inline pp_batch columns(uint32_t capacity)
{
    pp_batch b = { .abi = PP_ABI, .capacity = capacity };
    b.data = calloc(capacity, sizeof *b.data);
    b.caplen = calloc(capacity, sizeof *b.caplen);
    b.wirelen = calloc(capacity, sizeof *b.wirelen);
    b.time_ns = calloc(capacity, sizeof *b.time_ns);
    b.number = calloc(capacity, sizeof *b.number);
    b.flags = calloc(capacity, sizeof *b.flags);
    b.link = calloc(capacity, sizeof *b.link);
    b.vlan_tpid = calloc(capacity, sizeof *b.vlan_tpid);
    b.vlan_tci = calloc(capacity, sizeof *b.vlan_tci);
    b.interface = calloc(capacity, sizeof *b.interface);
    b.l3 = calloc(capacity, sizeof *b.l3);
    b.l4 = calloc(capacity, sizeof *b.l4);
    b.version = calloc(capacity, 1);
    b.protocol = calloc(capacity, 1);
    b.status = calloc(capacity, 1);
    b.cause = calloc(capacity, 1);
    b.check_first = calloc(capacity, sizeof *b.check_first);
    b.check_count = calloc(capacity, 1);
    b.checks = calloc((size_t)capacity * PP_CHECKS_PER_PACKET, sizeof *b.checks);
    b.verdict = calloc(capacity, 1);
    b.drop = calloc(capacity, 1);
    return b;
}

static inline void columns_free(pp_batch *b)
{
    void *all[] = { b->data,      b->caplen,   b->wirelen,     b->time_ns,     b->number, b->flags,   b->link,
                    b->vlan_tpid, b->vlan_tci, b->interface,   b->l3,          b->l4,     b->version, b->protocol,
                    b->status,    b->cause,    b->check_first, b->check_count, b->checks, b->verdict, b->drop };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
}

#endif
