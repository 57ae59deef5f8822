"""What is done with each capture, here or on another machine, and what came of it."""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pktmend import _core
from pktmend.commands.check.found import Found
from pktmend.commands.check.looks import Look, Wanted
from pktmend.commands.check.rows import Row
from pktmend.commands.check.split import pieces_in
from pktmend.console.printable import on_one_line, printable
from pktmend.errors import FormatError, PktmendError, StageError
from pktmend.packetio.capture import Capture
from pktmend.runtime.pipeline import Pipeline
from pktmend.runtime.stages import Verify, classify, count

if TYPE_CHECKING:
    from pktmend.commands.check.row_files import RowFiles


class RowsTo(NamedTuple):
    """Where rows are written: below *folder*, one a packet or one a check."""

    folder: str
    by_packet: bool = False


class Work(NamedTuple):
    """What is done with each file.  tunnels: words of --tunnel, for who has not learned them yet."""

    wanted: Wanted
    at_wire: bool = False
    expression: str = ""
    rows: RowsTo | None = None
    tunnels: tuple[str, ...] = ()

    @property
    def may_be_cut(self) -> bool:
        """May a large file be read piece by piece?  Lines on packets come in order; a filter hides their numbers."""
        return self.wanted.is_short and not self.expression


class Fault(NamedTuple):
    """What ended reading before the end of the file, in words that travel; detail: without a hint."""

    text: str
    detail: str
    exit_code: int

    @classmethod
    def of(cls, error: PktmendError) -> "Fault":
        """Take what is said of an error; that of a stage of ours is what it failed for."""
        if isinstance(error, StageError) and isinstance(error.__cause__, PktmendError):
            error = error.__cause__
        return cls(str(error), error.detail, error.exit_code)


class One:
    """A file on its way: what it has to print, and in the end what was found.

    texts:      (cause, packet) of the first bad ones, or ("", text).
    fault:      what ended reading before the end of the file.    is_partial: a signal did.
    """

    def __init__(
        self,
        path: str,
        texts: Iterable[tuple[str, str | Row]] = (),
        *,
        found: Found | None = None,
        fault: Fault | None = None,
        is_done: bool = False,
    ) -> None:
        self.path, self.texts = path, deque(texts)
        self.found, self.fault = found, fault
        self.size, self.note = 0, ""
        self.is_done, self.is_partial = is_done, False


class Stopped(Exception):
    """Nobody wants more."""


class Running(Protocol):
    """A pipeline, or the pieces of a file."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def wait(self, timeout: float | None = None) -> bool: ...


Put = Callable[[str, "str | Row"], None]
Run = Callable[[Running], None]


def check_file(
    one: One, work: Work, put: Put, run: Run, packet_filter: _core.PacketFilter | None, jobs: int = 1
) -> None:
    """Check the file of *one* and say in it what was found; raises what left nothing to say.

    put: takes what is to be printed, as One.texts has it.    run: runs something to its end, or until it is stopped.
    jobs: how many pieces of a large one are read at once.
    """
    if not _by_pieces(one, work, put, run, jobs):
        _check_whole(one, work, put, run, packet_filter)


def _by_pieces(one: One, work: Work, put: Put, run: Run, jobs: int) -> bool:
    """Check a large file; False of another, or if it has to be read as a whole."""
    if not work.may_be_cut or pieces_in(one.path) < 2:
        return False
    from pktmend.commands.check.pieces import Pieces

    pieces = Pieces.of(one.path, work, jobs)
    if pieces is None:
        return False
    run(pieces)
    if pieces.part is None:
        return False
    one.found = pieces.part.found
    for cause, row in pieces.part.first:
        put(cause, row)
    return True


def _check_whole(one: One, work: Work, put: Put, run: Run, packet_filter: _core.PacketFilter | None) -> None:
    wanted = work.wanted
    look = Look(
        wanted,
        lambda text: put("", text),
        put,
        json_file=f',"file":{_json_text(one.path)}' if wanted.json else "",
        prefix=f"{on_one_line(one.path)}: ",
    )
    with ExitStack() as stack:
        source = stack.enter_context(Capture(one.path, packet_filter=packet_filter))
        rows = row_files(stack, work, one.path)
        of_rows = rows.stages() if rows is not None else []
        verify = Verify(expected=wanted.every or work.rows is not None, at_wire=work.at_wire)
        pipeline = Pipeline(source, [verify, classify, count, *of_rows, look.flows.stage, look])
        try:
            run(pipeline)
        except FormatError as error:  # what came before it counts
            one.fault = Fault.of(error)
        counted = pipeline.counters()
        if one.fault is None or counted.packets:
            one.found = Found.of(counted, look)
        one.note = source.note


def row_files(stack: ExitStack, work: Work, path: str, index: int = 0, of: int = 1) -> "RowFiles | None":
    """Return what writes rows, if any are wanted; it is finished when *stack* is left without an error."""
    if work.rows is None:
        return None
    from pktmend.commands.check.row_files import RowFiles  # pyarrow is large

    return stack.enter_context(RowFiles(work.rows.folder, path, by_packet=work.rows.by_packet, index=index, of=of))


def filter_of(expression: str) -> _core.PacketFilter | None:
    """Compile a filter for any file."""
    if not expression:
        return None
    from pktmend.packetio import bpf_filter

    return bpf_filter.for_files(expression)


def _json_text(text: str) -> str:
    import msgspec

    return msgspec.json.encode(printable(text)).decode()
