/* fuzz_ring.c - any bytes as the memory of a packet ring, V3 or V2: it is walked, or found to contradict itself.
 *
 * Invariants: every packet lies within its block or slot, its virtio-net header too; nothing outside the ring is read or
 * written; a batch is never larger than its capacity; what is given out is handed back once, and then nothing is held, nor
 * where nothing was given out; two walks over the same memory give the same packets.
 */
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>

#include "io/ring.h"
#include "../c/columns.h"

enum { ROOM = 64, BLOCK_SIZE = 1024, BLOCKS = 4, SLOT = 256 };

/* All that can be read until nothing is ready, something is wrong, or the ring has gone round twice. */
static uint64_t walk(uint8_t *memory, int version, int has_vnet, uint32_t capacity)
{
    static uint8_t arena[PP_RING_ARENA];
    static pp_batch b;
    if (!b.data)
        b = columns(ROOM);
    b.capacity = capacity;
    uint32_t block = version == 3 ? BLOCK_SIZE : SLOT;
    pp_ring r = { .map = memory,
                  .fd = -1,
                  .version = version,
                  .block_size = BLOCK_SIZE,
                  .block_count = BLOCKS,
                  .frame_size = SLOT,
                  .frame_count = BLOCK_SIZE * BLOCKS / SLOT,
                  .has_vnet = has_vnet,
                  .arena = arena };
    uint64_t hash = 0xcbf29ce484222325u;
    for (int turn = 0; turn < 64; turn++) {
        int n = pp_ring_next(&r, &b);
        hash = (hash ^ (uint64_t)(unsigned)n) * 0x100000001b3u;
        if (n == 0 && r.holding)
            abort(); /* who got nothing hands nothing back: the ring would stand still */
        if (n <= 0)
            break;
        if ((uint32_t)n != b.count || b.count > capacity)
            abort();
        for (uint32_t i = 0; i < b.count; i++) {
            size_t end = (size_t)(b.data[i] - memory) + b.caplen[i], start = (end - 1) / block * block;
            if (b.data[i] < memory + start + PP_VNET_LEN || end > BLOCK_SIZE * BLOCKS)
                abort();
            if (!(b.flags[i] & PP_PKT_VNET) != !has_vnet ||
                (b.caplen[i] < b.wirelen[i] && !(b.flags[i] & PP_PKT_TRUNCATED)))
                abort();
            for (uint32_t j = 0; j < b.caplen[i]; j++)
                hash = (hash ^ b.data[i][j]) * 0x100000001b3u;
        }
        pp_ring_release(&r);
        if (version == 2 && r.holding)
            abort();
    }
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    if (size < 4 || size > 1 + BLOCK_SIZE * BLOCKS)
        return 0;
    uint8_t *memory = aligned_alloc(64, BLOCK_SIZE * BLOCKS),
            *again = aligned_alloc(64, BLOCK_SIZE * BLOCKS); /* a mapping is aligned */
    if (!memory || !again)
        exit(1);
    memset(memory, 0, BLOCK_SIZE * BLOCKS);
    memcpy(memory, input + 1, size - 1);
    for (uint32_t i = 0; (input[0] & 4) && i < BLOCKS; i++) { /* handed over by the kernel, and past the first door */
        struct tpacket_block_desc *d = (void *)(memory + i * BLOCK_SIZE);
        d->hdr.bh1.block_status = TP_STATUS_USER;
        d->hdr.bh1.num_pkts &= 15;
        d->hdr.bh1.offset_to_first_pkt &= 0xf8;
    }
    memcpy(again, memory, BLOCK_SIZE * BLOCKS);
    int version = input[0] & 1 ? 3 : 2;
    uint32_t capacity = 1 + (input[0] >> 3) % ROOM;
    if (walk(memory, version, input[0] & 2, capacity) != walk(again, version, input[0] & 2, capacity))
        abort();
    free(memory);
    free(again);
    return 0;
}
