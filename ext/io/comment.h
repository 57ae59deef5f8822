/* comment.h - what a packet comment of pcapng says of its checksums, and comments as options.
 *
 * Rules:
 *   1. Said is what is bad, what a file cannot say whether it is healthy, and what was repaired; of other packets nothing.
 *   2. Every comment begins with "pktmend: ": a display filter finds ours, and no other.
 *   3. Bounded, without memory of its own.
 *
 * Source: draft-ietf-opsawg-pcapng section 3.5 (opt_comment, opt_endofopt).
 */
#ifndef PP_COMMENT_H
#define PP_COMMENT_H

#include <pktmend/stage.h>

#define PP_COMMENT_ROOM 512u /* bytes of a packet's comment at most, a multiple of 4 */
#define PP_COMMENT_OPTION(length) ((length) ? 4u + (((length) + 3u) & ~3u) : 0u) /* bytes of the option, 0 of none */

#pragma GCC visibility push(default)

/* Write what is to be said of packet i to text, no NUL behind it; returns its bytes, 0 if there is nothing to say. */
uint32_t pp_comment_make(const pp_batch *batch, uint32_t i, char text[PP_COMMENT_ROOM]);
/* Write an opt_comment of length bytes to `at`, padded; swapped: in the other byte order.  Returns where the next goes. */
uint8_t *pp_comment_put(uint8_t *at, const char *text, uint32_t length, int swapped);
/* Fill the last `room` bytes (a multiple of 4, 8 at least) of a block's options: with a comment, as far as it fits, and the end
 * of options; zeros behind that, which no reader looks at. */
void pp_comment_fill(uint8_t *at, const char *text, uint32_t length, uint32_t room, int swapped);

#pragma GCC visibility pop
#endif
