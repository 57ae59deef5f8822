/* fingerprint.c - by what a packet is known again behind a hop; see conversation.h. */
#include "observe/conversation.h"

#include "observe/innermost.h"
#include "parse/headers.h"
#include "sum/bytes.h"

#define PAYLOAD_BYTES 64u /* of a payload that identify it, with the last 8 */

/* The first bytes of [from, from + count), the last ones, and how many there are. */
static uint64_t sample(const uint8_t *from, uint32_t count, uint64_t h)
{
    uint32_t end = count < PAYLOAD_BYTES ? count : PAYLOAD_BYTES, i = 0;
    for (; i + 8 <= end; i += 8)
        h = pp_mix(pp_load64(from + i), h);
    uint64_t last = 0;
    if (count >= PAYLOAD_BYTES)
        last = pp_load64(from + count - 8);
    else
        memcpy(&last, from + i, end - i);
    return pp_mix(last, h ^ count);
}

static uint64_t fingerprint_of(const pp_batch *b, uint32_t i)
{
    pp_inner p;
    if (!pp_innermost(b, i, &p))
        return 0;
    const uint8_t *t = p.transport;
    uint32_t count = p.captured < p.length ? p.captured : p.length, from = UDP_LEN;
    uint64_t h = pp_mix((uint64_t)p.version << 8 | p.protocol, p.length);
    switch (p.protocol) {
    case IPPROTO_TCP: {
        uint32_t header = (t[TCP_OFFSET] >> 4) * 4u;
        uint64_t rest = (uint64_t)(t[TCP_FLAGS] & (TCP_SYN | TCP_RST | TCP_ACK)) << 32 |
                        (uint64_t)pp_get16(t + TCP_WINDOW) << 8 | (p.length > header);
        return pp_mix(pp_load64(t + TCP_SEQUENCE), rest << 8 | IPPROTO_TCP) | 1;
    }
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6: {
        uint8_t type = t[ICMP_TYPE];
        int is_error = p.protocol == IPPROTO_ICMPV6 ? !(type & ICMP6_INFOMSG_MASK) : pp_is_icmp_error(type);
        h = pp_mix(h, (uint64_t)type << 8 | t[ICMP_CODE]);
        if (is_error) /* what it quotes may be rewritten, but for the number of the packet */
            return pp_mix(h, count >= ICMP_LEN + 6 ? pp_get32(t + ICMP_LEN + IP4_TOTAL) : 0) | 1;
        h = pp_mix(h, pp_get16(t + ICMP_SEQUENCE));
        break;
    }
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
        h = pp_mix(p.protocol, p.length); /* whatever it lies in: a hop may translate between the families */
        break;
    case IPPROTO_SCTP:
    case IPPROTO_DCCP:
        h = pp_mix(p.protocol, p.length);
        from = SCTP_LEN;
        break;
    default:
        from = 0;
        break;
    }
    return sample(t + (from < count ? from : count), from < count ? count - from : 0, h) | 1;
}

void pp_fingerprints(const pp_batch *b, uint64_t *out)
{
    for (uint32_t i = 0; i < b->count; i++)
        out[i] = fingerprint_of(b, i);
}
