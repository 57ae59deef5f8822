"""A running monitor: bad packets, events and keys every tick, a snapshot every half second, a report every second.

What shows or serves something sees snapshots only.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final

from pktmend.commands.monitor.bad_packets import Picker
from pktmend.commands.monitor.options import MonitorOptions, is_pattern
from pktmend.commands.monitor.renderer import Renderer, may_look_at_packets, renderer_for, require_rich
from pktmend.commands.monitor.sandbox import harden
from pktmend.commands.monitor.served import Served, trouble_of
from pktmend.commands.monitor.snapshot import Snapshot
from pktmend.commands.monitor.workers import Watch
from pktmend.commands.monitor.writer import Writer
from pktmend.console.fifo import awaited_reader
from pktmend.console.main_loop import WORKER, main_loop, shortage_of
from pktmend.console.outputs import require_writable
from pktmend.console.report import status_line
from pktmend.console.signals import Signals
from pktmend.console.streams import Unwaiting, unwaiting
from pktmend.console.systemd import Service
from pktmend.host import privileges
from pktmend.host.interfaces import require_interface
from pktmend.host.neighbours import owners_of_interfaces
from pktmend.host.snmp import read_counters
from pktmend.host.workloads import Workload
from pktmend.serving.health import Health
from pktmend.serving.survey import Survey
from pktmend.serving.surveyor import Surveyor

if TYPE_CHECKING:
    from pktmend.commands.monitor.metrics import Collector
    from pktmend.serving.server import Server

SNAPSHOT: Final = 0.5
MOST_NAMES: Final = 16
KERNEL_SECONDS: Final = 0.9


def run_monitor(options: MonitorOptions) -> None:
    """Watch until the duration or the number of packets is reached, a signal comes, or q is pressed."""
    options.validate()
    if options.picture:
        require_rich()
        require_writable(options.picture)
    signals = Signals(has_files=options.write is not None)
    with unwaiting() as output, ExitStack() as stack:
        Monitor(options, signals, stack, output).run()


class Monitor:
    """A running monitor; *stack* gives back what it opens."""

    def __init__(self, options: MonitorOptions, signals: Signals, stack: ExitStack, output: Unwaiting) -> None:
        self._options = options
        self._output = output
        self._signals = signals
        self._service = stack.enter_context(Service())
        self._events: deque[tuple[str, str]] = deque()  # from any thread, shown by ours
        self._picker = Picker(options.bad_limit, options.interval)
        self._health = Health()
        self._kernel_start = self._kernel = _kernel_errors()
        self._kernel_read = time.monotonic()
        self._dropping: set[str] = set()
        self._owners: dict[str, Workload] = {}
        with suppress(OSError):  # a shortage is told by what cannot do without
            self._owners = owners_of_interfaces()  # once privileges are gone this is out of reach
        self._short_of: set[str] = set()
        self._next_snapshot = 0.0
        self._writer: Writer | None = None
        self._surveyor: Surveyor | None = None
        if options.write is not None:
            self._writer = Writer(options.write, self._notify, self._kernel_counts)
        for name in options.interfaces:
            if not is_pattern(name):
                require_interface(name)  # before anybody waits
        with awaited_reader(options.write.path if options.write else "-", signals.stop.is_set):
            if options.workloads:
                self._surveyor = Surveyor()
                stack.callback(self._surveyor.close)
            spools = self._writer.spools if self._writer else None
            self._watch = stack.enter_context(
                Watch(
                    options,
                    spools,
                    lambda text: self._notify("interface", text),
                    keeps_last=may_look_at_packets(options),
                )
            )
            self.latest = self._previous = self._snapshot()
            server = None if options.listen is None else self._server(options.listen)
            if self._writer is not None:
                self._writer.open()
        unfiltered = harden(options)
        output.start()
        self._renderer: Renderer = renderer_for(options, self._watch.packets_of)
        if server is not None:
            self._renderer = self._served = Served(self._renderer, self.latest)
        stack.callback(self._renderer.close)
        self._renderer.event("start", f"watching {self._names()}")
        if unfiltered:
            self._renderer.event("privileges", unfiltered)
        if server is not None:
            stack.callback(server.close)
            server.start()
            self._renderer.event("listen", f"metrics at {server.address}")

    def _server(self, listen: str) -> Server:
        """Bind what serves the latest snapshot, and the page once there is one."""
        from pktmend.serving.server import Server, Site

        def collector() -> Collector:
            from pktmend.commands.monitor.metrics import Collector

            return Collector(lambda: self.latest)

        site = Site(
            "pktmend monitor",
            collector,
            lambda: trouble_of(self.latest),
            lambda is_private: self._served.content(is_private),
        )
        return Server(listen, site)

    def _names(self) -> str:
        names = [each.name for each in self._watch.watched]
        more = len(names) - MOST_NAMES
        return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "") if names else "nothing yet"

    def _notify(self, kind: str, text: str) -> None:
        self._events.append((kind, text))

    def _kernel_counts(self) -> dict[str, tuple[int, int]]:
        return {d.from_: (d.kernel_seen, d.kernel_drops) for d in self._watch.counters()}

    def _snapshot(self, *, is_last: bool = False) -> Snapshot:
        """Take a snapshot; the kernel's own counters, which are expensive to read, may be a second old."""
        now = time.monotonic()
        if is_last or now - self._kernel_read >= KERNEL_SECONDS:
            with self._enduring():
                self._kernel, self._kernel_read = _kernel_errors(), now
        directions = self._watch.counters()
        survey = None if self._surveyor is None else self._surveyor.latest or Survey()
        return Snapshot(
            time_ns=time.time_ns(),
            directions=directions,
            flows=self._watch.flows(),
            kernel=self._kernel,
            kernel_start=self._kernel_start,
            file=self._writer.counts() if self._writer else None,
            shown=self._picker.shown,
            is_running=self._watch.is_running(),
            owners=self._owners_of({d.from_ for d in directions}, survey),
            workers=self._health.look(self._watch.workers),
            survey=survey,
        )

    def _owners_of(self, names: set[str], survey: Survey | None) -> dict[str, Workload]:
        """Return whose they are now.  Forget whose an interface was that is gone: another may come by its name."""
        if self._owners.keys() - names:
            self._owners = {name: each for name, each in self._owners.items() if name in names}
        return self._owners if survey is None else self._owners | survey.owners(names)

    def run(self) -> None:
        """Watch, then drain, and show the last snapshot."""
        self._watch.start()
        if self._writer is not None:
            self._writer.start()
        self._service.ready(f"watching {self._names()}")
        if self._options.verbose:
            why = self._watch.whole_because
            told = f"packets are read whole: {why}" if why else "of TCP that is pending and right, headers are read"
            self._notify("interface", told)
            for state in privileges.thread_states():
                self._notify("privileges", str(state))
        try:
            reason = self._loop()
        finally:
            self._service.stopping()
            self._renderer.close()  # the terminal is as it was, whatever takes long now
            try:
                self._watch.stop()
            finally:
                if self._writer is not None:
                    self._writer.close()
        self._show_events()
        self._show_bad(final=True)
        self.latest = self._snapshot(is_last=True)
        self._renderer.event("stop", reason)
        self._renderer.end(self.latest)

    def _loop(self) -> str:
        """Go on until there is a reason not to; return it."""
        self._next_snapshot = time.monotonic()
        reason = main_loop(
            self._signals,
            lambda: self._watch.workers,
            duration=self._options.duration,
            service=self._service,
            on_report=lambda: self._renderer.report(self._snapshot()),
            on_reopen=self._writer.reopen if self._writer else None,
            on_second=self._second,
            on_tick=self._tick,
        )
        return "the packets are read" if reason == WORKER and self._options.packets else reason

    @contextmanager
    def _enduring(self) -> Iterator[None]:
        """Leave out what there are no descriptors or memory for, and say so once: the rest goes on."""
        try:
            yield
        except (OSError, MemoryError, RuntimeError) as error:
            words = shortage_of(error)
            if not words:
                raise
            if words not in self._short_of:
                self._short_of.add(words)
                self._notify("interface", f"{words}; going on, what it was needed for is left out")

    def _tick(self) -> str | None:
        with self._enduring():
            self._watch.poll()
            if self._surveyor is not None:
                self._surveyor.poll(lambda text: self._notify("interface", text))
        self._show_events()
        if time.monotonic() >= self._next_snapshot:
            self._take_snapshot()
        self._show_bad()
        if self._writer is not None and self._writer.is_complete:
            return "the last file is written"
        return None if self._renderer.tick(self.latest) else "stopped by q"

    def _second(self) -> None:
        self._show_events()
        self._take_snapshot()
        self._show_bad()
        self._output.report()
        self._report_drops(self._previous, self.latest)
        self._renderer.second(self._previous, self.latest)
        if self._service.is_status_due():
            self._service.status(status_line(self.latest.directions))
        self._previous = self.latest

    def _take_snapshot(self) -> None:
        self.latest, self._next_snapshot = self._snapshot(), time.monotonic() + SNAPSHOT

    def _show_events(self) -> None:
        while self._events:
            self._renderer.event(*self._events.popleft())

    def _show_bad(self, *, final: bool = False) -> None:
        packets = self._watch.bad_packets()
        if packets and (picked := self._picker.pick(packets, time.monotonic())):
            self._renderer.bad(picked, self._snapshot() if final else self.latest)

    def _report_drops(self, before: Snapshot, now: Snapshot) -> None:
        """Say that the kernel drops, when it begins to."""
        earlier = {d.from_: d.kernel_drops for d in before.directions}
        dropping = {d.from_: n for d in now.directions if (n := d.kernel_drops - earlier.get(d.from_, 0)) > 0}
        for name in dropping.keys() - self._dropping:
            self._renderer.event(
                "drops", f"{name}: the kernel dropped {dropping[name]} packets: the ring is full (see -B)"
            )
        self._dropping = set(dropping)


def _kernel_errors() -> dict[str, int]:
    """Return the namespace's own *InCsumErrors."""
    return {name: n for name, n in read_counters().items() if name.endswith("InCsumErrors")}
