"""Chunks of the engine's rows as Arrow tables, without a copy; and how these become Parquet.

A column that may be empty is null there.  Words of enumerations and addresses are dictionaries.  Numbers stay numbers:
`stored` 5183 is the field 143f as it lies on the wire.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import IO, Any, Final

from pktmend._core import RowChunk
from pktmend.console.printable import printable
from pktmend.enums import Cause, Named, Proto, Reason, Status
from pktmend.errors import OSFailure

STATUSES: Final = tuple(str(status) for status in Status)
_WORDS: Final[dict[str, type[Named]]] = {"proto": Proto, "cause": Cause, "reason": Reason}
_TEXTS: Final = ("src", "dst")
PAGE: Final = 1 << 17  # rows
_SMALL: Final = ("interface", "sport", "dport", "protocol", "offset", "depth", "caplen", "wirelen")  # few values each
COLUMNS: Final = (
    "time",
    "file",
    "n",
    "interface",
    "src",
    "dst",
    "sport",
    "dport",
    "protocol",
    "proto",
    "cause",
    "reason",
    "stored",
    "expected",
    "offset",
    "depth",
    "caplen",
    "wirelen",
)  # and `status`, which is the folder


def arrow() -> Any:
    """Import pyarrow.  OSFailure where it is not installed."""
    try:
        import pyarrow
    except ImportError:
        raise OSFailure("rows need pyarrow", "pip install 'pktmend[arrow]'") from None
    return pyarrow


@cache
def _types() -> dict[str, Any]:
    pa = arrow()
    unsigned = {1: pa.uint8(), 2: pa.uint16(), 4: pa.uint32(), 8: pa.uint64()}
    types = {
        name: unsigned[size] for name, (_, size, _) in RowChunk().columns().items() if name not in ("time", "status")
    }
    types["time"] = pa.timestamp("ns")
    types["file"] = pa.dictionary(pa.int8(), pa.string())
    types |= {name: pa.dictionary(pa.int8(), pa.string()) for name in _WORDS}
    types |= {name: pa.dictionary(pa.int32(), pa.string()) for name in _TEXTS}
    return types


@cache
def schema() -> Any:
    """Return the columns of a file."""
    pa = arrow()
    return pa.schema([pa.field(name, _types()[name]) for name in COLUMNS])


@cache
def _words_of(name: str) -> Any:
    return arrow().array([str(word) for word in _WORDS[name]])


def parquet_writer(file: IO[bytes]) -> Any:
    """Return what writes such tables to *file*.

    Statistics are of what a query can leave row groups out by; those of the others cost a third of the writing.  A page
    holds a row group: rows that are alike compress better together.
    """
    arrow()
    from pyarrow import parquet

    known = inspect.signature(parquet.ParquetWriter).parameters
    pages = {"max_rows_per_page": PAGE} if "max_rows_per_page" in known else {}  # younger than what we can do with
    return parquet.ParquetWriter(
        file,
        schema(),
        compression="zstd",
        compression_level=1,
        use_dictionary=["file", *_TEXTS, *_WORDS, *_SMALL],
        column_encoding={"time": "DELTA_BINARY_PACKED", "n": "DELTA_BINARY_PACKED"},
        write_statistics=["time", "n"],
        write_batch_size=PAGE,
        **pages,
    )


def batch_of(chunk: RowChunk, path: str) -> Any:
    """Return the rows of a chunk as a record batch; the memory stays the chunk's, which it keeps alive."""
    pa = arrow()
    rows = len(chunk)
    columns = chunk.columns()
    texts, text_at, text, text_size = chunk.texts()
    addresses = pa.StringArray.from_buffers(
        texts, pa.foreign_buffer(text_at, 4 * (texts + 1), chunk), pa.foreign_buffer(text, text_size, chunk)
    )

    def column(name: str) -> Any:
        at, size, bitmap = columns[name]
        there = pa.foreign_buffer(bitmap, (rows + 7) // 8, chunk) if bitmap else None
        buffers = [there, pa.foreign_buffer(at, rows * size, chunk)]
        if name in _WORDS:
            return pa.DictionaryArray.from_buffers(_types()[name], rows, buffers, _words_of(name))
        if name in _TEXTS:
            return pa.DictionaryArray.from_buffers(_types()[name], rows, buffers, addresses)
        return pa.Array.from_buffers(_types()[name], rows, buffers)

    zeros = pa.py_buffer(bytes(rows))
    file = pa.DictionaryArray.from_buffers(_types()["file"], rows, [None, zeros], pa.array([printable(path)]))
    arrays = [file if name == "file" else column(name) for name in COLUMNS]
    return pa.RecordBatch.from_arrays(arrays, schema=schema())
