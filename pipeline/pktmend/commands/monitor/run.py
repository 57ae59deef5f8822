"""A running monitor: bad packets, events and keys every tick, a snapshot every half second, a report every second.

What shows or serves something sees snapshots only.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, Protocol

from pktmend.commands.monitor.bad_packets import Picker
from pktmend.commands.monitor.options import MonitorOptions, is_pattern
from pktmend.commands.monitor.renderer import renderer_for, require_rich
from pktmend.commands.monitor.sandbox import harden
from pktmend.commands.monitor.snapshot import Snapshot
from pktmend.commands.monitor.workers import Watch
from pktmend.commands.monitor.writer import Writer
from pktmend.console.fifo import awaited_reader
from pktmend.console.main_loop import WORKER, main_loop
from pktmend.console.outputs import require_writable
from pktmend.console.report import status_line
from pktmend.console.signals import Signals
from pktmend.console.streams import Unwaiting, unwaiting
from pktmend.console.systemd import Service
from pktmend.host import privileges
from pktmend.host.interfaces import require_interface
from pktmend.host.snmp import read_counters

SNAPSHOT: Final = 0.5
KERNEL_SECONDS: Final = 0.9


class Server(Protocol):
    """Serves the latest snapshot: bound when it is made, begun by start()."""

    address: str

    def start(self) -> None: ...
    def close(self) -> None: ...


Serve = Callable[[str, Callable[[], Snapshot]], Server]


def run_monitor(options: MonitorOptions, serve: Serve | None = None) -> None:
    """Watch until the duration or the number of packets is reached, a signal comes, or q is pressed."""
    options.validate()
    if options.picture:
        require_rich()
        require_writable(options.picture)
    signals = Signals(has_files=options.write is not None)
    with unwaiting() as output, ExitStack() as stack:
        Monitor(options, signals, stack, serve, output).run()


class Monitor:
    """A running monitor; *stack* gives back what it opens."""

    def __init__(
        self, options: MonitorOptions, signals: Signals, stack: ExitStack, serve: Serve | None, output: Unwaiting
    ) -> None:
        self._options = options
        self._output = output
        self._signals = signals
        self._service = stack.enter_context(Service())
        self._events: deque[tuple[str, str]] = deque()  # from any thread, shown by ours
        self._picker = Picker(options.bad_limit)
        self._kernel_start = self._kernel = _kernel_errors()
        self._kernel_read = time.monotonic()
        self._dropping: set[str] = set()
        self._next_snapshot = 0.0
        self._writer: Writer | None = None
        if options.write is not None:
            workers = options.workers * len(options.interfaces)
            self._writer = Writer(options.write, self._notify, self._kernel_counts, workers)
        for name in options.interfaces:
            if not is_pattern(name):
                require_interface(name)  # before anybody waits
        with awaited_reader(options.write.path if options.write else "-", signals.stop.is_set):
            spools = self._writer.spools if self._writer else None
            self._watch = stack.enter_context(Watch(options, spools, lambda text: self._notify("interface", text)))
            self.latest = self._previous = self._snapshot()
            server = serve(options.listen, lambda: self.latest) if serve else None
            if self._writer is not None:
                self._writer.open()
        unfiltered = harden(options)
        output.start()
        self._renderer = renderer_for(options)
        stack.callback(self._renderer.close)
        self._renderer.event("start", f"watching {self._names()}")
        if unfiltered:
            self._renderer.event("privileges", unfiltered)
        if server is not None:
            stack.callback(server.close)
            server.start()
            self._renderer.event("listen", f"metrics at {server.address}")

    def _names(self) -> str:
        return ", ".join(each.name for each in self._watch.watched) or "nothing yet"

    def _notify(self, kind: str, text: str) -> None:
        self._events.append((kind, text))

    def _kernel_counts(self) -> dict[str, tuple[int, int]]:
        return {d.from_: (d.kernel_seen, d.kernel_drops) for d in self._watch.counters()}

    def _snapshot(self, *, is_last: bool = False) -> Snapshot:
        """Take a snapshot; the kernel's own counters, which are expensive to read, may be a second old."""
        now = time.monotonic()
        if is_last or now - self._kernel_read >= KERNEL_SECONDS:
            self._kernel, self._kernel_read = _kernel_errors(), now
        return Snapshot(
            time_ns=time.time_ns(),
            directions=self._watch.counters(),
            flows=self._watch.flows(),
            kernel=self._kernel,
            kernel_start=self._kernel_start,
            file=self._writer.counts() if self._writer else None,
            shown=self._picker.shown,
            is_running=self._watch.is_running(),
        )

    def run(self) -> None:
        """Watch, then drain, and show the last snapshot."""
        self._watch.start()
        if self._writer is not None:
            self._writer.start()
        self._service.ready(f"watching {self._names()}")
        if self._options.verbose:
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
            lambda: self._watch.pipelines,
            duration=self._options.duration,
            service=self._service,
            on_report=lambda: self._renderer.report(self._snapshot()),
            on_reopen=self._writer.reopen if self._writer else None,
            on_second=self._second,
            on_tick=self._tick,
        )
        return "the packets are read" if reason == WORKER and self._options.packets else reason

    def _tick(self) -> str | None:
        self._watch.poll()
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
