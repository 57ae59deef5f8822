"""Where batches go: an interface, a capture, a Python function, nowhere."""

cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from pktmend._core.batch cimport Batch
from pktmend._core.engine cimport *
from pktmend._core.python_stage cimport _PythonStage, run_python
from pktmend._core.sources cimport CaptureSource
from pktmend.stage cimport *

from pktmend._core.sources import FORMATS as _FORMATS
from pktmend.errors import ConfigError

cdef extern from "io/annotate.h" nogil:
    int pp_annotated_take(pp_batch *, pp_ledger *, void *) noexcept
    int pp_annotated_finish(pp_annotated *) noexcept
    enum: PP_WRITER_ROOM

cdef extern from "io/comment.h" nogil:
    void pp_comment_fill(uint8_t *, const char *, uint32_t, uint32_t, int) noexcept


def comment_option(bytes comment, uint32_t room, *, bint swapped=False):
    """Return the last *room* bytes of a block's options: a comment in UTF-8, as far as it fits, and the end of options."""
    if room < 8 or room % 4:
        raise ConfigError(f"room for a comment of {room} bytes", "a multiple of 4, at least 8")
    cdef bytearray option = bytearray(room)
    pp_comment_fill(option, comment, len(comment), room, swapped)
    return bytes(option)


cdef class Sink:
    """Where batches go."""


cdef class NullSink(Sink):
    """Keeps nothing: what passes is counted as dropped for want of a sink.

    enough: a pending packet of which exactly so many bytes are there is not counted as truncated; 0: each is.
    """

    def __cinit__(self, uint32_t enough=0):
        self.c.take, self.enough = pp_null_take, enough
        if enough:
            self.c.context = &self.enough


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
        self.c.take, self.c.give_up, self.c.context, self.c.fd = pp_emit_take, pp_emit_give_up, self.emit, fd

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
    """Writes a copy of the capture behind *source* to *fd* as it is gone through, repaired packets included.

    comment: not None: annotate the copy, of a pcapng capture: packets whose checksums are not right get a comment, and
             the first section this one, in UTF-8, with *room* to change it later (see comment_option()).
    only_taken: leave packets out that no batch brings.
    """

    def __cinit__(self, CaptureSource source not None, int fd, *, comment=None, uint32_t room=0, bint only_taken=False):
        self.source, self.memory = source, source.memory
        if source.reader.copy_fd >= 0:
            raise ConfigError("another copy of this capture is being made")
        if source.reader.at != source.reader.capture.offset:
            raise ConfigError("the beginning of this capture was read before its copy was made", "make the copy first")
        if room and (room < 8 or room % 4 or room > PP_WRITER_ROOM):
            raise ConfigError(f"room for a comment of {room} bytes", f"a multiple of 4 from 8 to {PP_WRITER_ROOM}, or 0")
        self.copy.reader, self.copy.fd = source.reader, fd
        self.c.take, self.c.context = pp_copy_take, &self.copy
        if comment is not None:
            self.annotate(comment, room, only_taken)
        source.reader.copy_fd = fd
        self.is_under_way = True

    cdef annotate(self, comment, uint32_t room, bint only_taken):
        """Write it through a writer, block by block."""
        raise_for_errno(pp_writer_init(&self.writer, self.copy.fd, _FORMATS.index("pcapng")), "a writer")
        self.comment = comment
        self.annotated.reader, self.annotated.writer = self.copy.reader, &self.writer
        self.annotated.only_taken, self.annotated.room = only_taken, room
        self.annotated.comment, self.annotated.length = <const char *>self.comment, <uint32_t>len(self.comment)
        (<pp_annotating *>self.copy.reader).annotated = &self.annotated
        self.c.take, self.c.context = pp_annotated_take, &self.annotated

    @property
    def section(self):
        """(where the room of the first section's comment begins in the copy, 0: none; is it in the other byte order?)"""
        return self.annotated.room_at, bool(self.annotated.room_swapped)

    @property
    def comments(self):
        """Packets (with a comment of ours, without one because their block has no place for it)."""
        return self.annotated.commented, self.annotated.uncommented

    def finish(self):
        """Write what follows the last packet."""
        self.stop()
        raise_for_errno(pp_annotated_finish(&self.annotated) if self.comment is not None else
                        pp_copy_finish(&self.copy), "writing")

    cdef void stop(self) noexcept:
        """Leave the reader to another copy."""
        if self.is_under_way:
            self.copy.reader.copy_fd = -1
            (<pp_annotating *>self.copy.reader).annotated = NULL
        self.is_under_way = False

    def __dealloc__(self):
        self.stop()
        pp_writer_free(&self.writer)


cdef class WriterSink(Sink):
    """Writes packets to a new capture on *fd*: file_format "pcap" or "pcapng"."""

    def __cinit__(self, int fd, file_format, *, bint only_bad=False, uint32_t snaplen=0, bint comments=False):
        if file_format not in _FORMATS[1:]:
            raise ConfigError(f"file format {file_format!r}", "pcap or pcapng")
        raise_for_errno(pp_writer_init(&self.writer, fd, _FORMATS.index(file_format)), "a writer")
        self.writer.only_bad, self.writer.snaplen, self.writer.comments = only_bad, snaplen, comments
        self.c.take, self.c.context = pp_writer_take, &self.writer

    def __dealloc__(self):
        pp_writer_free(&self.writer)

    def section(self, bytes comment, uint32_t room):
        """Begin a pcapng file with a comment; return where its *room* begins in the file.  See comment_option()."""
        cdef int at = pp_writer_section(&self.writer, comment, <uint32_t>len(comment), room)
        raise_for_errno(at, "writing")
        return at

    def interface(self, uint32_t number, uint16_t link, name=None, comment=None):
        """Describe an interface before its first packet."""
        cdef bytes encoded = b"" if name is None else name.encode("utf-8", "backslashreplace")
        cdef bytes said = b"" if comment is None else comment.encode("utf-8", "backslashreplace")
        raise_for_errno(pp_writer_interface(&self.writer, number, link, NULL if name is None else <char *>encoded,
                                            NULL if comment is None else <char *>said), "writing")

    def write(self, Batch batch not None):
        """Write the packets of *batch* that pass."""
        cdef pp_ledger ledger
        memset(&ledger, 0, sizeof(ledger))
        raise_for_errno(pp_writer_take(&batch.c, &ledger, &self.writer), "writing")

    def finish(self, uint64_t time_ns=0, received=None, dropped=None, *, uint32_t interface=0):
        """Write the statistics of an interface where they are given, and all that is buffered."""
        if self.writer.interfaces == 0:
            raise_for_errno(pp_writer_interface(&self.writer, 0, 1, NULL, NULL), "writing")
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
