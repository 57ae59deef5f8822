"""The inline repair bridge: pipelines for each direction, verify - classify - count - repair - emit."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from pktmend.commands.bridge.admission import Admission
from pktmend.commands.bridge.cut_through import CutThrough, begin_cut_through
from pktmend.commands.bridge.kept_programs import AttachmentState
from pktmend.commands.bridge.loop_guard import LoopGuard
from pktmend.commands.bridge.options import BridgeOptions
from pktmend.commands.bridge.sandbox import harden
from pktmend.packetio.emit import Emit
from pktmend.packetio.flow_hash import part
from pktmend.packetio.internal_port import PortAnchor
from pktmend.packetio.link_monitor import LinkMonitor
from pktmend.packetio.ring import Ring
from pktmend.runtime import stage_loader
from pktmend.runtime.counters import Counters
from pktmend.runtime.pipeline import Pipeline, Stage, start_together, stop_all
from pktmend.runtime.stages import Repair, classify, count, drop_corrupt, verify

FEW_CPUS = 2  # measured: 0.73 -> 0.80 of the kernel bridge with default offloads; --finish loses a quarter
PATIENCE = 1.0  # seconds for a change of the interfaces to take effect, before it is told


def stages_of(options: BridgeOptions, user_stages: Sequence[Stage] = ()) -> list[Stage]:
    """Return the stages of one direction: a user's see what was repaired, and what they damage can be dropped."""
    stages: list[Stage] = [verify, classify, count]
    if options.repair != "none":
        stages.append(Repair(options.repair))
    stages += user_stages
    if options.corrupt == "drop":
        stages.append(drop_corrupt)
    return stages


def ring_options(version: int, number: int = 0, workers: int = 1) -> dict[str, Any]:
    """Return what the ring of a bridge's worker is made with: V2 slots, or V3 blocks small enough to stay in cache."""
    program = part(number, workers) if workers > 1 else b""
    return {"ring": f"v{version}", "outgoing": False, "block_size": 1 << 19, "blocks": 32, "program": program}


def make_ring(name: str, version: int) -> Ring:
    """Return the ring of a bridge's only worker."""
    return Ring(name, **ring_options(version))


def _sender(sockets: Sequence[object]) -> Emit | None:
    """Return one that sends, of an interface's sockets."""
    return next((each for each in sockets if isinstance(each, Emit)), None)


class Bridge:
    """The pipelines of both directions; a context manager that owns their rings and sockets.

    directions: for each, the pipelines of its workers.
    links:      a monitor for each interface, by the name it had at first.
    cut_through: the kernel's part, None without.
    warnings:   what a person should know, and no reason to refuse.
    """

    def __init__(self, options: BridgeOptions) -> None:
        self._stage_makers = [stage_loader.load(text) for text in options.stage]
        options.validate()
        self.options = options
        self.directions: list[list[Pipeline]] = []
        self.links: dict[str, LinkMonitor] = {}
        self.cut_through: CutThrough | None = None
        self.admission: Admission | None = None
        self.loop_guard = None if options.loop == "off" else LoopGuard(options.loop)
        self.warnings: list[str] = []
        self._untold: list[str] = []
        self._untold_since = 0.0
        self._open = ExitStack()

    @property
    def pipelines(self) -> list[Pipeline]:
        """All workers' pipelines."""
        return [pipeline for workers in self.directions for pipeline in workers]

    def __enter__(self) -> Bridge:
        o = self.options
        sockets: dict[str, list[Ring | Emit | PortAnchor]] = {o.a: [], o.b: []}
        with ExitStack() as stack:
            sources = [source for source, _ in o.directions]
            admission = stack.enter_context(Admission(o.a, o.b, sources=sources, isolate=o.isolate, force=o.force))
            self.admission = admission
            stages = {source: [[make() for make in self._stage_makers] for _ in range(o.workers)] for source in sources}
            self.cut_through, told = begin_cut_through(o, admission, stages[o.a][0])
            if self.cut_through is not None:
                stack.enter_context(self.cut_through)
                for source in sources:
                    sockets[source].append(self.cut_through.passage(source).anchor)
            for source, target in o.directions:
                users = stages[source]
                self.directions.append(
                    [self._worker(stack, source, target, sockets, n, users[n]) for n in range(o.workers)]
                )
            self.links = {name: LinkMonitor(name, made, admission.locks.get(name)) for name, made in sockets.items()}
            if self.loop_guard is not None:
                self.loop_guard.ports = [_sender(sockets[o.a]), _sender(sockets[o.b])]
            if self.cut_through is not None:
                self.cut_through.begin(self.links)
            admission.seal()
            unfiltered = harden(o)
            self.warnings = admission.warnings + ([] if self.cut_through else admission.host_warnings)
            self.warnings += [text for text in (told, unfiltered) if text]
            self._open = stack.pop_all()
        if self.shares_a_thread():
            start_together(self.pipelines)
        else:
            for pipeline in self.pipelines:
                pipeline.start()
        return self

    def _worker(
        self,
        stack: ExitStack,
        source: str,
        target: str,
        sockets: dict[str, list[Ring | Emit | PortAnchor]],
        number: int,
        user_stages: list[Stage],
    ) -> Pipeline:
        o = self.options
        emit = stack.enter_context(Emit(target, finish=target in o.finish, coalesce=not o.no_coalesce))
        sockets[target].append(emit)
        options = ring_options(o.ring_version, number, o.workers)
        passage = self.cut_through.passage(source) if self.cut_through else None
        if passage is not None:
            ring: Ring = stack.enter_context(passage.make_ring(**options))
        else:
            ring = stack.enter_context(Ring(source, **options))
            ring.require_ethernet()
            sockets[source].append(ring)
        stages = stages_of(o, user_stages)
        if self.loop_guard is not None:
            stages.insert(1, self.loop_guard.stage(int(source == o.b)))
        return Pipeline(
            ring,
            stages,
            emit,
            busy_poll_us=o.busy_poll,
            rx_usecs=o.rx_usecs if o.ring_version == 2 and not o.busy_poll else 0,
            on_error=o.policy,
            clearing=passage.clearing if passage else None,
        )

    def shares_a_thread(self) -> bool:
        """On few CPUs one thread for both saves waking a second one; work by the byte or frame wants two."""
        o = self.options
        return len(os.sched_getaffinity(0)) <= FEW_CPUS and o.workers == 1 and not (o.no_coalesce or o.finish)

    def counters(self) -> list[Counters]:
        """Return each direction's counters, its workers' and the kernel's part added up."""
        found = [Counters.sum([p.counters() for p in workers]) for workers in self.directions]
        if self.cut_through is None:
            return found
        is_last = all(pipeline.is_done() for pipeline in self.pipelines)
        sources = [source for source, _ in self.options.directions]
        return [
            self.cut_through.count(source, ring, is_last=is_last) for source, ring in zip(sources, found, strict=True)
        ]

    def follow(self, notify: Callable[[str], None]) -> None:
        """Follow what happens to the interfaces, and *notify* of it."""
        told: list[str] = []
        if self.admission is not None:
            self.admission.poll(notify)
        for link in self.links.values():
            link.poll(told.append)
        if self.cut_through is not None:
            sources = (source for source, _ in self.options.directions)
            beats = {s: [w.beats() for w in workers] for s, workers in zip(sources, self.directions, strict=True)}
            is_blocked = self.loop_guard is not None and self.loop_guard.is_blocking
            self.cut_through.follow(self.links, beats, told.append, is_blocked=is_blocked)
        self._tell(told, notify)
        if self.loop_guard is not None:
            self.loop_guard.poll(notify, carried=self.cut_through.multicasts() if self.cut_through else 0)

    def _tell(self, told: list[str], notify: Callable[[str], None]) -> None:
        """Notify of what has taken effect: who hears that an interface is back may count on it.  Else say it later."""
        now = time.monotonic()
        if not self._untold:
            self._untold_since = now
        self._untold += told
        is_settled = self.cut_through is None or self.cut_through.is_settled(self.links)
        if is_settled or now - self._untold_since > PATIENCE:
            for text in self._untold:
                notify(text)
            self._untold.clear()

    def attachments(self) -> list[tuple[str, AttachmentState]]:
        """Return (interface, state) of each program that is kept on a port."""
        kept = self.admission.attachments if self.admission else {}
        return [(name, state) for name, states in kept.items() for state in states]

    def stop(self) -> None:
        """Drain and end both directions; raises what ended one early."""
        if self.cut_through is not None and not any(pipeline.is_done() for pipeline in self.pipelines):
            self.cut_through.quiesce()
        stop_all(self.pipelines)

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            try:
                self._open.close()
            except BufferError as error:  # a stage was let go on though it kept a view
                print(f"pktmend: closing: {error}", file=sys.stderr, flush=True)
