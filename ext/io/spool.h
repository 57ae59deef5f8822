/* spool.h - packets on their way to a file: a stage that copies them, as blocks of pcapng, into a bounded ring of bytes, from
 * which another thread writes.
 *
 * Rules:
 *   1. The packet path never waits for a file and takes no lock: one producer, one consumer, two positions.
 *   2. Every packet that is wanted ends in exactly one count: put in, refused because the ring is full, refused because the
 *      writer has stopped.  What was put in is either written or discarded, and both are counted too.
 *   3. Whole blocks are counted only: a failed write may leave part of one behind, for the owner of the file to cut off.
 */
#ifndef PP_SPOOL_H
#define PP_SPOOL_H

#include <stdatomic.h>

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

typedef struct pp_spool {
    uint8_t *ring;
    uint64_t size;      /* bytes, a power of two */
    uint32_t interface; /* number in the file */
    uint32_t snaplen;   /* 0: whole frames */
    int only_bad;
    int comments; /* on packets whose checksums are not right: comment.h */
    /* private */
    _Atomic int is_stopped;              /* the consumer's word: take nothing more */
    _Atomic int has_given_up;            /* its owner's: wait for no reader any more */
    _Atomic uint64_t head;               /* bytes ever put in; the producer's */
    _Atomic uint64_t tail;               /* bytes ever taken out; the consumer's */
    _Atomic uint64_t put, full, stopped; /* packets; the producer's */
} pp_spool;

typedef struct pp_spooled {
    uint64_t bytes, packets; /* of whole blocks */
} pp_spooled;

int pp_spool_init(pp_spool *spool, uint64_t size); /* 0, -EINVAL or -ENOMEM */
void pp_spool_free(pp_spool *spool);
/* The stage; context is the pp_spool.  Reads: status, frames, flags.  Writes: nothing. */
pp_stage_fn pp_stage_spool;
/* Write blocks to fd until there are no more or `limit` bytes are reached or passed.  0, or -errno of a write.
 * Waits for the reader of a pipe until pp_spool_give_up(), and returns -ETIMEDOUT then. */
int pp_spool_drain(pp_spool *spool, int fd, uint64_t limit, pp_spooled *done);
/* Bytes that wait to be written. */
uint64_t pp_spool_pending(const pp_spool *spool);
/* Throw away what is in; returns the packets. */
uint64_t pp_spool_discard(pp_spool *spool);
/* Packets put in, refused because it was full, refused because it was stopped.  From any thread. */
void pp_spool_counts(const pp_spool *spool, uint64_t *put, uint64_t *full, uint64_t *stopped);
void pp_spool_stop(pp_spool *spool, int stopped);
/* From any thread, for good: what the reader does not take at once is not waited for. */
void pp_spool_give_up(pp_spool *spool);

#pragma GCC visibility pop
#endif
