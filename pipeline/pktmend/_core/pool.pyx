"""Threads that serve many workers' loops: rings by the hundred.  See ext/run/pool.h."""

from libc.stdint cimport uint32_t, uint64_t

from pktmend._core.batch cimport Batch
from pktmend._core.engine cimport pp_loop, pp_loop_has_ended, raise_for_errno
from pktmend._core.loop cimport Loop
from pktmend.stage cimport pp_batch

from pktmend.errors import ConfigError

cdef extern from "run/pool.h" nogil:
    ctypedef uint64_t pp_beat "_Atomic uint64_t"
    ctypedef struct pp_pool:
        pass
    int pp_pool_init(pp_pool *) noexcept
    void pp_pool_destroy(pp_pool *) noexcept
    int pp_pool_add(pp_pool *, pp_loop *) noexcept
    void pp_pool_serve(pp_pool *, pp_batch *, pp_beat *) noexcept
    void pp_pool_close(pp_pool *) noexcept

cdef enum:
    MOST_THREADS = 256


cdef class Pool:
    """Loops made with pooled=True, served by every thread that calls serve(), until close().

    capacity: of the threads' batches: the largest of the loops' sources.
    """

    cdef pp_pool c
    cdef bint ready
    cdef uint32_t capacity
    cdef pp_beat beat[MOST_THREADS]
    cdef int threads, serving
    cdef set loops  # what the engine may still look at

    def __cinit__(self, uint32_t capacity):
        raise_for_errno(pp_pool_init(&self.c), "making a pool")
        self.ready, self.capacity, self.loops = True, capacity, set()

    def __dealloc__(self):
        if self.ready:
            pp_pool_destroy(&self.c)

    def add(self, Loop loop not None):
        """Serve *loop* from now on; remove() it once it has ended."""
        if loop.c.batch != NULL or loop.source.capacity > self.capacity:
            raise ConfigError("this loop was not made for this pool")
        loop.begin()
        rc = pp_pool_add(&self.c, &loop.c)
        if rc < 0:
            loop.end()
        raise_for_errno(rc, "serving another ring")
        self.loops.add(loop)

    def remove(self, Loop loop not None):
        """Forget *loop*, which has ended."""
        if loop in self.loops and pp_loop_has_ended(&loop.c):
            self.loops.discard(loop)
            loop.end()

    def batch(self):
        """What a thread needs; made by who starts it: there an error is seen."""
        return Batch(self.capacity)

    def serve(self, Batch batch not None):
        """Serve on this thread until close(), with a batch() of its own."""
        if self.threads == MOST_THREADS:
            raise ConfigError(f"{MOST_THREADS} threads of a pool at most")
        cdef int thread = self.threads
        self.threads += 1
        self.serving += 1
        try:
            with nogil:
                pp_pool_serve(&self.c, &batch.c, &self.beat[thread])
        finally:
            self.serving -= 1

    def close(self):
        """Have every serve() return."""
        pp_pool_close(&self.c)

    def beats(self):
        """A number that rises as long as every thread works or waits."""
        cdef uint64_t least = <uint64_t>-1, each
        for i in range(self.threads):
            each = self.beat[i]
            least = min(least, each)
        return least if self.threads else 0
