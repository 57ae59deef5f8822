"""One large capture read piece by piece, by as many workers as there are: the answer is the same for any number.

Rules of this file:
1. A piece is read as if it were a file of its own, but for the numbers of packets: what another packet explains of a
   damaged one is looked for in its piece.
2. Each piece has to end with the end of a record, so the next one's first record is true if its own is: so all are.
3. Whatever is out of the ordinary (a guess that fails, a fault, a file that changes) refutes the cuts: then one worker
   reads it all, from the beginning, and says what there is to say.
4. Where rows are written each worker has consecutive pieces and files of its own; how many packets lie before them is
   counted first.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import NamedTuple, TypeVar

from pktmend.commands.check.found import Found
from pktmend.commands.check.looks import SHOWN, Look
from pktmend.commands.check.rows import Row
from pktmend.commands.check.split import pieces_in, size_of, starts_of
from pktmend.commands.check.work import Work, row_files
from pktmend.errors import PktmendError
from pktmend.packetio.capture import Capture
from pktmend.runtime.pipeline import Pipeline
from pktmend.runtime.stages import Verify, classify, count

T = TypeVar("T")
R = TypeVar("R")
Run = Callable[[Pipeline], None]


class Refuted(Exception):
    """One worker has to read it."""


class Share(NamedTuple):
    """Consecutive pieces that one worker reads.

    starts: where they begin, and where the last of them ends.     before: packets before them, 0 if nobody knows.
    number: which of `of` shares it is, from 0.
    """

    starts: Sequence[int]
    before: int = 0
    number: int = 0
    of: int = 1


class Part(NamedTuple):
    """What was found between two bytes of a file.

    first: (cause, packet) of the first bad packets of each cause.      is_whole: it was read to the end.
    """

    found: Found
    first: list[tuple[str, Row]]
    start: int
    end: int
    is_whole: bool = True


def check_share(path: str, share: Share, work: Work, run: Run, is_stopped: Callable[[], bool] = lambda: False) -> Part:
    """Check the pieces of *share*, one after the other; after a stop what was read so far is the answer.

    Raises: Refuted, PktmendError.
    """
    parts: list[Part] = []
    before = share.before
    with ExitStack() as stack:
        rows = row_files(stack, work, path, share.number, share.of)
        for start, end in pairwise(share.starts):
            first: list[tuple[str, Row]] = []
            look = _look(work, first)
            with Capture(path, stretch=(start, end, before)) as source:
                verify = Verify(expected=rows is not None, at_wire=work.at_wire)
                of_rows = rows.stages() if rows is not None else []
                pipeline = Pipeline(source, [verify, classify, count, *of_rows, look.flows.stage, look])
                run(pipeline)
                is_whole = source.offset == end
                if not is_whole and not is_stopped():
                    raise Refuted
                found = Found.of(pipeline.counters(), look)
            parts.append(Part(found, first, start, end, is_whole))
            before += found.packets
            if not is_whole:
                break
        return joined(parts, is_numbered=True)


def _look(work: Work, first: list[tuple[str, Row]]) -> Look:
    return Look(work.wanted, lambda _: None, lambda cause, row: first.append((cause, row)))


def count_packets(path: str, start: int, end: int, run: Run) -> int:
    """Return how many packets there are between two bytes.  Raises: Refuted, PktmendError."""
    with Capture(path, stretch=(start, end, 0)) as source:
        pipeline = Pipeline(source)
        run(pipeline)
        if source.offset != end:
            raise Refuted
        return pipeline.counters().read


def joined(parts: Sequence[Part], *, is_numbered: bool) -> Part:
    """Return what was found in all of them.

    is_numbered: numbers are those of the file; else each part's begin with 1, and those behind one that was not read to
                 its end are not known.
    Raises: Refuted if one does not begin where the one before ends.
    """
    if any(one.end != other.start for one, other in pairwise(parts)):
        raise Refuted
    first: list[tuple[str, Row]] = []
    taken: Counter[str] = Counter()
    base = 0
    for part in parts:
        for cause, row in part.first:
            if taken[cause] < SHOWN:
                first.append((cause, row if is_numbered else row._replace(number=row.number + base)))
                taken[cause] += 1
        if not part.is_whole and not is_numbered:
            break
        base += part.found.packets
    found = Found.sum([part.found for part in parts])
    return Part(found, first, parts[0].start, parts[-1].end, all(part.is_whole for part in parts))


class Pieces:
    """The pieces of a file on their way; start(), stop() and wait() are those of a Pipeline.

    starts: where they begin, and the file's size.      jobs: how many are read at once.
    part:   what was found, when it has ended; None if one worker has to read it.
    """

    def __init__(self, path: str, starts: Sequence[int], work: Work, jobs: int) -> None:
        self.path, self.size = path, starts[-1]
        self.part: Part | None = None
        self._starts, self._work = starts, work
        self._jobs = min(jobs, len(starts) - 1)
        self._lock = threading.Lock()
        self._running: dict[Pipeline, int] = {}
        self._bytes = 0
        self._is_stopped = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="pktmend-pieces", daemon=True)

    @classmethod
    def of(cls, path: str, work: Work, jobs: int) -> "Pieces | None":
        """Return those of a large file, None of one that is read as it is: by its size, or for what is wanted of it."""
        pieces = pieces_in(path) if work.may_be_cut else 1
        starts = starts_of(path, pieces) if pieces > 1 else []
        return cls(path, starts, work, jobs) if len(starts) > 2 else None

    @property
    def offset(self) -> int:
        """Bytes that are done."""
        with self._lock:
            return self._bytes + sum(_offset(pipeline) - start for pipeline, start in self._running.items())

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Read no further; returns at once."""
        with self._lock:
            self._is_stopped = True
            self._end_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended; False after *timeout* seconds.  Raises what nobody expected."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            return False
        if self._error is not None:
            raise self._error
        return True

    def _end_all(self) -> None:
        for pipeline in self._running:
            pipeline.stop()

    def _run(self) -> None:
        try:
            shares = self._shares()
            parts = [part for part in self._each(self._check, shares) if part is not None]
            is_numbered = self._work.rows is not None
            if self._is_stopped:
                first = joined(known, is_numbered=is_numbered).first if (known := _without_gap(parts)) else []
                self.part = Part(Found.sum([part.found for part in parts]), first, 0, 0, is_whole=False)
                return
            if size_of(self.path) != self.size:
                raise Refuted
            self.part = joined(parts, is_numbered=is_numbered)
        except (PktmendError, Refuted, OSError):
            self.part = None
        except BaseException as error:
            self._error = error

    def _shares(self) -> list[Share]:
        if self._work.rows is None:
            return [Share(each) for each in pairwise(self._starts)]
        pieces = len(self._starts) - 1
        cuts = [pieces * i // self._jobs for i in range(self._jobs + 1)]
        counts = self._each(self._count, pairwise(self._starts[: cuts[-2] + 1]))
        if None in counts:
            return []
        return [
            Share(self._starts[first : last + 1], sum(n or 0 for n in counts[:first]), i, self._jobs)
            for i, (first, last) in enumerate(pairwise(cuts))
        ]

    def _check(self, share: Share) -> Part:
        return check_share(self.path, share, self._work, self._watched, lambda: self._is_stopped)

    def _count(self, ends: tuple[int, int]) -> int:
        return count_packets(self.path, *ends, self._watched)

    def _watched(self, pipeline: Pipeline) -> None:
        """Run a pipeline, so that it can be stopped."""
        start = _offset(pipeline)
        with self._lock:
            pipeline.start()
            self._running[pipeline] = start
            if self._is_stopped:
                pipeline.stop()
        try:
            pipeline.wait()
        finally:
            with self._lock:
                del self._running[pipeline]
                self._bytes += _offset(pipeline) - start

    def _each(self, function: Callable[[T], R], items: Iterable[T]) -> list[R | None]:
        """Call *function* for each item, as many at once as there are jobs; None stands for what a stop left out.

        Raises the first error, when all have ended.
        """
        todo = list(items)
        results: list[R | None] = [None] * len(todo)
        places = iter(range(len(todo)))
        errors: list[BaseException] = []

        def work() -> None:
            while True:
                with self._lock:
                    place = next(places, None)
                    if place is None or errors or self._is_stopped:
                        return
                try:
                    results[place] = function(todo[place])
                except BaseException as error:
                    with self._lock:
                        errors.append(error)
                        self._end_all()
                    return

        others = range(1, min(self._jobs, len(todo)))
        threads = [threading.Thread(target=work, name=f"pktmend-pieces-{i}", daemon=True) for i in others]
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
        if errors and not self._is_stopped:
            raise errors[0]
        return results


def _offset(pipeline: Pipeline) -> int:
    source = pipeline.source
    assert isinstance(source, Capture)
    return source.offset


def _without_gap(parts: Sequence[Part]) -> Sequence[Part]:
    """Return those from the first on that follow one another, the last of which may have been stopped."""
    for n, (one, other) in enumerate(pairwise(parts), 1):
        if not one.is_whole or one.end != other.start:
            return parts[:n]
    return parts
