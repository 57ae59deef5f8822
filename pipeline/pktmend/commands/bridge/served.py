"""What the bridge serves by --listen: its latest snapshot as metrics, health, and a page for people.

The socket is bound before the bridge gives up its privileges; the server's threads begin afterwards and see frozen
snapshots only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pktmend.commands.bridge.bridge import Bridge
from pktmend.commands.bridge.kept_programs import AttachmentState
from pktmend.commands.bridge.options import BridgeOptions
from pktmend.console.history import History, Past, scaled, totals
from pktmend.runtime.counters import Counters
from pktmend.serving.health import Health, Workers, trouble
from pktmend.serving.page import Cell, heading, paragraph, table
from pktmend.serving.tables import checks, clock, past_of

if TYPE_CHECKING:
    from pktmend.commands.bridge.metrics import Collector
    from pktmend.serving.survey import Survey
    from pktmend.serving.surveyor import Surveyor


@dataclass(frozen=True, slots=True)
class BridgeSnapshot:
    """What is served, frozen.

    carries: of a bridge with cut-through, for each direction's interface: does the kernel still carry what is healthy?
    loop:    as --json has it; None where nothing is watched.
    survey:  whose the interfaces are (--workloads); None: nobody looks.
    taken:   when, on the monotonic clock.
    """

    directions: tuple[Counters, ...] = ()
    workers: Workers = field(default_factory=Workers)
    attachments: tuple[tuple[str, AttachmentState], ...] = ()
    loop: dict[str, Any] | None = None
    carries: dict[str, bool] = field(default_factory=dict)
    survey: Survey | None = None
    time_ns: int = field(default_factory=time.time_ns)
    taken: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Shown:
    """All that the page shows.     seconds: since the bridge began."""

    snapshot: BridgeSnapshot
    past: Past = field(default_factory=Past)
    event: str = ""
    seconds: float = 0.0


class Served:
    """Takes a snapshot a second on the bridge's main thread; the server's threads read the latest.

    address: where.     surveyor: who says whose the interfaces are; None: nobody.
    """

    def __init__(self, listen: str, surveyor: Surveyor | None = None) -> None:
        from pktmend.serving.server import Server, Site

        self._surveyor = surveyor
        self._health = Health()
        self._history = History()
        self._began = time.monotonic()
        self._event = ""
        self._tell: Callable[[str], None] = self._remember
        self._shown = Shown(BridgeSnapshot())
        self._made: tuple[Shown, str] | None = None

        def collector() -> Collector:
            from pktmend.commands.bridge.metrics import Collector

            return Collector(lambda: self._shown.snapshot)

        site = Site("pktmend bridge", collector, self.trouble, lambda is_private: self.content())
        self._server = Server(listen, site)
        self.address = self._server.address

    def start(self, bridge: Bridge) -> None:
        """Begin to serve."""
        self.take(bridge, bridge.counters())
        self._server.start()

    def take(self, bridge: Bridge, directions: Sequence[Counters]) -> None:
        """Take the snapshot of this second."""
        before = self._shown.snapshot
        guard = bridge.loop_guard
        now = BridgeSnapshot(
            tuple(directions),
            self._health.look(bridge.pipelines),
            tuple(bridge.attachments()),
            guard.as_json() if guard is not None else None,
            bridge.cut_through.carries() if bridge.cut_through is not None else {},
            self._survey(),
        )
        if before.directions:
            self._history.add(before, now)
        self._shown = Shown(now, self._history.frozen(), self._event, time.monotonic() - self._began)

    def _survey(self) -> Survey | None:
        """Return what is known of who has the interfaces; nothing before the first answer, and once nobody looks."""
        if self._surveyor is None:
            return None
        from pktmend.serving.survey import Survey

        self._surveyor.poll(self._tell)
        return self._surveyor.latest or Survey()

    def remembering(self, notify: Callable[[str], None]) -> Callable[[str], None]:
        """Return *notify* that also has the page show the last event."""

        def tell(text: str) -> None:
            self._remember(text)
            notify(text)

        self._tell = tell
        return tell

    def _remember(self, text: str) -> None:
        self._event = text

    def trouble(self) -> str:
        """Say what is wrong, "" if nothing is."""
        return trouble(self._shown.snapshot.workers, self._shown.snapshot.taken)

    def content(self) -> str:
        """Return the page's content, made once for each second."""
        shown, made = self._shown, self._made
        if made is None or made[0] is not shown:
            self._made = made = shown, content(shown, self.trouble())
        return made[1]

    def close(self) -> None:
        """End it."""
        self._server.close()


@contextmanager
def serving(options: BridgeOptions) -> Iterator[Served | None]:
    """Bind what --listen asks for, and end it; None without."""
    if options.listen is None:
        yield None
        return
    with ExitStack() as stack:
        surveyor = None
        if options.workloads:
            from pktmend.serving.surveyor import Surveyor

            surveyor = stack.enter_context(closing(Surveyor()))
        yield stack.enter_context(closing(Served(options.listen, surveyor)))


def content(shown: Shown, wrong: str) -> str:
    """Return what the page shows, as HTML.  wrong: what /healthz says; "" if all is well."""
    snapshot, past = shown.snapshot, shown.past
    total = sum(rate.packets for rate in past.rates.values())
    parts = [
        heading("pktmend bridge", f"{clock(shown.seconds)}, {scaled(total)} packets/s", past_of(past.packets)),
        paragraph(f"not well: {wrong}", "bad") if wrong else "",
        _directions(snapshot, past),
        checks(totals(snapshot), past),
        _attachments(snapshot),
    ]
    if snapshot.loop and snapshot.loop["state"] != "none":
        parts.append(paragraph(f"loop: {snapshot.loop['state']}: another path joins both sides", "bad"))
    if shown.event:
        parts.append(paragraph(shown.event, "dim"))
    return "\n".join(part for part in parts if part)


def _directions(snapshot: BridgeSnapshot, past: Past) -> str:
    """A column for each direction, a row for each counter."""
    directions = snapshot.directions
    rates = [past.rates.get(d.from_) for d in directions]
    rows: list[list[Cell]] = [
        ["packets/s", *(scaled(rate.packets) if rate else "-" for rate in rates)],
        ["Mbit/s", *(f"{rate.bits / 1e6:.1f}" if rate else "-" for rate in rates)],
        ["arrived", *(str(d.arrived) for d in directions)],
    ]
    if any(d.cut_through for d in directions):
        cells: list[Cell] = []
        for d in directions:
            is_over = not snapshot.carries.get(d.from_, False)
            words = f"{d.cut_through.frames if d.cut_through else 0}{' (no longer)' if is_over else ''}"
            cells.append((words, "bad" if is_over else ""))
        rows.append(["carried in the kernel", *cells])
    rows.append(["read", *(str(d.read) for d in directions)])
    rows.append(["sent", *(str(d.sent) for d in directions)])
    for title, counts, style in (
        ("repaired", [d.repaired for d in directions], "good"),
        ("finished", [{"": d.finished} for d in directions], "good"),
        ("dropped", [d.dropped for d in directions], "bad"),
        ("send error", [d.tx_error for d in directions], "bad"),
    ):
        for word in sorted({word for each in counts for word, n in each.items() if n}):
            numbers = [each.get(word, 0) for each in counts]
            rows.append([f"{title}: {word}" if word else title, *((str(n), style if n else "dim") for n in numbers)])
    for name, numbers in (
        ("kernel drops", [d.kernel_drops for d in directions]),
        ("lost on the way to the ring", [d.cut_through.lost if d.cut_through else 0 for d in directions]),
        ("truncated", [d.truncated for d in directions]),
    ):
        if name == "kernel drops" or any(numbers):
            rows.append([name, *((str(n), "bad" if n else "dim") for n in numbers)])
    columns: list[Cell] = ["frames", *((_direction(snapshot, d), "n") for d in directions)]
    return table("Directions", columns, rows)


def _direction(snapshot: BridgeSnapshot, d: Counters) -> str:
    """Return both ends, each with whose it is."""
    survey, ends = snapshot.survey, (d.from_, d.to or "")
    shown = (f"{name} {survey.of(name)}".rstrip() if survey is not None else name for name in ends)
    return " \N{RIGHTWARDS ARROW} ".join(shown)


def _attachments(snapshot: BridgeSnapshot) -> str:
    rows: list[list[Cell]] = [
        [name, state.purpose, (f"in force by {state.mechanism}", "") if state.in_force else ("not in force", "bad")]
        for name, state in snapshot.attachments
    ]
    return table("Kept on the ports", ["interface", "what", "state"], rows)
