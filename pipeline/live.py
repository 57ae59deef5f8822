"""The monitor: rates per status and cause, a line a second, and the summary at the end."""

from __future__ import annotations

import sys
import time

from pipeline.afpacket import Ring
from pipeline.counters import Direction
from pipeline.errors import ConfigError
from pipeline.loop import Pipeline, stop_all
from pipeline.report import direction_lines, print_json, status_line
from pipeline.service import Service
from pipeline.signals import Signals
from pipeline.stages import classify, count, verify


def rate_line(name: str, before: Direction, now: Direction, seconds: float) -> str:
    """Return what changed per second, for people: packets, bits, statuses and causes of checks, kernel drops."""

    def per_second(later: int, earlier: int) -> float:
        return (later - earlier) / seconds

    found: dict[str, int] = {}
    for proto, outcomes in now.checks.items():
        for outcome, n in outcomes.items():
            found[outcome] = found.get(outcome, 0) + n - before.checks.get(proto, {}).get(outcome, 0)
    parts = [f"{outcome} {n / seconds:.0f}/s" for outcome, n in found.items() if n]
    drops = per_second(now.kernel_drops, before.kernel_drops)
    if drops:
        parts.append(f"KERNEL DROPS {drops:.0f}/s")
    return (
        f"{name}  {per_second(now.packets, before.packets):.0f} packets/s"
        f"  {per_second(now.octets, before.octets) * 8 / 1e6:.2f} Mbit/s  {', '.join(parts) or '-'}"
    )


def run_monitor(interfaces: tuple[str, ...], *, duration: float | None, json: bool, promiscuous: bool) -> None:
    """Watch *interfaces* until the duration is over or a signal comes."""
    if len(set(interfaces)) != len(interfaces):
        raise ConfigError(f"an interface is named twice: {', '.join(interfaces)}")
    if duration is not None and duration <= 0:
        raise ConfigError(f"--duration {duration}", "seconds above 0")
    signals = Signals()
    rings: list[Ring] = []
    try:
        rings += [Ring(name, promiscuous=promiscuous) for name in interfaces]
        pipelines = [Pipeline(ring, [verify, classify, count]) for ring in rings]
        for pipeline in pipelines:
            pipeline.start()
        print(f"pktmend: watching {', '.join(interfaces)}", file=sys.stderr, flush=True)
        try:
            _watch(pipelines, signals, duration, json)
        finally:
            stop_all(pipelines)
        _print(pipelines, json)
    finally:
        for ring in rings:
            ring.close()


def _watch(pipelines: list[Pipeline], signals: Signals, duration: float | None, json: bool) -> None:
    start = last = time.monotonic()
    before = [p.counters() for p in pipelines]
    service = Service()
    service.ready(f"watching {', '.join(d.from_ for d in before)}")
    while not signals.stop.wait(0.1):
        now = time.monotonic()
        if any(p.is_done() for p in pipelines) or (duration is not None and now - start >= duration):
            break
        service.feed([p.beats() for p in pipelines])
        if signals.report.is_set():
            signals.report.clear()
            for p in pipelines:
                print("\n".join(direction_lines(p.counters())), file=sys.stderr, flush=True)
        if now - last >= 1:
            after = [p.counters() for p in pipelines]
            if json:
                _print(pipelines, json)
            else:
                for b, a in zip(before, after, strict=True):
                    print(rate_line(a.from_, b, a, now - last), flush=True)
            if service.is_status_due():
                service.status(status_line(after))
            before, last = after, now
    service.stopping()


def _print(pipelines: list[Pipeline], json: bool) -> None:
    directions = [p.counters() for p in pipelines]
    if json:
        print_json({"snapshot": {"directions": [d.as_json() for d in directions]}})
        return
    for d in directions:
        print("\n".join(direction_lines(d)), flush=True)
