"""What the pages of bridge and monitor share: checks by status and cause, and numbers that people can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pktmend.console.history import Past, scaled, sparkline
from pktmend.enums import Status
from pktmend.serving.page import Cell, table

FINE: Final = tuple(str(s) for s in (Status.GOOD, Status.PENDING, Status.ABSENT, Status.UNCHECKED))
STYLES: Final = {"good": "good", "pending": "pending", "absent": "pending", "unchecked": "note"}
BARS: Final = 30  # of a sparkline: seconds
MOST_ROWS: Final = 200


def clock(seconds: float) -> str:
    """Return hours, minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def past_of(values: tuple[float, ...]) -> str:
    """Return the last half minute as bars."""
    return sparkline(values, BARS)


def bad_cell(n: int) -> Cell:
    """Return a count that had better be zero."""
    return (str(n), "bad" if n else "dim")


def checks(found: Mapping[str, int], past: Past) -> str:
    """Return the table of all checks, bad ones by cause first: total, rate, the last half minute."""
    bad = sorted((name for name in found if name not in FINE), key=lambda name: -found[name])
    rows: list[list[Cell]] = []
    for name in (*bad, *(name for name in FINE if name in found)):
        seen = past.outcomes.get(name, ())
        style = STYLES.get(name, "bad")
        rows.append(
            [(name, style), str(found[name]), scaled(seen[-1]) if seen else "-", (past_of(seen), style)],
        )
    return table("Checks", ["status or cause", ("total", "n"), ("per second", "n"), ("half a minute", "past")], rows)
