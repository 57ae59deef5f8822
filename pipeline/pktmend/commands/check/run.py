"""Check one source, a capture or an interface, or hand many captures to `many`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pktmend.commands.check.found import Found
from pktmend.commands.check.hand_on import NOTHING, Handing, HandOn
from pktmend.commands.check.looks import Look, Wanted
from pktmend.commands.check.output import Output, ambiguity_lines
from pktmend.commands.check.split import pieces_in
from pktmend.commands.check.work import RowsTo, Work, row_files
from pktmend.console.read_to_end import progress, run_to_end
from pktmend.console.report import stage_line, words
from pktmend.console.signals import Signals
from pktmend.enums import Drop
from pktmend.errors import EXIT_PROBLEMS, ConfigError, FormatError, StageError
from pktmend.packetio.capture import Capture
from pktmend.runtime.pipeline import Pipeline, Stage
from pktmend.runtime.stages import Verify, classify, count

if TYPE_CHECKING:
    from pktmend.packetio.ring import Ring


def run_check(
    *,
    path: str | None,
    interface: str | None,
    packets: int,
    json: bool,
    every: bool,
    at_wire: bool,
    all_bad: bool = False,
    expression: str = "",
    promiscuous: bool = True,
    stages: tuple[str, ...] = (),
    paths: Sequence[str] = (),
    jobs: int = 0,
    duration: float | None = None,
    hand_on: HandOn = NOTHING,
    rows: RowsTo | None = None,
    scheduler: str = "",
    tunnels: tuple[str, ...] = (),
) -> int:
    """Check *path*, *paths*, or *packets* packets of *interface*; return the exit code: 1 if any check is bad.

    stages: users' stages to try, as stage_loader.load takes them; bad packets that they drop are not shown.
    paths:  captures, folders, patterns, instead of one path; a single capture among them is a path.
    duration: seconds to watch *interface*; None: until *packets* or a signal.
    jobs:   how many captures, or pieces of a large one, are read at once; 0: one for each core.
    hand_on: what else is made of one capture.
    rows:   where rows are written; None: nowhere.
    scheduler: of the Dask workers that check *paths*; "": this process does.     tunnels: words of --tunnel, for them.
    """
    hand_on.validate()
    wanted = Wanted(json, every, all_bad)
    work = Work(wanted, at_wire, expression, rows, tunnels)
    _require_arrow(rows)
    if paths:
        from pktmend.packetio.capture_paths import find_files

        files = find_files(paths)
        option = "-c" if packets else "--stage" if stages else hand_on.option
        if option and (files.is_many or scheduler):
            raise ConfigError(f"{option} goes with one capture", "name a single file")
        if scheduler:
            from pktmend.commands.check.cluster import run_cluster

            return run_cluster(files, work, scheduler)
        if files.is_many:
            from pktmend.commands.check.many import run_many

            return run_many(files, work, jobs)
        path = files.paths[0]
    load = _loader(stages)
    signals = Signals()
    if path is not None and work.may_be_cut and not (packets or stages or hand_on.option):
        code = _try_pieces(path, signals, work, jobs or len(os.sched_getaffinity(0)))
        if code is not None:
            return code
    with _open(path, interface or "", expression, promiscuous) as source, ExitStack() as stack:
        handing = hand_on.begin(source, stack, signals.stop.is_set, is_whole=not (expression or packets))
        return _run(source, signals, load(), handing, packets=packets, duration=duration, work=work)


def _try_pieces(path: str, signals: Signals, work: Work, jobs: int) -> int | None:
    """Check a large file piece by piece and print what was found; None if it has to be read as it is."""
    if path == "-" or pieces_in(path) < 2:
        return None
    from pktmend.commands.check.pieces import Pieces
    from pktmend.console.main_loop import main_loop

    pieces = Pieces.of(path, work, jobs)
    if pieces is None:
        return None
    on_tick, clear = progress(pieces) if sys.stderr is not None and sys.stderr.isatty() else (None, lambda: None)
    pieces.start()
    try:
        main_loop(signals, wait=pieces.wait, on_tick=on_tick)
        pieces.stop()
        pieces.wait()
    finally:
        clear()
    if pieces.part is None:
        return None
    found, output = pieces.part.found, Output(json=False)
    for cause, row in pieces.part.first:
        output.put_shown(cause, row)
    output.print_summary(found, before=output.more_lines(found, is_short=True), after=ambiguity_lines(found, path))
    return EXIT_PROBLEMS if found.is_bad else 0


def _require_arrow(rows: RowsTo | None) -> None:
    """Raise what the missing extra is, before anything is read, where rows are wanted."""
    if rows is not None:
        from pktmend.commands.check.row_table import arrow

        arrow()


def _loader(stages: tuple[str, ...]) -> Callable[[], list[Stage]]:
    if not stages:
        return list
    from pktmend.runtime import stage_loader  # most have no stage of their own

    return lambda: [stage_loader.load(text)() for text in stages]


def _open(path: str | None, interface: str, expression: str, promiscuous: bool) -> Capture | Ring:
    if path is not None:
        return Capture(path, packet_filter=expression)
    from pktmend.packetio.ring import Ring  # only live: a file needs no socket

    return Ring(interface, packet_filter=expression, promiscuous=promiscuous)


def _run(
    source: Capture | Ring,
    signals: Signals,
    user_stages: Sequence[Stage],
    handing: Handing,
    *,
    packets: int,
    duration: float | None,
    work: Work,
) -> int:
    wanted = work.wanted
    output = Output(json=wanted.json)
    look = Look(wanted, output.put, output.put_shown)
    fault: FormatError | None = None
    with ExitStack() as stack:
        rows = row_files(stack, work, getattr(source, "path", ""))
        of_rows = rows.stages() if rows is not None else []
        verify = Verify(expected=wanted.every or rows is not None or handing.needs_expected, at_wire=work.at_wire)
        stages: list[Stage] = [verify, classify, count, *user_stages, *of_rows, look.flows.stage, look, *handing.stages]
        pipeline = Pipeline(source, stages, handing.sink, limit=packets)
        try:
            run_to_end(pipeline, source, signals, duration)
        except FormatError as error:  # what came before it counts
            fault = error
        except StageError as error:  # standard output is no stage of the user's, nor are rows
            if error.stage in (look.name, "rows") and isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise
    d = pipeline.counters()
    if fault is not None and not d.packets:
        raise fault  # nothing was read, so nothing can be said
    found = Found.of(d, look)
    dropped = {reason: n for reason, n in d.dropped.items() if reason != str(Drop.NO_SINK)}
    of_user = d.stages[: len(user_stages)]  # ours come behind them
    after = [stage_line(stage, d.packets) for stage in of_user]
    if user_stages:
        after.append(f"  dropped {words(dropped)}")
    if isinstance(source, Capture):
        after += ambiguity_lines(found, source.path)
    output.print_summary(
        found,
        before=output.more_lines(found, is_short=wanted.is_short),
        after=after,
        **({"dropped": dropped, "stages": [stage._asdict() for stage in of_user]} if user_stages else {}),
    )
    handing.finish(found, source.name)
    if fault is not None:
        print(end="", flush=True)
        raise fault
    return EXIT_PROBLEMS if found.is_bad else 0
