/* witness.h - what classify remembers of earlier packets, so that a cause that needs a witness has one.
 *
 * Rules:
 *   1. Fixed memory, allocated once; direct-mapped, the newest wins.  Nothing is allocated or freed per packet.
 *   2. One table per worker: it is not locked, and must not be shared between threads.
 *   3. Sleeps until a bad sum of TCP or UDP is unexplained: until then it looks at TCP SYNs only.  Then it reads the batch
 *      at hand from its beginning, and stays awake for PP_WITNESS_AWAKE packets.
 *   4. A cause is named only where a packet that was seen proves the change of address or port; a difference that some
 *      address would explain proves nothing.
 *
 * Witnesses:
 *   twin     the same segment or datagram (TCP: sequence numbers, flags, length; UDP: length, first and last bytes; both, where
 *            the witness has a right sum: the sum of all that translation leaves alone) under another address or port
 *   stream   TCP: the other half of the connection, or the same half, between one equal end (address and port), an equal
 *            port and another address, whose sequence numbers meet ours
 *   repeat   UDP: one stored value over contents that differ; see pp_witness_cause
 */
#ifndef PP_WITNESS_H
#define PP_WITNESS_H

#include <pktmend/stage.h>

#pragma GCC visibility push(default)

#define PP_WITNESS_TWINS 4096u   /* datagrams and segments back */
#define PP_WITNESS_STREAMS 4096u /* one per direction of a TCP connection */
#define PP_WITNESS_REPEATS 512u  /* UDP flows with a bad sum */
#define PP_WITNESS_TUNNELS 512u  /* address pairs and port with UDP sums of 0 */
#define PP_WITNESS_AWAKE 65536u  /* packets after the last unexplained one */

typedef struct pp_witnesses pp_witnesses;

pp_witnesses *pp_witnesses_new(void); /* null: no memory */
void pp_witnesses_free(pp_witnesses *witnesses);

/* Remember packets [from, to) of a judged batch as witnesses: those whose outermost TCP or UDP sum is good, pending or
 * absent.  Costs 1-2 ns a packet asleep, 14 (TCP) to 25 (UDP) awake (64-byte frames in batches of 1024, Xeon). */
void pp_witnesses_add(pp_witnesses *witnesses, const pp_batch *batch, uint32_t from, uint32_t to);

/* PP_CAUSE_NAT_DELTA, PP_CAUSE_NAT_ON_ZERO or PP_CAUSE_NONE, for a bad TCP or UDP check of packet index.
 * is_first: count it for the repeats; 0 when the same check is asked about again.
 *
 * nat-delta:   a twin or a stream had a sum or needs one; stored is right once some of the words that differ are theirs,
 *              or all of them are counted twice.
 * nat-on-zero: a twin carried 0, and stored is what RFC 1624 makes of 0 by the words that differ, once or twice; or the
 *              flow's stored value repeats: over three right sums and two lengths (the length rules out a seed that
 *              was translated); or over three contents and is ffff (0, updated by no net change); or over two contents
 *              where the same pair of addresses and port also carries 0.  Never by a difference of one bit alone, which
 *              explains itself. */
uint8_t pp_witness_cause(pp_witnesses *witnesses, const pp_batch *batch, uint32_t index, const pp_check *check,
                         int is_first);

#pragma GCC visibility pop
#endif
