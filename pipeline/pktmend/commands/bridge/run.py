"""Run a bridge until something ends it: events to stderr, the summary or NDJSON to stdout."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pktmend.commands.bridge.bridge import Bridge
from pktmend.commands.bridge.options import BridgeOptions
from pktmend.commands.bridge.served import Served, serving
from pktmend.console.main_loop import main_loop
from pktmend.console.report import direction_lines, print_json, status_line
from pktmend.console.signals import Signals
from pktmend.console.streams import Unwaiting, unwaiting
from pktmend.console.systemd import Service
from pktmend.host import privileges
from pktmend.host.link_events import LinkEvents
from pktmend.runtime.counters import Counters
from pktmend.runtime.stage_health import StageHealth
from pktmend.runtime.unsupported_gso import UnsupportedGso


def run_bridge(options: BridgeOptions) -> None:
    """Run the bridge until its duration is over or a signal comes; print its summary."""
    if options.json:
        import msgspec  # noqa: F401 - once it runs, as another user perhaps, our own files may be out of reach
    signals = Signals()
    with (
        Service() as service,
        unwaiting() as output,
        serving(options) as served,
        Bridge(options) as bridge,
        _events(bridge) as events,
    ):
        output.start()
        running = _Running(bridge, service, output, served)
        running.tell(f"bridging {options.a} and {options.b}")
        for warning in bridge.warnings:
            running.tell(warning)
        if served is not None:
            served.start(bridge)
            running.tell(f"metrics at {served.address}")
        if options.verbose:
            _print_changes(bridge)
            _print_privileges(bridge)
        service.ready(f"bridging {options.a} and {options.b}")
        main_loop(
            signals,
            lambda: bridge.pipelines,
            duration=options.duration,
            wait=lambda seconds: events.wait(seconds) and False,
            service=service,
            on_report=lambda: _summary(bridge, is_last=False),
            on_second=running.second,
            on_tick=lambda: bridge.follow(running.tell),
        )
        service.stopping()
        bridge.stop()
        running.look(bridge.counters())
        _summary(bridge, is_last=True)


class _Running:
    """What is looked at and told while the bridge runs."""

    def __init__(self, bridge: Bridge, service: Service, output: Unwaiting, served: Served | None) -> None:
        options = bridge.options
        self._bridge, self._service, self._output, self._served = bridge, service, output, served
        self._health = StageHealth(options.policy, workers=options.workers, together=bridge.shares_a_thread())
        self._unsupported = UnsupportedGso()
        self.tell = served.remembering(notify) if served is not None else notify

    def look(self, directions: Sequence[Counters]) -> None:
        """Tell of what the counters say."""
        self._health.poll(directions, self.tell)
        self._unsupported.poll(directions, self.tell)

    def second(self) -> None:
        """What is done once a second."""
        self._output.report()
        directions = self._bridge.counters()
        self.look(directions)
        if self._served is not None:
            self._served.take(self._bridge, directions)
        if self._bridge.options.json:
            _print_snapshot(self._bridge)
        if self._service.is_status_due():
            self._service.status(status_line(directions))


def _events(bridge: Bridge) -> LinkEvents:
    """What shortens the time until it follows its interfaces: what the kernel carries is lost where one is down."""
    return LinkEvents(lambda: [link.index for link in bridge.links.values()])


def notify(event: str) -> None:
    """Say an event on stderr."""
    print(f"pktmend: {event}", file=sys.stderr, flush=True)


def _print_changes(bridge: Bridge) -> None:
    """Say what is set otherwise on the bridge's interfaces."""
    if bridge.cut_through is None:
        return
    for name, changed in bridge.cut_through.changed.items():
        words = ", ".join(f"{feature} {'on' if on else 'off'}" for feature, on in changed.items())
        notify(f"{name}: until the bridge ends: {words}")
    for name in bridge.cut_through.joined:
        notify(f"{name}: rx-gro on while TCP segments arrive one by one")


def _print_privileges(bridge: Bridge) -> None:
    for state in privileges.thread_states():
        notify(str(state))
    if bridge.admission is not None and bridge.admission.helper:
        for state in privileges.thread_states(bridge.admission.helper, bridge.admission.helper_landlock):
            notify(f"port keeper: {state}")


def _print_snapshot(bridge: Bridge) -> None:
    snapshot: dict[str, object] = {"directions": [d.as_json() for d in bridge.counters()]}
    if bridge.loop_guard is not None:
        snapshot["loop"] = bridge.loop_guard.as_json()
    attachments = bridge.attachments()
    if attachments:
        snapshot["attachments"] = [{"interface": name, **state.as_json()} for name, state in attachments]
    print_json({"snapshot": snapshot}, kind="snapshot")


def _summary(bridge: Bridge, *, is_last: bool) -> None:
    """Print the counters: at the end to stdout, on SIGUSR1 as text to stderr."""
    if is_last and bridge.options.json:
        _print_snapshot(bridge)
        return
    file = sys.stdout if is_last else sys.stderr
    for d in bridge.counters():
        print("\n".join(direction_lines(d)), file=file, flush=True)
    for name, state in bridge.attachments():
        if state.purpose == "cut-through" and state.is_undisturbed:
            continue
        print(f"{name}: {state}", file=file, flush=True)
    if bridge.loop_guard is not None and (line := bridge.loop_guard.line()):
        print(line, file=file, flush=True)
