"""The loop of the monitor: every tick it looks at signals, keys and bad packets, every half second it takes a snapshot.

Whoever shows, tells or serves something sees snapshots only.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final, Protocol

from pktmend.commands.monitor.bad_packets import Picker
from pktmend.commands.monitor.events import Events
from pktmend.commands.monitor.options import MonitorOptions, is_pattern
from pktmend.commands.monitor.snapshot import BadPacket, Snapshot
from pktmend.commands.monitor.text_lines import Lines
from pktmend.commands.monitor.workers import Watch
from pktmend.commands.monitor.writer import Writer
from pktmend.console.fifo import awaited_reader
from pktmend.console.outputs import require_writable
from pktmend.console.report import status_line
from pktmend.console.signals import Signals
from pktmend.console.systemd import Service
from pktmend.errors import ConfigError
from pktmend.host import privileges
from pktmend.host.interfaces import require_interface
from pktmend.host.snmp import read_counters

TICK: Final = 0.1
SNAPSHOT: Final = 0.5
KERNEL_SECONDS: Final = 0.9


class Server(Protocol):
    """Serves the latest snapshot: bound when it is made, begun by start()."""

    address: str

    def start(self) -> None: ...
    def close(self) -> None: ...


Serve = Callable[[str, Callable[[], Snapshot]], Server]


class Face(Protocol):
    """How snapshots are shown: lines, events, or the live view."""

    def bad(self, packets: Sequence[BadPacket], snapshot: Snapshot) -> None: ...
    def event(self, kind: str, text: str) -> None: ...
    def second(self, before: Snapshot, now: Snapshot) -> None: ...
    def report(self, snapshot: Snapshot) -> None: ...
    def tick(self, snapshot: Snapshot) -> bool: ...
    def end(self, snapshot: Snapshot) -> None: ...
    def close(self) -> None: ...


def run_monitor(options: MonitorOptions, serve: Serve | None = None) -> None:
    """Watch until the duration or the number of packets is reached, a signal comes, or q is pressed."""
    options.check()
    if options.picture:
        require_rich()
        require_writable(options.picture)
    signals = Signals(has_files=options.write is not None)
    with ExitStack() as stack:
        Monitor(options, signals, stack, serve).run()


class Monitor:
    """A running monitor; *stack* gives back what it opens."""

    def __init__(self, options: MonitorOptions, signals: Signals, stack: ExitStack, serve: Serve | None) -> None:
        self._options = options
        self._signals = signals
        self._service = Service()
        self._told: deque[tuple[str, str]] = deque()  # by any thread, shown by ours
        self._picker = Picker(options.bad_limit)
        self._kernel_start = self._kernel = _kernel_errors()
        self._kernel_read = time.monotonic()
        self._dropping: set[str] = set()
        self._writer: Writer | None = None
        if options.write is not None:
            workers = options.workers * len(options.interfaces)
            self._writer = Writer(options.write, self._tell, self._kernel_counts, workers)
        for name in options.interfaces:
            if not is_pattern(name):
                require_interface(name)  # before anybody waits
        with awaited_reader(options.write.path if options.write else "-", signals.stop.is_set):
            self._watch = stack.enter_context(Watch(options, self._writer, lambda text: self._tell("interface", text)))
            self.latest = self._look()
            server = serve(options.listen, lambda: self.latest) if serve else None
            if self._writer is not None:
                self._writer.open()
        unfiltered = _harden(options)
        self._face = _face(options)
        stack.callback(self._face.close)
        self._face.event("start", f"watching {self._names()}")
        if unfiltered:
            self._face.event("privileges", unfiltered)
        if server is not None:
            stack.callback(server.close)
            server.start()
            self._face.event("listen", f"metrics at {server.address}")

    def _names(self) -> str:
        return ", ".join(each.name for each in self._watch.watched) or "nothing yet"

    def _tell(self, kind: str, text: str) -> None:
        self._told.append((kind, text))

    def _kernel_counts(self) -> dict[str, tuple[int, int]]:
        return {d.from_: (d.kernel_seen, d.kernel_drops) for d in self._watch.counters()}

    def _look(self, *, is_last: bool = False) -> Snapshot:
        """Take a snapshot; the kernel's own counters, which are text and dear to read, in it may be a second old."""
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
                self._tell("privileges", str(state))
        try:
            reason = self._loop()
        finally:
            self._service.stopping()
            self._face.close()  # the terminal is as it was, whatever takes long now
            try:
                self._watch.stop()
            finally:
                if self._writer is not None:
                    self._writer.close()
        self._show_told()
        self._show_bad(final=True)
        self.latest = self._look(is_last=True)
        self._face.event("stop", reason)
        self._face.end(self.latest)

    def _loop(self) -> str:
        """Go on until there is a reason not to; return it."""
        began = next_second = next_snapshot = time.monotonic()
        previous = self.latest
        next_second += 1
        while True:
            if self._signals.stop.wait(TICK):
                return "stopped by a signal"
            now = time.monotonic()
            if self._options.duration is not None and now - began >= self._options.duration:
                return "the duration is over"
            if not self._watch.is_running():
                return "the packets are read" if self._options.packets else "a worker has ended"
            if self._writer is not None and self._writer.is_complete:
                return "the last file is written"
            self._service.feed([pipeline.beats() for pipeline in self._watch.pipelines])
            self._watch.look()
            self._heed_signals()
            self._show_told()
            is_second = now >= next_second
            if is_second or now >= next_snapshot:
                next_snapshot = now + SNAPSHOT
                self.latest = self._look()
            self._show_bad()
            if is_second:
                next_second += 1
                self._tell_drops(previous, self.latest)
                self._face.second(previous, self.latest)
                if self._service.is_status_due():
                    self._service.status(status_line(self.latest.directions))
                previous = self.latest
            if not self._face.tick(self.latest):
                return "stopped by q"

    def _heed_signals(self) -> None:
        if self._signals.report.is_set():
            self._signals.report.clear()
            self._face.report(self._look())
        if self._signals.reopen.is_set():
            self._signals.reopen.clear()
            if self._writer is not None:
                self._writer.reopen()

    def _show_told(self) -> None:
        while self._told:
            self._face.event(*self._told.popleft())

    def _show_bad(self, *, final: bool = False) -> None:
        packets = self._watch.bad_packets()
        if packets and (picked := self._picker.pick(packets, time.monotonic())):
            self._face.bad(picked, self._look() if final else self.latest)

    def _tell_drops(self, before: Snapshot, now: Snapshot) -> None:
        """Say that the kernel drops, when it begins to."""
        earlier = {d.from_: d.kernel_drops for d in before.directions}
        dropping = {d.from_: n for d in now.directions if (n := d.kernel_drops - earlier.get(d.from_, 0)) > 0}
        for name in dropping.keys() - self._dropping:
            self._face.event("drops", f"{name}: the kernel dropped {dropping[name]} packets: the ring is full (see -B)")
        self._dropping = set(dropping)


def _harden(options: MonitorOptions) -> str:
    """Give up what is not needed from here on; return why system calls are not filtered, if they ought to be."""
    keep, groups = [], ["packets"]
    if options.may_change:
        keep.append(privileges.CAP_NET_RAW)
        groups.append("capture")
    if options.write is not None:
        keep.append(privileges.CAP_DAC_OVERRIDE)  # the next file may lie where only root may write
    if options.write is not None or options.picture:
        groups.append("write")
    if options.listen:
        groups.append("serve")
    return privileges.harden(keep=keep, seccomp=options.seccomp, groups=groups)


def _kernel_errors() -> dict[str, int]:
    """Return the namespace's own *InCsumErrors."""
    return {name: n for name, n in read_counters().items() if name.endswith("InCsumErrors")}


def require_rich() -> None:
    """Raise ConfigError if the live view cannot be drawn."""
    try:
        import rich  # noqa: F401
    except ImportError:
        raise ConfigError("drawing the live view needs rich", "pip install 'pktmend[monitor]'") from None


def _face(options: MonitorOptions) -> Face:
    """Choose: events, the live view on a terminal that can show it, or lines."""
    if options.json:
        return Events()
    to_file = options.write is not None and options.write.path == "-"
    if options.picture:
        from pktmend.commands.monitor.screen import Picture

        return Picture(options)
    if options.plain or to_file or not sys.stdout.isatty():
        return Lines(sys.stderr if to_file else None)
    try:
        require_rich()
    except ConfigError as error:
        lines = Lines()
        lines.event("hint", str(error))
        return lines
    from pktmend.commands.monitor.screen import Screen, can_show

    return Screen(options) if can_show() else Lines()
