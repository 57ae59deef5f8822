"""How snapshots are shown: lines, NDJSON events, or the live view; chosen by the options and the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Protocol

from pktmend.commands.monitor.events import Events
from pktmend.commands.monitor.flow_packets import FlowPacket
from pktmend.commands.monitor.options import MonitorOptions
from pktmend.commands.monitor.snapshot import BadPacket, Snapshot
from pktmend.commands.monitor.text_lines import Lines
from pktmend.errors import OSFailure
from pktmend.records import Flow


class Renderer(Protocol):
    """Shows what it is given; tick() returns False when the user wants to end."""

    def bad(self, packets: Sequence[BadPacket], snapshot: Snapshot) -> None: ...
    def event(self, kind: str, text: str) -> None: ...
    def second(self, before: Snapshot, now: Snapshot) -> None: ...
    def report(self, snapshot: Snapshot) -> None: ...
    def tick(self, snapshot: Snapshot) -> bool: ...
    def end(self, snapshot: Snapshot) -> None: ...
    def close(self) -> None: ...


def require_rich() -> None:
    """Raise OSFailure if the live view cannot be drawn."""
    try:
        import rich  # noqa: F401
    except ImportError:
        raise OSFailure("drawing the live view needs rich", "pip install 'pktmend[monitor]'") from None


def may_look_at_packets(options: MonitorOptions) -> bool:
    """May somebody sit at a live view, and ask it for a flow's packets?"""
    terminals = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
    return terminals and not (options.json or options.plain or options.picture)


def renderer_for(options: MonitorOptions, packets_of: Callable[[str, Flow], Sequence[FlowPacket]]) -> Renderer:
    """Choose: events, the live view on a terminal that can show it, or lines.

    packets_of: the last bad packets of an interface's flow, the latest first.
    """
    if options.json:
        return Events(options.interval)
    to_file = options.write is not None and options.write.path == "-"
    if options.picture:
        from pktmend.commands.monitor.screen import Picture

        return Picture(options)
    if options.plain or to_file or sys.stdout is None or not sys.stdout.isatty():
        return Lines(sys.stderr if to_file else None, options.interval)
    try:
        require_rich()
    except OSFailure as error:
        lines = Lines(interval=options.interval)
        lines.event("hint", str(error))
        return lines
    from pktmend.commands.monitor.screen import Screen, can_show

    return Screen(packets_of) if can_show() else Lines(interval=options.interval)
