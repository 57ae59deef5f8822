"""All interfaces of the monitor: those named, those that fit a pattern, those that come; nothing here shows anything.

Rules of this file:
1. However many there are, as many threads as there are CPUs serve them, and their rings stay within one budget.
2. From a ring that drops, or may soon, a larger one takes over as long as the budget has room.
"""

from __future__ import annotations

import fnmatch
import os
import resource
import time
from collections.abc import Callable, Sequence
from typing import Final

from pktmend._core import LastPackets
from pktmend.commands.monitor.flow_packets import FlowPacket, flow_packets
from pktmend.commands.monitor.headers import begin_headers
from pktmend.commands.monitor.options import MonitorOptions, is_pattern
from pktmend.commands.monitor.ring_budget import Budget, Size, larger, retire_ms
from pktmend.commands.monitor.snapshot import BadFlow, BadPacket, heaviest
from pktmend.commands.monitor.spools import Spools
from pktmend.commands.monitor.watched import MOST_FLOWS, Watched
from pktmend.console.main_loop import Worker
from pktmend.errors import ConfigError, OSFailure
from pktmend.host.interfaces import interfaces, is_up
from pktmend.packetio.in_parallel import in_parallel
from pktmend.records import Flow
from pktmend.runtime.counters import Counters
from pktmend.runtime.pipeline import Pipeline, stop_all
from pktmend.runtime.pool import MOST_THREADS, Pool

POLL_SECONDS: Final = 1.0
GONE: Final = "(gone)"
DESCRIPTORS: Final = 3  # of a ring: its socket, and what keeps its memory


class Watch:
    """All interfaces; a context manager that ends their workers and gives their rings back.

    notify: called when an interface comes, goes or changes, once.
    keeps_last: packets_of() will be asked; else it knows none.
    whole_because: why all packets are read whole; "" where the headers of most will do.
    """

    def __init__(
        self,
        options: MonitorOptions,
        spools: Spools | None,
        notify: Callable[[str], None],
        *,
        keeps_last: bool = False,
    ) -> None:
        self._options = options
        self._spools = spools
        self._notify = notify
        self._last = LastPackets() if keeps_last else None
        self._gone: list[Counters] = []  # at most one: what was watched and is not there any more
        self._refused: set[str] = set()
        self._next_poll = 0.0
        self._has_started = False
        self._pool = Pool(min(MOST_THREADS, max(options.workers, len(os.sched_getaffinity(0)))))
        self._budget = Budget(options.buffer_kib, may_grow=options.may_change)
        self._load: dict[str, tuple[float, int, int]] = {}  # when, bytes, dropped or cut: of those that may grow
        self.watched: list[Watched] = []
        self._headers, self.whole_because = begin_headers(options)

    def __enter__(self) -> Watch:
        named = [name for name in self._options.interfaces if not is_pattern(name)]  # must be there
        names = list(dict.fromkeys([*named, *self._wanted()]))
        rings = len(names) * self._options.workers
        _allow_descriptors(DESCRIPTORS * rings)
        if self._spools is not None:
            self._spools.expect(rings, may_grow=self._options.may_change)
        size = self._budget.first(rings)
        try:
            for name, made in zip(names, self._make(names, size), strict=True):
                if isinstance(made, Watched):
                    self.watched.append(made)
                elif name in named or not isinstance(made, OSError):
                    raise made
                else:
                    self._refuse(name, made)
        except BaseException:
            self._close()
            raise
        return self

    def _make(self, names: Sequence[str], size: Size) -> list[Watched | Exception]:
        retire = retire_ms(len(names) + len(self.watched))
        return in_parallel(
            lambda name: Watched(
                name, self._options, self._pool, self._budget, size, retire, self._spools, self._headers, self._last
            ),
            names,
        )

    def _refuse(self, name: str, error: Exception) -> None:
        if name in interfaces():  # else it went away meanwhile
            self._refused.add(name)
            self._notify(f"{name}: not watched: {error}")

    def _wanted(self) -> list[str]:
        """Return the interfaces that are there and up and fit a name or pattern."""
        there = interfaces()
        found = [name for each in self._options.interfaces for name in fnmatch.filter(there, each)]
        return [name for name in dict.fromkeys(found) if _is_up(name)]

    def start(self) -> None:
        """Begin."""
        self._has_started = True
        for pipeline in self.pipelines:
            pipeline.start()

    def poll(self) -> None:
        """Follow the interfaces, every second: notify of changes; those that may come and go do.  Follow their load."""
        self._grow()
        now = time.monotonic()
        if now < self._next_poll:
            return
        self._next_poll = now + POLL_SECONDS
        gone = []
        for each in self.watched:
            changes: list[str] = []
            each.link.poll(changes.append)
            if self._options.may_change and not each.is_there():  # asked last: then that is all there is to say
                gone.append(each)
                continue
            for text in changes:
                self._notify(text)
        if gone:
            self._leave(gone)
        if self._options.may_change:
            self._join()

    def _leave(self, gone: Sequence[Watched]) -> None:
        self.watched = [each for each in self.watched if each not in gone]
        stop_all([pipeline for each in gone for pipeline in each.pipelines])
        self._gone = [Counters.sum([*self._gone, *(each.counters() for each in gone)])._replace(from_=GONE)]
        in_parallel(Watched.close, gone)
        for each in gone:
            self._load.pop(each.name, None)
            if self._spools is not None:
                for spool in each.spools:
                    self._spools.retire(spool)
            self._notify(f"{each.name}: the interface is gone")

    def _join(self) -> None:
        wanted = self._wanted()
        self._refused &= set(wanted)
        there = {each.name for each in self.watched} | self._refused
        names = [name for name in wanted if name not in there]
        if not names:
            return
        _allow_descriptors(DESCRIPTORS * (len(self.pipelines) + len(names) * self._options.workers))
        for name, new in zip(names, self._make(names, self._budget.newcomer()), strict=True):
            if not isinstance(new, Watched):
                if not isinstance(new, (ConfigError, OSError)):  # a filter may not fit its kind of frames
                    raise new
                self._refuse(name, new)
                continue
            self.watched.append(new)
            for pipeline in new.pipelines:
                pipeline.start()
            self._notify(f"{name}: watched from now on")

    def _grow(self) -> None:
        """Give a larger ring to those that need one."""
        now = time.monotonic()
        for each in self.watched:
            if not each.can_grow:
                continue
            counters = each.counters()
            lost = counters.kernel_drops + counters.truncated
            before = self._load.get(each.name, (now, counters.octets, 0))
            self._load[each.name] = (now, counters.octets, lost)
            rate = (counters.octets - before[1]) / max(1e-3, now - before[0])
            size = larger(each.size, rate, is_lossy=lost > before[2])
            if size is None or not self._budget.can_grow(size):
                continue
            try:
                each.grow(size)
            except OSFailure as error:
                self._notify(f"{each.name}: no larger ring: {error}")

    @property
    def pipelines(self) -> list[Pipeline]:
        """All rings'."""
        return [pipeline for each in self.watched for pipeline in each.pipelines]

    @property
    def workers(self) -> Sequence[Worker]:
        """What is to be looked after: the pool's threads, and whatever ends."""
        return (self._pool, *(pipeline for pipeline in self.pipelines if pipeline.is_done()))

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

    def packets_of(self, interface: str, flow: Flow) -> Sequence[FlowPacket]:
        """Return the last bad packets of a flow, the latest first."""
        kept = [packet for each in self.watched if each.name == interface for packet in each.last_packets(flow)]
        return flow_packets(flow, kept)

    def stop(self) -> None:
        """Drain and end the workers; the counters are exact then.  Raises what ended one early."""
        if self._has_started:
            stop_all(self.pipelines)

    def _close(self) -> None:
        self._pool.close()
        in_parallel(Watched.close, self.watched)
        if self._headers is not None:
            self._headers.close()

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self._close()


def _is_up(name: str) -> bool:
    try:
        return is_up(name)
    except OSError:  # it went away meanwhile
        return False


def _allow_descriptors(number: int) -> None:
    """Let this process have so many more, as far as its hard limit goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = number + 256
    if soft != resource.RLIM_INFINITY and soft < want:
        resource.setrlimit(resource.RLIMIT_NOFILE, (want if hard == resource.RLIM_INFINITY else min(want, hard), hard))
