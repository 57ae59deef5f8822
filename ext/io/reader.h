/* reader.h - a capture as a source, read piece by piece from a file or a pipe; and its copy as a sink.
 *
 * Rules:
 *   1. A file is read, never mapped: of a mapping another process could change a length after it was checked, and end this
 *      one (SIGBUS) by cutting the file short.  Reading is also the faster of the two: the piece stays in the cache.
 *   2. Repair happens in place, in our piece, and never reaches the file.
 *   3. Memory is bounded: the buffer grows only as far as one record that has really arrived needs.
 */
#ifndef PP_READER_H
#define PP_READER_H

#include "io/capture.h"
#include "run/loop.h"

#pragma GCC visibility push(default)

typedef struct pp_reader {
    pp_capture capture;
    uint8_t *data; /* the piece, owned by this */
    size_t length; /* octets there */
    size_t at;     /* octets done */
    size_t room;   /* octets that fit */
    size_t copied; /* octets that a copy has written, or 0 */
    int fd;
    int final; /* no more octets will come */
} pp_reader;

/* Of a file, pipe, socket or terminal, which the caller owns and keeps open.  0 or -ENOMEM. */
int pp_reader_init(pp_reader *reader, int fd);
void pp_reader_free(pp_reader *reader);

/* Read as far as is needed to know what it is, before the first batch: enum pp_capture_format, 0 if the octets for that have not
 * come yet, or -errno with the fault noted (see pp_capture_next). */
int pp_reader_begin(pp_reader *reader);

/* A source's next and release (see loop.h): -ENODATA at the end. */
int pp_reader_next(pp_batch *batch, void *reader);
void pp_reader_release(void *reader);

/* A sink: write what the reader has gone through to fd, packets as the stages left them, everything else octet for octet.  A
 * packet that is dropped by a stage stays in: a copy has the records of its original. */
typedef struct pp_copy {
    pp_reader *reader;
    int fd;
} pp_copy;

int pp_copy_take(pp_batch *batch, pp_ledger *ledger, void *copy);
/* Write what follows the last packet.  0 or -errno. */
int pp_copy_finish(pp_copy *copy);

/* Write all of it, however often it takes.  0 or -errno. */
int pp_write_all(int fd, const void *data, size_t length);

#pragma GCC visibility pop
#endif
