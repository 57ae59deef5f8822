"""Run a bridge until something ends it: events to stderr, the summary or NDJSON to stdout."""

from __future__ import annotations

import sys

from pktmend.commands.bridge.bridge import Bridge
from pktmend.commands.bridge.options import BridgeOptions
from pktmend.console.main_loop import main_loop
from pktmend.console.report import direction_lines, print_json, status_line
from pktmend.console.signals import Signals
from pktmend.console.streams import Unwaiting, unwaiting
from pktmend.console.systemd import Service
from pktmend.host import privileges
from pktmend.runtime.stage_health import StageHealth


def run_bridge(options: BridgeOptions) -> None:
    """Run the bridge until its duration is over or a signal comes; print its summary."""
    if options.json:
        import msgspec  # noqa: F401 - once it runs, as another user perhaps, our own files may be out of reach
    signals = Signals()
    with Service() as service, unwaiting() as output, Bridge(options) as bridge:
        output.start()
        health = StageHealth(options.policy, workers=options.workers, together=bridge.shares_a_thread())
        notify(f"bridging {options.a} and {options.b}")
        for warning in bridge.warnings:
            notify(warning)
        if options.verbose:
            _print_privileges(bridge)
        service.ready(f"bridging {options.a} and {options.b}")
        main_loop(
            signals,
            lambda: bridge.pipelines,
            duration=options.duration,
            service=service,
            on_report=lambda: _summary(bridge, is_last=False),
            on_second=lambda: _second(bridge, service, health, output),
            on_tick=lambda: _follow(bridge),
        )
        service.stopping()
        bridge.stop()
        health.poll(bridge.counters(), notify)
        _summary(bridge, is_last=True)


def notify(event: str) -> None:
    """Say an event on stderr."""
    print(f"pktmend: {event}", file=sys.stderr, flush=True)


def _follow(bridge: Bridge) -> None:
    """Follow what happens to the interfaces."""
    for link in bridge.links:
        link.poll(notify)
    if bridge.admission is not None:
        bridge.admission.poll(notify)


def _second(bridge: Bridge, service: Service, health: StageHealth, output: Unwaiting) -> None:
    output.report()
    directions = bridge.counters()
    health.poll(directions, notify)
    if bridge.options.json:
        _print_snapshot(bridge)
    if service.is_status_due():
        service.status(status_line(directions))


def _print_privileges(bridge: Bridge) -> None:
    for state in privileges.thread_states():
        notify(str(state))
    if bridge.admission is not None and bridge.admission.helper:
        for state in privileges.thread_states(bridge.admission.helper):
            notify(f"isolation: {state}")


def _print_snapshot(bridge: Bridge) -> None:
    print_json({"snapshot": {"directions": [d.as_json() for d in bridge.counters()]}})


def _summary(bridge: Bridge, *, is_last: bool) -> None:
    """Print the counters: at the end to stdout, on SIGUSR1 as text to stderr."""
    if is_last and bridge.options.json:
        _print_snapshot(bridge)
        return
    for d in bridge.counters():
        print("\n".join(direction_lines(d)), file=sys.stdout if is_last else sys.stderr, flush=True)
