/* epb.c - see epb.h. */
#include "io/epb.h"

#include <string.h>

#include "io/pcapng.h"
#include "parse/headers.h"
#include "sum/bytes.h"

enum { TAGGED = ETH_ADDRESSES + VLAN_LEN }; /* bytes up to the EtherType, a tag put back */

static uint32_t epb_flags(uint16_t flags)
{
    uint32_t out = 0;
    if (flags & PP_PKT_NOT_READY)
        out |= EPB_NOT_READY;
    if (flags & PP_PKT_CLAIMED_VALID)
        out |= EPB_VALID;
    if (flags & PP_PKT_SUPER_FRAME)
        out |= EPB_TSO;
    if (flags & PP_PKT_METADATA)
        out |= flags & PP_PKT_OUTGOING ? EPB_OUTBOUND : EPB_INBOUND;
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

void pp_epb_make(pp_epb *e, const pp_batch *b, uint32_t i, uint32_t interface, uint32_t snaplen, int comments)
{
    char text[PP_COMMENT_ROOM];
    uint32_t wirelen, caplen = pp_frame_length(b, i, snaplen, &wirelen);
    uint32_t padding = (4 - caplen % 4) % 4, flags = epb_flags(b->flags[i]), tail = padding;
    uint32_t said = comments ? pp_comment_make(b, i, text) : 0;
    memset(e->tail, 0, 24); /* all but a comment */
    if (flags) {            /* four bytes of it */
        memcpy(e->tail + tail, (uint16_t[]){ EPB_FLAGS, sizeof flags }, 4);
        pp_store32(e->tail + tail + 4, flags);
        tail += 8;
    }
    if (said)
        tail = (uint32_t)(pp_comment_put(e->tail + tail, text, said, 0) - e->tail);
    if (flags || said) { /* the end of options */
        pp_store32(e->tail + tail, 0);
        tail += 4;
    }
    e->length = EPB_HEAD + caplen + tail + 4;
    pp_store32(e->tail + tail, e->length);
    pp_store32(e->head, PCAPNG_ENHANCED);
    pp_store32(e->head + 4, e->length);
    pp_store32(e->head + 8, interface);
    pp_store32(e->head + 12, (uint32_t)(b->time_ns[i] >> 32));
    pp_store32(e->head + 16, (uint32_t)b->time_ns[i]);
    pp_store32(e->head + 20, caplen);
    pp_store32(e->head + 24, wirelen);
    e->part[0] = (struct iovec){ e->head, sizeof e->head };
    e->parts = 1 + pp_frame_parts(b, i, caplen, e->tag, e->part + 1);
    e->part[e->parts++] = (struct iovec){ e->tail, tail + 4 };
}
