"""What benches yield: lines of figures with their spread; saved, compared and shown as tables.

A line is one object of NDJSON: `bench`, the fields that name it, its figure as a median over `rounds`, `low` and `high`
(a tenth of the rounds lie below and above), and whatever else belongs to it.  A file of results is what `--json`
prints: the environment first, then the lines.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pktmend.errors import FormatError, OSFailure
from pktmend.host.output_file import usual_mode, write_text

Line = dict[str, Any]
NOISE = 0.05  # two sessions on one machine differ by as much: a smaller change is never called one


@dataclass(frozen=True)
class Kind:
    """How to read a bench's lines: the fields that name one, its figure and unit, and which direction is better."""

    key: tuple[str, ...]
    figure: str
    unit: str
    more_is_better: bool = False


KINDS = {
    "sum": Kind(("impl", "bytes"), "ns", "ns"),
    "verify": Kind(("impl", "mix"), "ns_per_packet", "ns a packet"),
    "read": Kind(("impl", "file"), "frames_per_s", "frames/s", more_is_better=True),
    "monitor": Kind(("reader", "load"), "cpu_ns_per_packet", "ns CPU a packet"),
    "watched": Kind(("watcher", "congestion"), "rate", "Gbit/s", more_is_better=True),
    "stage": Kind(("stage", "load"), "ratio", "x CPU of the bridge without"),
    "bridge": Kind(("forwarder", "scenario"), "rate", "Gbit/s or Mpps", more_is_better=True),
    "no-drop": Kind(("forwarder", "bytes"), "rate", "Mpps", more_is_better=True),
    "ring": Kind(("ring", "scenario"), "rate", "Gbit/s or Mpps", more_is_better=True),
}


def spread(values: Sequence[float], figure: str, digits: int = 3) -> Line:
    """Return {figure: median, low, high, rounds} of *values*."""
    low, high = values[0], values[0]
    if len(values) > 1:
        tenths = statistics.quantiles(values, n=10, method="inclusive")
        low, high = tenths[0], tenths[-1]
    return {
        figure: round(statistics.median(values), digits),
        "low": round(low, digits),
        "high": round(high, digits),
        "rounds": len(values),
    }


@dataclass(frozen=True)
class Table:
    """Rows of text under a title; the columns of numbers stand right."""

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""

    def text(self) -> str:
        """Return it for a terminal."""
        wide = [row for row in (self.header, *self.rows) if len(row) == len(self.header)]
        widths = [max(len(row[i]) for row in wide) for i in range(len(self.header))]
        lines = [self.title, *(self._line(row, widths) for row in (self.header, *self.rows))]
        return "\n".join(lines + ([f"  {self.note}"] if self.note else []))

    def _line(self, row: tuple[str, ...], widths: list[int]) -> str:
        if len(row) < len(self.header):  # a name and what is to be said of it
            return f"  {row[0]:{widths[0]}}  {' '.join(row[1:])}"
        first, *rest = (
            f"{cell:>{width}}" if i else f"{cell:{width}}"
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(["", first, *rest]).rstrip()

    def markdown(self) -> str:
        """Return it for a page."""
        columns = len(self.header)
        cells = [self.header, ("---", *["---:"] * (columns - 1)), *self.rows]
        rows = ["| " + " | ".join([*row[:columns], *[""] * (columns - len(row))]) + " |" for row in cells]
        return "\n".join([f"### {self.title}", "", *rows, *(["", self.note] if self.note else [])])


def save(path: str, environment: Line, lines: Iterable[Line]) -> None:
    """Write a file of results."""
    text = "".join(json.dumps(line) + "\n" for line in ({"environment": environment}, *lines))
    write_text(path, text, mode=usual_mode())


def load(path: str) -> tuple[Line, list[Line]]:
    """Read a file of results.  Raises OSFailure if it cannot be read, FormatError if it is none."""
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise OSFailure(f"{path}: {error.strerror}", error=error.errno or 0) from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not a file of results", offset=error.start) from None
    environment: Line = {}
    lines = []
    for number, each in enumerate(text.splitlines(), 1):
        try:
            line = json.loads(each)
            if "environment" in line:
                environment = dict(line["environment"])
            elif "bench" in line:
                lines.append(_complete(line))
        except (ValueError, TypeError, KeyError):
            raise FormatError(f"{path} line {number} is no line of results", "made by --save or --json") from None
    if not lines:
        raise FormatError(f"{path} holds no results", "made by --save or --json")
    return environment, lines


def _complete(line: Line) -> Line:
    """Return *line* if it has what comparing needs; KeyError or TypeError if not."""
    kind = KINDS[line["bench"]]
    for field in kind.key:
        line[field]
    if not line.get("fails"):
        for field in (kind.figure, "low", "high"):
            float(line[field])
    return line


def name_of(line: Line) -> tuple[str, ...]:
    """Return the fields that name a line."""
    return (line["bench"], *(str(line[field]) for field in KINDS[line["bench"]].key))


def change(before: Line, now: Line) -> tuple[float, str]:
    """Return (relative change, what it is): `same within noise`, `better` or `worse`.

    Beyond noise is a change of NOISE or more between rounds that do not overlap; of one round each, noise is not known.
    """
    kind = KINDS[now["bench"]]
    old, new = before[kind.figure], now[kind.figure]
    ratio = new / old - 1 if old else 0.0
    if min(before.get("rounds", 1), now.get("rounds", 1)) < 3:
        return ratio, "unknown: fewer than three rounds"
    apart = now["low"] > before["high"] or now["high"] < before["low"]
    if not apart or abs(ratio) < NOISE:
        return ratio, "same within noise"
    return ratio, "better" if (ratio > 0) == kind.more_is_better else "worse"


def compare(before: Sequence[Line], now: Sequence[Line]) -> Table:
    """Return what has changed, line by line."""
    old = {name_of(line): line for line in before}
    rows: list[tuple[str, ...]] = []
    for line in now:
        name, kind = name_of(line), KINDS[line["bench"]]
        earlier = old.pop(name, None)
        label = " ".join(name)
        if line.get("fails"):
            rows.append((label, "fails" if earlier and not earlier.get("fails") else "fails as before", line["fails"]))
        elif earlier is None:
            rows.append((label, "", f"{line[kind.figure]:g}", kind.unit, "", "new"))
        elif earlier.get("fails"):
            rows.append((label, "", f"{line[kind.figure]:g}", kind.unit, "", "failed before"))
        else:
            ratio, verdict = change(earlier, line)
            was, is_now = f"{earlier[kind.figure]:g}", f"{line[kind.figure]:g}"
            rows.append((label, was, is_now, kind.unit, f"{ratio:+.1%}", verdict))
    measured = {line["bench"] for line in now}
    rows += [(" ".join(name), "not measured now") for name in old if name[0] in measured]
    return Table(
        "compared with before",
        ("what", "before", "now", "unit", "change", "verdict"),
        rows,
        f"beyond noise: {NOISE:.0%} or more, and the spreads (10th to 90th percentile) do not overlap",
    )
