"""Pipeline: a source, stages and a sink on a worker thread of their own.

Sees what sources and sinks offer, not what they are: no packet sockets here.
"""

from __future__ import annotations

import errno
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Final, Protocol, Self

from pktmend import _core
from pktmend.enums import OnError
from pktmend.errors import ConfigError, FormatError, OSFailure, StageError
from pktmend.runtime.counters import Counters
from pktmend.runtime.pool import Pool

POOL_SECONDS: Final = 0.001  # how often the end of a pooled pipeline is looked for

Stage = Callable[[_core.Batch], Any]


class Source(Protocol):
    """Where packets come from: Ring, Capture, Frames.

    A source of your own has open(), which returns what one of these opens: `return Frames(self.frames()).open()`.
    Optional: `name`, a str for the counters; `explain(error)`, which returns a FormatError with more in it;
    `require_intact()`, called after the last packet, which raises FormatError if it was not the last that there was;
    `close()`, called by `with Pipeline(...)`.
    """

    def open(self) -> _core.Source:
        """Return the engine's side."""


class Sink(Protocol):
    """Where packets go: Emit, Copy, Writer, Function, Null.

    A sink of your own has open(capacity), which returns what one of these opens for batches of up to *capacity*
    packets: `return Function(self.take).open(capacity)`.
    Optional: `name`, a str for the counters; `explain(error)`, which returns an OSFailure of writing with more in it;
    `close()`, called by `with Pipeline(...)`.
    """

    def open(self, capacity: int) -> _core.Sink:
        """Return the engine's side."""


class Null:
    """A sink that keeps nothing: packets are counted and forgotten.

    enough: bytes that a source was asked to leave of pending packets, which are not counted as truncated then; 0: none.
    """

    def __init__(self, enough: int = 0) -> None:
        self._enough = enough

    def open(self, capacity: int) -> _core.Sink:
        """Return the engine's side."""
        return _core.NullSink(self._enough)


class Pipeline:
    """Read batches from *source*, call each stage, hand them to *sink*.

    stages: built-in ones run without the GIL; a Python callable takes it once per batch.
    sink:   None means Null().
    limit:  packets to read at most; 0 for no limit.
    busy_poll_us: poll without sleeping for so many microseconds after the last packet: less delay, more CPU.
    rx_usecs: under load, poll after so many microseconds instead of being woken for each frame: less CPU, larger
        batches.
    on_error: when a stage of yours fails (raises, keeps a view of the batch, writes an invalid value):
        OnError.END ends the pipeline with StageError, its exception as __cause__ (ViewError for a view);
        PASS counts it, takes back what the stage did, and goes on; DROP counts it and drops the batch's packets.
    pool: threads that it shares with others, instead of one of its own; for the engine's own stages.
    clearing: what tells the kernel's part of cut-through that the source's packets are through.

    A stage may have `name`, `counters()` (names and numbers, shown with the others) and `close()`, called at the end.

    run() blocks; start(), stop() and wait() are for several at once.  A pipeline runs once.

    Source and sink belong to the code that made them, which closes them.  `with Pipeline(...)` takes both over: at the
    end of the block it stops, waits, and closes the sink and then the source.
    Raises: ConfigError; running raises what a source, stage or sink raised (see pktmend.errors).
    """

    def __init__(
        self,
        source: Source,
        stages: Sequence[Stage] = (),
        sink: Sink | None = None,
        *,
        limit: int = 0,
        busy_poll_us: int = 0,
        rx_usecs: int = 0,
        on_error: OnError = OnError.END,
        pool: Pool | None = None,
        clearing: _core.Clearing | None = None,
    ) -> None:
        if isinstance(stages, (str, bytes)) or not isinstance(stages, Sequence):
            raise ConfigError(f"stages is a list, not {stages!r}")
        self.source = source
        self.sink = sink if sink is not None else Null()
        for end, kind in ((self.source, "source"), (self.sink, "sink")):
            if not hasattr(end, "open"):
                raise ConfigError(f"{end!r} is no {kind}: it has no open()")
        engine = source.open()
        self._loop = _core.Loop(
            engine,
            list(stages),
            self.sink.open(engine.capacity),
            limit,
            busy_poll_us * 1000,
            rx_usecs * 1000,
            on_error,
            pool is not None,
            clearing,
        )
        self._pool = pool
        self._latest: tuple[object, Counters] | None = None
        self._has_started = False
        self._stages = list(stages)
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._done = threading.Event()

    def _ended(self, fault: BaseException | None) -> None:
        try:
            if fault is None:
                self._loop.raise_fault()
                getattr(self.source, "require_intact", lambda: None)()
        except BaseException as error:
            fault = self._explained(error)
        for stage in self._stages:
            try:
                getattr(stage, "close", lambda: None)()
            except Exception as error:
                fault = fault or StageError(f"closing a stage: {type(error).__name__}: {error}")
        self._error = fault
        self._done.set()

    def _explained(self, error: BaseException) -> BaseException:
        """Return *error*, or what the end that it came from makes of it."""
        end: object = None
        if isinstance(error, OSFailure) and self._loop.sink_failed:
            end = self.sink
        elif isinstance(error, FormatError):
            end = self.source
        explain = getattr(end, "explain", None)
        return explain(error) if explain else error

    def start(self) -> None:
        """Begin, on a thread of its own or on its pool's."""
        if self._pool is None:
            start_together([self])
            return
        if self._has_started:
            raise ConfigError("a pipeline runs once")
        self._pool.add(self._loop)
        self._has_started = True

    def stop(self) -> None:
        """Ask it to drain its source and end; returns at once."""
        self._loop.stop()

    def is_done(self) -> bool:
        """Has it ended, by itself, by stop() or by an error?"""
        return self._done.is_set() or self._loop.has_ended

    def beats(self) -> int:
        """Return a number that rises as long as the worker works or waits for packets, and stands still if it hangs."""
        return self._loop.beats()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; False after *timeout* seconds.  Raises what ended it."""
        if self._pool is not None and not self._wait_for_pool(self._pool, timeout):
            return False
        if not self._done.wait(timeout):
            return False
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return True

    def _wait_for_pool(self, pool: Pool, timeout: float | None) -> bool:
        """Wait until the pool's threads have done with it."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while not self._loop.has_ended:
            if time.monotonic() >= deadline:
                return False
            time.sleep(POOL_SECONDS)
        if not self._done.is_set():
            pool.remove(self._loop)
            self._ended(None)
        return True

    def run(self, duration: float | None = None) -> None:
        """Run until the source ends, stop() is called, or *duration* seconds have passed.  SIGINT stops it."""
        self.start()
        deadline = None if duration is None else time.monotonic() + duration
        try:
            while not self.wait(0.2):  # short, so that signals are seen
                if deadline is not None and time.monotonic() >= deadline:
                    self.stop()
                    deadline = None
        except KeyboardInterrupt:
            self.stop()
            self.wait()
            raise

    def counters(self) -> Counters:
        """Return the counters as last published: at least five times a second, and exact once it has ended."""
        names = (getattr(self.source, "name", ""), getattr(self.sink, "name", None))
        version = (self._loop.beats(), *names)
        if self._pool is None or self._latest is None or version != self._latest[0]:
            self._latest = (version, Counters.of(*self._loop.snapshot(), *names))
        return self._latest[1]  # of hundreds in a pool most have nothing new to say

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, wait, close sink and source; raise what ended the pipeline, unless another error is on its way."""
        with ExitStack() as ends:
            for end in (self.source, self.sink):  # the sink is closed first: a copy needs its source
                close = getattr(end, "close", None)
                if close is not None:
                    ends.callback(close)
            if self._has_started:
                self.stop()
                with suppress(*([Exception] if value is not None else [])):
                    self.wait()


def start_together(pipelines: Sequence[Pipeline]) -> None:
    """Begin several pipelines on one thread, which serves them in turn: the two directions of a bridge on few CPUs."""
    if any(pipeline._has_started for pipeline in pipelines):
        raise ConfigError("a pipeline runs once")

    def run() -> None:
        fault: BaseException | None = None
        try:
            _core.run_together([pipeline._loop for pipeline in pipelines])
        except BaseException as error:
            fault = error
        for pipeline in pipelines:
            pipeline._ended(fault)

    thread = threading.Thread(target=run, name="pktmend", daemon=True)
    for pipeline in pipelines:
        pipeline._thread, pipeline._has_started = thread, True
    try:
        thread.start()
    except RuntimeError as error:  # nobody would ever end what waits for it
        for pipeline in pipelines:
            pipeline._thread, pipeline._has_started = None, False
        raise OSFailure("cannot start a thread", "is a limit of tasks reached?", errno.EAGAIN) from error


def stop_all(pipelines: Sequence[Pipeline]) -> None:
    """Stop all that were started and wait until the last has ended; then raise what ended the first that failed."""
    errors: list[Exception] = []
    started = [pipeline for pipeline in pipelines if pipeline._has_started]
    for pipeline in started:
        pipeline.stop()
    for pipeline in started:
        try:
            pipeline.wait()
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
