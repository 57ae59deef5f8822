"""Compressed captures: gzip, zstd, xz, told by their first bytes."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, Final

from pktmend.errors import OSFailure

GZIP_MAGIC: Final = b"\x1f\x8b"
GZIP_ONLY: Final = 31  # wbits: a window of 32 KiB, in the format of gzip
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
XZ_MAGIC: Final = b"\xfd7zX"  # two more bytes follow
CHUNK: Final = 1 << 20
XZ_MEMORY: Final = 192 << 20  # bytes that a dictionary may take; `xz -9` needs 65 MiB


def decompressor(path: str, file: IO[bytes], magic: bytes) -> Any:
    """Return a readable of what *file* holds compressed, or None if it is not.  magic: its first four bytes."""
    if magic.startswith(GZIP_MAGIC):
        return _Gzip(file)
    if magic == ZSTD_MAGIC:
        return io.BufferedReader(_zstd_reader(path, file), CHUNK)
    return _Xz(file) if magic == XZ_MAGIC else None


def _zlib() -> Any:
    """ISA-L decompresses captures about twice as fast as zlib; the extra [gzip] brings it.  zlib-ng does as well."""
    with suppress(ImportError):
        from isal import isal_zlib

        return isal_zlib
    with suppress(ImportError):
        from zlib_ng import zlib_ng

        return zlib_ng
    import zlib  # most captures are not compressed

    return zlib


class _Gzip:
    """Reads gzip; several members one after the other are one, and zeros behind one are padding.

    Not by the GzipFile of ISA-L or zlib-ng: what comes before octets that are no member would be lost.
    """

    def __init__(self, file: IO[bytes]) -> None:
        zlib = _zlib()
        self._new: Callable[[], Any] = lambda: zlib.decompressobj(GZIP_ONLY)
        self._file = file
        self._stream: Any = None  # between members
        self._rest = b""
        self._is_first = True

    def read1(self, size: int) -> bytes:
        """Return up to *size* bytes, b"" at the end.  Raises EOFError where the file is cut off, BadGzipFile, ..."""
        while True:
            if not self._rest:
                self._rest = self._file.read(CHUNK)
            if self._stream is None:
                if not self._begin():
                    return b""
                continue
            is_cut = not self._rest
            out = self._decompress(size)
            self._rest = self._stream.unconsumed_tail
            if self._stream.eof:
                self._rest, self._stream = self._stream.unused_data, None
            if out:
                return out
            if is_cut and self._stream is not None:
                raise EOFError("the file ends within a gzip member")

    def _decompress(self, size: int) -> bytes:
        try:
            return bytes(self._stream.decompress(self._rest, size))
        except Exception as error:  # each library has its own
            import gzip

            raise gzip.BadGzipFile(f"a gzip member is broken, or its CRC is wrong: {error}") from error

    def _begin(self) -> bool:
        """Begin the next member; False where there is none."""
        if not self._is_first:
            self._rest = self._rest.lstrip(b"\0")
            if not self._rest:
                self._rest = self._file.read(CHUNK)
                return bool(self._rest)
        while len(self._rest) < len(GZIP_MAGIC) and (more := self._file.read(CHUNK)):
            self._rest += more
        if not self._rest.startswith(GZIP_MAGIC):
            import gzip

            raise gzip.BadGzipFile(f"Not a gzipped file ({self._rest[:2]!r})")
        self._stream, self._is_first = self._new(), False
        return True


def _zstd_reader(path: str, file: IO[bytes]) -> Any:
    try:
        from compression import zstd  # Python 3.14
    except ImportError:
        pass
    else:
        return zstd.ZstdFile(file)
    try:
        import zstandard
    except ImportError:
        raise OSFailure(f"{path} is compressed with zstd", "pip install 'pktmend[zstd]'", subject=path) from None
    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


class _Xz:
    """Reads xz with bounded memory; several streams one after the other, as `cat a.xz b.xz` makes them, are one."""

    def __init__(self, file: IO[bytes]) -> None:
        import lzma  # here: few captures are

        self._new: Callable[[], Any] = lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
        self._file = file
        self._stream = self._new()
        self._rest = b""
        self._is_between = False

    def read1(self, size: int) -> bytes:
        """Return up to *size* bytes, b"" at the end.  Raises EOFError where the file is cut off, LZMAError."""
        while True:
            if self._stream.eof:
                self._rest, self._stream, self._is_between = self._stream.unused_data, self._new(), True
            if self._stream.needs_input and not self._rest:
                self._rest = self._file.read(CHUNK)
                if not self._rest:
                    if self._is_between:
                        return b""
                    raise EOFError("the file ends within an xz stream")
            if self._is_between:
                self._rest = self._rest.lstrip(b"\0")  # padding
                if not self._rest:
                    continue
                self._is_between = False
            data, self._rest = self._rest, b""
            if out := self._stream.decompress(data, size):
                return out


def plain_beginning(path: str) -> bytes:
    """Return the first four bytes of a file, decompressed; b"" where it cannot be.  Raises: OSError."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        magic = file.read(4)
        file.seek(0)
        try:
            readable = decompressor(path, file, magic)
            return magic if readable is None else readable.read1(4)[:4]
        except Exception:  # whatever a decompressor says of broken input
            return b""
