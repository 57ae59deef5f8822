"""What diagnose takes along: who talks with whom."""

from pktmend._core.engine cimport *
from pktmend._core.stages cimport NativeStage, builtin


WAY_KINDS = ("good", "absent", "unchecked", "noted", "bare", "leaked", "blank", "bad")
WAY_FIELDS = ("packets", "octets", *WAY_KINDS, "outgoing", "vouched", "super_frames", "short_frames", "accepted", "again",
              "first", "last", "first_unfinished", "target_mac", "source_mac", "interface", "largest", "depth")


cdef tuple way_values(const pp_way *w):
    return (w.packets, w.octets, *[w.kind[k] for k in range(8)], w.outgoing, w.vouched, w.super_frames, w.short_frames,
            w.accepted, w.again, w.first, w.last, w.first_unfinished, w.mac[:6], w.mac[6:12], w.interface, w.largest,
            w.largest_depth)


cdef class Conversations:
    """Who talks with whom, and what became of packets whose checksum was unfinished; see conversation.h.

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
        cdef NativeStage s = builtin(pp_stage_converse, "converse")
        s.context, s.keep = self.c, self
        return s

    @property
    def lost(self):
        """Conversations that were given up for others."""
        return self.c.lost

    def rows(self):
        """Return (version, protocol, (address, port) of both ends, the values of WAY_FIELDS for both ways) of each.

        Addresses are octets.  The first way is from the first end to the second.
        """
        cdef pp_conversation *k
        cdef int width
        found = []
        for i in range(PP_CONVERSATIONS):
            k = &self.c.at[i]
            if k.is_used:
                width = 4 if k.version == 4 else 16
                ends = tuple([(k.address[e][:width], k.port[e]) for e in range(2)])
                found.append((k.version, k.protocol, ends, tuple([way_values(&k.way[w]) for w in range(2)])))
        return found
