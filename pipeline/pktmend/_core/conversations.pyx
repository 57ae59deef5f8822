"""What diagnose takes along: the conversations of a capture."""

from pktmend._core.engine cimport *
from pktmend._core.stages cimport NativeStage, builtin


DIRECTION_KINDS = ("good", "absent", "unchecked", "pending_flagged", "pending_unknown", "leaked", "never_filled", "bad")
DIRECTION_FIELDS = ("packets", *DIRECTION_KINDS, "outgoing", "short_frames", "acked", "retransmitted", "target_mac",
                    "source_mac", "largest", "duplicates", "in_vain", "again_shortest", "passed_longest")


cdef tuple direction_values(const pp_direction *d):
    return (d.packets, *[d.kind[k] for k in range(8)], d.outgoing, d.short_frames, d.acked, d.retransmitted, d.mac[:6],
            d.mac[6:12], d.largest, d.duplicates, d.in_vain, d.again_shortest, d.passed_longest)


cdef class Conversations:
    """The conversations, and what became of packets with a partial checksum; see conversation.h.

    stage() goes after classify, in one pipeline; read rows() when that has ended.
    """

    def __cinit__(self):
        self.c = pp_conversations_new()
        if self.c == NULL:
            raise MemoryError

    def __dealloc__(self):
        pp_conversations_free(self.c)

    def stage(self):
        """Return the stage that fills the table."""
        cdef NativeStage s = builtin(pp_stage_track_conversations, "converse")
        s.context, s.keep = self.c, self
        return s

    @property
    def lost(self):
        """Conversations that were given up for others."""
        return self.c.lost

    def rows(self):
        """Return (version, protocol, (address, port) of both ends, DIRECTION_FIELDS of both directions) of each.

        Addresses are bytes.  The first direction is from the first end to the second.
        """
        cdef pp_conversation *k
        cdef int width
        found = []
        for i in range(PP_CONVERSATIONS):
            k = &self.c.at[i]
            if k.is_used:
                width = 4 if k.version == 4 else 16
                ends = tuple([(k.address[e][:width], k.port[e]) for e in range(2)])
                found.append((k.version, k.protocol, ends, tuple([direction_values(&k.direction[d]) for d in range(2)])))
        return found
