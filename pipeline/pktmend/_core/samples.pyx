"""What a monitor takes along: a few bad packets, the last ones of each flow with their bytes, and packets on their way to a file.

A worker puts in and another thread takes out; the worker never waits for longer than a copy takes.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from pktmend._core.engine cimport *
from pktmend._core.stages cimport stage_on
from pktmend._core.views cimport make_check

from pktmend.enums import Cause, PacketFlag
from pktmend.records import BadFlow, Flow, KeptPacket, Layer, SampledPacket


cdef object flow_of(const pp_flow *f):
    cdef Py_ssize_t size = 16 if f.version == 6 else 4
    return Flow(f.version, f.protocol, <bytes>(<const char *>f.source)[:size], <bytes>(<const char *>f.target)[:size],
                f.source_port, f.target_port)


cdef int write_flow(object flow, pp_flow *f) except -1:
    cdef bytes source = flow.source, target = flow.target
    if len(source) > 16 or len(target) > 16:
        raise ValueError(f"{flow!r} is no flow")
    memset(f, 0, sizeof(pp_flow))  # it is compared as bytes
    f.version, f.protocol = flow.version, flow.protocol
    f.source_port, f.target_port = flow.source_port, flow.target_port
    memcpy(f.source, <const char *>source, len(source))
    memcpy(f.target, <const char *>target, len(target))
    return 0


cdef class LastPackets:
    """Keeps the last four bad packets of each of 1,024 flows, 192 bytes of each: 1.1 MB, for all samplers together."""

    def __cinit__(self):
        self.c = pp_last_new()
        if self.c == NULL:
            raise MemoryError

    def __dealloc__(self):
        pp_last_free(self.c)

    def find(self, uint32_t interface, flow):
        """Return the KeptPackets of a flow as the sampler of that *interface* has named it, the latest first."""
        cdef pp_flow f
        cdef pp_last_packet found[PP_LAST_EACH]
        cdef uint32_t i, n
        write_flow(flow, &f)
        with nogil:
            n = pp_last_find(self.c, interface, &f, found)
        return [kept_packet(&found[i]) for i in range(n)]


cdef object kept_packet(const pp_last_packet *k):
    cdef pp_layer layer
    cdef object header = None
    if pp_last_layer(k, &layer):
        header = Layer(layer.l3, layer.l4, layer.version, layer.protocol)
    return KeptPacket(k.time_ns, k.caplen, k.wirelen, <bytes>(<const char *>k.frame)[:k.kept], make_check(&k.check),
                      header)


cdef class Sampler:
    """Keeps a few bad packets of each cause and counts bad packets by flow; one for each worker, as its `stage`.

    last: takes all bad packets too; interface: by which number it is asked for them.
    """

    def __cinit__(self, LastPackets last=None, uint32_t interface=0):
        self.c = pp_sample_new()
        if self.c == NULL:
            raise MemoryError
        if last is not None:
            self.last = last  # which has to outlive it
            pp_sample_keep_last(self.c, last.c, interface)

    def __dealloc__(self):
        pp_sample_free(self.c)

    @property
    def stage(self):
        """The native stage, for a pipeline after classify."""
        return stage_on(pp_stage_sample, "sample", self.c, self)

    def take(self):
        """Return each packet kept since the last call."""
        cdef pp_sampled *kept = <pp_sampled *>calloc(PP_SAMPLE_MOST, sizeof(pp_sampled))
        cdef uint32_t i, n
        if kept == NULL:
            raise MemoryError
        try:
            with nogil:
                n = pp_sample_take(self.c, kept)
            return [SampledPacket(flow_of(&kept[i].flow), kept[i].time_ns, kept[i].caplen, kept[i].wirelen,
                                  PacketFlag(kept[i].flags), Cause(kept[i].cause),
                                  [make_check(&kept[i].checks[j]) for j in range(kept[i].check_count)])
                    for i in range(n)]
        finally:
            free(kept)

    def flows(self, uint32_t most):
        """Return the *most* flows with most bad packets, the heaviest first."""
        cdef pp_bad_flow *found = <pp_bad_flow *>calloc(most + 1, sizeof(pp_bad_flow))
        cdef uint32_t i, n
        if found == NULL:
            raise MemoryError
        try:
            with nogil:
                n = pp_sample_flows(self.c, found, most)
            return [BadFlow(flow_of(&found[i].flow), found[i].packets, found[i].over, found[i].last_ns,
                            Cause(found[i].cause)) for i in range(n)]
        finally:
            free(found)


cdef class Spool:
    """Takes packets of one worker, as its `stage`, towards a file that another thread writes by drain()."""

    def __cinit__(self, uint64_t size, *, uint32_t interface=0, bint only_bad=False, uint32_t snaplen=0,
                  bint comments=False):
        raise_for_errno(pp_spool_init(&self.c, size), f"a spool of {size} bytes")
        self.c.interface, self.c.only_bad, self.c.snaplen, self.c.comments = interface, only_bad, snaplen, comments

    def __dealloc__(self):
        pp_spool_free(&self.c)

    @property
    def stage(self):
        """The native stage."""
        return stage_on(pp_stage_spool, "spool", &self.c, self)

    def drain(self, int fd, uint64_t limit):
        """Write blocks to *fd* until none is left or *limit* bytes are reached or passed.

        Returns (bytes, packets, errno), of whole blocks: a failed write may leave part of another behind them.
        """
        cdef pp_spooled done
        cdef int rc
        with nogil:
            rc = pp_spool_drain(&self.c, fd, limit, &done)
        return done.bytes, done.packets, -rc

    def pending(self):
        """Return the bytes that wait to be written."""
        return pp_spool_pending(&self.c)

    def discard(self):
        """Throw away what is in; return the packets."""
        return pp_spool_discard(&self.c)

    def stop(self, bint stopped=True):
        """Take nothing more, or go on."""
        pp_spool_stop(&self.c, stopped)

    def give_up(self):
        """Wait for no reader any more: a drain that does ends with ETIMEDOUT."""
        pp_spool_give_up(&self.c)

    def counts(self):
        """Return the packets (put in, refused because it was full, refused because it was stopped)."""
        cdef uint64_t put, full, stopped
        pp_spool_counts(&self.c, &put, &full, &stopped)
        return put, full, stopped
