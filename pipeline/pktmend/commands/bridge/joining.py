"""Have the kernel join TCP segments (GRO) where they arrive one by one: it has one frame to judge then, not forty.

Rules of this file:
1. On demand: a veth with GRO is driven by NAPI, which costs super-frames a quarter of their speed, and what has a wrong
   checksum a sum more; both are what GRO never joins.
2. It is switched off only while next to nothing arrives: a veth throws away what is in its ring then.
"""

from __future__ import annotations

from typing import Final

from pktmend.commands.bridge.keeper import PortKeeper
from pktmend.packetio.kernel_judge import Counts

OFTEN: Final = 5_000  # segments a second: with fewer there is seldom a next one to join to
QUIET: Final = 2.0  # seconds
FEW: Final = 50  # frames a second
SHORTEST: Final = 0.05  # seconds between two looks


class Joining:
    """GRO of one interface, which the keeper has granted; look() is to be called often."""

    def __init__(self, source: str, keeper: PortKeeper) -> None:
        self._source, self._keeper = source, keeper
        self._is_on = False
        self._seen: tuple[float, Counts] | None = None
        self._quiet_since = 0.0

    def look(self, now: float, counts: Counts) -> None:
        """Decide by what has come since the last look.  now: seconds, of a monotonic clock."""
        if self._seen is None:
            self._seen = now, counts
        before, last = self._seen
        if (passed := now - before) < SHORTEST:
            return
        self._seen = now, counts
        segments, super_frames = counts.segments - last.segments, counts.super_frames - last.super_frames
        if counts.arrived - last.arrived > FEW * passed:
            self._quiet_since = now
        if not self._is_on and segments > OFTEN * passed and segments > 2 * super_frames:
            self._switch(on=True)
        elif self._is_on and now - self._quiet_since > QUIET:
            self._switch(on=False)

    def _switch(self, *, on: bool) -> None:
        self._is_on = on
        self._keeper.switch_gro(self._source, on=on)
