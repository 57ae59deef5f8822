"""The worker: poll, read, run the stages, hand to the sink, without the GIL."""

import os
from libc.errno cimport EBADMSG
from libc.stdint cimport uint32_t, uint64_t

from pktmend._core.batch cimport Batch
from pktmend._core.clearing cimport Clearing
from pktmend._core.engine cimport *
from pktmend._core.python_stage cimport _PythonStage, run_python, undo_python
from pktmend._core.results cimport News
from pktmend._core.sinks cimport CopySink, PythonSink, Sink, WriterSink
from pktmend._core.sources cimport CaptureSource, Source
from pktmend._core.stages cimport NativeStage, _Witnesses
from pktmend.stage cimport *

from pktmend.errors import ConfigError, FormatError, StageError, ViewError


cdef int run_gated(pp_batch *b, void *context) noexcept nogil:
    cdef Gate *g = <Gate *>context
    return g.run(b, g.context) if g.news[0] & g.wanted else 0


cdef class Loop:
    """One worker: source, stages, sink.  run() blocks without the GIL until stop()."""

    def __cinit__(self, Source source not None, stages, Sink sink not None, uint64_t limit=0, uint64_t busy_ns=0,
                  uint64_t poll_interval_ns=0, int on_error=0, bint pooled=False, Clearing clearing=None):
        cdef NativeStage native
        cdef NativeStage judge = None
        cdef _PythonStage python
        if not 0 <= on_error < PP_ON_ERRORS:
            raise ConfigError(f"on_error {on_error}")
        raise_for_errno(pp_loop_init(&self.c), "making a worker")
        self.ready = True
        self.source, self.sink = source, sink
        self.batch = Batch(1 if pooled else source.capacity)
        self.c.source, self.c.sink, self.c.limit = source.c, sink.c, limit
        self.c.batch = NULL if pooled else &self.batch.c
        self.c.busy_ns, self.c.poll_interval_ns = busy_ns, poll_interval_ns
        if clearing is not None:
            self.clearing = clearing
            self.c.clearing = &clearing.c
        if isinstance(sink, PythonSink):
            (<PythonSink>sink).stage.batch = self.batch
        self.stages, self.news = [], []
        if len(stages) > PP_MAX_STAGES:
            raise ConfigError(f"{len(stages)} stages; {PP_MAX_STAGES} at most")
        if pooled and not all(isinstance(stage, NativeStage) and (<NativeStage>stage).is_builtin for stage in stages):
            raise ConfigError("a pool runs stages of the engine's own only")
        for i, stage in enumerate(stages):
            if isinstance(stage, NativeStage):
                native = stage
                self.c.stages[i].run, self.c.stages[i].context = native.run, native.context
                if native.run == pp_stage_classify:
                    if self.witnesses is None:
                        self.witnesses = _Witnesses()
                    self.c.stages[i].context = self.witnesses.c
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
                news = getattr(stage, "only_for", None)
                if isinstance(news, News):
                    self.gate(i, news)
            else:
                raise ConfigError(f"stage {i} is {stage!r}, which cannot be called with a batch")
        self.c.stage_count = <uint32_t>len(stages)

    cdef int guard(self, Py_ssize_t i, NativeStage judge, int on_error) except -1:
        """Put a guard around the user's stage *i*."""
        cdef pp_guard *g = &self.guards[i]
        raise_for_errno(pp_guard_init(g, self.batch.c.capacity), "making a guard")
        g.run, g.context, g.on_error = self.c.stages[i].run, self.c.stages[i].context, on_error
        if judge is not None:
            g.judge, g.judge_context = judge.run, judge.context
        self.c.stages[i].run, self.c.stages[i].context = pp_guard_run, g
        self.c.clock_interval = 1
        return 0

    cdef int gate(self, Py_ssize_t i, News news) except -1:
        """Run stage *i* only for batches of which *news* says so."""
        cdef Gate *g = &self.gates[i]
        g.run, g.context = self.c.stages[i].run, self.c.stages[i].context
        g.news, g.wanted = news.at, news.wanted
        self.c.stages[i].run, self.c.stages[i].context = run_gated, g
        self.news.append(news)  # and with it what it looks at
        return 0

    def __dealloc__(self):
        if self.ready:
            pp_loop_destroy(&self.c)
        for i in range(PP_MAX_STAGES):
            pp_guard_free(&self.guards[i])

    def run(self):
        """Run until stop(), the end of the source, or a failure: StageError with the original as __cause__."""
        run_together([self])
        self.raise_fault()

    cdef int begin(self) except -1:
        if self.source.running:
            raise ConfigError("another pipeline runs on this source")
        self.source.attach(self.batch)
        self.source.running = 1
        return 0

    cdef int end(self) except -1:
        self.source.running = 0
        if not self.batch.exports:
            self.batch.c.count = 0
        return 0

    def raise_fault(self):
        """Raise what ended it, once it has: StageError with the original as __cause__, or nothing."""
        cdef int rc = self.c.rc
        if rc == 0:
            return
        culprit = None
        if self.c.failed_stage >= 0:
            culprit = self.stages[self.c.failed_stage]
        elif self.c.sink_failed and isinstance(self.sink, PythonSink):
            culprit = (<PythonSink>self.sink).stage
        if isinstance(culprit, _PythonStage) and (<_PythonStage>culprit).error is not None:
            error = (<_PythonStage>culprit).error
            (<_PythonStage>culprit).error = None
            kind = ViewError if isinstance(error, BufferError) else StageError
            raise kind(f"stage {culprit.name}: {(<_PythonStage>culprit).fault}", stage=culprit.name) from error
        if self.c.failed_stage < 0 and self.c.sink_failed and culprit is None:
            raise_for_errno(rc, "writing the capture" if isinstance(self.sink, (CopySink, WriterSink)) else "the sink")
        if culprit is not None:
            raise StageError(f"stage {culprit.name} failed: {fault_words(rc)}", stage=culprit.name)
        self.source.fault(rc)

    @property
    def sink_failed(self):
        """Was it the sink that ended it?"""
        return bool(self.c.sink_failed)

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
            "held": ledger.held, "rebuilds": ledger.rebuilds, "link_events": ledger.link_events,
            "unsupported_gso": ledger.unsupported_gso,
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
        return bool(pp_loop_has_ended(&self.c))

    def beats(self):
        """A number that rises as long as the worker works or waits for packets; it stands still in a stage that hangs."""
        cdef uint64_t calls, errors, ns, total = pp_loop_published_ns(&self.c)
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
    return "wrote an invalid value" if rc == -EBADMSG else os.strerror(-rc)


def run_together(loops):
    """Run several loops on this thread, in turn, until the last has ended; then raise_fault() of each."""
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
        "packets": t.packets, "octets": t.wire_bytes, "truncated": t.truncated, "malformed": t.malformed,
        "super_frames": t.super_frames, "status": [t.status[i] for i in range(PP_STATUSES)],
        "checks": [[t.checks[p][o] for o in range(PP_OUTCOMES)] for p in range(PP_PROTOS)],
        "repaired": [t.repaired[i] for i in range(PP_CAUSES)],
        "claimed_valid": t.claimed_valid, "finished": t.completed, "split": t.split,
        "stray_csum_metadata": t.stray_csum_metadata,
        "unread": [t.unread[i] for i in range(PP_UNREADS)],
        "left": [[t.left[why][i] for i in range(PP_CAUSES)] for why in range(PP_LEFTS)],
    }
