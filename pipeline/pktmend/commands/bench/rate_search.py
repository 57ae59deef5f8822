"""Search the highest rate at which trials lose nothing (RFC 2544 section 26.1); what a trial is, others know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

STEP = 0.9  # what is left of a rate that the search has found and that does not hold once more


@dataclass(frozen=True)
class Trial:
    """offered: frames a second that left the sender; where: lost frames by place, as far as it is known."""

    offered: float
    sent: int
    received: int
    where: dict[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Frames that were sent and did not arrive."""
        return self.sent - self.received

    def holds(self, tolerate: float) -> bool:
        """Was no more lost than this share?"""
        return self.received > 0 and self.lost <= tolerate * self.sent


@dataclass(frozen=True)
class Found:
    """rate: frames a second, 0 if every trial lost some; above: the slowest trial that lost, None if none did."""

    rate: float
    above: Trial | None
    trials: int
    is_sender: bool  # the sender's highest rate, and nothing was lost: the forwarder may do more


def search(trial: Callable[[float], Trial], *, resolution: float, tolerate: float = 0.0, highest: float = 0.0) -> Found:
    """Find the highest rate at which a trial holds.

    trial:      sends at a rate in frames a second, 0 for as fast as it can, and says what came of it.
    resolution: how close, as a share of the highest rate offered.     tolerate: the share that may be lost.
    highest:    what to begin with; 0 for as fast as it can.
    """
    first = trial(highest)
    if first.holds(tolerate):
        return Found(first.offered, None, 1, is_sender=True)
    trials, above, best = 1, first, 0.0
    low, high = 0.0, first.offered  # as asked for: a sender may come to less
    while high - low > resolution * first.offered:
        middle = (low + high) / 2
        now = trial(middle)
        trials += 1
        if now.holds(tolerate):
            low, best = middle, max(best, min(now.offered, middle))
        else:
            high, above = middle, now
    while best > resolution * first.offered:
        now = trial(best)
        trials += 1
        if now.holds(tolerate):
            return Found(best, above, trials, is_sender=False)
        best, above = best * STEP, now
    return Found(0.0, above, trials, is_sender=False)
