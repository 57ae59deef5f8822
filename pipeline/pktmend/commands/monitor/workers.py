"""The packet path of the monitor: for each interface rings, workers, and what they sample; nothing here shows anything.

Rules of this file:
1. verify - classify - count - sample - spool run in C without the GIL; Python reads published copies.
2. Each packet is counted once: a ring lets nothing in until all rings of its group stand, and on a loopback interface,
   where a frame passes going out and coming in, only the coming in is read unless -Q says otherwise.
"""

from __future__ import annotations

import fnmatch
import itertools
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from pktmend import _core
from pktmend.commands.monitor.options import MonitorOptions, is_pattern
from pktmend.commands.monitor.snapshot import BadFlow, BadPacket, heaviest
from pktmend.commands.monitor.spools import Spools
from pktmend.enums import Cause
from pktmend.errors import OSFailure
from pktmend.host.interfaces import interfaces, is_loopback, is_up, require_interface
from pktmend.packetio import bpf_filter
from pktmend.packetio.link_monitor import LinkMonitor
from pktmend.packetio.ring import Ring
from pktmend.runtime.counters import Counters
from pktmend.runtime.pipeline import Pipeline, Stage, stop_all
from pktmend.runtime.stages import classify, count, verify

BLOCK: Final = 1 << 20  # of a ring; also the longest frame
RETIRE_MS: Final = 20  # how long a block waits to be filled: fewer, fuller blocks outlast a reader that is kept waiting
MOST_FLOWS: Final = 50
POLL_SECONDS: Final = 1.0
GONE: Final = "(gone)"

_groups = itertools.count(os.getpid() * 64)


class Watched:
    """One interface: its rings, and a worker with a sampler, and a spool where packets are written, on each."""

    def __init__(self, name: str, options: MonitorOptions, ring_kib: int, spools: Spools | None) -> None:
        self._name = name
        self._samplers: list[_core.Sampler] = []
        self.spools: list[_core.Spool] = []
        with ExitStack() as stack:
            self.rings = [stack.enter_context(_open(name, options, ring_kib)) for _ in range(options.workers)]
            if options.workers > 1:
                group = next(_groups)
                for ring in self.rings:
                    ring.join_fanout(group)
            program = _program(name, options)
            self.pipelines = [self._worker(ring, options, spools) for ring in self.rings]
            for ring in self.rings:
                ring.attach(program)
            self._open = stack.pop_all()
        self.link = LinkMonitor(name, list(self.rings))

    def _worker(self, ring: Ring, options: MonitorOptions, spools: Spools | None) -> Pipeline:
        sampler = _core.Sampler()
        self._samplers.append(sampler)
        stages: list[Stage] = [verify, classify, count, sampler.stage]
        if spools is not None and (spool := spools.new(self._name, ring.link)) is not None:
            self.spools.append(spool)
            stages.append(spool.stage)
        return Pipeline(ring, stages, limit=options.packets)

    @property
    def name(self) -> str:
        """What the interface is called now."""
        return self.rings[0].interface

    def is_there(self) -> bool:
        """Does the interface still exist?  The kernel takes a deleted one off its sockets."""
        return all(ring.bound_to() for ring in self.rings)

    def counters(self) -> Counters:
        """Return the counters, its workers' added up."""
        return Counters.sum([pipeline.counters() for pipeline in self.pipelines])

    def bad_packets(self) -> list[BadPacket]:
        """Return the bad packets kept since the last call."""
        return [
            BadPacket(self.name, flow, time_ns, caplen, wirelen, Cause(cause), tuple(checks))
            for sampler in self._samplers
            for flow, time_ns, caplen, wirelen, _, cause, checks in sampler.take()
        ]

    def flows(self) -> list[BadFlow]:
        """Return the flows with most bad packets."""
        return [
            BadFlow(self.name, flow, packets, over, last_ns, Cause(cause))
            for sampler in self._samplers
            for flow, packets, over, last_ns, cause in sampler.flows(MOST_FLOWS)
        ]

    def close(self) -> None:
        """Give rings and sockets back."""
        self._open.close()


def _open(name: str, options: MonitorOptions, ring_kib: int) -> Ring:
    require_interface(name)
    _program(name, options)  # a wrong expression is told before a privilege is asked for
    incoming_only = options.direction == "in" or (options.direction == "inout" and is_loopback(name))
    block = min(BLOCK, max(1 << 18, (ring_kib << 10) // 8))
    return Ring(
        name,
        outgoing=not incoming_only,
        promiscuous=options.promiscuous,
        program=bpf_filter.NOTHING,
        block_size=block,
        blocks=max(2, (ring_kib << 10) // block),
        retire_blk_tov_ms=RETIRE_MS,
    )


def _program(name: str, options: MonitorOptions) -> bytes:
    program = bpf_filter.for_interface(options.expression, name) if options.expression else bpf_filter.EVERYTHING
    return bpf_filter.outgoing_only(program) if options.direction == "out" else program


class Watch:
    """All interfaces; a context manager that ends their workers and gives their rings back.

    notify: called when an interface comes, goes or changes, once.
    """

    def __init__(self, options: MonitorOptions, spools: Spools | None, notify: Callable[[str], None]) -> None:
        self._options = options
        self._spools = spools
        self._notify = notify
        self._gone: list[Counters] = []  # at most one: what was watched and is not there any more
        self._refused: set[str] = set()
        self._next_poll = 0.0
        self._has_started = False
        self.watched: list[Watched] = []

    def __enter__(self) -> Watch:
        named = [name for name in self._options.interfaces if not is_pattern(name)]  # must be there
        names = list(dict.fromkeys([*named, *self._wanted()]))
        kib = self._options.ring_kib(len(names) * self._options.workers)
        try:
            for name in names:
                self.watched.append(Watched(name, self._options, kib, self._spools))
        except BaseException:
            self._close()
            raise
        return self

    def _wanted(self) -> list[str]:
        """Return the interfaces that are there and up and fit a name or pattern."""
        there = interfaces()
        found = [name for each in self._options.interfaces for name in fnmatch.filter(there, each)]
        return [name for name in dict.fromkeys(found) if is_up(name)]

    def start(self) -> None:
        """Begin."""
        self._has_started = True
        for each in self.watched:
            for pipeline in each.pipelines:
                pipeline.start()

    def poll(self) -> None:
        """Follow the interfaces, every second: notify of changes; those that may come and go do."""
        now = time.monotonic()
        if now < self._next_poll:
            return
        self._next_poll = now + POLL_SECONDS
        for each in list(self.watched):
            if self._options.may_change and not each.is_there():
                self._leave(each)
            else:
                each.link.poll(self._notify)
        if self._options.may_change:
            self._join()

    def _leave(self, each: Watched) -> None:
        self.watched.remove(each)
        stop_all(each.pipelines)
        self._gone = [replace(Counters.sum([*self._gone, each.counters()]), from_=GONE)]
        each.close()
        if self._spools is not None:
            for spool in each.spools:
                self._spools.retire(spool)
        self._notify(f"{each.name}: the interface is gone")

    def _join(self) -> None:
        names = self._wanted()
        self._refused &= set(names)
        for name in names:
            if name in self._refused or any(name == each.name for each in self.watched):
                continue
            try:
                new = Watched(name, self._options, self._options.ring_kib(len(names)), self._spools)
            except (OSFailure, OSError) as error:
                if name in interfaces():  # else it went away meanwhile
                    self._refused.add(name)
                    self._notify(f"{name}: not watched: {error}")
                continue
            self.watched.append(new)
            for pipeline in new.pipelines:
                pipeline.start()
            self._notify(f"{name}: watched from now on")

    @property
    def pipelines(self) -> list[Pipeline]:
        """All workers'."""
        return [pipeline for each in self.watched for pipeline in each.pipelines]

    def is_running(self) -> bool:
        """Do all workers run?"""
        return not any(pipeline.is_done() for pipeline in self.pipelines)

    def counters(self) -> tuple[Counters, ...]:
        """Return the counters of each interface, and those of all that are gone."""
        return (*(each.counters() for each in self.watched), *self._gone)

    def bad_packets(self) -> list[BadPacket]:
        """Return the bad packets kept since the last call."""
        return [packet for each in self.watched for packet in each.bad_packets()]

    def flows(self) -> tuple[BadFlow, ...]:
        """Return the flows with most bad packets, of all interfaces."""
        return heaviest([flow for each in self.watched for flow in each.flows()], MOST_FLOWS)

    def stop(self) -> None:
        """Drain and end the workers; the counters are exact then.  Raises what ended one early."""
        if self._has_started:
            stop_all(self.pipelines)

    def _close(self) -> None:
        for each in self.watched:
            each.close()

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self._close()
