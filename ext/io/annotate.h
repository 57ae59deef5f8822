/* annotate.h - a copy of a pcapng capture with comments on its packets and its first section; a sink.
 *
 * Rules:
 *   1. What was there stays, comments too, byte for byte, but for the lengths of blocks that grew; a section's own length, which
 *      is for skipping it only, becomes "unknown".  No packet is altered here.
 *   2. A comment that is there already is not written twice.
 *   3. A simple packet block has no options, and so no comment: counted, not converted.
 *   4. Lengths are checked again before they are used: a stage may have written to them since the block was read.
 *
 * Source: draft-ietf-opsawg-pcapng sections 3.1, 4.1 and 4.3.
 */
#ifndef PP_ANNOTATE_H
#define PP_ANNOTATE_H

#include "io/reader.h"
#include "io/writer.h"

#pragma GCC visibility push(default)

typedef struct pp_annotated {
    pp_reader *reader;
    pp_writer *writer;    /* of bytes: what the copy goes through */
    int only_taken;       /* leave out packets that no batch brings: a filter left them out, a limit was reached */
    const char *comment;  /* on the first section, kept by the caller */
    uint32_t length;      /* of the comment, bytes */
    uint32_t room;        /* for it and a later one, a multiple of 4, 8 at least */
    uint64_t room_at;     /* where that is in the copy, from its first byte; 0 before it is written */
    int room_swapped;     /* the section is in the other byte order */
    uint64_t commented;   /* packets with a comment of ours */
    uint64_t uncommented; /* packets that needed one and have no place for it */
    /* private */
    int swapped; /* of the section that the copy is in */
} pp_annotated;

/* A sink's take, in place of pp_copy_take. */
int pp_annotated_take(pp_batch *batch, pp_ledger *ledger, void *annotated);
/* Copy what the reader has gone through; batch: its packets, or null for none.  0 or -errno. */
int pp_annotate(pp_annotated *annotated, const pp_batch *batch);
/* Copy what follows the last packet, and write what is buffered.  0 or -errno. */
int pp_annotated_finish(pp_annotated *annotated);

#pragma GCC visibility pop
#endif
