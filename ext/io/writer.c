/* writer.c - see writer.h. */
#include "io/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/comment.h"
#include "io/epb.h"
#include "io/pcapng.h"
#include "io/reader.h"
#include "sum/bytes.h"

#define ROOM (1u << 20)

int pp_writer_init(pp_writer *w, int fd, int format)
{
    memset(w, 0, sizeof *w);
    w->fd = fd;
    w->format = format;
    w->buffer = malloc(ROOM);
    return w->buffer ? 0 : -ENOMEM;
}

void pp_writer_free(pp_writer *w)
{
    free(w->buffer);
    w->buffer = NULL;
}

int pp_writer_flush(pp_writer *w)
{
    int rc = w->used ? pp_write_all(w->fd, w->buffer, w->used) : 0;
    w->used = 0;
    return rc;
}

int pp_writer_put(pp_writer *w, const void *data, size_t length)
{
    w->bytes += length;
    if (length > ROOM - w->used) {
        int rc = pp_writer_flush(w);
        if (rc < 0)
            return rc;
        if (length > ROOM)
            return pp_write_all(w->fd, data, length);
    }
    if (length)
        memcpy(w->buffer + w->used, data, length);
    w->used += length;
    return 0;
}

/* Files are written in this machine's byte order. */

/* Append an option, padded; returns where the next goes. */
static uint8_t *option(uint8_t *at, uint16_t code, const void *value, uint16_t length)
{
    pp_store16(at, code);
    pp_store16(at + 2, length);
    memset(at + 4, 0, (length + 3u) & ~3u);
    if (length)
        memcpy(at + 4, value, length);
    return at + 4 + ((length + 3u) & ~3u);
}

/* Close a block that ends at `end` and append it. */
static int block(pp_writer *w, uint8_t *start, uint8_t *end, uint32_t type)
{
    uint32_t length = (uint32_t)(end - start) + 4;
    pp_store32(start, type);
    pp_store32(start + 4, length);
    pp_store32(end, length);
    return pp_writer_put(w, start, length);
}

static int pcap_header(pp_writer *w, uint16_t link)
{
    uint8_t h[24] = { 0 };
    pp_store32(h, PCAP_NANOSECOND); /* nanoseconds */
    pp_store16(h + 4, 2);
    pp_store16(h + 6, 4);
    pp_store32(h + 16, 262144);
    pp_store32(h + 20, link);
    return pp_writer_put(w, h, sizeof h);
}

int pp_writer_section(pp_writer *w, const char *comment, uint32_t length, uint32_t room)
{
    uint8_t b[64 + PP_WRITER_ROOM];
    if (w->has_section || w->format != PP_CAPTURE_PCAPNG || room % 4 || room > PP_WRITER_ROOM)
        return -EINVAL;
    w->has_section = 1;
    pp_store32(b + 8, PCAPNG_BYTE_ORDER);
    pp_store16(b + 12, 1);
    pp_store16(b + 14, 0);
    memset(b + 16, 0xff, 8); /* length of the section: not known */
    uint8_t *end = option(b + 24, SHB_USERAPPL, "pktmend", 7);
    int at = (int)(end - b);
    if (room >= 8) {
        pp_comment_fill(end, comment, length, room, 0);
        end += room;
    } else {
        end = option(end, OPT_END, NULL, 0);
    }
    int rc = block(w, b, end, PCAPNG_SECTION);
    return rc < 0 ? rc : at;
}

int pp_writer_interface(pp_writer *w, uint32_t number, uint16_t link, const char *name, const char *comment)
{
    int rc = 0;
    if (w->format == PP_CAPTURE_PCAP) {
        if (w->interfaces && w->link[0] != link)
            return -EXDEV;
        if (w->interfaces)
            return 0; /* it has no interfaces, so the first stands for all of this link type */
        if ((rc = pcap_header(w, link)) < 0)
            return rc;
    } else if (w->interfaces == PP_WRITER_INTERFACES) {
        return -EMFILE;
    } else {
        uint8_t b[128 + PP_COMMENT_ROOM], nano = 9, *end = b + 16;
        if (!w->has_section && (rc = pp_writer_section(w, NULL, 0, 0)) < 0)
            return rc;
        pp_store16(b + 8, link);
        pp_store16(b + 10, 0);
        pp_store32(b + 12, 0);
        if (name)
            end = option(end, IF_NAME, name, (uint16_t)strnlen(name, 64));
        end = option(end, IF_TSRESOL, &nano, 1);
        if (comment)
            end = pp_comment_put(end, comment, (uint32_t)strnlen(comment, PP_COMMENT_ROOM), 0);
        if ((rc = block(w, b, option(end, OPT_END, NULL, 0), PCAPNG_INTERFACE)) < 0)
            return rc;
    }
    w->number[w->interfaces] = number;
    w->link[w->interfaces++] = link;
    return 0;
}

/* The number in this file of an interface (and its link type): found, or described now. */
static int interface_of(pp_writer *w, uint32_t number, uint16_t link)
{
    for (uint32_t i = 0; i < w->interfaces; i++)
        if (w->number[i] == number && w->link[i] == link)
            return (int)i;
    int rc = pp_writer_interface(w, number, link, NULL, NULL);
    return rc < 0 ? rc : (int)w->interfaces - 1;
}

static int put_parts(pp_writer *w, const struct iovec *part, unsigned parts)
{
    int rc = 0;
    for (unsigned i = 0; i < parts && rc == 0; i++)
        rc = pp_writer_put(w, part[i].iov_base, part[i].iov_len);
    return rc;
}

static int put_packet(pp_writer *w, const pp_batch *b, uint32_t i)
{
    int rc, interface = interface_of(w, b->interface[i], b->link[i]);
    if (interface < 0)
        return interface;
    if (w->format == PP_CAPTURE_PCAPNG) {
        pp_epb e;
        pp_epb_make(&e, b, i, (uint32_t)interface, w->snaplen, w->comments);
        return put_parts(w, e.part, e.parts);
    }
    uint8_t h[16], tag[4];
    struct iovec part[3];
    uint32_t wirelen, caplen = pp_frame_length(b, i, w->snaplen, &wirelen);
    pp_store32(h, (uint32_t)(b->time_ns[i] / 1000000000u));
    pp_store32(h + 4, (uint32_t)(b->time_ns[i] % 1000000000u));
    pp_store32(h + 8, caplen);
    pp_store32(h + 12, wirelen);
    if ((rc = pp_writer_put(w, h, sizeof h)) < 0)
        return rc;
    return put_parts(w, part, pp_frame_parts(b, i, caplen, tag, part));
}

int pp_writer_take(pp_batch *b, pp_ledger *ledger, void *context)
{
    pp_writer *w = context;
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->verdict[i] != PP_VERDICT_PASS) {
            pp_account_unsent(b, i, ledger);
            continue;
        }
        if (!w->only_bad || b->status[i] == PP_STATUS_BAD) {
            int rc = put_packet(w, b, i);
            if (rc < 0)
                return rc;
            w->packets++;
            ledger->sent_frames++;
        }
        ledger->sent++; /* truncated ones too: a file may hold them */
    }
    return pp_writer_flush(w); /* a file is complete up to here whenever the writing ends */
}

int pp_writer_statistics(pp_writer *w, uint32_t number, uint64_t time_ns, uint64_t received, uint64_t dropped)
{
    uint8_t b[96];
    int interface = -1;
    for (uint32_t i = 0; i < w->interfaces; i++)
        if (w->number[i] == number)
            interface = (int)i;
    if (w->format == PP_CAPTURE_PCAPNG && interface >= 0) {
        pp_store32(b + 8, (uint32_t)interface);
        pp_store32(b + 12, (uint32_t)(time_ns >> 32));
        pp_store32(b + 16, (uint32_t)time_ns);
        uint8_t *end = option(b + 20, ISB_IFRECV, &received, 8);
        end = option(end, ISB_IFDROP, &dropped, 8);
        int rc = block(w, b, option(end, OPT_END, NULL, 0), PCAPNG_STATISTICS);
        if (rc < 0)
            return rc;
    }
    return pp_writer_flush(w);
}
