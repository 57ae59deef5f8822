"""The inline repair bridge: pipelines for each direction, verify - classify - count - repair - emit."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from pktmend.commands.bridge.admission import Admission
from pktmend.commands.bridge.options import BridgeOptions
from pktmend.host import privileges
from pktmend.packetio.emit import Emit
from pktmend.packetio.flow_hash import part
from pktmend.packetio.link_monitor import LinkMonitor
from pktmend.packetio.ring import Ring
from pktmend.runtime import stage_loader
from pktmend.runtime.counters import Counters
from pktmend.runtime.pipeline import Pipeline, Stage, start_together, stop_all
from pktmend.runtime.stages import Repair, classify, count, drop_corrupt, verify

FEW_CPUS = 2  # measured: 0.73 -> 0.80 of the kernel bridge with default offloads; --finish loses a quarter


def stages_of(options: BridgeOptions, user_stages: Sequence[Stage] = ()) -> list[Stage]:
    """Return the stages of one direction: a user's see what was repaired, and what they damage can be dropped."""
    stages: list[Stage] = [verify, classify, count]
    if options.repair != "none":
        stages.append(Repair(options.repair))
    stages += user_stages
    if options.corrupt == "drop":
        stages.append(drop_corrupt)
    return stages


def make_ring(name: str, version: int, number: int = 0, workers: int = 1) -> Ring:
    """Return the ring of a bridge's worker: V2 slots, or V3 blocks small enough to stay in cache."""
    program = part(number, workers) if workers > 1 else b""
    return Ring(name, ring=f"v{version}", outgoing=False, block_size=1 << 19, blocks=32, program=program)


class Bridge:
    """The pipelines of both directions; a context manager that owns their rings and sockets.

    directions: for each, the pipelines of its workers.
    links:      a monitor for each interface.
    warnings:   what a person should know, and no reason to refuse.
    """

    def __init__(self, options: BridgeOptions) -> None:
        self._stage_makers = [stage_loader.load(text) for text in options.stage]
        options.validate()
        self.options = options
        self.directions: list[list[Pipeline]] = []
        self.links: list[LinkMonitor] = []
        self.admission: Admission | None = None
        self.warnings: list[str] = []
        self._open = ExitStack()

    @property
    def pipelines(self) -> list[Pipeline]:
        """All workers' pipelines."""
        return [pipeline for workers in self.directions for pipeline in workers]

    def __enter__(self) -> Bridge:
        o = self.options
        sockets: dict[str, list[Ring | Emit]] = {o.a: [], o.b: []}
        with ExitStack() as stack:
            sources = [source for source, _ in o.directions]
            admission = stack.enter_context(Admission(o.a, o.b, sources=sources, isolate=o.isolate, force=o.force))
            self.admission = admission
            for source, target in o.directions:
                self.directions.append([self._worker(stack, source, target, sockets, n) for n in range(o.workers)])
            self.links = [LinkMonitor(name, made, admission.locks.get(name)) for name, made in sockets.items()]
            unfiltered = privileges.harden(user=o.user, seccomp=not (o.no_seccomp or o.stage), groups=["packets"])
            self.warnings = admission.warnings + ([unfiltered] if unfiltered else [])
            self._open = stack.pop_all()
        if self.shares_a_thread():
            start_together(self.pipelines)
        else:
            for pipeline in self.pipelines:
                pipeline.start()
        return self

    def _worker(
        self, stack: ExitStack, source: str, target: str, sockets: dict[str, list[Ring | Emit]], number: int
    ) -> Pipeline:
        o = self.options
        emit = stack.enter_context(Emit(target, finish=target in o.finish, coalesce=not o.no_coalesce))
        ring = stack.enter_context(make_ring(source, o.ring_version, number, o.workers))
        ring.require_ethernet()
        sockets[source].append(ring)
        sockets[target].append(emit)
        stages = stages_of(o, [make() for make in self._stage_makers])
        rx_usecs = o.rx_usecs if o.ring_version == 2 and not o.busy_poll else 0
        return Pipeline(ring, stages, emit, busy_poll_us=o.busy_poll, rx_usecs=rx_usecs, on_error=o.policy)

    def shares_a_thread(self) -> bool:
        """On few CPUs one thread for both saves waking a second one; work by the byte or frame wants two."""
        o = self.options
        return len(os.sched_getaffinity(0)) <= FEW_CPUS and o.workers == 1 and not (o.no_coalesce or o.finish)

    def counters(self) -> list[Counters]:
        """Return each direction's counters, its workers' added up."""
        return [Counters.sum([p.counters() for p in workers]) for workers in self.directions]

    def stop(self) -> None:
        """Drain and end both directions; raises what ended one early."""
        stop_all(self.pipelines)

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            try:
                self._open.close()
            except BufferError as error:  # a stage was let go on though it kept a view
                print(f"pktmend: closing: {error}", file=sys.stderr, flush=True)
