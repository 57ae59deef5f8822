/* fuzz_frame.c - any bytes, any source flags: the parser and all stages neither overread nor hang, and repair settles.
 *
 * Invariants: every check lies within the captured bytes; at most PP_CHECKS_PER_PACKET of them; repair changes nothing
 * but checksum fields; repairing twice is repairing once; a repaired check is good when judged again.
 */
#include <stdlib.h>
#include <string.h>

#include "observe/conversation.h"
#include "check/witness.h"
#include "check/classify.h"
#include "check/repair.h"
#include "check/tally.h"
#include "check/verify.h"
#include "parse/tunnel.h"

#include "../c/columns.h"

enum { TOLD = 40000 }; /* ports TOLD + enum pp_tunnel: said to be such a tunnel's */

static void tell_ports(void)
{
    for (int kind = 1; kind < PP_TUNNELS && !pp_tunnel_of_port((uint16_t)(TOLD + kind)); kind++)
        if (pp_tunnel_port((uint16_t)(TOLD + kind), kind))
            abort();
}

/* Run all stages over one frame; *out is the batch that slot keeps, until its next run. */
static void run(uint8_t *frame, uint32_t cap, uint32_t wire, uint16_t link, uint16_t flags, uint32_t policy,
                pp_batch *out, int slot)
{
    static pp_batch batches[2];
    static pp_tally tally;
    pp_batch *b = &batches[slot];
    if (!b->capacity)
        *b = columns(1);
    b->tally = &tally;
    b->count = b->checks_used = 0;
    pp_batch_append(b, &(pp_arrival){ .data = frame, .caplen = cap, .wirelen = wire, .link = link, .flags = flags });
    pp_batch_fresh(b);
    *out = *b;
    uint32_t options = PP_VERIFY_EXPECTED;
    static pp_witnesses *flow;
    static pp_conversations *conversations;
    uint64_t print;
    if (!flow) {
        flow = pp_witnesses_new();
        conversations = pp_conversations_new();
    }
    if (pp_stage_verify(out, &options) || pp_stage_classify(out, flow) || pp_stage_count(out, NULL) ||
        pp_stage_track_conversations(out, conversations))
        abort();
    pp_fingerprints(out, &print);
    if (pp_stage_repair(out, &policy) || pp_stage_drop_corrupt(out, NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const uint16_t links[] = { 1,   0,   101, 113, 276, 9,   50,  51,  104, 108, 12,  228, 229,
                                      1,   1,   1,   105, 127, 192, 119, 163, 239, 117, 109, 258, 242,
                                      7,   129, 6,   10,  100, 123, 107, 204, 166, 205, 206, 219, 240,
                                      241, 274, 281, 282, 284, 285, 122, 138, 8,   226, 14 };
    enum { LINKS = sizeof links / sizeof links[0] };
    if (size < 5 + PP_VNET_LEN || size > 70000)
        return 0;
    tell_ports();
    uint32_t cap = (uint32_t)(size - 5 - PP_VNET_LEN), wire = cap + ((input[1] & 0x80) ? input[2] : 0);
    uint16_t flags = (uint16_t)(input[3] & 0x4f);
    uint32_t policy = input[4] & 3u;
    uint8_t *memory = malloc(PP_VNET_LEN + cap),
            *before = malloc(cap + 1); /* exact sizes: ASan sees one byte too far */
    memcpy(memory, input + 5, PP_VNET_LEN + cap);
    uint8_t *frame = memory + PP_VNET_LEN;
    memcpy(before, frame, cap);
    pp_batch b, again;
    run(frame, cap, wire, links[input[0] % LINKS], flags, policy, &b, 0);
    if (b.check_count[0] > PP_CHECKS_PER_PACKET || b.unread[0] >= PP_UNREADS)
        abort();
    for (unsigned i = 0; i < b.check_count[0]; i++) {
        const pp_check *k = &b.checks[i];
        uint32_t width = (k->flags & PP_CHECK_CRC32C) ? 4 : 2;
        if (!(k->flags & PP_CHECK_NO_FIELD) && k->offset + width > cap)
            abort();
        if (k->flags & PP_CHECK_REPAIRED)
            memcpy(before + k->offset, frame + k->offset, width);
    }
    if (cap && memcmp(before, frame, cap) != 0)
        abort(); /* something else than a checksum field was written */
    memcpy(before, frame, cap);
    run(frame, cap, wire, links[input[0] % LINKS], (uint16_t)(flags & ~PP_PKT_NOT_READY), policy, &again, 1);
    if (!(flags & PP_PKT_NOT_READY) && cap && memcmp(before, frame, cap) != 0)
        abort(); /* the second repair found something to do */
    free(memory);
    free(before);
    return 0;
}
