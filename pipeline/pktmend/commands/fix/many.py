"""Repair many captures into a folder, several at once.

Rules of this file:
1. What is printed is the same whatever the number of jobs: of each file in the order of the files.
2. A file that cannot be read, or not to its end, is said, and the others are repaired.
3. Memory does not grow with the files: what is done is printed, and only sums are kept.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from pktmend.commands.fix.job import Job, Repaired, in_order
from pktmend.commands.fix.run import summary_line
from pktmend.commands.fix.targets import targets_of
from pktmend.console.plural import quantity
from pktmend.console.printable import on_one_line, printable
from pktmend.console.report import check_lines, print_json, words
from pktmend.console.signals import NOTICED_WITHIN, Signals
from pktmend.errors import EXIT_PROBLEMS, FormatError, OSFailure, PktmendError
from pktmend.host.output_folder import make_folder
from pktmend.packetio.capture import Capture
from pktmend.packetio.capture_writer import Copy
from pktmend.runtime.pipeline import Null, Pipeline

AHEAD: Final = 64  # files that are done, or under way, before the one that is told


@dataclass(slots=True)
class One:
    """A file.  done: None where nothing was read.  is_partial: a signal ended it."""

    path: str
    target: str
    done: Repaired | None = None
    fault: PktmendError | None = None
    note: str = ""
    is_partial: bool = False


@dataclass(slots=True)
class Stopping:
    """What is under way, to be stopped at once."""

    is_stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    running: set[Pipeline] = field(default_factory=set)

    def run(self, pipeline: Pipeline) -> None:
        """Run to the end, or until stop()."""
        with self.lock:
            pipeline.start()
            self.running.add(pipeline)
            if self.is_stopped:
                pipeline.stop()
        try:
            pipeline.wait()
        finally:
            with self.lock:
                self.running.discard(pipeline)

    def stop(self) -> None:
        """End all that runs, after the packets that were read."""
        with self.lock:
            self.is_stopped = True
            for pipeline in self.running:
                pipeline.stop()


def fix_many(paths: Sequence[str], folder: str | None, job: Job, *, jobs: int, json: bool) -> int:
    """Repair *paths*, captures, folders and patterns, into *folder*; return the exit code, the highest of the files'.

    folder: None in a dry run alone.     jobs: how many at once; 0: one for each core.
    """
    files, targets = targets_of(paths, folder)
    if not files.paths:
        raise OSFailure("no capture in what was named", f"{quantity(files.passed_over, 'file')} passed over")
    signals = Signals()
    total, code, told, faulty, partial = Repaired(), 0, 0, 0, 0
    for one in _all(files.paths, targets, job, jobs or len(os.sched_getaffinity(0)), signals):
        told += 1
        faulty += one.fault is not None
        partial += one.is_partial
        code = max(code, _tell(one, job, json=json))
        total = Repaired.sum([total, one.done or Repaired()])
    members = {"files": told, "files_not_read_to_the_end": faulty, "files_left": len(files.paths) - told}
    _print_total(total, job, members | {"files_passed_over": files.passed_over}, partial, json=json)
    return code


def _all(paths: Sequence[str], targets: dict[str, str], job: Job, jobs: int, signals: Signals) -> Iterator[One]:
    """Yield each file when it is done, in order; ends early at a signal."""
    stopping = Stopping()
    waiting: list[Future[One]] = []
    names = iter(paths)
    with ThreadPoolExecutor(min(jobs, len(paths)), thread_name_prefix="pktmend-fix") as pool:
        try:
            while True:
                while len(waiting) < AHEAD and not stopping.is_stopped and (path := next(names, None)) is not None:
                    waiting.append(pool.submit(_fix, path, targets[path], job, stopping))
                if not waiting:
                    return
                while True:
                    try:
                        one = waiting[0].result(NOTICED_WITHIN)
                        break
                    except NotYet:
                        if signals.stop.is_set():
                            stopping.stop()
                waiting.pop(0)
                if one.done is not None or one.fault is not None:
                    yield one
        finally:
            stopping.stop()


def _fix(path: str, target: str, job: Job, stopping: Stopping) -> One:
    one = One(path, target)
    if stopping.is_stopped:
        return one
    try:
        with ExitStack() as stack:
            source = stack.enter_context(Capture(path, packet_filter=job.expression))
            if not source.recognise(lambda: stopping.is_stopped):
                return one
            sink: Copy | None = None
            if not job.is_dry:
                make_folder(os.path.dirname(target) or ".", mode=_folder_mode(job.mode))  # noqa: PTH120
                sink = Copy(target, source, mode=job.mode)
            pipeline = Pipeline(source, job.stages(), sink or Null())
            try:
                stopping.run(pipeline)
            except FormatError as error:  # what came before it is written
                one.fault = error
            finally:
                if sink is not None:
                    sink.close()
            one.done, one.note, one.is_partial = Repaired.of(pipeline.counters()), source.note, stopping.is_stopped
    except PktmendError as error:
        one.fault = error
    return one


def _folder_mode(mode: int) -> int:
    """Who may read files may enter their folder."""
    return mode | (mode & 0o444) >> 2


def _tell(one: One, job: Job, *, json: bool) -> int:
    """Print what came of a file; return its exit code."""
    for text in (one.note, one.fault):
        if text:
            print(f"pktmend: {on_one_line(text)}", file=sys.stderr, flush=True)
    done = one.done or Repaired()
    if json:
        error = {"error": str(one.fault), "exit": one.fault.exit_code} if one.fault else {}
        output = {} if job.is_dry else {"output": printable(one.target)}
        about = {"file": printable(one.path), **output, **done.as_json(), **error}
        print_json({"file_summary": about}, kind="file_summary")
    elif one.done is not None:
        to = "" if job.is_dry else f" -> {on_one_line(one.target)}"
        left: dict[str, int] = {}
        for counts in done.left.values():
            for cause, n in counts.items():
                left[cause] = left.get(cause, 0) + n
        kept = f"; left {in_order(left)}" if left else ""
        verb = "would repair" if job.is_dry else "repaired"
        amount = quantity(done.packets, "packet")
        print(f"{on_one_line(one.path)}{to}: {amount}; {verb} {words(done.repaired)}{kept}", flush=True)
    if one.fault is not None:
        return one.fault.exit_code
    return EXIT_PROBLEMS if done.leaves_bad else 0


def _print_total(total: Repaired, job: Job, members: dict[str, Any], partial: int, *, json: bool) -> None:
    if json:
        dry = {"dry_run": True} if job.is_dry else {}
        print_json({"summary": total.as_json() | members | dry}, kind="summary")
        return
    lines = [summary_line(total, job), *check_lines(total.checks), *total.left_lines(job)]
    if faulty := members["files_not_read_to_the_end"]:
        lines.append(f"{quantity(faulty, 'file')} could not be read, or not to the end")
    if (left := members["files_left"]) or partial:
        lines.append(
            f"stopped by a signal: {left} of {quantity(members['files'] + left, 'file')} not read, {partial} in part"
        )
    if over := members["files_passed_over"]:
        lines.append(f"{quantity(over, 'file')} passed over: no capture")
    print("\n".join(lines), flush=True)
