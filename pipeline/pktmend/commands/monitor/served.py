"""What the monitor serves by --listen: metrics, health and a page that shows what the live view shows.

Served stands between the monitor and whatever shows its snapshots, and keeps what the server's threads see: one frozen
Shown, replaced as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pktmend.commands.monitor.bad_packets import explain
from pktmend.commands.monitor.renderer import Renderer
from pktmend.commands.monitor.snapshot import BadFlow, BadPacket, Snapshot
from pktmend.console.history import History, Past, scaled, totals
from pktmend.console.report import words
from pktmend.serving.health import trouble
from pktmend.serving.page import Cell, heading, paragraph, table
from pktmend.serving.tables import FINE, MOST_ROWS, bad_cell, checks, clock, past_of

MOST_FLOWS = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """All that the page shows, frozen.     seconds: since the monitor began."""

    snapshot: Snapshot
    past: Past = field(default_factory=Past)
    latest: BadPacket | None = None
    event: str = ""
    seconds: float = 0.0


class Served:
    """Passes everything on to *renderer*, and remembers what a page needs; itself a Renderer."""

    def __init__(self, renderer: Renderer, snapshot: Snapshot) -> None:
        self._renderer = renderer
        self._history = History()
        self._began = time.monotonic()
        self._latest: BadPacket | None = None
        self._event = ""
        self._contents: dict[bool, tuple[Shown, str]] = {}
        self.shown = Shown(snapshot)

    def bad(self, packets: Sequence[BadPacket], snapshot: Snapshot) -> None:
        """Remember the latest one."""
        self._latest = packets[-1]
        self._renderer.bad(packets, snapshot)

    def event(self, kind: str, text: str) -> None:
        """Remember it."""
        self._event = text
        self._renderer.event(kind, text)

    def second(self, before: Snapshot, now: Snapshot) -> None:
        """Take another second."""
        self._history.add(before, now)
        seconds = time.monotonic() - self._began
        self.shown = Shown(now, self._history.frozen(), self._latest, self._event, seconds)
        self._renderer.second(before, now)

    def report(self, snapshot: Snapshot) -> None:
        """Pass it on."""
        self._renderer.report(snapshot)

    def tick(self, snapshot: Snapshot) -> bool:
        """Pass it on."""
        return self._renderer.tick(snapshot)

    def end(self, snapshot: Snapshot) -> None:
        """Pass it on."""
        self._renderer.end(snapshot)

    def close(self) -> None:
        """Pass it on."""
        self._renderer.close()

    def content(self, is_private: bool) -> str:
        """Return the page's content, made once for each second."""
        shown = self.shown
        made = self._contents.get(is_private)
        if made is None or made[0] is not shown:
            made = shown, content(shown, is_private=is_private)
            self._contents[is_private] = made
        return made[1]


def trouble_of(snapshot: Snapshot) -> str:
    """Say what is wrong, "" if nothing is."""
    return trouble(snapshot.workers, snapshot.taken, is_running=snapshot.is_running)


def content(shown: Shown, *, is_private: bool) -> str:
    """Return what the page shows, as HTML.  is_private: addresses of flows may be in it."""
    snapshot, past = shown.snapshot, shown.past
    total = sum(rate.packets for rate in past.rates.values())
    parts = [
        heading("pktmend monitor", f"{clock(shown.seconds)}, {scaled(total)} packets/s", past_of(past.packets)),
        paragraph(f"not well: {wrong}", "bad") if (wrong := trouble_of(snapshot)) else "",
        _interfaces(snapshot, past),
        checks(totals(snapshot), past),
        _protocols(snapshot),
    ]
    if is_private:
        parts.append(_flows(snapshot.flows))
        if shown.latest is not None:
            parts.append(paragraph(f"latest bad: {explain(shown.latest)}", "bad"))
    elif snapshot.bad:
        parts.append(paragraph("Flows are shown where this page is served on 127.0.0.1 alone.", "dim"))
    return "\n".join(part for part in (*parts, *_notes(shown)) if part)


def _notes(shown: Shown) -> list[str]:
    """The kernel's word, the file, the latest event."""
    notes = []
    if counted := {name: n for name, n in shown.snapshot.kernel_errors.items() if n}:
        notes.append(paragraph(f"the kernel itself counted: {words(counted)}", "note"))
    if (file := shown.snapshot.file) is not None:
        text = f"{file.path}: {file.written} packets written"
        lost = f", NOT WRITTEN {words(file.not_written)}" if file.not_written else ""
        notes.append(paragraph(text + lost, "bad" if lost else ""))
    if shown.event:
        notes.append(paragraph(shown.event, "dim"))
    return notes


def _interfaces(snapshot: Snapshot, past: Past) -> str:
    """All of them, or those with most bad packets and drops, then the busiest."""
    directions = list(snapshot.directions)
    if len(directions) > MOST_ROWS:
        directions.sort(key=lambda d: (-d.status.get("bad", 0), -d.kernel_drops, -d.packets))
    rows: list[list[Cell]] = []
    for d in directions[:MOST_ROWS]:
        rate = past.rates.get(d.from_)
        bad = d.status.get("bad", 0)
        whose = "" if snapshot.survey is None else str(snapshot.survey.of(d.from_))
        rows.append(
            [
                f"{d.from_} {whose}".rstrip(),
                scaled(rate.packets) if rate else "-",
                f"{rate.bits / 1e6:.1f}" if rate else "-",
                (scaled(rate.bad), "bad" if rate.bad else "dim") if rate else "-",
                str(d.packets),
                bad_cell(bad),
                bad_cell(d.kernel_drops),
            ]
        )
    columns: list[Cell] = ["interface", ("packets/s", "n"), ("Mbit/s", "n wide"), ("bad/s", "n"), ("packets", "n wide")]
    more = len(directions) - len(rows)
    shown = table("Interfaces", [*columns, ("bad", "n"), ("kernel drops", "n")], rows)
    return shown + (paragraph(f"and {more} more", "dim") if more > 0 else "")


def _protocols(snapshot: Snapshot) -> str:
    rows: list[list[Cell]] = []
    for d in snapshot.directions[:MOST_ROWS]:
        for proto, found in d.checks.items():
            bad = sum(n for name, n in found.items() if name not in FINE)
            rows.append([d.from_, proto, *(str(found.get(name, 0)) for name in FINE), bad_cell(bad)])
    kinds = ("n", "n", "n wide", "n wide")
    columns: list[Cell] = ["interface", "protocol", *zip(FINE, kinds, strict=True), ("bad", "n")]
    return table("Checks by protocol", columns, rows[:MOST_ROWS])


def _flows(flows: Sequence[BadFlow]) -> str:
    heaviest = sorted(flows, key=lambda flow: -flow.packets)[:MOST_FLOWS]
    rows: list[list[Cell]] = [
        [str(flow.flow), (str(flow.packets), "bad"), str(flow.cause), flow.flow.transport, flow.interface]
        for flow in heaviest
    ]
    return table("Worst flows", ["flow", ("bad", "n"), "cause", ("protocol", "wide"), ("interface", "wide")], rows)
