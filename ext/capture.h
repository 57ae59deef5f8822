/* capture.h - walk capture files (classic pcap, pcapng) into batches, and format them for writing.
 *
 * Rules:
 *   1. Works on a window of the file: a whole mmapped file is one window, a pipe is read in pieces.
 *   2. Every length from the file is checked against the window before it is used; nothing is allocated from one.
 *   3. Nothing here parses packets; it only says where they lie.
 *   4. An error names the octet offset in the file; the packets before it stay valid.
 *
 * Source: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 */
#ifndef PP_CAPTURE_H
#define PP_CAPTURE_H

#include "pp.h"

enum pp_capture_format { PP_CAPTURE_UNKNOWN = 0, PP_CAPTURE_PCAP = 1, PP_CAPTURE_PCAPNG = 2 };

/* Of one interface: all that is needed to read its packets. */
typedef struct pp_capture_interface {
    uint16_t link;      /* LINKTYPE_*, upper bits masked */
    uint8_t fcs_length; /* octets of frame check sequence at the end of each frame */
    uint8_t tsresol;    /* if_tsresol as stored: power of 10, or of 2 with bit 7 */
    uint32_t snaplen;
    int64_t tsoffset_s;
    uint64_t drops;     /* isb_ifdrop of the latest statistics block; UINT64_MAX unknown */
} pp_capture_interface;

typedef struct pp_capture {
    int format;
    uint8_t swapped;    /* of the current section */
    uint8_t nanosecond; /* classic pcap */
    uint8_t modified;   /* classic pcap with the 24-octet record header (magic a1b2cd34) */
    uint8_t has_metadata; /* epb_flags bits 9-11 were seen in this section: not set at the start */
    uint64_t offset;    /* of the window's first octet in the file */
    uint64_t packets;   /* given out so far */
    uint64_t error_offset; /* after a negative return: where in the file */
    const char *error;     /* and what, a static string */
    uint32_t interface_count;   /* of the current section */
    uint32_t interface_capacity;
    uint32_t interface_base;    /* interfaces of earlier sections; batch->interface counts across sections */
    pp_capture_interface *interfaces; /* malloc'ed, grown one interface block at a time */
} pp_capture;

void pp_capture_init(pp_capture *capture);
void pp_capture_free(pp_capture *capture);

/* Fill batch (up to its capacity) from window[0..length), which begins at file offset capture->offset.
 * final: no more octets will follow.  *consumed: octets of the window that are done; the caller moves on by that many
 * (capture->offset is advanced here).  batch->data points into the window.
 * Returns the number of packets, 0 at the end (final, all consumed) or when more octets are needed (!final);
 * -EBADMSG for a malformed file, -ENOTSUP for a format this does not know, -ENOMEM;
 * then error and error_offset are set, and packets found earlier in the same call have been returned by an earlier call. */
int pp_capture_next(pp_capture *capture, uint8_t *window, size_t length, int final, pp_batch *batch, size_t *consumed);

#endif
