/* emit.h - the sink: a batch out of another interface by sendmmsg, straight from where it lies.
 *
 * Rules:
 *   1. The virtio-net header travels with its frame; a frame from a file that marks its checksum as
 *      partial is given one, once verify has found the field (partial_csum.h); a stripped VLAN tag is put back; order is kept.
 *   2. Every packet of the batch is accounted for in the ledger; every errno of a send is a counter.
 *   3. The kernel's word that a checksum was verified (DATA_VALID) is never repeated; nor is its mark that one is partial
 *      where the field is not the seed, or an outer sum is wrong: without it the receiver verifies, and drops.  A super-frame
 *      that is wrong is split here, with or without the mark, and its segments are as wrong as it was.
 *   4. A mark that names no checksum field never leaves: it is made to name the one that holds its seed, or goes.
 */
#ifndef PP_EMIT_H
#define PP_EMIT_H

#include "run/loop.h"
#include <pktmend/stage.h>

#pragma GCC visibility push(default)

typedef struct pp_emit pp_emit;

/* What to coalesce (coalesce.h). */
enum pp_coalesce_want { PP_COALESCE_WANT_TCP = 1, PP_COALESCE_WANT_UDP = 2 };

/* fd: a packet socket bound to the egress with PACKET_VNET_HDR, not owned.  capacity: of the batches to come.
 * mtu: of the egress.  complete: complete pending checksums and split super-frames here.
 * coalesce: enum pp_coalesce_want; never together with complete.  Null without memory. */
pp_emit *pp_emit_new(int fd, uint32_t capacity, uint32_t mtu, int complete, int coalesce);
/* What is still being coalesced: a kind whose super-frames the egress has refused (EINVAL) no longer is. */
uint32_t pp_emit_coalesces(const pp_emit *emit);
void pp_emit_free(pp_emit *emit);
/* From any thread; the next batch follows them. */
void pp_emit_set_mtu(pp_emit *emit, uint32_t mtu);
void pp_emit_set_coalesce(pp_emit *emit, uint32_t coalesce);
/* A pp_sink's take and give_up; context is the pp_emit.  It never sleeps: see PP_SINK_WAITS. */
int pp_emit_take(pp_batch *batch, pp_ledger *ledger, void *context);
void pp_emit_give_up(void *context);

#pragma GCC visibility pop
#endif
