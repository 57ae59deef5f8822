"""Standard output and error: escaped on every write, and in long-running commands written by a thread of their own.

Rules of this file:
1. Nothing that was captured, named or claimed by others reaches a terminal or a log as a control character.
2. After Unwaiting.start() nobody who prints waits: a reader that hangs, or a full disk, costs output, which is counted
   and told.
3. A pipe that nobody reads any more is an error to whoever prints next, as it is without the thread.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from pktmend.console.printable import printable
from pktmend.errors import OSFailure

LIMIT: Final = 1 << 20  # bytes that wait for a reader
DRAIN_SECONDS: Final = 1.0  # for what waits at the end
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
PAUSE: Final = 0.2
LEAST_MEMORY: Final = 256 << 20  # bytes of address space: rings, and the stacks and heaps of threads


class SafeStream(io.TextIOWrapper):
    """A text stream that escapes control characters; write_raw() is for what may move a terminal's cursor."""

    _queue: Queue | None = None
    _line = ""  # with a queue: what has no end yet

    def write(self, text: str) -> int:
        """Write *text*, escaped."""
        self.write_raw(printable(text))
        return len(text)

    def write_raw(self, text: str) -> None:
        """Write *text* as it is: our own drawing, or JSON, which escapes by itself."""
        if self._queue is None:
            super().write(text)
            return
        self._line += text
        if text.endswith("\n"):
            self.flush()

    def flush(self) -> None:
        """Hand everything to the system; with a queue, to the queue."""
        if self._queue is None:
            super().flush()
            return
        line, self._line = self._line, ""
        if line:
            self._queue.put(line.encode(self.encoding, "backslashreplace"))

    def attach(self, queue: Queue | None) -> None:
        """Let *queue* write from now on; None: write directly again."""
        try:
            self.flush()
        finally:
            self._queue = queue


class Nowhere(io.TextIOBase):
    """A text stream that nobody reads."""

    def write(self, text: str) -> int:
        """Forget *text*."""
        return len(text)


class Queue:
    """What waits to be written to a descriptor, and the thread that writes it.

    lost: lines that nobody will see.    error: of the last write, 0 if it succeeded.
    """

    def __init__(self, fd: int, name: str) -> None:
        self.name = name
        self.lost = 0
        self.error = 0
        self._fd = fd
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._is_ending = False
        self._changed = threading.Condition()
        self._ending, self._end = os.pipe2(os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name=f"pktmend-{name}", daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        """Take *data* to be written, or count it as lost.  Raises BrokenPipeError once the reader has gone."""
        if not self.take(data):
            with self._changed:
                self._lose(data)

    def take(self, data: bytes) -> bool:
        """Take *data* to be written if there is room for it; raises as put()."""
        if self.error == errno.EPIPE:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        with self._changed:
            is_taken = self._size + len(data) <= LIMIT
            if is_taken:
                self._chunks.append(data)
                self._size += len(data)
                self._changed.notify()
        return is_taken

    def close(self, until: float) -> None:
        """Give what waits time to be written, *until* on time.monotonic(), then give it up."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()
        self._thread.join(max(0.0, until - time.monotonic()))
        os.close(self._end)  # a write that waits for its reader ends
        self._thread.join(PAUSE)
        if not self._thread.is_alive():
            os.close(self._ending)
        with self._changed:
            for data in self._chunks:
                self._lose(data)

    def _lose(self, data: bytes) -> None:
        self.lost += max(1, data.count(b"\n"))

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._chunks:
                    if self._is_ending:
                        return
                    self._changed.wait()
                chunk = self._chunks[0]
            is_written = self._write(chunk)
            if is_written is None:
                return
            with self._changed:
                self._chunks.popleft()
                self._size -= len(chunk)
                if not is_written:
                    self._lose(chunk)

    def _write(self, data: bytes) -> bool | None:
        """Write all of *data*; False if it is lost, None if the end came first."""
        poll = select.poll()
        poll.register(self._ending, 0)  # it hangs up when it is time to end
        poll.register(self._fd, select.POLLOUT)
        view = memoryview(data)
        while view:
            if any(fd == self._ending for fd, _ in poll.poll()):
                return None
            try:
                # a pipe that is ready takes so much without waiting
                view = view[os.write(self._fd, view[: select.PIPE_BUF]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                self.error = error.errno or errno.EIO
                if self.error in FULL and not self._is_ending:
                    time.sleep(PAUSE)
                return False
        self.error = 0
        return True


def protect() -> None:
    """Make standard output and error escape what they are given.  Once, at the start of the command."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, SafeStream):
            encoding, by_line, through = stream.encoding, stream.line_buffering, stream.write_through
            safe = SafeStream(
                stream.detach(), encoding, "backslashreplace", line_buffering=by_line, write_through=through
            )
            setattr(sys, name, safe)


class _Terminal:
    """Writes what draws, cursor movements and all."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.write = getattr(stream, "write_raw", stream.write)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def terminal(stream: Any) -> Any:
    """Return *stream*, a text stream, as one that does not escape."""
    return _Terminal(stream)


class Unwaiting:
    """Standard output and error as queues, from start() on."""

    def __init__(self) -> None:
        self._queues: list[tuple[SafeStream, Queue]] = []
        self._told: dict[str, int] = {}

    def start(self) -> None:
        """Begin.  The threads have the privileges of the caller: call it when those are dropped."""
        for stream, name in ((sys.stdout, "stdout"), (sys.stderr, "stderr")):
            if isinstance(stream, SafeStream):
                queue = Queue(stream.fileno(), name)
                stream.attach(queue)
                self._queues.append((stream, queue))

    def lost(self) -> dict[str, int]:
        """Return the lines that were lost so far, by stream; only those that lost any."""
        return {queue.name: queue.lost for _, queue in self._queues if queue.lost}

    def report(self) -> None:
        """Say on standard error what was lost since the last time, once that can be said.

        Raises BrokenPipeError once the reader of standard output has gone.
        """
        for stream, queue in self._queues:
            if stream is sys.stdout and queue.error == errno.EPIPE:
                raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        said = next((queue for _, queue in self._queues if queue.name == "stderr"), None)
        if said is None or said.error:
            return
        for name, lost in self.lost().items():
            n = lost - self._told.get(name, 0)
            text = f"pktmend: {name}: {n} lines of output were lost: nobody reads it, or its disk is full\n"
            if n and said.take(text.encode()):
                self._told[name] = lost

    def close(self) -> None:
        """Write what waits, for a second at most.  Raises OSError if a full disk kept the end of standard output."""
        for stream, _ in self._queues:
            with contextlib.suppress(BrokenPipeError):
                stream.attach(None)
        until = time.monotonic() + DRAIN_SECONDS
        for _, queue in self._queues:
            queue.close(until)
        for stream, queue in self._queues:
            if stream is sys.stdout and queue.error in FULL:
                raise OSError(queue.error, os.strerror(queue.error))


def _require_memory() -> None:
    """Raise OSFailure where too little is left: Python waits for ever for a thread that dies at its first step."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_MEMORY:
        raise OSFailure(
            f"{limit >> 20} MiB of address space are too few for rings and threads",
            f"ulimit -v {LEAST_MEMORY >> 10}, or more",
            errno.ENOMEM,
        )


@contextlib.contextmanager
def unwaiting() -> Iterator[Unwaiting]:
    """Within the block, once started, nobody who prints waits.  Raises OSFailure where there cannot be threads."""
    _require_memory()
    output = Unwaiting()
    try:
        yield output
    finally:
        output.close()
