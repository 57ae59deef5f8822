/* fuzz_capture.c - any bytes as a capture file: the reader moves on or stops, and never points outside.
 *
 * Invariants: every call gives packets, consumes at least one byte, asks for more, or ends; every packet lies within
 * the window, behind the one before it and within what was consumed; a file read in chunks gives the packets, the end
 * and the error offset it gives when read whole.
 */
#include <stdlib.h>
#include <string.h>

#include "io/capture.h"
#include "../c/columns.h"

enum { ROOM = 16 };

/* What a reading amounts to. */
typedef struct digest {
    uint64_t hash, packets, error_offset, consumed;
    int rc;
} digest;

static void mix(uint64_t *hash, const void *data, size_t length) /* FNV-1a */
{
    for (const uint8_t *p = data; length; length--)
        *hash = (*hash ^ *p++) * 0x100000001b3u;
}

static void mix_packet(uint64_t *hash, const pp_batch *b, uint32_t i)
{
    mix(hash, b->data[i], b->caplen[i]);
    mix(hash, &b->caplen[i], sizeof b->caplen[i]);
    mix(hash, &b->wirelen[i], sizeof b->wirelen[i]);
    mix(hash, &b->time_ns[i], sizeof b->time_ns[i]);
    mix(hash, &b->flags[i], sizeof b->flags[i]);
    mix(hash, &b->link[i], sizeof b->link[i]);
    mix(hash, &b->interface[i], sizeof b->interface[i]);
}

/* Windows grow by step bytes until something is consumed of them. */
static digest read_file(const uint8_t *file, size_t size, size_t step, uint32_t capacity)
{
    static pp_batch b;
    if (!b.data)
        b = columns(ROOM);
    b.capacity = capacity;
    pp_capture c;
    digest d = { .hash = 0xcbf29ce484222325u };
    size_t have = 0;
    pp_capture_init(&c);
    for (;;) {
        have = size - have > step ? have + step : size;
        size_t length = have - d.consumed, consumed = 0;
        uint8_t *window = malloc(length ? length : 1); /* exact: ASan sees one byte too far */
        int final = have == size;
        memcpy(window, file + d.consumed, length);
        d.rc = pp_capture_next(&c, window, length, final, &b, &consumed);
        if (consumed > length || d.rc > (int)capacity)
            abort();
        const uint8_t *at = window;
        for (uint32_t i = 0; d.rc > 0 && i < (uint32_t)d.rc; i++) {
            if (b.data[i] < at || b.data[i] > window + consumed ||
                b.caplen[i] > (size_t)(window + consumed - b.data[i]))
                abort();
            at = b.data[i] + b.caplen[i];
            mix_packet(&d.hash, &b, i);
        }
        free(window);
        d.consumed += consumed;
        if (d.rc > 0) {
            d.packets += (uint64_t)d.rc;
            if (!consumed)
                abort(); /* packets out of nothing: would never end */
            continue;
        }
        if (d.rc < 0 && (!c.error || c.error_offset > size))
            abort();
        if (d.rc < 0 || final)
            break;
    }
    if (d.packets != c.packets || (d.rc == 0 && d.consumed != size))
        abort(); /* a quiet end with bytes left */
    d.error_offset = d.rc < 0 ? c.error_offset : 0;
    pp_capture_free(&c);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
    static const uint32_t magics[] = { 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34, 0xd4c3b2a1,
                                       0x4d3cb2a1, 0x34cdb2a1, 0x0a0d0d0a };
    if (size < 2 || size > 8192)
        return 0;
    size_t step = 1 + input[0] + size / 64;
    uint32_t capacity = 1 + input[1] % ROOM, magic = input[1] / ROOM;
    uint8_t *file = malloc(size - 1); /* never of no bytes */
    size -= 2;
    memcpy(file, input + 2, size);
    if (magic < sizeof magics / sizeof magics[0] && size >= sizeof magics[0])
        memcpy(file, &magics[magic], sizeof magics[0]); /* past the first door */
    digest whole = read_file(file, size, size + 1, ROOM), chunked = read_file(file, size, step, capacity);
    if (whole.hash != chunked.hash || whole.packets != chunked.packets || whole.rc != chunked.rc ||
        whole.error_offset != chunked.error_offset)
        abort();
    free(file);
    return 0;
}
