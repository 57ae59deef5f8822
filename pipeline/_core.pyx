# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=True, auto_pickle=False
"""The one extension: owns memory and lifetimes, turns the engine's return codes into exceptions.

Rules of this file:
1. No Python object inside a packet loop; the loops are in ext/.
2. What the engine points at is kept alive here, and released only when no view of it is.
3. C returns >= 0 or -errno; check() converts, here and nowhere else.
"""

import os
import traceback
from cpython.buffer cimport (PyBUF_FORMAT, PyBUF_ND, PyBUF_SIMPLE, PyBUF_STRIDES, PyBUF_WRITABLE,
                             PyBuffer_Release, PyObject_GetBuffer)
from cpython.pycapsule cimport PyCapsule_CheckExact, PyCapsule_GetName, PyCapsule_GetPointer
from libc.errno cimport EBADMSG
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from pipeline._engine cimport *
from pipeline.pp cimport *

from pipeline.errors import CaptureError, ConfigError, FormatError, StageError, ViewError

ABI = PP_ABI
CAPSULE = "pktmend.stage/1"
CYTHON_CAPSULE = "int (pp_batch *, void *)"  # the name that Cython gives to an exported function of this type
SIZES = {"statuses": PP_STATUSES, "causes": PP_CAUSES, "reasons": PP_REASONS, "protos": PP_PROTOS, "drops": PP_DROPS}


cdef int check(int rc, str what) except -1:
    """Turn -errno into CaptureError."""
    if rc < 0:
        raise CaptureError(f"{what}: {os.strerror(-rc)}", error=-rc)
    return rc


# --- sums and kernels ---------------------------------------------------------------------------

def checksum(data, initial=0):
    """Return the Internet checksum of *data* (RFC 1071)."""
    cdef Py_buffer view
    cdef uint64_t total
    if initial < 0:
        raise ConfigError(f"initial is a sum, not {initial}")
    while initial >> 48:
        initial = (initial & 0xffffffffffff) + (initial >> 48)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    total = initial
    try:
        with nogil:
            total = pp_wire16(pp_fold(total)) + pp_kernel_active().sum(view.buf, <size_t>view.len)
    finally:
        PyBuffer_Release(&view)
    return 0xffff ^ pp_wire16(pp_fold(total))


def crc32c(data, initial=0):
    """Return the CRC32c of *data* (RFC 9260 appendix A), continuing from *initial*."""
    cdef Py_buffer view
    cdef uint32_t crc = initial
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            crc = pp_crc32c(crc, view.buf, <size_t>view.len)
    finally:
        PyBuffer_Release(&view)
    return crc


def kernels():
    """Return (name, supported, active) of every SIMD kernel compiled in, the slowest first."""
    cdef size_t count = 0
    cdef const pp_kernel *all_kernels = pp_kernels(&count)
    cdef const pp_kernel *active = pp_kernel_active()
    return [((<bytes>all_kernels[i].name).decode(), bool(all_kernels[i].supported()), &all_kernels[i] == active)
            for i in range(count)]


def use_kernel(name=None):
    """Force the SIMD kernel *name*, or choose the best again with None."""
    cdef bytes wanted = b"" if name is None else name.encode()
    cdef int rc = pp_kernel_use(NULL) if name is None else pp_kernel_use(wanted)
    if rc < 0:
        known = ", ".join(n for n, ok, _ in kernels() if ok)
        raise ConfigError(f"SIMD kernel {name!r} is not {'supported by this machine' if rc == -95 else 'known'}",
                          f"there are: {known}")


def kernel_address(name=None):
    """Return the address of the function of the SIMD kernel *name*, or of the active one: for the bench, to call it."""
    cdef size_t count = 0
    cdef const pp_kernel *all_kernels = pp_kernels(&count)
    if name is None:
        return <uintptr_t>pp_kernel_active().sum
    for i in range(count):
        if (<bytes>all_kernels[i].name).decode() == name and all_kernels[i].supported():
            return <uintptr_t>all_kernels[i].sum
    raise ConfigError(f"SIMD kernel {name!r} is not there")


def self_test():
    """Compare the active kernel with portable; raises CaptureError(EIO) at the first difference."""
    check(pp_kernel_self_test(), f"SIMD kernel {pp_kernel_active().name.decode()} differs from portable")


if os.environ.get("PKTMEND_KERNEL"):
    use_kernel(os.environ["PKTMEND_KERNEL"])
self_test()


# --- batch --------------------------------------------------------------------------------------

cdef class Check:
    """One checksum of one packet; offsets in octets from the start of the captured frame."""
    cdef readonly int proto, status, cause, reason, flags, depth
    cdef readonly unsigned int offset, start, length, stored, expected, seed

    @property
    def width(self):
        """Octets of the field: 2, or 4 for SCTP."""
        return 4 if self.flags & PP_CHECK_CRC32C else 2

    def __repr__(self):
        return f"<Check proto={self.proto} offset={self.offset} status={self.status} cause={self.cause}>"


cdef Check make_check(const pp_check *k):
    cdef Check c = Check.__new__(Check)
    c.proto, c.status, c.cause, c.reason, c.flags, c.depth = k.proto, k.status, k.cause, k.reason, k.flags, k.depth
    c.offset, c.start, c.length, c.stored, c.expected, c.seed = k.offset, k.start, k.length, k.stored, k.expected, k.seed
    return c


cdef class _View:
    """Exports one column, or one frame, through the buffer protocol and counts itself in its batch."""
    cdef Batch batch
    cdef void *at
    cdef Py_ssize_t shape[1]
    cdef Py_ssize_t strides[1]
    cdef bytes format
    cdef bint readonly

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        if self.readonly and flags & PyBUF_WRITABLE:
            raise BufferError("this column is read-only")
        buffer.buf = self.at
        buffer.obj = self
        buffer.itemsize = self.strides[0]
        buffer.len = self.shape[0] * self.strides[0]
        buffer.readonly = self.readonly
        buffer.ndim = 1
        buffer.format = <char *>self.format if flags & PyBUF_FORMAT else NULL
        buffer.shape = self.shape if flags & PyBUF_ND else NULL
        buffer.strides = self.strides if (flags & PyBUF_STRIDES) == PyBUF_STRIDES else NULL
        buffer.suboffsets = NULL
        buffer.internal = <void *><uintptr_t>self.batch.call
        self.batch.exports += 1
        self.batch.fresh += 1

    def __releasebuffer__(self, Py_buffer *buffer):
        self.batch.exports -= 1
        if <uintptr_t>buffer.internal == self.batch.call:
            self.batch.fresh -= 1


CHECK_FORMAT = ("T{=I:offset:=I:start:=I:length:=I:stored:=I:expected:=H:seed:"
                "B:proto:B:status:B:cause:B:reason:B:flags:B:depth:}")


cdef class Batch:
    """Packets in parallel columns; element i of every column belongs to packet i.

    Columns are memoryviews over the engine's memory, valid until the batch is released; releasing it while one is
    alive is a BufferError.
    """
    cdef pp_batch c
    cdef readonly Py_ssize_t exports
    cdef uintptr_t call    # number of the stage's call that is on
    cdef Py_ssize_t fresh  # of the exports, those made in it
    cdef object owner   # keeps the memory that data points at, where no source does
    cdef public object keep  # a stage may leave something here for the next one; cleared at release
    cdef bint opened    # octets of a frame were handed out, writable
    cdef dict undo      # packet: its octets as they were when they were handed out; None: nobody will want them back

    def __cinit__(self, uint32_t capacity):
        cdef pp_batch *b = &self.c
        if capacity == 0:
            raise ConfigError("a batch needs a capacity above 0")
        b.abi = PP_ABI
        b.capacity = capacity
        b.data = <uint8_t **>calloc(capacity, sizeof(void *))
        b.caplen = <uint32_t *>calloc(capacity, 4)
        b.wirelen = <uint32_t *>calloc(capacity, 4)
        b.time_ns = <uint64_t *>calloc(capacity, 8)
        b.number = <uint64_t *>calloc(capacity, 8)
        b.flags = <uint16_t *>calloc(capacity, 2)
        b.link = <uint16_t *>calloc(capacity, 2)
        b.vlan_tpid = <uint16_t *>calloc(capacity, 2)
        b.vlan_tci = <uint16_t *>calloc(capacity, 2)
        b.interface = <uint32_t *>calloc(capacity, 4)
        b.l3 = <uint16_t *>calloc(capacity, 2)
        b.l4 = <uint16_t *>calloc(capacity, 2)
        b.version = <uint8_t *>calloc(capacity, 1)
        b.protocol = <uint8_t *>calloc(capacity, 1)
        b.status = <uint8_t *>calloc(capacity, 1)
        b.cause = <uint8_t *>calloc(capacity, 1)
        b.check_first = <uint32_t *>calloc(capacity, 4)
        b.check_count = <uint8_t *>calloc(capacity, 1)
        # touched only as far as it is used: the bound costs address space, not memory
        b.checks = <pp_check *>calloc(<size_t>capacity * PP_CHECKS_PER_PACKET, sizeof(pp_check))
        b.verdict = <uint8_t *>calloc(capacity, 1)
        b.drop = <uint8_t *>calloc(capacity, 1)
        for p in (<uintptr_t>b.data, <uintptr_t>b.caplen, <uintptr_t>b.wirelen, <uintptr_t>b.time_ns, <uintptr_t>b.number,
                  <uintptr_t>b.flags, <uintptr_t>b.link, <uintptr_t>b.vlan_tpid, <uintptr_t>b.vlan_tci,
                  <uintptr_t>b.interface, <uintptr_t>b.l3, <uintptr_t>b.l4, <uintptr_t>b.version,
                  <uintptr_t>b.protocol, <uintptr_t>b.status, <uintptr_t>b.cause, <uintptr_t>b.check_first,
                  <uintptr_t>b.check_count, <uintptr_t>b.checks, <uintptr_t>b.verdict, <uintptr_t>b.drop):
            if p == 0:
                raise MemoryError

    def __dealloc__(self):
        cdef pp_batch *b = &self.c
        free(b.data); free(b.caplen); free(b.wirelen); free(b.time_ns); free(b.number); free(b.flags); free(b.link)
        free(b.vlan_tpid); free(b.vlan_tci); free(b.interface); free(b.l3); free(b.l4); free(b.version)
        free(b.protocol); free(b.status); free(b.cause); free(b.check_first); free(b.check_count); free(b.checks)
        free(b.verdict); free(b.drop)

    def __len__(self):
        return self.c.count

    @property
    def capacity(self):
        return self.c.capacity

    cdef object view(self, void *at, Py_ssize_t count, Py_ssize_t size, bytes format, bint readonly=True):
        cdef _View v = _View.__new__(_View)
        v.batch, v.at, v.format, v.readonly = self, at, format, readonly
        v.shape[0], v.strides[0] = count, size
        return memoryview(v)

    @property
    def caplen(self):
        return self.view(self.c.caplen, self.c.count, 4, b"I")

    @property
    def wirelen(self):
        return self.view(self.c.wirelen, self.c.count, 4, b"I")

    @property
    def time_ns(self):
        return self.view(self.c.time_ns, self.c.count, 8, b"Q")

    @property
    def number(self):
        return self.view(self.c.number, self.c.count, 8, b"Q")

    @property
    def flags(self):
        return self.view(self.c.flags, self.c.count, 2, b"H")

    @property
    def link(self):
        return self.view(self.c.link, self.c.count, 2, b"H")

    @property
    def vlan_tpid(self):
        return self.view(self.c.vlan_tpid, self.c.count, 2, b"H")

    @property
    def vlan_tci(self):
        return self.view(self.c.vlan_tci, self.c.count, 2, b"H", False)

    @property
    def interface(self):
        return self.view(self.c.interface, self.c.count, 4, b"I")

    @property
    def l3(self):
        return self.view(self.c.l3, self.c.count, 2, b"H")

    @property
    def l4(self):
        return self.view(self.c.l4, self.c.count, 2, b"H")

    @property
    def version(self):
        return self.view(self.c.version, self.c.count, 1, b"B")

    @property
    def protocol(self):
        return self.view(self.c.protocol, self.c.count, 1, b"B")

    @property
    def status(self):
        return self.view(self.c.status, self.c.count, 1, b"B")

    @property
    def cause(self):
        return self.view(self.c.cause, self.c.count, 1, b"B")

    @property
    def verdict(self):
        return self.view(self.c.verdict, self.c.count, 1, b"B", False)

    @property
    def check_first(self):
        return self.view(self.c.check_first, self.c.count, 4, b"I")

    @property
    def check_count(self):
        return self.view(self.c.check_count, self.c.count, 1, b"B")

    @property
    def checks(self):
        """All packets' checks as one structured array (28 octets each, see pp_check in pp.h)."""
        return self.view(self.c.checks, self.c.checks_used, sizeof(pp_check), CHECK_FORMAT.encode())

    def frame(self, Py_ssize_t i):
        """Return the captured octets of packet *i*, writable, without a copy."""
        if not 0 <= i < self.c.count:
            raise IndexError(f"packet {i} of a batch of {self.c.count}")
        self.open(i)
        return self.view(self.c.data[i], self.c.caplen[i], 1, b"B", False)

    def octets(self, Py_ssize_t i, uint32_t limit=0xffffffff):
        """Return a copy of the captured octets of packet *i*, *limit* at most: to read, and nothing is judged again."""
        if not 0 <= i < self.c.count:
            raise IndexError(f"packet {i} of a batch of {self.c.count}")
        return (<char *>self.c.data[i])[:min(limit, self.c.caplen[i])]

    cdef uint32_t head(self, Py_ssize_t i) noexcept:
        """Octets before packet *i* that belong to it."""
        return PP_VNET_LEN if self.c.flags[i] & PP_PKT_VNET else 0

    cdef int open(self, Py_ssize_t i) except -1:
        cdef uint32_t head = self.head(i)
        self.opened = True
        if self.undo is not None and i not in self.undo:
            self.undo[i] = (<char *>self.c.data[i] - head)[:head + self.c.caplen[i]]
        return 0

    def vnet(self, Py_ssize_t i):
        """Return the ten octets of virtio-net header before packet *i*, writable, or None where the source gives none."""
        if not 0 <= i < self.c.count:
            raise IndexError(f"packet {i} of a batch of {self.c.count}")
        if not self.c.flags[i] & PP_PKT_VNET:
            return None
        self.open(i)
        return self.view(self.c.data[i] - PP_VNET_LEN, PP_VNET_LEN, 1, b"B", False)

    def checks_of(self, Py_ssize_t i):
        """Return the checks of packet *i*, outer first, as Check objects (copies)."""
        if not 0 <= i < self.c.count:
            raise IndexError(f"packet {i} of a batch of {self.c.count}")
        return [make_check(&self.c.checks[self.c.check_first[i] + j]) for j in range(self.c.check_count[i])]

    def layers_of(self, Py_ssize_t i):
        """Return (l3, l4, version, protocol) of each IP header of packet *i*, outermost first, quoted ones left out."""
        cdef pp_layer layers[8]
        cdef unsigned int n
        if not 0 <= i < self.c.count:
            raise IndexError(f"packet {i} of a batch of {self.c.count}")
        n = pp_layers_of(&self.c, <uint32_t>i, layers)
        return [(layers[j].l3, layers[j].l4, layers[j].version, layers[j].protocol) for j in range(n)]

    def fingerprints(self):
        """Return 64 bits for each packet that stay the same whatever a hop rewrites of its headers; 0: no IP packet."""
        cdef bytearray octets = bytearray(self.c.count * 8)
        cdef uint64_t *out = <uint64_t *><char *>octets
        with nogil:
            pp_fingerprints(&self.c, out)
        return memoryview(octets).cast("Q")

    cdef pp_select selection(self, status, cause, version, protocol, port, flags):
        cdef pp_select s
        s.status = -1 if status is None else status
        s.cause = -1 if cause is None else cause
        s.version = -1 if version is None else version
        s.protocol = -1 if protocol is None else protocol
        s.port = -1 if port is None else port
        s.flags = flags
        return s

    def where(self, *, status=None, cause=None, version=None, protocol=None, port=None,
              flags=0):
        """Return the indices of the packets that still pass and match all that is given."""
        cdef pp_select s = self.selection(status, cause, version, protocol, port, flags)
        cdef uint32_t *found = <uint32_t *>calloc(self.c.count + 1, 4)
        cdef uint32_t n, i
        if found == NULL:
            raise MemoryError
        try:
            n = pp_where(&self.c, &s, found)
            return [found[i] for i in range(n)]
        finally:
            free(found)

    def mark(self, verdict, *, status=None, cause=None, version=None, protocol=None, port=None,
              flags=0):
        """Give a verdict to the packets that still pass and match all that is given; return how many."""
        cdef pp_select s = self.selection(status, cause, version, protocol, port, flags)
        return pp_mark(&self.c, &s, verdict, 1 if verdict else 0)

    def _release_check(self):
        if self.exports:
            raise BufferError(f"{self.exports} view(s) of the batch are still alive; copy what is to be kept")


def batch_of(frames, *, link=1, flags=0, vnet=None, wirelen=None, tpid=0, tci=0):
    """Return a batch of *frames* (a sequence of buffers, which are copied), as a source would hand it over: for tests.

    link:    LINKTYPE_* number.        flags: PacketFlag bits of the source.
    vnet:    ten octets of virtio-net header before each frame, or None.
    wirelen: octets a frame had; None: all are here.
    tpid, tci: the VLAN tag that was stripped (with PacketFlag.VLAN).
    """
    cdef Batch b
    cdef bytearray octets
    cdef uint32_t i
    if not 0 <= link <= 0xffff:
        raise ConfigError(f"link type {link}", "0 to 65535")
    if vnet is not None and len(vnet) != PP_VNET_LEN:
        raise ConfigError(f"a virtio-net header has 10 octets, not {len(vnet)}")
    head = bytes(10) if vnet is None else bytes(vnet)
    copies = [bytearray(head + bytes(frame)) for frame in frames]
    b = Batch(max(1, len(copies)))
    b.owner = copies
    b.c.count = <uint32_t>len(copies)
    for i in range(b.c.count):
        octets = copies[i]
        b.c.data[i] = <uint8_t *><char *>octets + PP_VNET_LEN
        b.c.caplen[i] = <uint32_t>(len(octets) - PP_VNET_LEN)
        b.c.wirelen[i] = b.c.caplen[i] if wirelen is None else wirelen
        b.c.link[i] = link
        b.c.number[i] = i + 1
        b.c.vlan_tpid[i], b.c.vlan_tci[i] = tpid, tci
        b.c.flags[i] = flags | (PP_PKT_VNET if vnet is not None else 0)
    return b


def inspect(frame, *, link=1, flags=0, vnet=None, wirelen=None, expected=True, at_wire=False):
    """Return (flags, status, checks) of one frame given as octets; the arguments are those of batch_of."""
    cdef Batch b = batch_of([frame], link=link, flags=flags, vnet=vnet, wirelen=wirelen)
    cdef uint32_t options = (PP_VERIFY_EXPECTED if expected else 0) | (PP_VERIFY_AT_WIRE if at_wire else 0)
    pp_stage_verify(&b.c, &options)
    pp_stage_classify(&b.c, NULL)
    return b.c.flags[0], b.c.status[0], b.checks_of(0)


# --- stages -------------------------------------------------------------------------------------

cdef class NativeStage:
    """A C function over pp_batch with its context; callable with a Batch, and run without the GIL in a pipeline."""
    cdef pp_stage_fn run
    cdef void *context
    cdef uint32_t option
    cdef object keep
    cdef readonly str name
    cdef readonly bint is_builtin

    def __call__(self, Batch batch not None):
        cdef int rc
        cdef void *context = self.context
        cdef _Flow flow
        if self.run == pp_stage_classify:
            flow = _Flow()  # outside of a pipeline the batch is all that there is to know
            context = flow.c
        with nogil:
            rc = self.run(&batch.c, context)
        if rc < 0:
            raise StageError(f"stage {self.name} failed: {os.strerror(-rc)}", stage=self.name)

    def __repr__(self):
        return f"<NativeStage {self.name}>"


cdef class _Flow:
    """What classify remembers of earlier packets: one for each worker, because it is not locked."""
    cdef pp_flow *c

    def __cinit__(self):
        self.c = pp_flow_new()
        if self.c == NULL:
            raise MemoryError

    def __dealloc__(self):
        pp_flow_free(self.c)


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
    cdef pp_conversations *c

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


cdef NativeStage builtin(pp_stage_fn run, str name, option=None):
    cdef NativeStage s = NativeStage.__new__(NativeStage)
    s.run, s.name, s.is_builtin = run, name, True
    if option is not None:
        s.option = option
        s.context = &s.option
    return s


cdef NativeStage stage_on(pp_stage_fn run, str name, void *context, object keep):
    cdef NativeStage s = builtin(run, name)
    s.context, s.keep = context, keep
    return s


def verify_stage(option=0):
    return builtin(pp_stage_verify, "verify", option)


def classify_stage():
    return builtin(pp_stage_classify, "classify")


def count_stage():
    return builtin(pp_stage_count, "count")


def repair_stage(policy):
    return builtin(pp_stage_repair, "repair", policy)


def drop_corrupt_stage():
    return builtin(pp_stage_drop_corrupt, "drop_corrupt")


def time_stage(NativeStage stage not None, Batch batch not None, uint32_t calls):
    """Return the ns that *calls* runs of *stage* over *batch* take together, without the GIL: for the bench."""
    cdef timespec start, end
    cdef int rc = 0
    cdef uint32_t i
    cdef pp_tally tally
    memset(&tally, 0, sizeof(tally))
    with nogil:
        batch.c.tally = &tally
        clock_gettime(CLOCK_MONOTONIC, &start)
        for i in range(calls):
            rc |= stage.run(&batch.c, stage.context)
        clock_gettime(CLOCK_MONOTONIC, &end)
        batch.c.tally = NULL
    if rc < 0:
        raise StageError(f"stage {stage.name} failed", stage=stage.name)
    return (end.tv_sec - start.tv_sec) * 1_000_000_000 + (end.tv_nsec - start.tv_nsec)


def native_stage(address, name, context=0, keep=None):
    """Wrap the function at *address* (a uintptr_t, or a PyCapsule named as a stage's); keep: what owns it."""
    cdef NativeStage s = NativeStage.__new__(NativeStage)
    cdef const char *capsule
    if isinstance(address, int):
        s.run = <pp_stage_fn><uintptr_t>address
    elif PyCapsule_CheckExact(address):
        capsule = PyCapsule_GetName(address)
        found = None if capsule == NULL else (<bytes>capsule).decode()
        if found not in (CAPSULE, CYTHON_CAPSULE):
            raise ConfigError(f"a stage's PyCapsule is named {CAPSULE!r} or, by Cython, {CYTHON_CAPSULE!r}, not {found!r}")
        s.run = <pp_stage_fn>PyCapsule_GetPointer(address, capsule)
    else:
        raise ConfigError(f"{address!r} is neither an address nor a PyCapsule")
    if s.run == NULL:
        raise ConfigError("a native stage at address 0")
    s.context = <void *><uintptr_t>context
    s.name, s.keep = name, keep
    return s


cdef class _PythonStage:
    """A Python callable as the engine calls it: takes the GIL once per batch."""
    cdef object call
    cdef Batch batch
    cdef pp_guard *guard  # null for a sink
    cdef object error     # what ends the pipeline
    cdef readonly str name
    cdef readonly str fault  # of the first failure, in words

    def __cinit__(self, call, Batch batch=None):
        self.call, self.batch = call, batch
        self.name = getattr(call, "name", None) or getattr(call, "__name__", type(call).__name__)

    cdef bint goes_on(self) noexcept:
        return self.guard != NULL and self.guard.on_error != PP_ON_ERROR_END

    cdef int fail(self, error) except -1:
        """Remember *error*, and only its words where the pipeline goes on; the views in its frames are let go of."""
        if not self.goes_on():
            self.error = error
        if self.fault is None:
            at, where = error.__traceback__, ""
            while at is not None:
                where = f" ({os.path.basename(at.tb_frame.f_code.co_filename)}:{at.tb_lineno})"
                at = at.tb_next
            self.fault = f"{type(error).__name__}: {error}{where}"
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__context__
        return 0


cdef int run_python(pp_batch *b, void *context) noexcept with gil:
    cdef _PythonStage stage = <_PythonStage>context
    cdef Batch batch = stage.batch
    cdef int rc = 0
    try:
        batch.call += 1
        batch.fresh = 0
        batch.opened = batch.exports > 0  # through a view of an earlier call too it may write
        batch.undo = {} if stage.goes_on() else None
        try:
            stage.call(batch)
        except BaseException as error:
            rc = -5
            stage.fail(error)
        if rc == 0 and batch.fresh:
            rc = -5
            stage.fail(BufferError(f"{batch.fresh} view(s) of the batch are still alive; copy what is to be kept"))
    except BaseException as error:  # while an error was put into words
        stage.error = error
        rc = -5
    if stage.guard != NULL:
        stage.guard.edited = batch.opened
    return rc


cdef void undo_python(pp_batch *b, void *context) noexcept with gil:
    """Put back the octets of the frames that the stage has asked for."""
    cdef Batch batch = (<_PythonStage>context).batch
    cdef uint32_t head
    cdef bytes octets
    for i, octets in (batch.undo or {}).items():
        head = batch.head(i)
        memcpy(b.data[i] - head, <char *>octets, len(octets))


# --- sources ------------------------------------------------------------------------------------

cdef class Source:
    """Where batches come from; see RingSource and the capture reader.

    One batch at a time is filled from a source; it is emptied when the source is closed, and a source cannot be closed
    while a loop runs on it or a view of its batch is alive.
    """
    cdef pp_source c
    cdef readonly uint32_t capacity
    cdef int running
    cdef Batch batch

    cdef int detach(self) except -1:
        if self.running:
            raise ConfigError("a pipeline still runs on this source; stop it and wait first")
        if self.batch is not None:
            self.batch._release_check()
            self.batch.c.count = 0
            self.batch = None
        return 0


cdef int ring_next(void *context, pp_batch *b) noexcept nogil:
    return pp_ring_next(<pp_ring *>context, b)


cdef void ring_release(void *context) noexcept nogil:
    pp_ring_release(<pp_ring *>context)


cdef int ring_rebuild(void *context) noexcept nogil:
    return pp_ring_rebuild(<pp_ring *>context)


def link_of(uint16_t hatype):
    """Return the LINKTYPE_* of the frames of an interface of this kind (ARPHRD_*)."""
    return pp_ring_link(hatype)


cdef class RingSource(Source):
    """Walks a receive ring that lies in *memory* (an mmap of socket *fd*), which stays alive as long as this does."""
    cdef pp_ring ring
    cdef Py_buffer memory
    cdef bint mapped

    def __cinit__(self, int fd, memory, *, int version, uint32_t block_size, uint32_t block_count,
                  uint32_t frame_size, uint32_t frame_count, bint has_vnet):
        cdef pp_ring *r = &self.ring
        if version not in (2, 3):
            raise ConfigError(f"TPACKET version {version}: 2 or 3")
        PyObject_GetBuffer(memory, &self.memory, PyBUF_SIMPLE | PyBUF_WRITABLE)
        self.mapped = True
        if (version == 3 and <Py_ssize_t>block_size * block_count > self.memory.len) or (
                version == 2 and <Py_ssize_t>frame_size * frame_count > self.memory.len):
            raise ConfigError("the ring's geometry exceeds its mapping")
        r.map = <uint8_t *>self.memory.buf
        r.fd, r.version, r.has_vnet = fd, version, has_vnet
        r.block_size, r.block_count, r.frame_size, r.frame_count = block_size, block_count, frame_size, frame_count
        if version == 2:
            r.arena = <uint8_t *>calloc(1, PP_RING_ARENA)
            if r.arena == NULL:
                raise MemoryError
        self.capacity = pp_ring_capacity(r)
        self.c.next, self.c.release, self.c.context, self.c.fd = ring_next, ring_release, r, fd
        if version == 2:
            self.c.rebuild = ring_rebuild

    def close(self):
        """Give the memory back; the mapping can be closed then.  BufferError while a view of a batch is alive."""
        if self.mapped:
            self.detach()
            self.mapped = False
            self.ring.map = NULL
            PyBuffer_Release(&self.memory)

    def __dealloc__(self):
        free(self.ring.arena)
        if self.mapped:
            PyBuffer_Release(&self.memory)

    def next(self, Batch batch not None):
        """Fill *batch*; return the number of packets, 0 if none is there now."""
        cdef int n
        if not self.mapped:
            raise ConfigError("the ring is closed")
        batch._release_check()
        if batch.c.capacity < self.capacity:
            raise ConfigError(f"a batch of capacity {batch.c.capacity} for a ring that needs {self.capacity}")
        with nogil:
            n = pp_ring_next(&self.ring, &batch.c)
        check(n, "reading the ring")
        self.batch = batch
        return n

    def release(self, Batch batch not None):
        """Hand what the last next() gave back to the kernel.  BufferError while a view of it is alive."""
        batch._release_check()
        batch.c.count = 0
        if self.mapped:
            pp_ring_release(&self.ring)


cdef class CaptureSource(Source):
    """Walks a capture: one that lies in *memory* (an mmap, writable and private), or what comes out of the pipe *fd*.

    Memory or descriptor stay the caller's, and alive as long as this is.
    """
    cdef pp_reader reader
    cdef Py_buffer memory
    cdef bint mapped
    cdef readonly object filter

    def __cinit__(self, memory=None, *, int fd=-1, uint32_t capacity=1024, filter=None):
        if (memory is None) == (fd < 0):
            raise ConfigError("a capture source has memory or a descriptor")
        if memory is not None:
            PyObject_GetBuffer(memory, &self.memory, PyBUF_SIMPLE | PyBUF_WRITABLE)
            self.mapped = True
            pp_reader_map(&self.reader, <uint8_t *>self.memory.buf, <size_t>self.memory.len)
        else:
            check(pp_reader_pipe(&self.reader, fd), "a buffer")
        if filter is not None:
            if not isinstance(filter, PacketFilter):
                raise ConfigError(f"{filter!r} is not a packet filter")
            self.filter = filter
            self.reader.capture.filter = pp_filter_match
            self.reader.capture.filter_context = &(<PacketFilter>filter).c
        self.capacity = capacity
        self.c.next, self.c.release, self.c.context = pp_reader_next, pp_reader_release, &self.reader
        self.c.fd = fd

    def close(self):
        """Give the memory back.  BufferError while a view of a batch is alive."""
        self.detach()
        pp_reader_free(&self.reader)
        if self.mapped:
            self.mapped = False
            PyBuffer_Release(&self.memory)

    def __dealloc__(self):
        pp_reader_free(&self.reader)
        if self.mapped:
            PyBuffer_Release(&self.memory)

    @property
    def error(self):
        """(what, octet offset in the file) of the fault that ended reading, or None."""
        if self.reader.capture.error == NULL:
            return None
        return (<bytes>self.reader.capture.error).decode(), self.reader.capture.error_offset

    @property
    def offset(self):
        """Octets of the file that are done."""
        return self.reader.capture.offset

    @property
    def format(self):
        """1 pcap, 2 pcapng, 0 not known yet."""
        return self.reader.capture.format

    @property
    def interfaces(self):
        """(link type, drops or None) of each interface of the current section."""
        cdef pp_capture_interface *i = self.reader.capture.interfaces
        return [(i[n].link, None if i[n].drops == <uint64_t>-1 else i[n].drops)
                for n in range(self.reader.capture.interface_count)]


cdef class PacketFilter:
    """Classic BPF programs by link type, run by libpcap's own interpreter; made by pipeline.filters."""
    cdef pp_filter c
    cdef object keep

    def __cinit__(self, interpreter, programs, keep):
        cdef uint32_t n = 0
        if len(programs) > PP_FILTER_LINKS:
            raise ConfigError(f"{len(programs)} link types; {PP_FILTER_LINKS} at most")
        self.c.run = <pp_bpf_fn><uintptr_t>interpreter
        for link, address in programs:
            self.c.link[n] = link
            self.c.program[n] = <void *><uintptr_t>address
            n += 1
        self.c.count = n
        self.keep = keep


# --- sinks --------------------------------------------------------------------------------------

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


cdef class CopySink(Sink):
    """Writes a copy of the capture behind *source* to *fd* as it is gone through, repaired packets included."""
    cdef pp_copy copy
    cdef CaptureSource source

    def __cinit__(self, CaptureSource source not None, int fd):
        self.source = source
        self.copy.reader, self.copy.fd = &source.reader, fd
        self.c.take, self.c.context = pp_copy_take, &self.copy

    def finish(self):
        """Write what follows the last packet."""
        check(pp_copy_finish(&self.copy), "writing")


cdef class WriterSink(Sink):
    """Writes packets to a new capture on *fd*: format 1 pcap, 2 pcapng."""
    cdef pp_writer writer

    def __cinit__(self, int fd, int format, *, bint only_bad=False, uint32_t snaplen=0):
        check(pp_writer_init(&self.writer, fd, format), "a writer")
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


# --- what a monitor takes along ------------------------------------------------------------------

cdef tuple talk_tuple(const pp_talk *t):
    """(version, protocol, source address octets, target address octets, source port, target port)"""
    cdef Py_ssize_t size = 16 if t.version == 6 else 4
    return (t.version, t.protocol, <bytes>(<const char *>t.source)[:size], <bytes>(<const char *>t.target)[:size],
            t.source_port, t.target_port)


cdef class Sampler:
    """Keeps a few bad packets of each cause and counts bad packets by flow; one for each worker, as its `stage`."""
    cdef pp_sample *c

    def __cinit__(self):
        self.c = pp_sample_new()
        if self.c == NULL:
            raise MemoryError

    def __dealloc__(self):
        pp_sample_free(self.c)

    @property
    def stage(self):
        """The native stage, for a pipeline after classify."""
        return stage_on(pp_stage_sample, "sample", self.c, self)

    def take(self):
        """Return (talk, time_ns, caplen, wirelen, flags, cause, checks) of each packet kept since the last call."""
        cdef pp_sampled *kept = <pp_sampled *>calloc(PP_SAMPLE_MOST, sizeof(pp_sampled))
        cdef uint32_t i, n
        if kept == NULL:
            raise MemoryError
        try:
            with nogil:
                n = pp_sample_take(self.c, kept)
            return [(talk_tuple(&kept[i].talk), kept[i].time_ns, kept[i].caplen, kept[i].wirelen, kept[i].flags,
                     kept[i].cause, [make_check(&kept[i].checks[j]) for j in range(kept[i].check_count)])
                    for i in range(n)]
        finally:
            free(kept)

    def flows(self, uint32_t most):
        """Return (talk, packets, over, last_ns, cause) of the *most* flows with most bad packets, the heaviest first."""
        cdef pp_bad_flow *found = <pp_bad_flow *>calloc(most + 1, sizeof(pp_bad_flow))
        cdef uint32_t i, n
        if found == NULL:
            raise MemoryError
        try:
            with nogil:
                n = pp_sample_flows(self.c, found, most)
            return [(talk_tuple(&found[i].talk), found[i].packets, found[i].over, found[i].last_ns, found[i].cause)
                    for i in range(n)]
        finally:
            free(found)


cdef class Spool:
    """Takes packets of one worker, as its `stage`, towards a file that another thread writes by drain()."""
    cdef pp_spool c

    def __cinit__(self, uint64_t size, *, uint32_t interface=0, bint only_bad=False, uint32_t snaplen=0):
        check(pp_spool_init(&self.c, size), f"a spool of {size} octets")
        self.c.interface, self.c.only_bad, self.c.snaplen = interface, only_bad, snaplen

    def __dealloc__(self):
        pp_spool_free(&self.c)

    @property
    def stage(self):
        """The native stage."""
        return stage_on(pp_stage_spool, "spool", &self.c, self)

    def drain(self, int fd, uint64_t limit):
        """Write blocks to *fd* until none is left or *limit* octets are reached or passed.

        Returns (octets, packets, errno), of whole blocks: a failed write may leave part of another behind them.
        """
        cdef pp_spooled done
        cdef int rc
        with nogil:
            rc = pp_spool_drain(&self.c, fd, limit, &done)
        return done.octets, done.packets, -rc

    def pending(self):
        """Return the octets that wait to be written."""
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
        return self.c.put, self.c.full, self.c.stopped


# --- the loop -----------------------------------------------------------------------------------

cdef class Loop:
    """One worker: source, stages, sink.  run() blocks without the GIL until stop()."""
    cdef pp_loop c
    cdef bint ready
    cdef Source source
    cdef Sink sink
    cdef Batch batch
    cdef list stages
    cdef _Flow flow
    cdef pp_guard guards[PP_MAX_STAGES]  # of users' stages; run is null for the engine's own

    def __cinit__(self, Source source not None, stages, Sink sink not None, uint64_t limit=0, uint64_t busy_ns=0,
                  uint64_t rest_ns=0, int on_error=0):
        cdef NativeStage native
        cdef NativeStage judge = None
        cdef _PythonStage python
        if not 0 <= on_error < PP_ON_ERRORS:
            raise ConfigError(f"on_error {on_error}")
        check(pp_loop_init(&self.c), "making a worker")
        self.ready = True
        self.source, self.sink = source, sink
        self.batch = Batch(source.capacity)
        self.c.source, self.c.sink, self.c.batch, self.c.limit = source.c, sink.c, &self.batch.c, limit
        self.c.busy_ns, self.c.rest_ns = busy_ns, rest_ns
        if isinstance(sink, PythonSink):
            (<PythonSink>sink).stage.batch = self.batch
        self.stages = []
        if len(stages) > PP_MAX_STAGES:
            raise ConfigError(f"{len(stages)} stages; {PP_MAX_STAGES} at most")
        for i, stage in enumerate(stages):
            if isinstance(stage, NativeStage):
                native = stage
                self.c.stages[i].run, self.c.stages[i].context = native.run, native.context
                if native.run == pp_stage_classify:
                    if self.flow is None:
                        self.flow = _Flow()
                    self.c.stages[i].context = self.flow.c
                elif native.run == pp_stage_verify:
                    judge = native
                self.stages.append(native)
                if not native.is_builtin:
                    self.guard(i, judge, on_error)
            elif callable(stage):
                python = _PythonStage(stage, self.batch)
                self.c.stages[i].run, self.c.stages[i].context = run_python, <void *>python
                self.stages.append(python)
                self.guard(i, judge, on_error)
                python.guard = &self.guards[i]
                self.guards[i].undo = undo_python
            else:
                raise ConfigError(f"stage {i} is {stage!r}, which cannot be called with a batch")
        self.c.stage_count = <uint32_t>len(stages)

    cdef int guard(self, Py_ssize_t i, NativeStage judge, int on_error) except -1:
        """Put a guard around the user's stage *i*."""
        cdef pp_guard *g = &self.guards[i]
        check(pp_guard_init(g, self.batch.c.capacity), "making a guard")
        g.run, g.context, g.on_error = self.c.stages[i].run, self.c.stages[i].context, on_error
        if judge is not None:
            g.judge, g.judge_context = judge.run, judge.context
        self.c.stages[i].run, self.c.stages[i].context = pp_guard_run, g
        self.c.look_every = 1
        return 0

    def __dealloc__(self):
        if self.ready:
            pp_loop_destroy(&self.c)
        for i in range(PP_MAX_STAGES):
            pp_guard_free(&self.guards[i])

    def run(self):
        """Run until stop(), the end of the source, or a failure: StageError with the original as __cause__."""
        run_together([self])
        self.check()

    cdef int begin(self) except -1:
        if self.source.running:
            raise ConfigError("another pipeline runs on this source")
        self.source.detach()
        self.source.batch, self.source.running = self.batch, 1
        return 0

    cdef int end(self) except -1:
        self.source.running = 0
        if not self.batch.exports:
            self.batch.c.count = 0
        return 0

    def check(self):
        """Raise what ended it, once it has: StageError with the original as __cause__, or nothing."""
        cdef int rc = self.c.rc
        if rc == 0:
            return
        culprit = None
        if self.c.failed_stage >= 0:
            culprit = self.stages[self.c.failed_stage]
        elif isinstance(self.sink, PythonSink):
            culprit = (<PythonSink>self.sink).stage
        if isinstance(culprit, _PythonStage) and (<_PythonStage>culprit).error is not None:
            error = (<_PythonStage>culprit).error
            (<_PythonStage>culprit).error = None
            kind = ViewError if isinstance(error, BufferError) else StageError
            raise kind(f"stage {culprit.name}: {(<_PythonStage>culprit).fault}", stage=culprit.name) from error
        if self.c.failed_stage < 0 and isinstance(self.sink, (CopySink, WriterSink)) and self.c.sink_failed:
            check(rc, "writing the capture")
        if culprit is not None:
            raise StageError(f"stage {culprit.name} failed: {fault_words(rc)}", stage=culprit.name)
        if isinstance(self.source, CaptureSource) and self.source.error:
            what, offset = self.source.error
            raise FormatError(f"{what} at octet {offset}", offset=offset)
        check(rc, "the worker")

    def stop(self):
        """Ask run() to drain and return; from any thread."""
        pp_loop_stop(&self.c)

    def snapshot(self):
        """Return (ledger, tally) as dicts of ints and lists, as last published by the worker."""
        cdef pp_ledger ledger
        cdef pp_tally tally
        with nogil:
            pp_loop_snapshot(&self.c, &ledger, &tally)
        return ({
            "kernel_seen": ledger.kernel_seen, "kernel_drops": ledger.kernel_drops, "read": ledger.read,
            "sent": ledger.sent, "sent_frames": ledger.sent_frames, "truncated": ledger.truncated,
            "held": ledger.held, "rebuilds": self.c.rebuilds, "link_events": self.c.link_events,
            "dropped": [ledger.dropped[i] for i in range(PP_DROPS)],
            "tx_error": {i: ledger.tx_error[i] for i in range(PP_ERRNOS) if ledger.tx_error[i]},
            "stages": self.stage_counts(),
        }, tally_dict(&tally))

    cdef list stage_counts(self):
        """Of each user's stage: name, calls, errors, ns, the first fault in words or None, and its own counters."""
        cdef uint64_t calls, errors, ns
        cdef int fault
        found = []
        for i, stage in enumerate(self.stages):
            if self.guards[i].run == NULL:
                continue
            pp_guard_read(&self.guards[i], &calls, &errors, &ns, &fault)
            words, own = None, {}
            if isinstance(stage, _PythonStage):
                words, own = (<_PythonStage>stage).fault, own_counters((<_PythonStage>stage).call)
            found.append({"name": stage.name, "calls": calls, "errors": errors, "ns": ns,
                          "fault": words or (fault_words(fault) if fault else None), "counters": own})
        return found

    @property
    def has_ended(self):
        """Has it ended, though another loop of its thread may go on?"""
        return bool(self.c.has_ended)

    def beats(self):
        """A number that rises as long as the worker works or waits for packets; it stands still in a stage that hangs."""
        cdef uint64_t calls, errors, ns, total = self.c.published_ns
        cdef int fault
        for i in range(self.c.stage_count):
            if self.guards[i].run != NULL:
                pp_guard_read(&self.guards[i], &calls, &errors, &ns, &fault)
                total += calls
        return total


cdef dict own_counters(stage):
    """What a stage's counters() says; one that cannot be asked says nothing."""
    try:
        return {str(name): int(n) for name, n in stage.counters().items()} if hasattr(stage, "counters") else {}
    except Exception:
        return {}


cdef str fault_words(int rc):
    return "wrote a value that there is not" if rc == -EBADMSG else os.strerror(-rc)


def run_together(loops):
    """Run several loops on this thread, in turn, until the last has ended; then check() each."""
    cdef pp_loop *engines[PP_MAX_LOOPS]
    cdef unsigned int count = 0
    cdef Loop loop
    if not 0 < len(loops) <= PP_MAX_LOOPS:
        raise ConfigError(f"{len(loops)} loops on one thread; 1 to {PP_MAX_LOOPS}")
    begun = []
    try:
        for each in loops:
            loop = each
            loop.begin()
            begun.append(loop)
            engines[count] = &loop.c
            count += 1
        with nogil:
            pp_loops_run(engines, count)
    finally:
        for each in begun:
            loop = each
            loop.end()


cdef dict tally_dict(const pp_tally *t):
    return {
        "packets": t.packets, "octets": t.octets, "truncated": t.truncated, "malformed": t.malformed,
        "super_frames": t.super_frames, "status": [t.status[i] for i in range(PP_STATUSES)],
        "checks": [[t.checks[p][o] for o in range(PP_OUTCOMES)] for p in range(PP_PROTOS)],
        "repaired": [t.repaired[i] for i in range(PP_CAUSES)],
        "claimed_valid": t.claimed_valid, "finished": t.finished, "split": t.split,
    }
