/* segment.h - a segment or datagram as translation sees it: addresses and ports apart, and what identifies the rest.
 *
 * All sums are kept in host order, as memcpy loads 16-bit words, so that no packet pays for a swap (RFC 1071 section 2(B)).
 * An address is kept as its sum: two addresses of equal sum make no difference to a checksum.
 *
 * Source: RFC 3022 section 4.1 (what translation changes).
 */
#ifndef PP_SEGMENT_H
#define PP_SEGMENT_H

#include <netinet/in.h>
#include <string.h>

#include "check/delta.h"
#include "parse/headers.h"
#include "sum/bytes.h"
#include <pktmend/stage.h>
#include <pktmend/sum.h>

/* Bytes of a datagram that identify it, with the last 8: more than conversation.c takes, for within a tunnel they have to
 * reach the inner headers. */
#define TWIN_BYTES 80u

typedef struct segment {
    const uint8_t *transport;
    uint32_t length;
    int is_tcp;
    int is_rewritten;        /* its IPv4 header's own sum is right: what changed an address updated that */
    uint64_t source, target; /* equal for equal addresses */
    uint16_t word[PP_WORDS];
} segment;

static inline void address(const uint8_t *a, uint8_t version, uint64_t *key, uint16_t *sum)
{
    if (version == 4) {
        *key = pp_load32(a);
        *sum = pp_fold(*key);
    } else {
        uint64_t high = pp_load64(a), low = pp_load64(a + 8);
        *key = pp_mix(high, low);
        *sum = pp_fold((high >> 32) + (high & 0xffffffffu) + (low >> 32) + (low & 0xffffffffu));
    }
}

static inline segment segment_of(const uint8_t *data, uint32_t l3, uint8_t version, const pp_check *k)
{
    segment s = { .transport = data + k->start, .length = k->length, .is_tcp = k->proto == PP_PROTO_TCP };
    const uint8_t *source = data + l3 + (version == 4 ? IP4_SOURCE : IP6_SOURCE);
    address(source, version, &s.source, &s.word[PP_WORD_SOURCE]);
    address(source + (version == 4 ? IP4_ADDRESS_LEN : IP6_ADDRESS_LEN), version, &s.target, &s.word[PP_WORD_TARGET]);
    s.word[PP_WORD_SOURCE_PORT] = pp_load16(s.transport + PORT_SOURCE);
    s.word[PP_WORD_TARGET_PORT] = pp_load16(s.transport + PORT_TARGET);
    return s;
}

/* What identifies a segment or datagram from any address. */
static inline uint64_t content(const segment *s)
{
    if (s->is_tcp) /* sequence and acknowledgment numbers; header length and flags */
        return pp_mix(pp_load64(s->transport + TCP_SEQUENCE),
                      (uint64_t)s->length << 32 | (uint64_t)pp_load16(s->transport + TCP_OFFSET) << 8 | IPPROTO_TCP);
    uint32_t end = s->length < TWIN_BYTES ? s->length : TWIN_BYTES, i = UDP_LEN;
    uint64_t h = (uint64_t)s->length << 8 | IPPROTO_UDP, last = 0;
    for (; i + 8 <= end; i += 8)
        h = pp_mix(pp_load64(s->transport + i), h);
    memcpy(&last, s->length < TWIN_BYTES ? s->transport + i : s->transport + s->length - 8,
           s->length < TWIN_BYTES ? s->length - i : 8);
    return pp_mix(last, h);
}

/* The sum without addresses, ports and checksum, given the right checksum; < 0xffff. */
static inline uint16_t rest_of(const segment *s, uint16_t right)
{
    uint64_t sum = (uint16_t)~right;
    for (unsigned i = 0; i < PP_WORDS; i++)
        sum += (uint16_t)~s->word[i];
    uint16_t rest = pp_fold(sum);
    return rest == 0xffff ? 0 : rest;
}

static inline uint64_t stream_of(uint64_t end, uint16_t port, uint16_t peer_port)
{
    return pp_mix(end, (uint64_t)port << 16 | peer_port);
}

static inline uint64_t tunnel_of(const segment *s)
{
    return pp_mix(s->source, pp_mix(s->target, s->word[PP_WORD_TARGET_PORT]));
}

static inline uint64_t flow_of(const segment *s)
{
    return pp_mix(s->source,
                  pp_mix(s->target, (uint64_t)s->word[PP_WORD_SOURCE_PORT] << 16 | s->word[PP_WORD_TARGET_PORT]));
}

#endif
