"""What a check takes along: bad packets by flow, and rows in columns for a table."""

from libc.stdint cimport uint32_t, uintptr_t

from pktmend._core.engine cimport *
from pktmend._core.stages cimport stage_on

FLOWS_MOST = PP_FLOWS_MOST
NEWS_UNREAD, NEWS_BAD, NEWS_FIRST = PP_NEWS_UNREAD, PP_NEWS_BAD, PP_NEWS_FIRST


cdef class News:
    """What a stage of Python's has as `only_for`: it is called for batches of which an engine's stage before it says so.

    Most have nothing to look at, and a call takes the interpreter's lock, for which several workers would wait.
    """


cdef News news_at(const uint32_t *at, uint32_t wanted, object keep):
    cdef News news = News.__new__(News)
    news.at, news.wanted, news.keep = at, wanted, keep
    return news


cdef class FlowCounts:
    """Counts bad packets by flow and by cause, exactly, as its `stage`: for one pipeline, read when that has ended.

    shown: how many bad packets of each cause are NEWS_FIRST.
    """

    def __cinit__(self, uint32_t shown=0):
        self.c = pp_flow_counts_new()
        if self.c == NULL:
            raise MemoryError
        self.c.shown = shown

    def __dealloc__(self):
        pp_flow_counts_free(self.c)

    @property
    def stage(self):
        """The native stage, for a pipeline after classify."""
        return stage_on(pp_stage_count_flows, "count_flows", self.c, self)

    def counts(self):
        """Return {flow: (bad packets, a bit for each cause)}, or None if there were more than FLOWS_MOST.

        A flow is 40 bytes: source, target (16 bytes each), their ports, version, protocol; see struct pp_flow.
        """
        cdef pp_counted_flow *slot
        cdef uint32_t i
        if self.c.is_over:
            return None
        found = {}
        for i in range(self.c.count):
            slot = &self.c.slots[self.c.used[i]]
            found[<bytes>(<const char *>&slot.flow)[:sizeof(pp_flow)]] = (slot.packets, slot.causes)
        return found

    @property
    def news(self):
        """What the batch that was counted last has: of NEWS_UNREAD, NEWS_BAD, NEWS_FIRST."""
        return self.c.news

    def only_for(self, uint32_t wanted):
        """Return the News of batches that have any of these: NEWS_UNREAD, ..."""
        return news_at(&self.c.news, wanted, self)

    def bad(self):
        """Return {cause: bad packets}."""
        return {cause: self.c.bad[cause] for cause in range(PP_CAUSES) if self.c.bad[cause]}

    def unfinished(self):
        """Return {protocol: checks that are pending where no metadata says whether that is healthy}."""
        return {proto: self.c.unfinished[proto] for proto in range(PP_PROTOS) if self.c.unfinished[proto]}


cdef class RowChunk:
    """Rows in columns, at most ROWS_CHUNK and those of one more batch.  Memory of the engine's, as long as this lives."""

    def __cinit__(self):
        self.c = pp_rows_new()
        if self.c == NULL:
            raise MemoryError

    def __dealloc__(self):
        pp_rows_free(self.c)

    def __len__(self):
        return self.c.count

    def columns(self):
        """Return {name: (address of the values, bytes of one, address of the bitmap or 0: every value is there)}."""
        cdef uint32_t group
        found = {}
        for i in range(pp_row_column_count):
            group = pp_row_columns[i].group
            found[pp_row_columns[i].name.decode()] = (
                <uintptr_t>(<void **>(<char *>self.c + pp_row_columns[i].offset))[0],
                pp_row_columns[i].size,
                0 if group == PP_ROW_ALWAYS or self.c.there[group] == self.c.count else <uintptr_t>self.c.has[group],
            )
        return found

    def texts(self):
        """Return (how many addresses, address of their offsets, address of the text, its bytes)."""
        return (self.c.texts, <uintptr_t>self.c.text_at, <uintptr_t>self.c.text, self.c.text_at[self.c.texts])


cdef class RowFiller:
    """Fills chunks, one for each status, as its `stage`.  by_packet: one row a packet, else one a check."""

    def __cinit__(self, *, bint by_packet):
        self.c.is_by_packet = by_packet
        self.chunks = [RowChunk() for _ in range(PP_STATUSES)]
        for status in range(PP_STATUSES):
            self.c.rows[status] = (<RowChunk>self.chunks[status]).c

    @property
    def stage(self):
        """The native stage, for a pipeline behind classify; full chunks have to be taken after each batch."""
        return stage_on(pp_stage_fill_rows, "fill_rows", &self.c, self)

    @property
    def only_for(self):
        """The News of batches that have filled a chunk."""
        return news_at(&self.c.is_full, 1, self)

    def full(self, uint32_t rows=PP_ROWS_CHUNK):
        """Return the statuses whose chunk holds so many rows."""
        return [status for status in range(PP_STATUSES) if self.c.rows[status].count >= rows]

    def take(self, uint32_t status, RowChunk spare=None):
        """Return the chunk of a status, and go on with *spare*, which is emptied and nobody may look at any more, or a new one."""
        taken = self.chunks[status]
        if spare is None:
            spare = RowChunk()
        else:
            pp_rows_clear(spare.c)
        self.chunks[status] = spare
        self.c.rows[status] = spare.c
        return taken
