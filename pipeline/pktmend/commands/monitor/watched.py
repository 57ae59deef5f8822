"""One interface of the monitor's: its rings, and for each a pipeline with a sampler and a spool.

Rules of this file:
1. verify - classify - count - sample - spool run in C without the GIL; Python reads published copies.
2. Each packet is counted once: a ring lets nothing in until all rings of its group stand, and on a loopback interface,
   where a frame passes going out and coming in, only the coming in is read unless -Q says otherwise.
3. A larger ring takes over between two frames: the one before keeps what it has, and its counters.
"""

from __future__ import annotations

import itertools
import os
from contextlib import ExitStack
from typing import Final

from pktmend import _core
from pktmend.commands.monitor.headers import Headers
from pktmend.commands.monitor.options import MonitorOptions
from pktmend.commands.monitor.ring_budget import Budget, Size
from pktmend.commands.monitor.snapshot import BadFlow, BadPacket
from pktmend.commands.monitor.spools import Spools
from pktmend.enums import Cause
from pktmend.errors import OSFailure
from pktmend.host.interfaces import is_loopback, require_interface
from pktmend.packetio import bpf_filter
from pktmend.packetio.link_monitor import LinkMonitor
from pktmend.packetio.ring import Ring
from pktmend.packetio.ring_group import RingGroup
from pktmend.records import Flow, KeptPacket
from pktmend.runtime.counters import Counters
from pktmend.runtime.pipeline import Null, Pipeline, Stage
from pktmend.runtime.pool import Pool
from pktmend.runtime.stages import classify, count, verify

MOST_FLOWS: Final = 50
ETHERNET: Final = 1  # LINKTYPE_ETHERNET

_groups = itertools.count(os.getpid() * 64)
_numbers = itertools.count(1)  # of interfaces, in LastPackets: a name may be another's later


class Watched:
    """One interface: options.workers rings, or one that may grow.

    Raises OSFailure: what the kernel refuses, and ENOMEM where the budget is used up.
    """

    def __init__(
        self,
        name: str,
        options: MonitorOptions,
        pool: Pool,
        budget: Budget,
        size: Size,
        retire_ms: int,
        spools: Spools | None,
        headers: Headers | None,
        last: _core.LastPackets | None = None,
    ) -> None:
        self._name = name
        self._options = options
        self._pool = pool
        self._budget = budget
        self._retire_ms = retire_ms
        self._all_spools = spools
        self._headers = headers
        self._last, self._number = last, next(_numbers)
        self._samplers: list[_core.Sampler] = []
        self._group: RingGroup | None = None
        self._seen_bad = 0
        self.size = size
        self.rings: list[Ring] = []
        self.pipelines: list[Pipeline] = []
        self.spools: list[_core.Spool] = []
        require_interface(name)
        self._program()  # a wrong expression is told before a privilege is asked for
        self._incoming_only = options.direction == "in" or (options.direction == "inout" and is_loopback(name))
        with ExitStack() as stack:
            self._open = stack
            for _ in range(options.workers):
                self._open_ring(size)
            self._join_rings()
            for ring in self.rings:
                self._let_in(ring)
            self._open = stack.pop_all()
        self.link = LinkMonitor(name, list(self.rings))

    def _open_ring(self, size: Size) -> Ring:
        """Open another that lets nothing in yet, and make its pipeline."""
        if not self._budget.take(size):
            raise OSFailure(
                f"no memory is left for a ring of {size.kib} KiB on {self._name!r}", "-B gives each ring its own size"
            )
        with ExitStack() as stack:
            stack.callback(self._budget.give_back, size)
            ring = stack.enter_context(
                Ring(
                    self._name,
                    outgoing=not self._incoming_only,
                    promiscuous=self._options.promiscuous,
                    program=bpf_filter.NOTHING,
                    block_size=size.block,
                    blocks=size.blocks,
                    retire_blk_tov_ms=self._retire_ms,
                )
            )
            self._open.enter_context(stack.pop_all())
        self.rings.append(ring)
        self.pipelines.append(self._pipeline(ring))
        return ring

    def _pipeline(self, ring: Ring) -> Pipeline:
        sampler = _core.Sampler(self._last, self._number)
        self._samplers.append(sampler)
        stages: list[Stage] = [verify, classify, count, sampler.stage]
        if self._all_spools is not None and (spool := self._all_spools.new(self._name, ring.link)) is not None:
            self.spools.append(spool)
            stages.append(spool.stage)
        sink = Null(self._headers.length) if self._headers is not None else None
        return Pipeline(ring, stages, sink, limit=self._options.packets, pool=self._pool)

    def _join_rings(self) -> None:
        """Let several share the flows; let one be taken over from, where a ring may be made later."""
        if len(self.rings) > 1:
            group = next(_groups)
            for ring in self.rings:
                ring.join_fanout(group)
        elif self._options.may_change and not self._options.buffer_kib:
            try:
                self._group = RingGroup(self.rings[0], outgoing=not self._incoming_only)
            except OSFailure:  # Linux before 5.18: its groups see what goes out, wanted or not
                self._group = None

    def _let_in(self, ring: Ring) -> None:
        """Let *ring* have what is wanted.  What judges headers knows Ethernet only."""
        if self._headers is not None and ring.link == ETHERNET:
            ring.attach_judge(self._headers.program)
        else:
            ring.attach(self._program())

    def _program(self) -> bytes:
        expression, name = self._options.expression, self._name
        program = bpf_filter.for_interface(expression, name) if expression else bpf_filter.EVERYTHING
        return bpf_filter.outgoing_only(program) if self._options.direction == "out" else program

    @property
    def name(self) -> str:
        """What the interface is called now."""
        return self.rings[0].interface

    @property
    def can_grow(self) -> bool:
        """May a larger ring take over?"""
        return self._group is not None

    def grow(self, size: Size) -> None:
        """Let a larger ring take over.  Raises OSFailure, and all is as it was."""
        assert self._group is not None
        self._name = self.name
        ring = self._open_ring(size)
        place = self._group.join(ring)
        self._let_in(ring)
        self.pipelines[-1].start()
        self._group.choose(place)
        self.size = size

    def is_there(self) -> bool:
        """Does the interface still exist?  The kernel takes a deleted one off its sockets."""
        return bool(self.rings[0].bound_to())

    def counters(self) -> Counters:
        """Return the counters, its pipelines' added up."""
        return Counters.sum([pipeline.counters() for pipeline in self.pipelines])

    def bad_packets(self) -> list[BadPacket]:
        """Return the bad packets kept since the last call."""
        bad = self.counters().status.get("bad", 0)
        if bad == self._seen_bad:
            return []
        self._seen_bad = bad
        return [
            BadPacket(self.name, flow, time_ns, caplen, wirelen, Cause(cause), tuple(checks))
            for sampler in self._samplers
            for flow, time_ns, caplen, wirelen, _, cause, checks in sampler.take()
        ]

    def flows(self) -> list[BadFlow]:
        """Return the flows with most bad packets."""
        if not self.counters().status.get("bad"):
            return []
        return [
            BadFlow(self.name, flow, packets, over, last_ns, Cause(cause))
            for sampler in self._samplers
            for flow, packets, over, last_ns, cause in sampler.flows(MOST_FLOWS)
        ]

    def last_packets(self, flow: Flow) -> list[KeptPacket[_core.Check]]:
        """Return the last bad packets of *flow*, the latest first; none where nobody wanted them kept."""
        return self._last.find(self._number, flow) if self._last is not None else []

    def close(self) -> None:
        """Give rings and sockets back."""
        self._open.close()
