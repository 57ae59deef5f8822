"""`pktmend check`: every checksum of a capture, or of the next packets of an interface, and each bad packet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pktmend._core import Batch
from pktmend.console.plural import quantity
from pktmend.console.read_to_end import run_to_end
from pktmend.console.report import bad_of, check_line, check_lines, packet_json, print_json, stage_line, words
from pktmend.console.signals import Signals
from pktmend.console.unread import kind_text, take_unread, unread_text
from pktmend.enums import Drop, Status
from pktmend.errors import EXIT_PROBLEMS, FormatError, StageError
from pktmend.packetio.capture import Capture
from pktmend.runtime import stage_loader
from pktmend.runtime.pipeline import Pipeline, Stage
from pktmend.runtime.stages import Verify, classify, count

if TYPE_CHECKING:
    from pktmend.packetio.ring import Ring


class Printer:
    """A stage that prints bad packets, or all of them.  Reads: status, checks, unread.  Writes: nothing.

    unread: {(Unread, the number that is not known): packets}.
    """

    name = "print"

    def __init__(self, *, json: bool, every: bool) -> None:
        self._json = json
        self._every = every
        self.unread: Counter[tuple[int, int]] = Counter()

    def __call__(self, batch: Batch) -> None:
        """Print what the batch holds."""
        take_unread(self.unread, batch)
        indices = range(len(batch)) if self._every else batch.where(status=Status.BAD)
        for i in indices:
            n, checks = batch.number[i], batch.checks_of(i)
            if self._json:
                unread = batch.unread[i]
                print_json(packet_json(n, batch.time_ns[i], batch.caplen[i], batch.wirelen[i], checks, unread))
            else:
                for k in checks:
                    if k.status == Status.BAD or self._every:
                        print(check_line(n, k))
                if self._every and batch.unread[i]:
                    print(f"packet {n}: not looked into: {kind_text(batch.unread[i], batch.unread_type[i])}")


def run_check(
    *,
    path: str | None,
    interface: str | None,
    packets: int,
    json: bool,
    every: bool,
    at_wire: bool,
    expression: str = "",
    promiscuous: bool = True,
    stages: tuple[str, ...] = (),
) -> int:
    """Check *path*, or *packets* packets of *interface*; return the exit code: 1 if any check is bad.

    stages: users' stages to try, as stage_loader.load takes them; bad packets that they drop are not shown.
    """
    user_stages = [stage_loader.load(text)() for text in stages]
    signals = Signals()
    with _open(path, interface or "", expression, promiscuous) as source:
        return _run(source, signals, user_stages, packets=packets, json=json, every=every, at_wire=at_wire)


def _open(path: str | None, interface: str, expression: str, promiscuous: bool) -> Capture | Ring:
    if path is not None:
        return Capture(path, packet_filter=expression)
    from pktmend.packetio.ring import Ring  # only live: a file needs no socket

    return Ring(interface, packet_filter=expression, promiscuous=promiscuous)


def _run(
    source: Capture | Ring,
    signals: Signals,
    user_stages: Sequence[Stage],
    *,
    packets: int,
    json: bool,
    every: bool,
    at_wire: bool,
) -> int:
    printer = Printer(json=json, every=every)
    stages: list[Stage] = [Verify(expected=every, at_wire=at_wire), classify, count, *user_stages, printer]
    pipeline = Pipeline(source, stages, limit=packets)
    fault: FormatError | None = None
    try:
        run_to_end(pipeline, source, signals)
    except FormatError as error:  # what came before it counts
        fault = error
    except StageError as error:  # standard output is no stage of the user's
        if error.stage == printer.name and isinstance(error.__cause__, OSError):
            raise error.__cause__ from None
        raise
    d = pipeline.counters()
    if fault is not None and not d.packets:
        raise fault  # nothing was read, so nothing can be said
    dropped = {reason: n for reason, n in d.dropped.items() if reason != str(Drop.NO_SINK)}
    if json:
        summary: dict[str, object] = {
            "packets": d.packets,
            "truncated": d.truncated,
            "malformed": d.malformed,
            "checks": d.checks,
            "unread": d.unread,
        }
        tried = {"dropped": dropped, "stages": d.stages[:-1]} if user_stages else {}
        print_json({"summary": summary | tried})
    else:
        print(
            f"{quantity(d.packets, 'packet')}, {d.truncated} truncated, {d.malformed} malformed; by status: "
            f"{words(d.status)}"
        )
        if printer.unread:
            print(f"  {unread_text(printer.unread)}")
        print("\n".join([*check_lines(d.checks), *(stage_line(stage, d.packets) for stage in d.stages[:-1])]))
        if user_stages:
            print(f"  dropped {words(dropped)}")
    if fault is not None:
        print(end="", flush=True)
        raise fault
    return EXIT_PROBLEMS if bad_of(d.checks) else 0
