/* capture.h - walk capture files (classic pcap, pcapng) into batches, and format them for writing.
 *
 * Rules:
 *   1. Works on a window of the file that nothing else writes to: what was checked stays as it was (see reader.h).
 *   2. Every length from the file is checked against the window before it is used; nothing is allocated from one.
 *   3. Nothing here parses packets; it only says where they lie.
 *   4. An error names the byte offset in the file; the packets before it stay valid.
 *
 * Source: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 */
#ifndef PP_CAPTURE_H
#define PP_CAPTURE_H

#include <pktmend/stage.h>

/* Magic numbers of classic pcap. */
#define PCAP_MICROSECOND 0xa1b2c3d4u
#define PCAP_NANOSECOND 0xa1b23c4du
#define PCAP_MODIFIED 0xa1b2cd34u /* record headers of 24 bytes */

#pragma GCC visibility push(default)

enum pp_capture_format { PP_CAPTURE_UNKNOWN = 0, PP_CAPTURE_PCAP = 1, PP_CAPTURE_PCAPNG = 2 };

/* Of one interface: all that is needed to read its packets. */
typedef struct pp_capture_interface {
    uint16_t link;      /* LINKTYPE_*, upper bits masked */
    uint8_t fcs_length; /* bytes of frame check sequence at the end of each frame */
    uint8_t tsresol;    /* if_tsresol as stored: power of 10, or of 2 with bit 7 */
    uint32_t snaplen;
    int64_t tsoffset_s;
    uint64_t drops; /* isb_ifdrop of the latest statistics block; UINT64_MAX unknown */
} pp_capture_interface;

typedef struct pp_capture {
    int format;
    uint8_t swapped;      /* of the current section */
    uint8_t nanosecond;   /* classic pcap */
    uint8_t modified;     /* classic pcap with the 24-byte record header (magic a1b2cd34) */
    uint8_t has_metadata; /* epb_flags bits 9-11 were seen in this section: not set at the start */
    uint64_t offset;      /* of the window's first byte in the file */
    uint64_t packets;     /* given out so far */
    uint64_t records;     /* what Wireshark numbers as a frame: packets, wanted or not, and some blocks that are none */
    uint64_t error_offset;    /* after a negative return: where in the file */
    const char *error;        /* and what, a static string */
    uint32_t interface_count; /* of the current section */
    uint32_t interface_capacity;
    uint32_t interface_base;          /* interfaces of earlier sections; batch->interface counts across sections */
    pp_capture_interface *interfaces; /* malloc'ed, doubled when interface blocks need it */
    /* may be null: is this packet wanted?  Others are passed over as if they were not in the file */
    int (*filter)(void *context, uint16_t link, const uint8_t *data, uint32_t wirelen, uint32_t caplen);
    void *filter_context;
} pp_capture;

void pp_capture_init(pp_capture *capture);
void pp_capture_free(pp_capture *capture);

#define PP_CAPTURE_CHUNK (4u << 20) /* bytes that one call goes through at most, a single longer block apart */

/* Fill batch (up to its capacity) from window[0..length), which begins at file offset capture->offset.
 * final: no more bytes will follow.  *consumed: bytes of the window that are done; the caller moves on by that many
 * (capture->offset is advanced here).  batch->data points into the window.
 * Returns the number of packets; 0 if there were none in what was consumed: at the end (final and all consumed), when more bytes
 * are needed (nothing consumed), or after a chunk without packets;
 * -EBADMSG for a malformed file, -ENOTSUP for a format this does not know, -ENOMEM;
 * then error and error_offset are set, and packets found earlier in the same call have been returned by an earlier call. */
int pp_capture_next(pp_capture *capture, uint8_t *window, size_t length, int final, pp_batch *batch, size_t *consumed);

/* Does a pcapng section begin at w (four bytes)? */
int pp_capture_is_section(const uint8_t *w);
/* Clear "checksum not ready" in the epb_flags of the packet block whose packet lies at data; nothing if it has none, or if the
 * block does not lie within window up to end: a stage may have written to it since it was read. */
void pp_pcapng_set_ready(uint8_t *data, const uint8_t *window, const uint8_t *end);

#pragma GCC visibility pop
#endif
