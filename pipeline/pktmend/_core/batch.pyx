"""Packets in parallel columns: the memory of a pp_batch, and what Python sees of it.

The columns are those of PP_COLUMNS in <pktmend/stage.h>; none is named here.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from pktmend._core.engine cimport *
from pktmend._core.views cimport Exporter, _View, make_check
from pktmend.stage cimport *

from pktmend._core import views
from pktmend.errors import ConfigError
from pktmend.records import Layer


cdef class Batch(Exporter):
    """Packets in parallel columns; element i of every column belongs to packet i.

    Columns are memoryviews over the engine's memory, valid until the batch is released; releasing it while one is
    alive is a BufferError.  A view keeps the batch, and the batch the memory of its frames, also when their source was
    dropped without being closed.
    """

    def __cinit__(self, uint32_t capacity):
        if capacity == 0:
            raise ConfigError("a batch needs a capacity above 0")
        if pp_batch_init(&self.c, capacity) < 0:
            raise MemoryError

    def __dealloc__(self):
        pp_batch_free(&self.c)
        free(self.endpoints)

    def __len__(self):
        return self.c.count

    def __repr__(self):
        return f"<Batch of {self.c.count} packet{'' if self.c.count == 1 else 's'}, capacity {self.c.capacity}>"

    @property
    def capacity(self):
        """Packets that find room."""
        return self.c.capacity

    cdef object view(self, void *at, Py_ssize_t count, Py_ssize_t size, bytes format, bint readonly=True,
                     Py_ssize_t width=0):
        """*count* elements of *size* bytes; with *width*, as many bytes in a row."""
        cdef _View v = _View.__new__(_View)
        v.batch, v.at, v.format, v.readonly = self, at, format, readonly
        v.shape[0], v.strides[0], v.dimensions = count, size, 1
        if width:
            v.shape[1], v.strides[1], v.strides[0], v.dimensions = width, size, width * size, 2
        return memoryview(v)

    @property
    def checks(self):
        """All packets' checks as one structured array (28 bytes each, see pp_check in <pktmend/stage.h>)."""
        return self.view(self.c.checks, self.c.checks_used, sizeof(pp_check), views.CHECK_FORMAT.encode())

    cdef uint8_t *locate(self, Py_ssize_t offset) except NULL:
        """Where the endpoints begin, *offset* bytes a packet in; computed at the first read in a call."""
        cdef size_t capacity = self.c.capacity
        cdef uint8_t *at
        if self.endpoints == NULL:
            self.endpoints = <uint8_t *>calloc(capacity, ENDPOINTS_LEN)
            if self.endpoints == NULL:
                raise MemoryError
        if not (self.located and self.located_fill == self.c.fills and self.located_call == self.call):
            at = self.endpoints
            with nogil:
                pp_endpoints(&self.c, at, at + capacity * DST, <uint16_t *>(at + capacity * SPORT),
                             <uint16_t *>(at + capacity * DPORT))
            self.located, self.located_fill, self.located_call = True, self.c.fills, self.call
        return self.endpoints + capacity * offset

    @property
    def src(self):
        """Source addresses, 16 bytes each, IPv4 in the first four; zero where there is none.  After verify."""
        return self.view(self.locate(SRC), self.c.count, 1, b"B", True, PP_ADDRESS_LEN)

    @property
    def dst(self):
        """Destination addresses, as src."""
        return self.view(self.locate(DST), self.c.count, 1, b"B", True, PP_ADDRESS_LEN)

    @property
    def sport(self):
        """Source ports of TCP, UDP, UDP-Lite, SCTP and DCCP; zero where there is none.  After verify."""
        return self.view(self.locate(SPORT), self.c.count, sizeof(uint16_t), b"H")

    @property
    def dport(self):
        """Destination ports, as sport."""
        return self.view(self.locate(DPORT), self.c.count, sizeof(uint16_t), b"H")

    def frame(self, Py_ssize_t i):
        """Return the captured bytes of packet *i*, writable, without a copy."""
        if not 0 <= i < self.c.count:
            raise IndexError(f"packet {i} of a batch of {self.c.count}")
        self.open(i)
        return self.view(self.c.data[i], self.c.caplen[i], 1, b"B", False)

    def head(self, Py_ssize_t i, uint32_t size=0xffffffff):
        """Return a copy of the first *size* captured bytes of packet *i*: to read only, so nothing is judged again."""
        if not 0 <= i < self.c.count:
            raise IndexError(f"packet {i} of a batch of {self.c.count}")
        return (<char *>self.c.data[i])[:min(size, self.c.caplen[i])]

    cdef uint32_t headroom(self, Py_ssize_t i) noexcept:
        """Bytes before packet *i* that belong to it."""
        return PP_VNET_LEN if self.c.flags[i] & PP_PKT_VNET else 0

    cdef int open(self, Py_ssize_t i) except -1:
        cdef uint32_t head = self.headroom(i)
        self.opened = True
        if self.undo is not None and i not in self.undo:
            self.undo[i] = (<char *>self.c.data[i] - head)[:head + self.c.caplen[i]]
        return 0

    def vnet(self, Py_ssize_t i):
        """Return the ten bytes of virtio-net header before packet *i*, writable, or None where the source gives none."""
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
        """Return the Layer of each IP header of packet *i*, outermost first, quoted ones left out."""
        cdef pp_layer layers[PP_MAX_DEPTH]
        cdef unsigned int n
        if not 0 <= i < self.c.count:
            raise IndexError(f"packet {i} of a batch of {self.c.count}")
        n = pp_layers_of(&self.c, <uint32_t>i, layers)
        return [Layer(layers[j].l3, layers[j].l4, layers[j].version, layers[j].protocol) for j in range(n)]

    def fingerprints(self):
        """Return 64 bits for each packet that stay the same whatever a hop rewrites of its headers; 0: no IP packet."""
        cdef bytearray prints = bytearray(self.c.count * sizeof(uint64_t))
        cdef uint64_t *out = <uint64_t *><char *>prints
        with nogil:
            pp_fingerprints(&self.c, out)
        return memoryview(prints).cast("Q")

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
        cdef uint32_t *found = <uint32_t *>calloc(self.c.count + 1, sizeof(uint32_t))
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
        return pp_mark(&self.c, &s, verdict, PP_DROP_STAGE if verdict else PP_DROP_NONE)

    cdef int require_no_views(self) except -1:
        """Before its memory becomes another's."""
        if self.exports:
            raise BufferError(f"{self.exports} view(s) of the batch are still alive; copy what is to be kept")
        return 0


cdef enum:  # of an element of each endpoint column, per packet: where it begins; and the bytes of all
    SRC = 0
    DST = PP_ADDRESS_LEN
    SPORT = 2 * PP_ADDRESS_LEN
    DPORT = SPORT + sizeof(uint16_t)
    ENDPOINTS_LEN = DPORT + sizeof(uint16_t)


cdef class _Column:
    """A column as an attribute of Batch."""
    def __get__(self, batch, kind):
        cdef Batch b
        cdef const pp_column *column = self.column
        if batch is None:
            return self
        b = batch
        return b.view((<void **>(<char *>&b.c + column.offset))[0], b.c.count, column.size, COLUMN_FORMAT[column.size],
                      column.access != PP_COLUMN_WRITE)

    def __set__(self, batch, value):
        raise AttributeError(f"a column is not replaced: write to elements of batch.{self.__name__}, if it may be written")


cdef dict COLUMN_FORMAT = {sizeof(uint8_t): b"B", sizeof(uint16_t): b"H", sizeof(uint32_t): b"I", sizeof(uint64_t): b"Q"}


cdef int add_columns() except -1:
    """Make an attribute of every column: Batch is a class that takes some (CYTHON_USE_TYPE_SPECS in setup.py)."""
    cdef _Column attribute
    for i in range(pp_column_count):
        if pp_columns[i].access == PP_COLUMN_HIDDEN:
            continue
        attribute = _Column.__new__(_Column)
        attribute.column, attribute.__name__ = &pp_columns[i], pp_columns[i].name.decode()
        setattr(Batch, attribute.__name__, attribute)
    return 0


add_columns()


def batch_layout():
    """Return (size of pp_batch, [(member, offset, size of it or of an element, is it a column?), ...])."""
    members = [(pp_heads[i].name.decode(), pp_heads[i].offset, pp_heads[i].size, False) for i in range(pp_head_count)]
    members += [(pp_columns[i].name.decode(), pp_columns[i].offset, pp_columns[i].size, True)
                for i in range(pp_column_count)]
    return sizeof(pp_batch), members
