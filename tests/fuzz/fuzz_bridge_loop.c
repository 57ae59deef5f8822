/* fuzz_bridge_loop.c - any frames, our own probes among them, bent as the input wants, past what looks for a loop of bridges.
 *
 * Invariants, by this file's own reading of a probe: it proves a loop only with the number of one of the last two that left by
 * the other port; none of another bridge's, and no other frame, is dropped unless the bridge blocks, and then all are; no byte
 * of a frame is written, none outside it is read.
 */
#include <stdlib.h>
#include <string.h>

#include "check/verify.h"
#include "observe/bridge_loop.h"
#include "../c/columns.h"
#include "frames.h"

enum { LONGEST = 256, ID = 0x1122334455667788, FIRST = 41, PROBES = 4, TAG = 4, NUMBER_AT = 22, ID_AT = 14 };

static uint64_t get64(const uint8_t *p) { return (uint64_t)get32(p) << 32 | get32(p + 4); }

/* The probe of a frame, behind at most two tags; null if it has none. */
static const uint8_t *probe_in(const uint8_t *f, uint32_t length)
{
    uint32_t at = 12;
    for (int tags = 0; tags < 2 && at + 6 <= length &&
                       (get16(f + at) == 0x8100 || get16(f + at) == 0x88a8 || get16(f + at) == 0x9100);
         tags++)
        at += TAG;
    return at + 2 + 32 <= length && get16(f + at) == 0x9000 && !memcmp(f + at + 8, "pktmend\0", 8) ? f + at + 2 : NULL;
}

/* A probe, behind so many tags, as much of it as there is room for. */
static void put_probe(uint8_t *frame, uint32_t length, const uint8_t *probe, uint32_t tags)
{
    uint8_t whole[PP_LOOP_PROBE + 2 * TAG];
    memcpy(whole, probe, 12);
    for (uint32_t i = 0; i < 2; i++)
        put32(whole + 12 + i * TAG, 0x81000000u + i);
    memcpy(whole + 12 + tags * TAG, probe + 12, PP_LOOP_PROBE - 12);
    uint32_t size = PP_LOOP_PROBE + tags * TAG;
    memcpy(frame, whole, length < size ? length : size);
}

/* The input's own bytes, and zeros behind them; returns how many these were. */
static uint32_t take(uint8_t *frame, uint32_t length, const uint8_t *input, const uint8_t *end)
{
    uint32_t n = end - input < (ptrdiff_t)length ? (uint32_t)(end - input) : length;
    memcpy(frame, input, n);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static pp_batch b;
    static pp_loop_watch w;
    if (!b.capacity)
        b = columns(1);
    memset(&w, 0, sizeof w);
    pp_bridge_loop l = { .id = ID };
    uint8_t probes[PROBES][PP_LOOP_PROBE], mac[6] = { 2 };
    for (uint32_t i = 0; i < PROBES; i++) /* by port 0: 41, 43; by port 1: 42, 44 */
        pp_loop_make_probe(&l, i & 1, FIRST + i, 0, mac, probes[i]);
    w.bridge = &l;
    for (const uint8_t *end = input + size; end - input >= 4;) {
        uint8_t how = input[0], length = input[1], place = input[2], value = input[3];
        input += 4;
        w.port = how & 1;
        l.blocks = (how & 2) != 0;
        uint8_t *frame = calloc(length ? length : 1, 1), before[LONGEST]; /* its own end is the end of memory */
        if (how & 4)
            put_probe(frame, length, probes[how >> 3 & 3], (how >> 5 & 1u) + (how >> 6 & 1u));
        else
            input += take(frame, length, input, end);
        if (place < length)
            frame[place] ^= value;
        memcpy(before, frame, length);
        b.count = b.checks_used = 0;
        pp_batch_append(&b, &(pp_arrival){ .data = frame,
                                           .caplen = length,
                                           .wirelen = length,
                                           .link = 1,
                                           .time_ns = value * 10000000u,
                                           .flags = PP_PKT_METADATA });
        pp_batch_fresh(&b);
        uint64_t proved = l.proved[0] + l.proved[1];
        if (pp_stage_verify(&b, NULL) || pp_stage_watch_loop(&b, &w))
            abort();
        const uint8_t *p = probe_in(before, length);
        int is_ours = p && get64(p + ID_AT) == ID;
        uint32_t port = is_ours ? p[30] : 2;
        int proves =
            port == 1u - w.port && (get64(p + NUMBER_AT) == FIRST + port || get64(p + NUMBER_AT) == FIRST + port + 2);
        if (l.proved[0] + l.proved[1] - proved != (uint64_t)proves)
            abort();
        int is_dropped = b.verdict[0] == PP_VERDICT_DROP;
        if ((is_dropped && !is_ours && !l.blocks) || (!is_dropped && (l.blocks || proves)) ||
            (is_dropped && b.drop[0] != PP_DROP_LOOP) || memcmp(before, frame, length))
            abort();
        free(frame);
    }
    return 0;
}
