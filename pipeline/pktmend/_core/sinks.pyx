"""Where batches go: an interface, a capture, a Python function, nowhere."""

cimport cython
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from pktmend._core.batch cimport Batch
from pktmend._core.engine cimport *
from pktmend._core.python_stage cimport _PythonStage, run_python
from pktmend._core.sources cimport CaptureSource
from pktmend.stage cimport *

from pktmend._core.sources import FORMATS as _FORMATS
from pktmend.errors import ConfigError


cdef class Sink:
    """Where batches go."""


cdef class NullSink(Sink):
    """Keeps nothing: what passes is counted as dropped for want of a sink."""

    def __cinit__(self):
        self.c.take = pp_null_take


cdef class EmitSink(Sink):
    """Sends on the packet socket *fd* (bound, with PACKET_VNET_HDR), which must outlive it."""

    def __cinit__(self, int fd, uint32_t capacity, uint32_t mtu, bint finish, *, bint coalesce_tcp=False,
                  bint coalesce_udp=False):
        cdef int coalesce = PP_COALESCE_WANT_TCP if coalesce_tcp else 0
        if coalesce_udp:
            coalesce |= PP_COALESCE_WANT_UDP
        self.emit = pp_emit_new(fd, capacity, mtu, finish, coalesce)
        if self.emit == NULL:
            raise MemoryError
        self.c.take, self.c.context = pp_emit_take, self.emit

    def set_mtu(self, uint32_t mtu):
        """Use another MTU from the next batch on; from any thread."""
        pp_emit_set_mtu(self.emit, mtu)

    def set_coalesce(self, bint tcp, bint udp):
        """Coalesce segments of TCP, of UDP, or not; from any thread."""
        pp_emit_set_coalesce(self.emit, (PP_COALESCE_WANT_TCP if tcp else 0) | (PP_COALESCE_WANT_UDP if udp else 0))

    @property
    def coalesces(self):
        """(TCP, UDP): are segments still being coalesced?  Not any more once the egress has refused one."""
        cdef uint32_t kinds = pp_emit_coalesces(self.emit)
        return bool(kinds & PP_COALESCE_WANT_TCP), bool(kinds & PP_COALESCE_WANT_UDP)

    def __dealloc__(self):
        if self.emit != NULL:
            pp_emit_free(self.emit)


@cython.no_gc_clear  # the memory is needed to the end
cdef class CopySink(Sink):
    """Writes a copy of the capture behind *source* to *fd* as it is gone through, repaired packets included."""

    def __cinit__(self, CaptureSource source not None, int fd):
        self.source, self.memory = source, source.memory
        if source.reader.copy_fd >= 0:
            raise ConfigError("another copy of this capture is being made")
        if source.reader.at != source.reader.capture.offset:
            raise ConfigError("the beginning of this capture was read before its copy was made", "make the copy first")
        self.copy.reader, self.copy.fd = source.reader, fd
        source.reader.copy_fd = fd
        self.is_under_way = True
        self.c.take, self.c.context = pp_copy_take, &self.copy

    def finish(self):
        """Write what follows the last packet."""
        self.stop()
        raise_for_errno(pp_copy_finish(&self.copy), "writing")

    cdef void stop(self) noexcept:
        """Leave the reader to another copy."""
        if self.is_under_way:
            self.copy.reader.copy_fd = -1
        self.is_under_way = False

    def __dealloc__(self):
        self.stop()


cdef class WriterSink(Sink):
    """Writes packets to a new capture on *fd*: file_format "pcap" or "pcapng"."""

    def __cinit__(self, int fd, file_format, *, bint only_bad=False, uint32_t snaplen=0):
        if file_format not in _FORMATS[1:]:
            raise ConfigError(f"file format {file_format!r}", "pcap or pcapng")
        raise_for_errno(pp_writer_init(&self.writer, fd, _FORMATS.index(file_format)), "a writer")
        self.writer.only_bad, self.writer.snaplen = only_bad, snaplen
        self.c.take, self.c.context = pp_writer_take, &self.writer

    def __dealloc__(self):
        pp_writer_free(&self.writer)

    def interface(self, uint32_t number, uint16_t link, name=None):
        """Describe an interface before its first packet."""
        cdef bytes encoded = b"" if name is None else name.encode("utf-8", "backslashreplace")
        raise_for_errno(pp_writer_interface(&self.writer, number, link,
                                            NULL if name is None else <char *>encoded), "writing")

    def write(self, Batch batch not None):
        """Write the packets of *batch* that pass."""
        cdef pp_ledger ledger
        memset(&ledger, 0, sizeof(ledger))
        raise_for_errno(pp_writer_take(&batch.c, &ledger, &self.writer), "writing")

    def finish(self, uint64_t time_ns=0, received=None, dropped=None, *, uint32_t interface=0):
        """Write the statistics of an interface where they are given, and all that is buffered."""
        if self.writer.interfaces == 0:
            raise_for_errno(pp_writer_interface(&self.writer, 0, 1, NULL), "writing")
        if received is not None:
            raise_for_errno(pp_writer_statistics(&self.writer, interface, time_ns, received, dropped), "writing")
        raise_for_errno(pp_writer_flush(&self.writer), "writing")

    @property
    def packets(self):
        return self.writer.packets

    @property
    def size(self):
        return self.writer.bytes


cdef class PythonSink(Sink):
    """Calls *call* with each batch; what passes counts as sent."""

    def __cinit__(self, call):
        self.stage = _PythonStage(call)
        self.c.take, self.c.context = python_take, <void *>self.stage


cdef int python_take(pp_batch *b, pp_ledger *ledger, void *context) noexcept nogil:
    cdef uint32_t i
    cdef int rc = run_python(b, context)
    if rc < 0:
        return rc
    for i in range(b.count):
        if not pp_account_unsent(b, i, ledger):
            ledger.sent += 1
            ledger.sent_frames += 1
    return 0
