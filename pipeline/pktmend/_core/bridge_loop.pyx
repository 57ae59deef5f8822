"""What a bridge's workers have seen of a loop that the bridge is part of.

Workers count, one other thread reads, sends probes and decides.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from pktmend._core.engine cimport *
from pktmend._core.stages cimport stage_on
from pktmend.stage cimport *

from pktmend.errors import ConfigError
from pktmend.records import LoopSigns

cdef extern from "observe/bridge_loop.h" nogil:
    enum: PP_LOOP_PROBE, PP_LOOP_TAGS
    enum: PP_LOOP_STOPS, PP_LOOP_BLOCKS
    ctypedef struct pp_bridge_loop:
        uint64_t id
        uint32_t blocks
        uint64_t proved[2]
        uint64_t back[2]
        uint64_t tag, other_stops, other_blocks
    ctypedef struct pp_loop_watch:
        pp_bridge_loop *bridge
        uint32_t port
        uint64_t frames, repeats
        uint64_t tags[PP_LOOP_TAGS]
    int pp_stage_watch_loop(pp_batch *, void *) noexcept
    void pp_loop_make_probe(pp_bridge_loop *, uint32_t, uint64_t, uint32_t, const uint8_t *, uint8_t *) noexcept

cdef extern from * nogil:
    """
    #include <stdatomic.h>
    static uint64_t load64(void *at) { return atomic_load_explicit((_Atomic uint64_t *)at, memory_order_relaxed); }
    static uint64_t take64(void *at) { return atomic_exchange((_Atomic uint64_t *)at, 0); }
    static void store32(void *at, uint32_t value) { atomic_store((_Atomic uint32_t *)at, value); }
    """
    uint64_t load64(void *) noexcept
    uint64_t take64(void *) noexcept
    void store32(void *, uint32_t) noexcept


cdef enum:
    WATCHES = 128  # workers of a bridge, both directions


cdef class BridgeLoop:
    """The signs of a loop, of one bridge whose random number is *id*; ports are 0 and 1."""
    cdef pp_bridge_loop *c
    cdef pp_loop_watch *watches[WATCHES]
    cdef uint32_t count

    def __cinit__(self, uint64_t id):
        self.c = <pp_bridge_loop *>calloc(1, sizeof(pp_bridge_loop))
        if self.c == NULL:
            raise MemoryError
        self.c.id = id

    def __dealloc__(self):
        for i in range(self.count):
            free(self.watches[i])
        free(self.c)

    def stage(self, uint32_t port):
        """Return a stage for one worker that reads *port*, behind verify."""
        cdef pp_loop_watch *watch
        if port > 1 or self.count == WATCHES:
            raise ConfigError(f"worker {self.count} of port {port}", f"port 0 or 1, {WATCHES} workers")
        watch = <pp_loop_watch *>calloc(1, sizeof(pp_loop_watch))
        if watch == NULL:
            raise MemoryError
        watch.bridge, watch.port = self.c, port
        self.watches[self.count] = watch
        self.count += 1
        return stage_on(pp_stage_watch_loop, "watch_loop", watch, self)

    def make_probe(self, uint32_t port, uint64_t number, bytes source not None, *, bint stops, bint blocks):
        """Return the Ethernet frame, without tags, of a probe that leaves by *port*, which has the MAC *source*."""
        cdef uint8_t probe[PP_LOOP_PROBE]
        cdef const uint8_t *mac = source
        if port > 1 or number == 0 or len(source) != 6:
            raise ConfigError(f"a probe of port {port}, number {number}, from {source!r}")
        pp_loop_make_probe(self.c, port, number, (PP_LOOP_STOPS if stops else 0) | (PP_LOOP_BLOCKS if blocks else 0),
                           mac, probe)
        return <bytes>(<const char *>probe)[:PP_LOOP_PROBE]

    def block(self, bint blocks):
        """Drop every frame from the next batch on, or no longer; from any thread."""
        store32(<void *>&self.c.blocks, blocks)

    def read(self):
        """Return what was seen so far; what is of other bridges was seen since the last call."""
        cdef pp_loop_watch *w
        cdef uint64_t frames = 0, repeats = 0, tag
        cdef uint32_t n
        tags = set()
        for n in range(self.count):
            w = self.watches[n]
            frames += load64(&w.frames)
            repeats += load64(&w.repeats)
            for i in range(PP_LOOP_TAGS):
                tag = load64(&w.tags[i])
                if tag:
                    tags.add(tag)
        return LoopSigns(frames, repeats, tags, (load64(&self.c.proved[0]), load64(&self.c.proved[1])),
                         (load64(&self.c.back[0]), load64(&self.c.back[1])), load64(&self.c.tag),
                         take64(&self.c.other_stops), take64(&self.c.other_blocks))
