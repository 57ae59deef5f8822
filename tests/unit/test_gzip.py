"""gzip as captures come in it: members one after the other, padding, what is cut off, what is no member."""

from __future__ import annotations

import gzip
import io
import random
import sys

import pytest

from pktmend.packetio import compressed

PLAIN = bytes(random.Random(1).choices(range(8), k=3_000))
PACKED = gzip.compress(PLAIN)
DAMAGED = PACKED[:-6] + bytes([PACKED[-6] ^ 1]) + PACKED[-5:]  # the CRC


def read(data: bytes, size: int) -> tuple[bytes, str]:
    """All that comes, and the error that ends it."""
    out = b""
    try:
        reader = compressed.decompressor("x", io.BytesIO(data), data[:4])
        while chunk := reader.read1(size):
            assert len(chunk) <= size
            out += chunk
    except Exception as error:
        return out, type(error).__name__
    return out, ""


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("size", [4, 1000, 1 << 20])
@pytest.mark.parametrize("library", ["isal", "zlib"])
def test_all_that_was_whole_comes(monkeypatch: pytest.MonkeyPatch, library: str, size: int, chunk: int) -> None:
    if library == "isal":
        pytest.importorskip("isal")
    else:
        monkeypatch.setitem(sys.modules, "isal", None)
        monkeypatch.setitem(sys.modules, "zlib_ng", None)
    monkeypatch.setattr(compressed, "CHUNK", chunk)
    assert read(PACKED, size) == (PLAIN, "")
    assert read(PACKED + PACKED, size) == (PLAIN * 2, "")
    assert read(PACKED + gzip.compress(b"") + bytes(100) + PACKED + bytes(3), size) == (PLAIN * 2, "")
    for behind in (b"g", b"no member"):
        assert read(PACKED + behind, size) == (PLAIN, "BadGzipFile")
    assert read(PACKED[:-3], size) == (PLAIN, "EOFError")
    out, error = read(PACKED[:-40], size)
    assert PLAIN.startswith(out) and error == "EOFError"
    assert read(DAMAGED, size)[1] not in ("", "EOFError")
