"""A bridge for measuring, made of the library's parts:   python -m pipeline.bench.carry A B [NAME=VALUE ...]

What it carries frames with is what `pktmend bridge` uses; only the ring's geometry and one more stage are chosen here.
Numbers: version, slot_size, slots, block_size, blocks (see afpacket.Ring).  stage=python or stage=native: one that does
nothing.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack

from pipeline._core import Batch
from pipeline._traffic import ffi, lib
from pipeline.afpacket import Emit, Ring
from pipeline.bridge import FEW_CPUS, BridgeOptions, make_ring, stages_of
from pipeline.errors import ConfigError
from pipeline.loop import Pipeline, Stage, start_together, stop_all
from pipeline.report import print_json
from pipeline.signals import Signals
from pipeline.stages import native


def nothing(batch: Batch) -> None:
    """Do nothing.  Reads: nothing.  Writes: nothing."""


def stage_of(kind: str) -> list[Stage]:
    """Return the stage that does nothing, in Python or in C."""
    if kind == "python":
        return [nothing]
    if kind == "native":
        return [native(ffi.addressof(lib, "traffic_nothing"))]
    if kind == "none":
        return []
    raise ConfigError(f"stage {kind!r}", "none, python or native")


def carry(a: str, b: str, numbers: dict[str, int], kind: str) -> None:
    """Carry frames between *a* and *b* until a signal comes; SIGUSR1 prints how many have been read."""
    signals = Signals()
    with ExitStack() as stack:
        pipelines = []
        for source, target in ((a, b), (b, a)):
            emit = stack.enter_context(Emit(target, coalesce=True))
            ring = stack.enter_context(
                Ring(source, outgoing=False, **numbers) if numbers else make_ring(source, 2))  # type: ignore[arg-type]
            pipelines.append(Pipeline(ring, [*stages_of(BridgeOptions(a=a, b=b)), *stage_of(kind)], emit))
        if len(os.sched_getaffinity(0)) <= FEW_CPUS:
            start_together(pipelines)
        else:
            for pipeline in pipelines:
                pipeline.start()
        print("carrying", file=sys.stderr, flush=True)
        while not signals.stop.wait(0.02) and not any(p.is_done() for p in pipelines):
            if signals.report.is_set():
                signals.report.clear()
                print_json({"read": sum(p.counters().read for p in pipelines)})
        stop_all(pipelines)


def main() -> None:
    """Read the command line."""
    a, b, *rest = sys.argv[1:]
    told = dict(word.split("=", 1) for word in rest)
    kind = told.pop("stage", "none")
    carry(a, b, {name: int(value) for name, value in told.items()}, kind)


if __name__ == "__main__":
    main()
