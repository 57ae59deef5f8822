"""For programs: NDJSON as pktmend/commands/schema/monitor-1.json describes it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from pktmend._version import VERSION
from pktmend.commands.monitor.pace import EARLY, Pace
from pktmend.commands.monitor.snapshot import SCHEMA, BadPacket, Snapshot
from pktmend.console.report import print_json, rfc3339

COMPLETE_SECONDS: Final = 60


class Events:
    """Prints a snapshot a second, bad packets and events to standard output; events also to stderr.

    interval: seconds between two snapshots, which then hold only what has changed, or are left out if nothing has;
              complete ones come once a minute.  0: complete ones, once a second.
    """

    def __init__(self, interval: float = 0, clock: Callable[[], float] = time.monotonic) -> None:
        self._pace = Pace(interval, clock)
        self._clock = clock
        self._complete_at = 0.0
        self._printed: Snapshot | None = None  # what readers know
        self._interval = interval
        self._accounted: dict[str, int] = {}  # bad packets printed, or counted as not shown, by interface
        self._has_begun = False

    def bad(self, packets: Sequence[BadPacket], snapshot: Snapshot) -> None:
        """Print them; each says how many of its interface since the one before were not shown."""
        total = {d.from_: d.status.get("bad", 0) for d in snapshot.directions}
        left = dict.fromkeys((packet.interface for packet in packets), 0)
        for packet in packets:
            left[packet.interface] += 1
        for packet in packets:
            name = packet.interface
            before = self._accounted.get(name, 0)
            hidden = max(0, total.get(name, 0) - before - left[name])
            left[name] -= 1
            self._accounted[name] = before + hidden + 1
            print_json({"bad": {**packet.as_json(), "not_shown": hidden}})

    def event(self, kind: str, text: str) -> None:
        """Print it; the first says what is printed here."""
        event: dict[str, Any] = {"time": rfc3339(time.time_ns()), "kind": kind, "text": text}
        if not self._has_begun:
            self._has_begun = True
            event |= {"schema": SCHEMA, "version": VERSION}
        print_json({"event": event})
        print(f"pktmend: {text}", file=sys.stderr, flush=True)

    def second(self, before: Snapshot, now: Snapshot) -> None:
        """Print the snapshot, or what has changed, if it is time."""
        if not self._pace.is_due():
            return
        is_old = self._clock() - self._complete_at > COMPLETE_SECONDS - EARLY
        if not self._interval or self._printed is None or is_old:
            self._print(now)
        elif not self._printed.is_as(now):
            print_json({"snapshot": now.as_json(since=self._printed)})
            self._printed = now

    def _print(self, snapshot: Snapshot) -> None:
        """Print all of it."""
        print_json({"snapshot": snapshot.as_json()})
        self._printed, self._complete_at = snapshot, self._clock()

    def report(self, snapshot: Snapshot) -> None:
        """Print the snapshot at once (SIGUSR1)."""
        self._print(snapshot)

    def tick(self, snapshot: Snapshot) -> bool:
        """There is no keyboard here."""
        return True

    def end(self, snapshot: Snapshot) -> None:
        """Print the last snapshot."""
        self._print(snapshot)

    def close(self) -> None:
        """Nothing to give back."""
