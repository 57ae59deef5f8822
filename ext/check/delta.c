/* delta.c - see delta.h. */
#include "check/delta.h"

#include "sum/bytes.h"
#include <pktmend/sum.h>

/* pp_difference() with one zero only. */
static inline uint16_t minus(uint16_t a, uint16_t b)
{
    uint16_t d = pp_difference(a, b);
    return d == 0xffff ? 0 : d;
}

/* One word that differs by +-2^k may be a byte damaged on the way, unless the IPv4 header vouches for its addresses. */
static int is_translated(const uint16_t now[PP_WORDS], const uint16_t then[PP_WORDS], int is_rewritten)
{
    unsigned differ = 0;
    uint16_t change = 0;
    if (is_rewritten && (now[PP_WORD_SOURCE] != then[PP_WORD_SOURCE] || now[PP_WORD_TARGET] != then[PP_WORD_TARGET]))
        return 1;
    for (unsigned i = 0; i < PP_WORDS; i++)
        if (now[i] != then[i]) {
            differ++;
            change = minus(now[i], then[i]);
        }
    return differ > 1 || (differ == 1 && !pp_is_power_of_two(change) && !pp_is_power_of_two((uint16_t)~change));
}

int pp_is_delta(uint16_t stored, uint16_t right, const uint16_t now[PP_WORDS], const uint16_t then[PP_WORDS],
                int is_rewritten)
{
    uint16_t wanted = minus(stored, right);
    if (!is_translated(now, then, is_rewritten))
        return 0;
    for (unsigned some = 1; some < 1u << PP_WORDS; some++) {
        uint64_t change = 0;
        int is_change = 1;
        for (unsigned i = 0; i < PP_WORDS; i++)
            if (some >> i & 1) {
                is_change &= minus(now[i], then[i]) != 0;
                change += minus(now[i], then[i]);
            }
        /* a larger word makes a smaller checksum: right = before - change */
        if (is_change && minus(pp_fold(change), 0) == wanted)
            return 1;
    }
    uint64_t twice = 0;
    for (unsigned i = 0; i < PP_WORDS; i++)
        twice += minus(then[i], now[i]);
    return minus(pp_fold(twice), 0) == wanted;
}

int pp_is_on_zero(uint16_t stored, const uint16_t now[PP_WORDS], const uint16_t then[PP_WORDS])
{
    for (unsigned some = 0; some < 1u << PP_WORDS; some++) {
        uint64_t change = 0;
        for (unsigned i = 0; i < PP_WORDS; i++)
            if (some >> i & 1)
                change += minus(now[i], then[i]);
        uint16_t once = minus(0, pp_fold(change));
        if (minus(stored, 0) == once || minus(stored, 0) == minus(pp_fold(2u * once), 0))
            return 1;
    }
    return 0;
}
