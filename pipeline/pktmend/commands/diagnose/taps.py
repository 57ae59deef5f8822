"""Fill taps: from a file, or live from interfaces for a while."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from pktmend.commands.diagnose.evidence import Tap
from pktmend.console.read_to_end import run_to_end
from pktmend.console.signals import Signals
from pktmend.errors import FormatError
from pktmend.packetio.afpacket import Ring
from pktmend.packetio.capture import Capture, Writer
from pktmend.runtime.counters import Counters
from pktmend.runtime.pipeline import Pipeline, Stage, stop_all

RECORDED: Final = 256 << 20  # octets of each of two live taps, which are looked at twice


def read(
    path: str,
    signals: Signals,
    *,
    packets: int,
    expression: str,
    at_wire: bool,
    name: str = "",
    more: Sequence[Stage] = (),
) -> tuple[Tap, FormatError | None]:
    """Return what a file holds, and the fault that ended it early: what came before it counts.

    name: of the interface that the file was just recorded from.      more: stages after ours.
    """
    tap = Tap(name or path, is_live=bool(name), at_wire=at_wire)
    fault: FormatError | None = None
    with Capture(path, packet_filter=expression) as source:
        pipeline = Pipeline(source, [*tap.stages(), *more], limit=packets)
        try:
            run_to_end(pipeline, source, signals)
        except FormatError as error:
            fault, tap.is_cut = error, True
        tap.close(pipeline.counters())
    return tap, fault


def _wait(pipelines: Sequence[Pipeline], signals: Signals, duration: float, octets: int = 0) -> None:
    """Let them run until *duration* or a signal ends them, or one ends by itself or has read *octets*."""
    deadline = time.monotonic() + duration if duration else None
    while not any(pipeline.wait(0.1 / len(pipelines)) for pipeline in pipelines):
        if octets and max(pipeline.counters().octets for pipeline in pipelines) > octets:
            print(f"pktmend: {octets >> 20} MiB are recorded, which is enough", file=sys.stderr, flush=True)
            break
        if signals.stop.is_set() or (deadline is not None and time.monotonic() >= deadline):
            break
    stop_all(pipelines)


def _say(names: Sequence[str], duration: float) -> None:
    spell = f" for {duration:g} s" if duration else ""
    print(f"pktmend: watching {' and '.join(names)}{spell}", file=sys.stderr, flush=True)


def watch(
    interface: str, signals: Signals, *, packets: int, duration: float, expression: str, promiscuous: bool
) -> Tap:
    """Return what passes *interface* within *duration* seconds, or until *packets* did or a signal came."""
    tap = Tap(interface, is_live=True)
    with Ring(interface, packet_filter=expression, promiscuous=promiscuous) as ring:
        pipeline = Pipeline(ring, tap.stages(), limit=packets)
        pipeline.start()
        _say([interface], duration)
        _wait([pipeline], signals, duration)
        tap.close(pipeline.counters())
    return tap


def record(
    interfaces: Sequence[str],
    folder: Path,
    signals: Signals,
    *,
    packets: int,
    duration: float,
    expression: str,
    promiscuous: bool,
) -> tuple[list[Path], list[Counters]]:
    """Record several interfaces at once, each to a file in *folder*; return the files and what was counted."""
    with ExitStack() as stack:
        pipelines, paths = [], []
        for number, name in enumerate(interfaces):
            ring = stack.enter_context(Ring(name, packet_filter=expression, promiscuous=promiscuous))
            paths.append(folder / f"{number}.pcapng")
            writer = Writer(paths[-1])
            stack.callback(writer.close)
            pipelines.append(Pipeline(ring, [], writer, limit=packets))
        for pipeline in pipelines:
            pipeline.start()
        _say(interfaces, duration)
        _wait(pipelines, signals, duration, RECORDED)
        counted = [pipeline.counters() for pipeline in pipelines]
    return paths, counted
