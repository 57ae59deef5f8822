/* follow_tcp.h - what became of TCP segments with a partial checksum; see conversation.h.
 */
#ifndef PP_FOLLOW_TCP_H
#define PP_FOLLOW_TCP_H

#include "observe/conversation.h"
#include "observe/innermost.h"

/* Enter a segment of a conversation in that direction.  wirelen: bytes of its frame. */
void pp_follow_tcp(pp_conversation *c, unsigned direction, const pp_inner *p, unsigned kind, uint32_t wirelen,
                   uint64_t now);

static inline int pp_kind_is_partial(unsigned kind)
{
    return kind >= PP_DIRECTION_PENDING_FLAGGED && kind <= PP_DIRECTION_NEVER_FILLED;
}

#endif
