"""Capture files as a source: Capture.

Files and pipes are read chunk by chunk: a repair in place changes our copy, never the file, and a program that writes
to the file meanwhile changes nothing that was checked.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import select
import stat
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import IO, Any, Final

from pktmend import _core
from pktmend.errors import ConfigError, FormatError, OSFailure
from pktmend.packetio.capture_file import PCAP, PCAPNG, open_input
from pktmend.packetio.compressed import CHUNK, decompressor
from pktmend.packetio.iterate import batches_of
from pktmend.packetio.urls import is_url, read_range

HEADER: Final = 24  # bytes of a classic pcap before its first record
POLL_MS: Final = 100  # how soon it is noticed that nobody wants to wait any longer


def _compiled(expression: str) -> _core.PacketFilter | None:
    if not expression:
        return None
    from pktmend.packetio import bpf_filter  # a while to load, and most files are read whole

    return bpf_filter.for_files(expression)


class _Feed:
    """Decompresses on a thread of its own into a pipe."""

    def __init__(self, readable: Any) -> None:
        self.fd, self._in = os.pipe()
        with contextlib.suppress(OSError):  # a user may have no more room in pipes: it works with 64 KiB
            fcntl.fcntl(self._in, fcntl.F_SETPIPE_SZ, CHUNK)  # fewer turns of the two threads
        self.error: Exception | None = None
        self.has_more = False  # behind the last gzip member, which gzip ignores as well
        self._readable = readable
        self._thread = threading.Thread(target=self._run, name="pktmend-decompress", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        import gzip  # loaded only where something is compressed

        try:
            while chunk := self._readable.read1(CHUNK):
                view = memoryview(chunk)
                while view:
                    view = view[os.write(self._in, view) :]
        except BrokenPipeError:
            pass
        except gzip.BadGzipFile as error:
            if not str(error).startswith("Not a gzipped file"):  # said where a member could begin; the first did
                self.error = error
            self.has_more = self.error is None
        except Exception as error:  # whatever a decompressor says of broken input
            self.error = error
        finally:
            os.close(self._in)

    def close(self) -> None:
        os.close(self.fd)
        self._thread.join()


class _Stretch:
    """The header of a file, and then some of its bytes."""

    def __init__(self, header: bytes, file: IO[bytes], start: int, end: int) -> None:
        self._header, self._file, self._left = header, file, end - start
        file.seek(start)

    def read1(self, size: int) -> bytes:
        """Return up to *size* bytes, b"" at the end."""
        if self._header:
            header, self._header = self._header, b""
            return header
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


class Capture:
    """A capture file (classic pcap, pcapng, either of them compressed with gzip, zstd or xz) as a source; "-" is stdin.

    A path may be a URL that fsspec knows (the extra [cluster]).

    packet_filter: packets to read: an expression in tcpdump's language (needs libpcap), or what
                   pktmend.packetio.bpf_filter.for_files made of one; others are passed over.
    stretch:       (start, end, before): read the bytes [start, end) only, of a plain classic pcap.  start is where a
                   record begins, behind *before* of them: the first packet's number is one more.  A record that does
                   not end at *end* is a FormatError while reading.

    path:          as it was given; also the source's name in counters.
    size:          bytes of the file; 0 of a pipe, or where the size says nothing because it is compressed.
    file_format:   "pcap" or "pcapng"; "" until it is known (see recognise).

    A context manager; close() closes the file.
    Raises: OSFailure if it cannot be opened; FormatError (with the byte offset) when it is not a capture or is broken:
            while reading, after the packets before the fault.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        packet_filter: _core.PacketFilter | str | None = None,
        stretch: tuple[int, int, int] | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.size = 0
        self.file_format = ""
        self._feed: _Feed | None = None
        if isinstance(packet_filter, str):
            packet_filter = _compiled(packet_filter)
        self._file = open_input(self.path)
        try:
            self._source = self._open_source(packet_filter, stretch)
            if stretch is not None:
                self._limit_to(*stretch)
        except BaseException:
            if self._feed is not None:
                self._feed.close()
            self._close_file()
            raise

    def _open_source(
        self, packet_filter: _core.PacketFilter | None, stretch: tuple[int, int, int] | None
    ) -> _core.CaptureSource:
        if is_url(self.path):
            return self._open_remote(packet_filter, stretch)
        mode = os.fstat(self._file.fileno())
        if stat.S_ISDIR(mode.st_mode):
            raise OSFailure(f"{self.path} is a directory, not a capture", subject=self.path)
        if not stat.S_ISREG(mode.st_mode):
            return _core.CaptureSource(self._file.fileno(), filter=packet_filter)
        if mode.st_size == 0:
            raise FormatError(f"{self.path} is empty", "not a capture file", subject=self.path)
        magic = os.pread(self._file.fileno(), 4, 0)
        readable = decompressor(self.path, self._file, magic)
        if readable is not None:
            self._feed = _Feed(readable)
            return _core.CaptureSource(self._feed.fd, filter=packet_filter)
        self.size = mode.st_size
        self.file_format = PCAPNG if magic == b"\x0a\x0d\x0d\x0a" else PCAP
        return _core.CaptureSource(self._file.fileno(), filter=packet_filter)

    def _open_remote(
        self, packet_filter: _core.PacketFilter | None, stretch: tuple[int, int, int] | None
    ) -> _core.CaptureSource:
        """Read what has no descriptor through a pipe, on a thread of its own, as what is compressed."""
        if stretch is not None:
            readable: Any = _Stretch(read_range(self.path, 0, HEADER), self._file, *stretch[:2])
        else:
            magic = self._file.read(4)
            self._file.seek(0)
            readable = decompressor(self.path, self._file, magic) or io.BufferedReader(self._file, CHUNK)
        self._feed = _Feed(readable)
        return _core.CaptureSource(self._feed.fd, filter=packet_filter)

    def _limit_to(self, start: int, end: int, before: int) -> None:
        self.recognise()
        self._source.stretch(start, end, before)
        self.size = end

    @property
    def name(self) -> str:
        """The path, as counters have it."""
        return self.path

    @property
    def note(self) -> str:
        """What is to be said of a file that was read to its end although it is not quite in order; "" of most."""
        has_more = self._feed is not None and self._feed.has_more
        return f"{self.path}: what follows the last gzip member is no gzip, and ignored" if has_more else ""

    @property
    def offset(self) -> int:
        """Bytes of the file that are done, after decompression."""
        return self._source.offset

    @property
    def interfaces(self) -> list[tuple[int, int | None]]:
        """(link type, packets dropped by the capturing program or None) of each interface of the current section."""
        return self._source.interfaces

    def open(self) -> _core.CaptureSource:
        """Return the engine's side, which ends with close()."""
        return self._source

    def batches(self, *stages: Callable[[_core.Batch], Any]) -> Iterator[_core.Batch]:
        """Yield batches to the end of the file, each after *stages* ran; one is released when the next is asked for.

        Raises: BufferError at the next step if a view of the batch is still alive: a column, a frame, an array of one.
                FormatError after the packets before the fault.
        """
        try:
            yield from batches_of(self._source, stages, self._input())
        except FormatError as error:
            raise self.explain(error) from error
        self.require_intact()

    def fileno(self) -> int:
        """Return the file's descriptor."""
        return self._file.fileno()

    def _input(self) -> int:
        """The descriptor that bytes come from."""
        if self._file.closed:
            raise ConfigError(f"{self.path} is closed")
        return self._feed.fd if self._feed else self._file.fileno()

    def recognise(self, is_stopped: Callable[[], bool] = lambda: False) -> bool:
        """Wait until it is known to be a capture; False if *is_stopped* came first.  FormatError if it is none.

        Reading needs no call of this; a program that must touch nothing else before does.
        """
        poll = select.poll()
        poll.register(self._input(), select.POLLIN)
        try:
            while not (file_format := self._source.begin()):
                if is_stopped():
                    return False
                poll.poll(POLL_MS)
        except FormatError as error:
            raise self.explain(error) from error
        self.file_format = file_format
        return True

    def explain(self, error: FormatError) -> FormatError:
        """Return an error of reading with the name of this file in it, or the fault behind the fault."""
        if error.subject:  # it has the name already
            return error
        try:
            self.require_intact()
        except FormatError as behind:
            return behind
        return FormatError(f"{self.path}: {error.detail}", error.hint, error.offset, self.path)

    def require_intact(self) -> None:
        """Raise FormatError if decompression failed, or if a file ended before the size that it began with."""
        if self._feed is not None and self._feed.error is not None:
            raise FormatError(f"{self.path}: {self._feed.error}", "the compressed file is broken", subject=self.path)
        ended_at = self._source.ended_at
        if ended_at is not None and ended_at < self.size:
            raise FormatError(
                f"{self.path} was truncated while it was read",
                f"{ended_at} bytes were left of {self.size}",
                ended_at,
                self.path,
            )

    def _close_file(self) -> None:
        if self.path != "-":
            self._file.close()

    def close(self) -> None:
        """Close.  Idempotent.  BufferError while a view of a batch is alive."""
        self._source.close()
        if self._feed is not None:
            self._feed.close()
            self._feed = None
        self._close_file()

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
