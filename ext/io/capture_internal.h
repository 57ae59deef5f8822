/* capture_internal.h - what the readers of the two formats share. */
#ifndef PP_CAPTURE_INTERNAL_H
#define PP_CAPTURE_INTERNAL_H

#include <errno.h>
#include <string.h>

#include "io/batch.h"
#include "io/capture.h"

#define PP_MAX_CAPLEN (256u << 20) /* no frame is longer; a record that claims more is broken */

static inline uint32_t pp_file32(const pp_capture *c, const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return c->swapped ? __builtin_bswap32(v) : v;
}

static inline uint16_t pp_file16(const pp_capture *c, const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return c->swapped ? __builtin_bswap16(v) : v;
}

/* Record what is wrong at byte at of the window; returns rc. */
static inline int pp_fault(pp_capture *c, size_t at, const char *what, int rc)
{
    c->error = what;
    c->error_offset = c->offset + at;
    return rc;
}

/* Add a packet that begins at data.  fcs: bytes of frame check sequence at its end: not part of the frame we judge. */
static inline void pp_capture_add(pp_capture *c, pp_batch *b, uint8_t *data, uint32_t caplen, uint32_t wirelen,
                                  uint32_t fcs, uint64_t time_ns, uint16_t flags, uint32_t interface)
{
    uint16_t link = c->interfaces[interface].link;
    if (fcs && wirelen >= fcs) {
        wirelen -= fcs;
        if (caplen > wirelen)
            caplen = wirelen;
    }
    c->records++;
    if (c->filter && !c->filter(c->filter_context, link, data, wirelen, caplen))
        return;
    pp_batch_append(b, &(pp_arrival){ .data = data,
                                      .caplen = caplen,
                                      .wirelen = wirelen,
                                      .time_ns = time_ns,
                                      .number = c->records,
                                      .flags = (uint16_t)(flags | (caplen < wirelen ? PP_PKT_TRUNCATED : 0)),
                                      .link = link,
                                      .interface = c->interface_base + interface });
}

/* Make room for one interface more: 0 or -ENOMEM. */
int pp_capture_grow(pp_capture *capture);

/* The next record or block at w[0..length), `at` bytes into the window: bytes it takes (packets are added to batch), 0 if it
 * is not all here yet, or a negative errno with the fault recorded. */
int64_t pp_pcap_record(pp_capture *c, uint8_t *w, size_t length, size_t at, int final, pp_batch *b);
int64_t pp_pcapng_block(pp_capture *c, uint8_t *w, size_t length, size_t at, int final, pp_batch *b);

#endif
