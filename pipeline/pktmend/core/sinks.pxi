# Where batches go: an interface, a capture, a Python function, nowhere.

cdef class Sink:
    """Where batches go."""
    cdef pp_sink c


cdef class NullSink(Sink):
    """Keeps nothing: what passes is counted as dropped for want of a sink."""

    def __cinit__(self):
        self.c.take = pp_null_take


cdef class EmitSink(Sink):
    """Sends on the packet socket *fd* (bound, with PACKET_VNET_HDR), which must outlive it."""
    cdef pp_emit *emit

    def __cinit__(self, int fd, uint32_t capacity, uint32_t mtu, bint finish, *, bint join_tcp=False,
                  bint join_udp=False):
        cdef int join = (PP_COALESCE_WANT_TCP if join_tcp else 0) | (PP_COALESCE_WANT_UDP if join_udp else 0)
        self.emit = pp_emit_new(fd, capacity, mtu, finish, join)
        if self.emit == NULL:
            raise MemoryError
        self.c.take, self.c.context = pp_emit_take, self.emit

    def set_mtu(self, uint32_t mtu):
        """Use another MTU from the next batch on; from any thread."""
        pp_emit_set_mtu(self.emit, mtu)

    def set_join(self, bint tcp, bint udp):
        """Join segments of TCP, of UDP, or not; from any thread."""
        pp_emit_set_coalesce(self.emit, (PP_COALESCE_WANT_TCP if tcp else 0) | (PP_COALESCE_WANT_UDP if udp else 0))

    @property
    def joins(self):
        """(TCP, UDP): are segments still being joined?  Not any more once the egress has refused one."""
        cdef uint32_t join = pp_emit_coalesces(self.emit)
        return bool(join & PP_COALESCE_WANT_TCP), bool(join & PP_COALESCE_WANT_UDP)

    def __dealloc__(self):
        if self.emit != NULL:
            pp_emit_free(self.emit)


@cython.no_gc_clear  # the source is needed to the end
cdef class CopySink(Sink):
    """Writes a copy of the capture behind *source* to *fd* as it is gone through, repaired packets included."""
    cdef pp_copy copy
    cdef CaptureSource source

    def __cinit__(self, CaptureSource source not None, int fd):
        self.source = source
        if source.reader.copy_fd >= 0:
            raise ConfigError("another copy of this capture is being made")
        self.copy.reader, self.copy.fd = source.reader, fd
        source.reader.copy_fd = fd
        self.c.take, self.c.context = pp_copy_take, &self.copy

    def finish(self):
        """Write what follows the last packet."""
        self.source.reader.copy_fd = -1
        check(pp_copy_finish(&self.copy), "writing")

    def __dealloc__(self):
        if self.copy.reader != NULL:
            self.copy.reader.copy_fd = -1


cdef class WriterSink(Sink):
    """Writes packets to a new capture on *fd*: file_format "pcap" or "pcapng"."""
    cdef pp_writer writer

    def __cinit__(self, int fd, file_format, *, bint only_bad=False, uint32_t snaplen=0):
        if file_format not in FORMATS[1:]:
            raise ConfigError(f"file format {file_format!r}", "pcap or pcapng")
        check(pp_writer_init(&self.writer, fd, FORMATS.index(file_format)), "a writer")
        self.writer.only_bad, self.writer.snaplen = only_bad, snaplen
        self.c.take, self.c.context = pp_writer_take, &self.writer

    def __dealloc__(self):
        pp_writer_free(&self.writer)

    def interface(self, uint32_t number, uint16_t link, name=None):
        """Describe an interface before its first packet."""
        cdef bytes octets = b"" if name is None else name.encode()
        check(pp_writer_interface(&self.writer, number, link, NULL if name is None else <const char *>octets),
              "writing")

    def write(self, Batch batch not None):
        """Write the packets of *batch* that pass."""
        cdef pp_ledger ledger
        memset(&ledger, 0, sizeof(ledger))
        check(pp_writer_take(&self.writer, &batch.c, &ledger), "writing")

    def finish(self, uint64_t time_ns=0, received=None, dropped=None, *, uint32_t interface=0):
        """Write the statistics of an interface where they are given, and all that is buffered."""
        if self.writer.interfaces == 0:
            check(pp_writer_interface(&self.writer, 0, 1, NULL), "writing")
        if received is not None:
            check(pp_writer_statistics(&self.writer, interface, time_ns, received, dropped), "writing")
        check(pp_writer_flush(&self.writer), "writing")

    @property
    def packets(self):
        return self.writer.packets

    @property
    def octets(self):
        return self.writer.octets


cdef class PythonSink(Sink):
    """Calls *call* with each batch; what passes counts as sent."""
    cdef _PythonStage stage

    def __cinit__(self, call):
        self.stage = _PythonStage(call)
        self.c.take, self.c.context = python_take, <void *>self.stage


cdef int python_take(void *context, pp_batch *b, pp_ledger *ledger) noexcept nogil:
    cdef uint32_t i
    cdef int rc = run_python(b, context)
    if rc < 0:
        return rc
    for i in range(b.count):
        if not pp_account_unsent(b, i, ledger):
            ledger.sent += 1
            ledger.sent_frames += 1
    return 0
