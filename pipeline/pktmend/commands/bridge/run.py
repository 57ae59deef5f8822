"""The inline repair bridge: one pipeline per direction, verify - classify - count - repair - emit."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from pktmend.commands.bridge.admission import Admission
from pktmend.console.report import direction_lines, print_json, status_line
from pktmend.console.signals import Signals
from pktmend.console.systemd import Service
from pktmend.enums import OnError
from pktmend.errors import ConfigError
from pktmend.host import privileges
from pktmend.host.interfaces import require_interface
from pktmend.packetio.afpacket import Emit, Ring
from pktmend.packetio.flow_hash import part
from pktmend.packetio.link_monitor import LinkMonitor
from pktmend.runtime import stage_loader
from pktmend.runtime.counters import Counters
from pktmend.runtime.pipeline import Pipeline, Stage, start_together, stop_all
from pktmend.runtime.stage_health import StageWatch
from pktmend.runtime.stages import Repair, classify, count, drop_corrupt, verify

FEW_CPUS = 2  # measured: 0.73 -> 0.80 of the kernel bridge with default offloads; --finish loses a quarter


@dataclass(frozen=True)
class BridgeOptions:
    """What `pktmend bridge` was told.

    repair:  leaked, all or none.     corrupt: pass or drop what stays bad.
    finish:  interfaces whose next hop loses metadata: frames leaving there are finished in user space.
    ring:    2 or 3.                  duration: seconds, None for ever.
    workers: threads for each direction, sharing its flows.       busy_poll_us: see Pipeline.
    rx_usecs: under load, look at a V2 ring so often instead of being woken for each frame; 0: be woken.
    coalesce: join consecutive segments of a flow to super-frames where the egress takes them.
    stages:  users' stages, as stage_loader.load takes them.        on_error: pass, drop, or None to end.
    isolate: keep the host stack away from both interfaces.       force: go on where another bridge has one of them.
    user:    account to run as once everything is set up.         verbose: tell what every thread may still do.
    seccomp: filter system calls from then on; not with users' stages, which may need any.
    """

    a: str
    b: str
    unidir: bool = False
    repair: str = "leaked"
    corrupt: str = "pass"
    finish: tuple[str, ...] = ()
    ring: int = 2
    coalesce: bool = True
    workers: int = 1
    busy_poll_us: int = 0
    rx_usecs: int = 75
    stages: tuple[str, ...] = ()
    on_error: str | None = None
    duration: float | None = None
    json: bool = False
    isolate: bool = False
    force: bool = False
    user: str = ""
    seccomp: bool = True
    verbose: bool = False

    def check(self) -> None:
        """Raise ConfigError or OSFailure for what cannot work."""
        if self.a == self.b:
            raise ConfigError(f"-i and -I are both {self.a!r}", "a bridge joins two different interfaces")
        for name in self.finish:
            if name not in (self.a, self.b):
                raise ConfigError(f"--finish {name!r} is not one of the bridge's interfaces", f"{self.a}, {self.b}")
        if self.duration is not None and not 0 < self.duration < math.inf:
            raise ConfigError(f"--duration {self.duration}", "seconds above 0")
        if self.user:
            privileges.find_user(self.user)
        for name in (self.a, self.b):
            require_interface(name)

    @property
    def sources(self) -> tuple[str, ...]:
        """The interfaces that are read."""
        return (self.a,) if self.unidir else (self.a, self.b)


def stages_of(options: BridgeOptions, mine: Sequence[Stage] = ()) -> list[Stage]:
    """Return the stages of one direction: *mine* see what was repaired, and what they spoil can still be dropped."""
    stages: list[Stage] = [verify, classify, count]
    if options.repair != "none":
        stages.append(Repair(options.repair))
    stages += mine
    if options.corrupt == "drop":
        stages.append(drop_corrupt)
    return stages


def make_ring(name: str, version: int, number: int = 0, workers: int = 1) -> Ring:
    """Return the ring of a bridge's worker: V2 slots, or V3 blocks small enough to stay in cache."""
    program = part(number, workers) if workers > 1 else b""
    return Ring(name, ring=f"v{version}", outgoing=False, block_size=1 << 19, blocks=32, program=program)


class Bridge:
    """Both directions' pipelines; a context manager that owns their rings and sockets.

    ways: for each direction, the pipelines of its workers.
    """

    def __init__(self, options: BridgeOptions) -> None:
        self._stage_makers = [stage_loader.load(text) for text in options.stages]
        options.check()
        self.options = options
        self.ways: list[list[Pipeline]] = []
        self.ports: list[LinkMonitor] = []
        self.admission: Admission | None = None
        self.warnings: list[str] = []  # what a person should know, and no reason to refuse
        self.on_error = OnError[(options.on_error or "end").upper()]
        self._open = ExitStack()

    @property
    def pipelines(self) -> list[Pipeline]:
        """All workers' pipelines."""
        return [pipeline for way in self.ways for pipeline in way]

    def __enter__(self) -> Bridge:
        sockets: dict[str, list[Ring | Emit]] = {self.options.a: [], self.options.b: []}
        o = self.options
        with ExitStack() as stack:
            taken = Admission(o.a, o.b, sources=o.sources, isolate=o.isolate, force=o.force)
            self.admission = stack.enter_context(taken)
            ways = [(self.options.a, self.options.b)]
            if not self.options.unidir:
                ways.append((self.options.b, self.options.a))
            for source, target in ways:
                self.ways.append([self._worker(stack, source, target, sockets, n) for n in range(o.workers)])
            self.ports = [LinkMonitor(name, made, taken.claims.get(name)) for name, made in sockets.items()]
            note = privileges.harden(user=o.user, seccomp=o.seccomp and not o.stages, groups=["packets"])
            self.warnings = taken.warnings + ([note] if note else [])
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
        finish = target in self.options.finish
        emit = stack.enter_context(Emit(target, finish=finish, coalesce=self.options.coalesce))
        ring = stack.enter_context(make_ring(source, self.options.ring, number, self.options.workers))
        ring.require_ethernet()
        sockets[source].append(ring)
        sockets[target].append(emit)
        o = self.options
        return Pipeline(
            ring,
            stages_of(o, [make() for make in self._stage_makers]),
            emit,
            busy_poll_us=o.busy_poll_us,
            rx_usecs=o.rx_usecs if o.ring == 2 and not o.busy_poll_us else 0,
            on_error=self.on_error,
        )

    def shares_a_thread(self) -> bool:
        """On few CPUs one thread for both saves waking a second one; work by the octet or frame wants two."""
        o = self.options
        return len(os.sched_getaffinity(0)) <= FEW_CPUS and o.workers == 1 and o.coalesce and not o.finish

    def counters(self) -> list[Counters]:
        """Return each direction's counters, its workers' added up."""
        return [Counters.sum([p.counters() for p in way]) for way in self.ways]

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
                tell(f"closing: {error}")


def tell(what: str) -> None:
    """Say an event on stderr, once."""
    print(f"pktmend: {what}", file=sys.stderr, flush=True)


def run_bridge(options: BridgeOptions) -> None:
    """Run the bridge until its duration is over or a signal comes; print its summary."""
    if options.json:
        import msgspec  # noqa: F401 - once it runs, as another user perhaps, our own files may be out of reach
    signals = Signals()
    service = Service()
    bridge = Bridge(options)
    with bridge:
        tell(f"bridging {options.a} and {options.b}")
        for warning in bridge.warnings:
            tell(warning)
        if options.verbose:
            _tell_privileges(bridge)
        watch = StageWatch(bridge.on_error, workers=options.workers, together=bridge.shares_a_thread())
        service.ready(f"bridging {options.a} and {options.b}")
        deadline = None if options.duration is None else time.monotonic() + options.duration
        next_line = time.monotonic() + 1
        while not signals.stop.wait(0.1):
            now = time.monotonic()
            if (deadline is not None and now >= deadline) or any(p.is_done() for p in bridge.pipelines):
                break
            if signals.report.is_set():
                signals.report.clear()
                _summary(bridge, False, file_is_talk=True)
            for port in bridge.ports:
                port.look(tell)
            if bridge.admission is not None:
                bridge.admission.look(tell)
            if now >= next_line:
                next_line += 1
                directions = bridge.counters()
                watch.look(directions, tell)
                if options.json:
                    _summary(bridge, options.json)
                if service.is_status_due():
                    service.status(status_line(directions))
            service.feed([p.beats() for p in bridge.pipelines])
        service.stopping()
        bridge.stop()
        watch.look(bridge.counters(), tell)
        _summary(bridge, options.json)


def _tell_privileges(bridge: Bridge) -> None:
    for state in privileges.thread_states():
        tell(str(state))
    if bridge.admission is not None and bridge.admission.helper:
        for state in privileges.thread_states(bridge.admission.helper):
            tell(f"isolation: {state}")


def _summary(bridge: Bridge, json: bool, *, file_is_talk: bool = False) -> None:
    directions = bridge.counters()
    if json:
        print_json({"snapshot": {"directions": [d.as_json() for d in directions]}})
    else:
        for d in directions:
            print("\n".join(direction_lines(d)), file=sys.stderr if file_is_talk else sys.stdout, flush=True)
