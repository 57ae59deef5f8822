"""Fill taps: from a file, or live from interfaces for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktmend.commands.diagnose.evidence import Tap
from pktmend.errors import FormatError
from pktmend.packetio.capture import Capture
from pktmend.packetio.capture_writer import Writer
from pktmend.packetio.ring import Ring
from pktmend.runtime.counters import Counters
from pktmend.runtime.pipeline import Pipeline, Stage, stop_all

if TYPE_CHECKING:
    from pktmend.commands.diagnose.options import Options

RECORDED: Final = 256 << 20  # bytes of each of two live taps, which are looked at twice
POLL_INTERVAL: Final = 0.1


def run_quietly(pipeline: Pipeline, capture: Capture) -> None:
    """Run over a file to its end; raises what ended it."""
    try:
        pipeline.run()
    except FormatError as error:
        raise capture.explain(error) from error
    capture.require_intact()


@dataclass(frozen=True)
class Hooks:
    """What the caller hears of a diagnosis and decides; by default nothing is said, and nothing ends it early.

    is_stopped: asked ten times a second while an interface is watched.     say: called with each progress message.
    run:        runs a pipeline over a capture to its end, raising what ended it.
    """

    is_stopped: Callable[[], bool] = lambda: False
    say: Callable[[str], None] = lambda text: None
    run: Callable[[Pipeline, Capture], None] = run_quietly


def read(
    path: str,
    hooks: Hooks,
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
            hooks.run(pipeline, source)
        except FormatError as error:
            fault, tap.is_cut = error, True
        tap.close(pipeline.counters())
    return tap, fault


def _wait(pipelines: Sequence[Pipeline], hooks: Hooks, duration: float, size: int = 0) -> None:
    """Let them run until *duration* is over or the hooks say so, or one ends by itself or has read *size* bytes."""
    deadline = time.monotonic() + duration if duration else None
    while not any(pipeline.wait(POLL_INTERVAL / len(pipelines)) for pipeline in pipelines):
        if size and max(pipeline.counters().octets for pipeline in pipelines) > size:
            hooks.say(f"{size >> 20} MiB are recorded, which is enough")
            break
        if hooks.is_stopped() or (deadline is not None and time.monotonic() >= deadline):
            break
    stop_all(pipelines)


def _announce(hooks: Hooks, names: Sequence[str], duration: float) -> None:
    hooks.say(f"watching {' and '.join(names)}{f' for {duration:g} s' if duration else ''}")


def _ring(interface: str, options: Options) -> Ring:
    return Ring(interface, packet_filter=options.expression, promiscuous=options.promiscuous)


def watch(options: Options, hooks: Hooks) -> Tap:
    """Return what passes the first interface, until the options or the hooks end it."""
    tap = Tap(options.a, is_live=True)
    with _ring(options.a, options) as ring:
        pipeline = Pipeline(ring, tap.stages(), limit=options.packets)
        pipeline.start()
        _announce(hooks, [options.a], options.seconds)
        _wait([pipeline], hooks, options.seconds)
        tap.close(pipeline.counters())
    return tap


def record(options: Options, hooks: Hooks, folder: Path) -> tuple[list[str], list[Counters]]:
    """Record both interfaces at once, each to a file in *folder*; return the files and what was counted."""
    interfaces = (options.a, options.b)
    with ExitStack() as stack:
        pipelines, paths = [], []
        for number, name in enumerate(interfaces):
            ring = stack.enter_context(_ring(name, options))
            paths.append(str(folder / f"{number}.pcapng"))
            writer = Writer(paths[-1])
            stack.callback(writer.close)
            pipelines.append(Pipeline(ring, [], writer, limit=options.packets))
        for pipeline in pipelines:
            pipeline.start()
        _announce(hooks, interfaces, options.seconds)
        _wait(pipelines, hooks, options.seconds, RECORDED)
        counted = [pipeline.counters() for pipeline in pipelines]
    return paths, counted
