/* capture.c - classic pcap; see capture.h. */
#include "capture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"

#define MAX_CAPLEN (256u << 20) /* no frame is longer; a record that claims more is broken */

void pp_capture_init(pp_capture *c) { memset(c, 0, sizeof *c); }

void pp_capture_free(pp_capture *c)
{
    free(c->interfaces);
    c->interfaces = NULL;
}

static uint32_t get32(const pp_capture *c, const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return c->swapped ? __builtin_bswap32(v) : v;
}

static int fault(pp_capture *c, size_t at, const char *what, int rc)
{
    c->error = what;
    c->error_offset = c->offset + at;
    return rc;
}

/* The file header.  Octets it takes, 0 if they are not all here yet, or -errno. */
static int begin(pp_capture *c, const uint8_t *w, size_t length, int final)
{
    uint32_t magic;
    if (length < 4)
        return final ? fault(c, 0, "not a capture file: too short", -EBADMSG) : 0;
    memcpy(&magic, w, sizeof magic);
    if (magic == 0x0a0d0d0a)
        return fault(c, 0, "a pcapng file, which this version does not read", -ENOTSUP);
    for (int swapped = 0; swapped < 2; swapped++, magic = __builtin_bswap32(magic)) {
        c->swapped = (uint8_t)swapped;
        c->nanosecond = magic == 0xa1b23c4d;
        c->modified = magic == 0xa1b2cd34;
        if (magic == 0xa1b2c3d4 || c->nanosecond || c->modified)
            c->format = PP_CAPTURE_PCAP;
        if (c->format)
            break;
    }
    if (!c->format)
        return fault(c, 0, "not a capture file: unknown magic number", -EBADMSG);
    if (length < 24) {
        c->format = PP_CAPTURE_UNKNOWN;
        return final ? fault(c, length, "the file ends within its header", -EBADMSG) : 0;
    }
    c->interfaces = calloc(1, sizeof *c->interfaces);
    if (!c->interfaces) {
        c->format = PP_CAPTURE_UNKNOWN;
        return fault(c, 0, "out of memory", -ENOMEM);
    }
    uint32_t link = get32(c, w + 20);
    c->interfaces[0].link = (uint16_t)link; /* above: FCS length and reserved bits */
    c->interfaces[0].fcs_length = (link & 0x04000000) ? (uint8_t)((link >> 28) * 2) : 0;
    c->interfaces[0].snaplen = get32(c, w + 16);
    c->interfaces[0].drops = UINT64_MAX;
    c->interface_count = c->interface_capacity = 1;
    return 24;
}

static void add(const pp_capture *c, pp_batch *b, uint8_t *record, uint32_t caplen, uint32_t header)
{
    uint32_t i = b->count++, wirelen = get32(c, record + 12), fraction = get32(c, record + 4);
    uint32_t fcs = c->interfaces[0].fcs_length;
    if (fcs && wirelen >= fcs) { /* the frame check sequence is not part of the frame we judge */
        wirelen -= fcs;
        if (caplen > wirelen)
            caplen = wirelen;
    }
    b->data[i] = record + header;
    b->caplen[i] = caplen;
    b->wirelen[i] = wirelen;
    b->time_ns[i] = (uint64_t)get32(c, record) * 1000000000u + (c->nanosecond ? fraction : (uint64_t)fraction * 1000u);
    b->flags[i] = caplen < wirelen ? PP_PKT_TRUNCATED : 0;
    b->link[i] = c->interfaces[0].link;
    b->vlan_tpid[i] = b->vlan_tci[i] = 0;
    b->interface[i] = 0;
}

int pp_capture_next(pp_capture *c, uint8_t *w, size_t length, int final, pp_batch *b, size_t *consumed)
{
    size_t at = 0;
    int rc = 0;
    *consumed = 0;
    b->count = b->checks_used = 0;
    if (c->format == PP_CAPTURE_UNKNOWN) {
        rc = begin(c, w, length, final);
        if (rc <= 0)
            return rc;
        at = (size_t)rc;
        rc = 0;
    }
    const uint32_t header = c->modified ? 24 : 16;
    while (b->count < b->capacity && at < length) {
        if (length - at < header) {
            rc = final ? fault(c, at, "the file ends within a record header", -EBADMSG) : 0;
            break;
        }
        uint32_t caplen = get32(c, w + at + 8);
        if (caplen > MAX_CAPLEN) {
            rc = fault(c, at + 8, "a record claims more than 256 MiB", -EBADMSG);
            break;
        }
        if (caplen > length - at - header) {
            rc = final ? fault(c, at, "the file ends within a packet", -EBADMSG) : 0;
            break;
        }
        add(c, b, w + at, caplen, header);
        at += header + caplen;
    }
    *consumed = at;
    c->offset += at;
    c->packets += b->count;
    if (b->count) {
        pp_batch_fresh(b);
        return (int)b->count; /* an error shows again at the next call, which begins where this one stopped */
    }
    return rc;
}
