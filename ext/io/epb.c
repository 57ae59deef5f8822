/* epb.c - see epb.h. */
#include "io/epb.h"

#include <string.h>

#include "parse/headers.h"
#include "sum/bytes.h"

enum { TAGGED = ETH_ADDRESSES + VLAN_LEN }; /* bytes up to the EtherType, a tag put back */

enum { FLAG_NOT_READY = 1 << 9, FLAG_VALID = 1 << 10, FLAG_TSO = 1 << 11, FLAG_INBOUND = 1, FLAG_OUTBOUND = 2 };

static void set32(uint8_t *at, uint32_t v) { memcpy(at, &v, sizeof v); }

static uint32_t epb_flags(uint16_t flags)
{
    uint32_t out = 0;
    if (flags & PP_PKT_NOT_READY)
        out |= FLAG_NOT_READY;
    if (flags & PP_PKT_CLAIMED_VALID)
        out |= FLAG_VALID;
    if (flags & PP_PKT_SUPER_FRAME)
        out |= FLAG_TSO;
    if (flags & PP_PKT_METADATA)
        out |= flags & PP_PKT_OUTGOING ? FLAG_OUTBOUND : FLAG_INBOUND;
    return out;
}

uint32_t pp_frame_length(const pp_batch *b, uint32_t i, uint32_t snaplen, uint32_t *wirelen)
{
    uint32_t tag = (b->flags[i] & PP_PKT_VLAN) && b->caplen[i] >= ETH_ADDRESSES ? VLAN_LEN : 0,
             caplen = b->caplen[i] + tag;
    *wirelen = b->wirelen[i] + tag;
    return snaplen && caplen > snaplen ? snaplen : caplen;
}

unsigned pp_frame_parts(const pp_batch *b, uint32_t i, uint32_t caplen, uint8_t tag[4], struct iovec *part)
{
    uint8_t *data = b->data[i];
    if (!(b->flags[i] & PP_PKT_VLAN) || caplen <= ETH_ADDRESSES) {
        part[0] = (struct iovec){ data, caplen };
        return 1;
    }
    pp_put16(tag, b->vlan_tpid[i]);
    pp_put16(tag + VLAN_TYPE, b->vlan_tci[i]);
    part[0] = (struct iovec){ data, ETH_ADDRESSES };
    part[1] = (struct iovec){ tag, caplen < TAGGED ? caplen - ETH_ADDRESSES : VLAN_LEN }; /* snaplen may cut the tag */
    if (caplen <= TAGGED)
        return 2;
    part[2] = (struct iovec){ data + ETH_ADDRESSES, caplen - TAGGED };
    return 3;
}

void pp_epb_make(pp_epb *e, const pp_batch *b, uint32_t i, uint32_t interface, uint32_t snaplen)
{
    uint32_t wirelen, caplen = pp_frame_length(b, i, snaplen, &wirelen);
    uint32_t padding = (4 - caplen % 4) % 4, flags = epb_flags(b->flags[i]), tail = padding;
    memset(e->tail, 0, sizeof e->tail);
    if (flags) { /* option 2, four octets of it; then the end of options */
        memcpy(e->tail + tail, (uint16_t[]){ 2, 4 }, 4);
        set32(e->tail + tail + 4, flags);
        tail += 12;
    }
    e->length = 28 + caplen + tail + 4;
    set32(e->tail + tail, e->length);
    set32(e->head, 6);
    set32(e->head + 4, e->length);
    set32(e->head + 8, interface);
    set32(e->head + 12, (uint32_t)(b->time_ns[i] >> 32));
    set32(e->head + 16, (uint32_t)b->time_ns[i]);
    set32(e->head + 20, caplen);
    set32(e->head + 24, wirelen);
    e->part[0] = (struct iovec){ e->head, sizeof e->head };
    e->parts = 1 + pp_frame_parts(b, i, caplen, e->tag, e->part + 1);
    e->part[e->parts++] = (struct iovec){ e->tail, tail + 4 };
}
