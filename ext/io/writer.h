/* writer.h - write packets to a new capture file, classic pcap or pcapng; a sink.
 *
 * Rules:
 *   1. A stripped VLAN tag is put back.  Classic pcap holds one link type; a packet of another is an error, never a wrong record.
 *   2. pcapng keeps what the source knew: epb_flags bits 9 (not ready), 10 (valid), 11 (TSO) and the direction; the section says
 *      "pktmend", which tells a reader that packets without bit 9 have no partial checksum (capture_pcapng.c).
 *   3. Comments of pcapng say what is wrong with a packet, what is known of an interface and of the whole (comment.h).
 *   4. An error of the file (no space, closed pipe) is returned and ends the writing; nothing is retried.
 *
 * Source: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 */
#ifndef PP_WRITER_H
#define PP_WRITER_H

#include "io/capture.h"
#include "run/loop.h"

#pragma GCC visibility push(default)

#define PP_WRITER_INTERFACES 4096u
#define PP_WRITER_ROOM 2048u

typedef struct pp_writer {
    int fd;
    int format;              /* enum pp_capture_format */
    int only_bad;            /* write bad packets only; others count as sent all the same */
    int comments;            /* on packets whose checksums are not right */
    uint32_t snaplen;        /* 0: as captured */
    uint64_t packets, bytes; /* written, bytes of the file */
    /* private */
    int has_section;
    uint32_t interfaces;                   /* described so far */
    uint32_t number[PP_WRITER_INTERFACES]; /* batch->interface of each */
    uint16_t link[PP_WRITER_INTERFACES];
    uint8_t *buffer;
    size_t used;
} pp_writer;

int pp_writer_init(pp_writer *writer, int fd, int format); /* 0 or -ENOMEM; fd stays the caller's */
void pp_writer_free(pp_writer *writer);
/* Begin a pcapng file with a comment of `length` bytes on all of it, in `room` bytes that can be written over later
 * (pp_comment_fill; a multiple of 4 up to PP_WRITER_ROOM).  Returns where in the file these begin, or -errno. */
int pp_writer_section(pp_writer *writer, const char *comment, uint32_t length, uint32_t room);
/* Describe an interface before its first packet (pcapng; name and comment may be null).  Others are described when they turn
 * up. */
int pp_writer_interface(pp_writer *writer, uint32_t number, uint16_t link, const char *name, const char *comment);
/* Append bytes as they are. */
int pp_writer_put(pp_writer *writer, const void *data, size_t length);
int pp_writer_take(pp_batch *batch, pp_ledger *ledger, void *writer);
/* Record what the kernel saw and dropped (pcapng interface statistics), then write what is buffered. */
int pp_writer_statistics(pp_writer *writer, uint32_t number, uint64_t time_ns, uint64_t received, uint64_t dropped);
int pp_writer_flush(pp_writer *writer);

#pragma GCC visibility pop
#endif
