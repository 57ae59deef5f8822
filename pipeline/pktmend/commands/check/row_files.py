"""What was found as tables that can be queried: Parquet files, of each capture its own.

    FOLDER/checks/status=bad/NAME.parquet      one row a check; or FOLDER/packets/..., one row a packet

Rules of this file:
1. Rows are made of the engine's columns by the chunk (ext/observe/rows.h); there is no Python object for a row.
2. A status is a folder, as Hive has it: who asks for bad checks reads no other file.  Within a file rows are in the
   order of the capture, and each row group says between which times it lies: who asks for an hour reads no other.
3. A capture's files have names made of its path, and are there when all of it was read, or all of the share that one of
   several workers has of a large one: done again, by whomever, they are the same files, and what an earlier run left of
   this capture is gone.
4. The packet path waits for the writer, which is QUEUE chunks behind at most: memory is bounded.
"""

from __future__ import annotations

import hashlib
import queue
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, Self

from pktmend._core import Batch, News, RowChunk, RowFiller
from pktmend.commands.check.row_table import STATUSES, batch_of, parquet_writer
from pktmend.console.printable import printable
from pktmend.enums import Status
from pktmend.errors import OSFailure
from pktmend.packetio.row_place import Part, part_in
from pktmend.runtime.pipeline import Stage

QUEUE: Final = 2  # chunks that wait to be written
GOOD: Final = int(Status.GOOD)
KINDS: Final = {True: "packets", False: "checks"}


def file_name(path: str, index: int = 0) -> str:
    """Return the name of a capture's files: of letters that every store takes, and different for each path.

    index: of a share of the capture.
    """
    text = printable(path)
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", PurePath(text).name)[:80]
    share = f".{index}" if index else ""
    return f"{stem}-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}{share}.parquet"


class RowFiles:
    """Writes the rows of one capture.  A context manager: what was written is there when it is left without an error.

    folder: a path, or a URL.      path: of the capture.
    index:  which of `of` shares of the capture this writes; each has files of its own.
    Raises: OSFailure where pyarrow is not installed, or when a file cannot be written.
    """

    name = "rows"

    def __init__(self, folder: str, path: str, *, by_packet: bool, index: int = 0, of: int = 1) -> None:
        self._folder, self._path = f"{folder.rstrip('/') or '/'}/{KINDS[by_packet]}", path
        self._index, self._of = index, of
        self._filler = RowFiller(by_packet=by_packet)
        self._chunks: queue.Queue[tuple[int, RowChunk] | None] = queue.Queue(QUEUE)
        self._written: queue.SimpleQueue[RowChunk] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._parts: dict[int, tuple[Part, Any]] = {}
        self._thread = threading.Thread(target=self._run, name="pktmend-rows", daemon=True)

    def stages(self) -> list[Stage]:
        """Return the stages, for a pipeline behind classify."""
        return [self._filler.stage, self]

    @property
    def only_for(self) -> News:
        """The batches that it hands something on of."""
        return self._filler.only_for

    def __call__(self, batch: Batch) -> None:
        """Hand full chunks on."""
        self._hand_over(self._filler.full())

    def _hand_over(self, statuses: Sequence[int]) -> None:
        for status in statuses:
            if self._error is not None:
                raise self._error
            self._chunks.put((status, self._filler.take(status, self._spare())))

    def _spare(self) -> RowChunk | None:
        """Return a chunk that was written."""
        try:
            return self._written.get_nowait()
        except queue.Empty:
            return None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if value is None and self._error is None:
            with suppress(BaseException):  # it is raised below
                self._hand_over(self._filler.full(1))
        self._chunks.put(None)
        self._thread.join()
        if value is not None or self._error is not None:
            for part, _ in self._parts.values():
                part.discard()
            if value is None and self._error is not None:
                raise self._error
            return
        self._commit()

    def _commit(self) -> None:
        for status, word in enumerate(STATUSES):
            if status in self._parts:
                self._parts[status][0].commit()
            else:
                self._part(word, self._index).remove()
        if self._index == self._of - 1:
            self._remove_others()

    def _remove_others(self) -> None:
        """Remove what an earlier run has left that made more shares: each but the first has a file of what is good."""
        index = self._of
        while self._part(STATUSES[GOOD], index).remove():
            for word in STATUSES:
                self._part(word, index).remove()
            index += 1

    def _part(self, word: str, index: int) -> Part:
        return part_in(self._folder, f"status={word}", file_name(self._path, index))

    def _run(self) -> None:
        """Write what comes; after an error go on taking, so that nobody waits."""
        while (item := self._chunks.get()) is not None:
            if self._error is None:
                try:
                    self._write(*item)
                    self._written.put(item[1])
                except BaseException as error:
                    self._error = self._explained(error)
        if self._error is None:
            try:
                if self._index:
                    self._writer(GOOD)  # though it be empty
                for _, writer in self._parts.values():
                    writer.close()
            except BaseException as error:
                self._error = self._explained(error)

    def _explained(self, error: BaseException) -> BaseException:
        if isinstance(error, OSError) and not isinstance(error, OSFailure):
            words = error.strerror or str(error)
            return OSFailure(f"writing rows to {self._folder}: {words}", "", error.errno or 0, self._folder)
        return error

    def _write(self, status: int, chunk: RowChunk) -> None:
        """Write a chunk: a row group."""
        self._writer(status).write_batch(batch_of(chunk, self._path))

    def _writer(self, status: int) -> Any:
        if status not in self._parts:
            part = self._part(STATUSES[status], self._index)
            self._parts[status] = part, parquet_writer(part.open())
        return self._parts[status][1]
