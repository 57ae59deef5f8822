"""Where a check prints: text, with the first bad packets of each cause and a summary, or NDJSON."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pktmend.commands.check.found import Found
from pktmend.commands.check.lines import bad_lines
from pktmend.commands.check.looks import SHOWN
from pktmend.commands.check.rows import Row
from pktmend.console.plural import quantity
from pktmend.console.printable import printable_json
from pktmend.console.report import check_lines, print_json, words
from pktmend.console.styled import RED, show, styled
from pktmend.console.unread import unread_text


class Output:
    """Standard output.  json: as NDJSON."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self._shown: Counter[str] = Counter()

    def put(self, text: str) -> None:
        """Print whole lines."""
        file = sys.stdout
        if file is None:  # closed: as print() does
            return
        if self._json:
            getattr(file, "write_raw", file.write)(text if text.isascii() else printable_json(text))
        else:
            file.write(text)
        file.flush()

    def put_shown(self, cause: str, row: Row, prefix: str = "") -> None:
        """Print the lines of a bad packet, if it is one of the first of its cause."""
        if self._shown[cause] < SHOWN:
            self._shown[cause] += 1
            show(styled((f"{prefix}{line}" for line in bad_lines(row)), RED))

    def more_lines(self, found: Found, *, is_short: bool) -> list[str]:
        """Return what is to be said of bad packets that were not printed."""
        more = {cause: n - self._shown[cause] for cause, n in found.bad.items() if n > self._shown[cause]}
        return [f"and {sum(more.values())} more: {words(more)} (--all-bad prints them)"] if is_short and more else []

    def print_summary(
        self, found: Found, *, before: Sequence[str] = (), after: Sequence[str] = (), **members: Any
    ) -> None:
        """Print the sum; *before* and *after* it lines of text, *members* of JSON."""
        if self._json:
            print_json({"summary": found.as_json() | members}, kind="summary")
            return
        show([*before, *total_lines(found), *check_lines(found.checks), *after])


def total_lines(found: Found) -> list[str]:
    """Return what is said of packets."""
    lines = [
        f"{quantity(found.packets, 'packet')}, {found.truncated} truncated, {found.malformed} malformed; by status: "
        f"{words(found.status)}"
    ]
    if found.kinds:
        lines.append(f"  {unread_text(found.kinds)}")
    return lines


def ambiguity_lines(found: Found, path: str | None) -> list[str]:
    """Return what a file cannot say of checksums that are unfinished, and what can.

    path: of the file; None of many.
    """
    if not found.unfinished:
        return []
    amounts = [f"{n} {proto}" for proto, n in found.unfinished.items()]
    amounts[-1] = quantity(next(reversed(found.unfinished.values())), f"{next(reversed(found.unfinished))} checksum is")
    them = "it" if found.unfinished.total() == 1 else "them"
    if path == "-":
        wire, other = "pktmend check --at wire -r -", "pktmend diagnose -r -"
    elif path is None:
        wire, other = "pktmend check --at wire PATH...", "pktmend diagnose -r FILE"
    else:
        import shlex

        name = shlex.quote(path)
        wire, other = f"pktmend check --at wire -r {name}", f"pktmend diagnose -r {name}"
    where = "file" if path is not None else "files"
    return [
        f"{', '.join(amounts)} unfinished and the {where} cannot say whether that is healthy:",
        f"  healthy where the sender captured {them}; wrong beyond it, which `{wire}` shows; or `{other}`",
    ]
