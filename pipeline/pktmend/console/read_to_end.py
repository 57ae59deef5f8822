"""Run a pipeline over a file to its end: signals stop it, and a terminal sees how far it is."""

from __future__ import annotations

import sys
import time

from pktmend.console.signals import Signals
from pktmend.packetio.capture import Capture
from pktmend.runtime.pipeline import Pipeline

QUIET_SECONDS = 1.0


def run_to_end(pipeline: Pipeline, source: object, signals: Signals) -> None:
    """Start *pipeline*, wait for its end; raises what ended it.  After a second a terminal is shown the progress."""
    began = time.monotonic()
    shown = False
    pipeline.start()
    try:
        while not pipeline.wait(0.1):
            if signals.stop.is_set():
                pipeline.stop()
            if isinstance(source, Capture) and time.monotonic() - began > QUIET_SECONDS and sys.stderr.isatty():
                shown = True
                done = source.offset
                amount = f"{done * 100 // source.size} %" if source.size else f"{done >> 20} MiB"
                print(f"\r{source.path}: {amount} ", end="", file=sys.stderr, flush=True)
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
