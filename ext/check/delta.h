/* delta.h - does a change of addresses and ports explain a wrong checksum?  The arithmetic of RFC 1624.
 *
 * A packet is known here by four words, which translation changes: the sums of both addresses, and both ports.  All sums
 * are in host order.
 */
#ifndef PP_DELTA_H
#define PP_DELTA_H

#include <stdint.h>

enum pp_word { PP_WORD_SOURCE, PP_WORD_TARGET, PP_WORD_SOURCE_PORT, PP_WORD_TARGET_PORT, PP_WORDS };

/* Is stored what was right before some of the words changed, or after all of them were counted twice?
 * then: the words as a witness has them.  is_rewritten: the IPv4 header vouches for its addresses. */
int pp_is_delta(uint16_t stored, uint16_t right, const uint16_t now[PP_WORDS], const uint16_t then[PP_WORDS],
                int is_rewritten);

/* Is stored what incremental updates by some of the changes make of 0?  By no net change it is ffff: never 0 (RFC 768). */
int pp_is_on_zero(uint16_t stored, const uint16_t now[PP_WORDS], const uint16_t then[PP_WORDS]);

#endif
