"""Run a pipeline over a file to its end: signals stop it, and a terminal shows the progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Protocol

from pktmend.console.main_loop import main_loop
from pktmend.console.printable import printable
from pktmend.console.signals import Signals
from pktmend.console.streams import terminal
from pktmend.packetio.capture import Capture
from pktmend.runtime.pipeline import Pipeline, Source

QUIET_SECONDS = 1.0


def run_to_end(pipeline: Pipeline, source: Source, signals: Signals, duration: float | None = None) -> None:
    """Run *pipeline* to its end, or for *duration* seconds; raises what ended it.

    After a second a terminal shows the progress.  That packets are waited for, and what a capture has to say of itself,
    goes to standard error.
    """
    on_tick, clear = progress(source) if isinstance(source, Capture) and sys.stderr.isatty() else (None, lambda: None)
    pipeline.start()
    if not isinstance(source, Capture):
        end = f"for {duration:g} s" if duration is not None else "until -c, --duration or a signal ends it"
        print(f"pktmend: watching {getattr(source, 'name', 'packets')}, {end}", file=sys.stderr, flush=True)
    try:
        main_loop(signals, duration=duration, wait=pipeline.wait, on_tick=on_tick)
        pipeline.stop()
        pipeline.wait()
    finally:
        clear()
    if isinstance(source, Capture) and source.note:
        print(f"pktmend: {source.note}", file=sys.stderr, flush=True)


class Progress(Protocol):
    """Something that is read: its path, bytes of it (0: not known) and bytes that are done."""

    @property
    def path(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def offset(self) -> int: ...


def progress(source: Progress) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what prints how far *source* has been read, and what takes that off the terminal again."""
    began = time.monotonic()
    is_shown = False

    def show() -> None:
        nonlocal is_shown
        if time.monotonic() - began > QUIET_SECONDS:
            is_shown = True
            done = source.offset
            amount = f"{done * 100 // source.size} %" if source.size else f"{done >> 20} MiB"
            print(f"\r{printable(source.path)}: {amount} ", end="", file=terminal(sys.stderr), flush=True)

    def clear() -> None:
        if is_shown:
            print("\r\x1b[K", end="", file=terminal(sys.stderr), flush=True)

    return show, clear
