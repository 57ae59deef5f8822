"""What is told of many files: each when its turn comes, then the sum.

Sums add up in any order and grouping; what is told of each file is in the order of the files.  So whoever read them,
and how many at once, changes no byte.
"""

from __future__ import annotations

import sys
from typing import Any

from pktmend.commands.check.flows import WORST, WORST_OF_A_FILE, worst_lines
from pktmend.commands.check.found import Found
from pktmend.commands.check.looks import Wanted
from pktmend.commands.check.output import Output, ambiguity_lines
from pktmend.commands.check.work import One
from pktmend.console.plural import quantity
from pktmend.console.printable import on_one_line, printable
from pktmend.console.report import print_json, words
from pktmend.errors import EXIT_PROBLEMS
from pktmend.packetio.capture_paths import Files


class Total:
    """Takes files in their order.

    code: the highest of their exit codes: 5 one is no capture or broken, 4 one cannot be opened, 1 a checksum is bad.
    """

    def __init__(self, files: Files, wanted: Wanted, output: Output) -> None:
        self.code = 0
        self._files, self._wanted, self._output = files, wanted, output
        self._found = Found()
        self._lines: list[str] = []
        self._done = self._fine = self._bad = self._faulty = self._partial = 0

    def put(self, one: One) -> None:
        """Print the packets that a file has to show."""
        for cause, text in one.texts:
            if isinstance(text, str):
                self._output.put(text)
            else:
                self._output.put_shown(cause, text, f"{on_one_line(one.path)}: ")
        one.texts.clear()

    def add(self, one: One) -> None:
        """Say what is to be said of a file at once, and add it to the sum."""
        for text in (one.note, one.fault.text if one.fault else ""):
            if text:
                print(f"pktmend: {on_one_line(text)}", file=sys.stderr, flush=True)
        if self._wanted.json:
            found = one.found.as_json() | {"bad": dict(one.found.bad)} if one.found else {}
            error = {"error": printable(one.fault.text), "exit": one.fault.exit_code} if one.fault else {}
            about = {"file": printable(one.path), **found, **error}
            print_json({"file_summary": about}, kind="file_summary")
        self._done += 1
        self._faulty += one.fault is not None
        self._partial += one.is_partial
        if one.fault is not None:
            self.code = max(self.code, one.fault.exit_code)
        if one.found is not None:
            self._bad += bool(one.found.bad)
            self.code = max(self.code, EXIT_PROBLEMS if one.found.is_bad else 0)
            self._found.add(one.found)
        if lines := _lines_of(one):
            self._lines += lines
        else:
            self._fine += 1

    def print(self) -> None:
        """Print the summary."""
        total, files = self._found.in_order(), self._files
        left = len(files.paths) - self._done
        members: dict[str, Any] = {
            "bad": dict(total.bad),
            "files": self._done,
            "files_with_bad": self._bad,
            "files_not_read_to_the_end": self._faulty,
            "files_left": left,
            "files_passed_over": files.passed_over,
        }
        after = []
        if self._faulty:
            after.append(f"{quantity(self._faulty, 'file')} could not be read, or not to the end")
        if left or self._partial:
            of_all = quantity(len(files.paths), "file")
            after.append(f"stopped by a signal: {left} of {of_all} not read, {self._partial} in part")
        if files.passed_over:
            after.append(f"{quantity(files.passed_over, 'file')} passed over: no capture")
        before = [*self._output.more_lines(total, is_short=self._wanted.is_short), *self._lines]
        if self._fine:
            before.append(f"{quantity(self._fine, 'file')} without a bad checksum")
        if self._bad > 1:
            before += ["worst flows of all files:", *worst_lines(total.flows, WORST)]
        self._output.print_summary(total, before=before, after=[*after, *ambiguity_lines(total, None)], **members)


def _lines_of(one: One) -> list[str]:
    """Return what the summary says of a file: nothing of one without a bad checksum."""
    found = one.found or Found()
    if one.fault is None and not found.is_bad:
        return []
    bad = f", {found.bad.total()} bad: {words(found.bad)}" if found.bad else ""
    fault = f"; {on_one_line(one.fault.detail.removeprefix(f'{one.path}: '))}" if one.fault else ""
    lines = [f"{on_one_line(one.path)}: {quantity(found.packets, 'packet')}{bad}{fault}"]
    return lines + (worst_lines(found.flows, WORST_OF_A_FILE) if found.bad else [])
