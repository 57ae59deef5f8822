/* capture.c - which format is it, and the walk through a window; see capture.h. */
#include "io/capture.h"

#include <stdlib.h>

#include "io/batch.h"
#include "io/capture_internal.h"
#include "io/pcapng.h"

void pp_capture_init(pp_capture *c) { memset(c, 0, sizeof *c); }

void pp_capture_free(pp_capture *c)
{
    free(c->interfaces);
    c->interfaces = NULL;
    c->interface_count = c->interface_capacity = 0;
}

int pp_capture_grow(pp_capture *c)
{
    if (c->interface_count < c->interface_capacity)
        return 0;
    uint32_t capacity = c->interface_capacity ? c->interface_capacity * 2 : 4;
    pp_capture_interface *more = realloc(c->interfaces, capacity * sizeof *more);
    if (!more)
        return -ENOMEM;
    c->interfaces = more;
    c->interface_capacity = capacity;
    return 0;
}

/* The file header.  Bytes it takes, 0 if they are not all here yet or the first block is it, or -errno. */
static int begin(pp_capture *c, const uint8_t *w, size_t length, int final)
{
    uint32_t magic;
    int nanosecond = 0, modified = 0, swapped = 0;
    if (length < 4)
        return final ? pp_fault(c, 0, "not a capture file: too short", -EBADMSG) : 0;
    memcpy(&magic, w, sizeof magic);
    if (pp_capture_is_section(w)) {
        if (length < 12)
            return final ? pp_fault(c, 0, "the file ends within a block header", -EBADMSG) : 0;
        memcpy(&magic, w + 8, sizeof magic);
        if (magic != PCAPNG_BYTE_ORDER && magic != PCAPNG_BYTE_ORDER_SWAPPED)
            return pp_fault(c, 8, "a section without a byte order mark", -EBADMSG);
        c->format = PP_CAPTURE_PCAPNG;
        return 0;
    }
    for (;; swapped++, magic = __builtin_bswap32(magic)) {
        if (swapped == 2)
            return pp_fault(c, 0, "not a capture file: unknown magic number", -EBADMSG);
        nanosecond = magic == PCAP_NANOSECOND;
        modified = magic == PCAP_MODIFIED;
        if (magic == PCAP_MICROSECOND || nanosecond || modified)
            break;
    }
    if (length < 24)
        return final ? pp_fault(c, length, "the file ends within its header", -EBADMSG) : 0;
    if (pp_capture_grow(c) < 0)
        return pp_fault(c, 0, "out of memory", -ENOMEM);
    c->format = PP_CAPTURE_PCAP;
    c->swapped = (uint8_t)swapped;
    c->nanosecond = (uint8_t)nanosecond;
    c->modified = (uint8_t)modified;
    uint32_t link = pp_file32(c, w + 20);
    c->interfaces[0] = (pp_capture_interface){
        .link = (uint16_t)link, /* above: FCS length and reserved bits */
        .fcs_length = (link & 0x04000000) ? (uint8_t)((link >> 28) * 2) : 0,
        .snaplen = pp_file32(c, w + 16),
        .drops = UINT64_MAX,
    };
    c->interface_count = 1;
    return 24;
}

int pp_capture_next(pp_capture *c, uint8_t *w, size_t length, int final, pp_batch *b, size_t *consumed)
{
    size_t at = 0;
    int64_t rc = 0;
    *consumed = 0;
    b->count = b->checks_used = 0;
    if (c->format == PP_CAPTURE_UNKNOWN) {
        rc = begin(c, w, length, final);
        if (rc < 0 || c->format == PP_CAPTURE_UNKNOWN)
            return (int)rc;
        at = (size_t)rc;
        rc = 0;
    }
    while (b->count < b->capacity && at < length) {
        rc = c->format == PP_CAPTURE_PCAP ? pp_pcap_record(c, w + at, length - at, at, final, b)
                                          : pp_pcapng_block(c, w + at, length - at, at, final, b);
        if (rc <= 0)
            break;
        at += (size_t)rc;
        rc = 0;
        if (at >= PP_CAPTURE_CHUNK)
            break; /* what is skipped or filtered out must not hold up the caller */
    }
    *consumed = at;
    c->offset += at;
    c->packets += b->count;
    if (b->count) {
        pp_batch_fresh(b);
        return (int)b->count; /* an error shows again at the next call, which begins where this one stopped */
    }
    return (int)rc;
}
