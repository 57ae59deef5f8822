"""Packets in parallel columns: the memory of a pp_batch."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free

from pktmend._core.engine cimport *
from pktmend._core.views cimport Exporter, _View, make_check
from pktmend.stage cimport *

from pktmend._core import views
from pktmend.errors import ConfigError


cdef class Batch(Exporter):
    """Packets in parallel columns; element i of every column belongs to packet i.

    Columns are memoryviews over the engine's memory, valid until the batch is released; releasing it while one is
    alive is a BufferError.  A view keeps the batch, and the batch the memory of its frames, also when their source was
    dropped without being closed.
    """

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
        """All packets' checks as one structured array (28 octets each, see pp_check in <pktmend/stage.h>)."""
        return self.view(self.c.checks, self.c.checks_used, sizeof(pp_check), views.CHECK_FORMAT.encode())

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
