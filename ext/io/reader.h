/* reader.h - a capture as a source, read chunk by chunk from a file or a pipe; and its copy as a sink.
 *
 * Rules:
 *   1. A file is read, never mapped: of a mapping another process could change a length after it was checked, and end this
 *      one (SIGBUS) by cutting the file short.  Reading is also the faster of the two: the chunk stays in the cache.
 *   2. Repair happens in place, in our chunk, and never reaches the file.
 *   3. Memory is bounded: the buffer grows only as far as one record that has really arrived needs.
 */
#ifndef PP_READER_H
#define PP_READER_H

#include "io/capture.h"
#include "run/loop.h"

#pragma GCC visibility push(default)

struct pp_annotated;

typedef struct pp_reader {
    pp_capture capture;
    uint8_t *data; /* the chunk, owned by this */
    size_t length; /* bytes there */
    size_t at;     /* bytes done */
    size_t room;   /* bytes that fit */
    size_t copied; /* bytes that a copy has written, or 0 */
    int fd;
    int copy_fd; /* of the copy that is made, -1 none: no byte is let go of before it is written there */
    struct pp_annotated *annotated; /* the same, with comments: annotate.h; else null */
    int final;                      /* no more bytes will come */
    uint64_t to_read;               /* bytes that may still be read: of a stretch of a file, else UINT64_MAX */
} pp_reader;

/* Of a file, pipe, socket or terminal, which the caller owns and keeps open.  0 or -ENOMEM. */
int pp_reader_init(pp_reader *reader, int fd);
void pp_reader_free(pp_reader *reader);

/* Read as far as is needed to know what it is, before the first batch: enum pp_capture_format, 0 if the bytes for that have not
 * come yet, or -errno with the fault recorded (see pp_capture_next). */
int pp_reader_begin(pp_reader *reader);

/* Read only the stretch [start, end) of a classic capture, with the descriptor for itself; from a pipe come the file's header and
 * then that stretch.  start is the first byte of a record, or else what is read is nonsense; end within a record is a fault.
 * before: records that lie before start, by which packets are numbered.  Before the first batch: 0 or -errno, -EINVAL for another
 * format, or if of a pipe the header has not come yet. */
int pp_reader_stretch(pp_reader *reader, uint64_t start, uint64_t end, uint64_t before);

/* A source's next and release (see loop.h): -ENODATA at the end. */
int pp_reader_next(pp_batch *batch, void *reader);
void pp_reader_release(void *reader);

/* A sink: write what the reader has gone through to fd, packets as the stages left them, everything else byte for byte.  A
 * packet that is dropped by a stage stays in: a copy has the records of its original. */
typedef struct pp_copy {
    pp_reader *reader;
    int fd;
} pp_copy;

int pp_copy_take(pp_batch *batch, pp_ledger *ledger, void *copy);
/* Take the flag "not ready" off the packets of a pcapng file that were completed. */
void pp_copy_set_ready(const pp_batch *batch, const pp_reader *reader);
/* Write what follows the last packet.  0 or -errno. */
int pp_copy_finish(pp_copy *copy);

/* Write all of it, however often it takes.  0 or -errno. */
int pp_write_all(int fd, const void *data, size_t length);

#pragma GCC visibility pop
#endif
