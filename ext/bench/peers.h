/* peers.h - other people's ways to sum, what no sum can beat, and the clock that all of them are held to.
 *
 * Rules:
 *   1. Written for this bench after the shape of the original, which is named; nothing is copied.
 *   2. A sum is congruent (mod 0xffff) to the sum of the 16-bit words as memcpy loads them, as <pktmend/sum.h> has it.
 *   3. Every function is called through a pointer by the same loop, with the same data, the product's kernels too.
 */
#ifndef PEERS_H
#define PEERS_H

#include <stddef.h>
#include <stdint.h>

typedef uint64_t peer_sum_fn(const void *data, size_t length);

/* A loop over 16-bit words into 32 bits, left to the compiler: DPDK's rte_raw_cksum(); length < 128 KiB. */
peer_sum_fn peer_dpdk16;
/* Two chains of add-with-carry over 40 bytes each: Linux's csum_partial() on x86-64 (since 6.5). */
peer_sum_fn peer_adc2;
/* Every byte loaded once into vectors of 64, 32 or 16 bytes, as it lies, and ORed: the result is the OR of all bytes. */
peer_sum_fn peer_load64, peer_load32, peer_load16;

/* The address of a peer by name (dpdk16, adc2, load64, load32, load16); 0 if this machine has it not. */
uintptr_t peer_address(const char *name);
/* Call once. */
uint64_t peer_call(uintptr_t sum, const void *data, size_t length);
/* ns for one call, the least of so many trials of so many calls; results feed nothing, as in a pipeline of packets. */
double peer_time(uintptr_t sum, const void *data, size_t length, uint32_t calls, uint32_t trials);
/* The same over count slices a turn; ns for one turn. */
double peer_time_slices(uintptr_t sum, const uintptr_t *data, const uint32_t *length, uint32_t count, uint32_t turns,
                        uint32_t trials);
/* The least that reads a TPACKET_V3 ring; see walker.c.  open: 0 or -errno; run: for so long, without a pause; close: how many
 * frames the kernel has dropped. */
typedef struct peer_walker {
    int fd;
    void *map;
    uint32_t block_size, blocks, cursor;
    uint64_t packets, bytes;
} peer_walker;
int peer_walker_open(peer_walker *walker, const char *interface, uint32_t block_size, uint32_t blocks);
void peer_walker_run(peer_walker *walker, uint32_t milliseconds);
uint64_t peer_walker_close(peer_walker *walker);
/* Who compiled this. */
const char *peer_compiler(void);

#endif
