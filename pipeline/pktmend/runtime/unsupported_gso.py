"""Notify of super-frames that packet sockets do not support: they are lost, and the sender need not make them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from pktmend.runtime.counters import Counters

INTERVAL = 60.0  # seconds between two lines on the same interface
REMEDY = "have the sender not make them: ethtool -K IF tx-udp-fragmentation off tx-sctp-segmentation off"


class UnsupportedGso:
    """Compares snapshots; poll() is to be called about once a second."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, int]] = {}  # by source: when, and how many there were

    def poll(self, directions: Sequence[Counters], notify: Callable[[str], None]) -> None:
        """*notify* of sources that lost more since they were last named."""
        now = time.monotonic()
        for d in directions:
            then, before = self._told.get(d.from_, (-INTERVAL, 0))
            if d.unsupported_gso <= before or now - then < INTERVAL:
                continue
            self._told[d.from_] = now, d.unsupported_gso
            again = f"{d.unsupported_gso - before} more" if before else str(d.unsupported_gso)
            way = ""
            if d.rebuilds and not before:
                way = "; its frames come through the socket's queue from now on, which takes more CPU"
            notify(
                f"{d.from_}: {again} super-frame(s) of a type that packet sockets do not support (UFO, SCTP),"
                f" dropped and counted as unsupported_gso{way}; {REMEDY}"
            )
