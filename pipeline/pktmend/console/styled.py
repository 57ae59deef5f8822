"""Lines for people: bold and coloured, and as wide as the window, where standard output is a terminal.

Rules of this file:
1. Colour only helps: what it says is in the words as well.  NO_COLOR (any value) and TERM=dumb turn it off.
2. No word is broken: not by us, and not by the terminal, which breaks lines where they end.  A command stays one line.
3. Text is escaped before it is coloured: only we speak to the terminal.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterable
from typing import Final

from pktmend.console.printable import printable

WIDEST: Final = 110  # columns of prose that an eye follows; of what is no terminal
NARROWEST: Final = 40
ASKED: Final = "_PKTMEND_COLUMNS"  # of a pktmend that is asked by another, whose terminal has so many
BOLD: Final = "1"
RED: Final = "1;31"
YELLOW: Final = "1;33"
GREEN: Final = "1;32"
CYAN: Final = "36"
COMMAND: Final = "$ "
_COMMAND: Final = r"\s*[\w.-]*\$ "


class Styled(str):
    """A line with a style: the parameters of SGR (ECMA-48), such as BOLD; equal to the line without."""

    __slots__ = ("style",)
    style: str

    def __new__(cls, text: str, style: str) -> Styled:
        """Make a line."""
        line = super().__new__(cls, text)
        line.style = style
        return line


def styled(lines: Iterable[str], style: str) -> list[str]:
    """Give *lines* a style."""
    return [Styled(line, style) for line in lines]


def width() -> int:
    """Return the columns to write: those of the terminal, at most WIDEST; WIDEST where there is none."""
    said = os.environ.get(ASKED, "")
    columns = int(said) if said.isascii() and said.isdigit() else 0
    if not columns and _is_terminal():
        with contextlib.suppress(OSError):
            columns = os.get_terminal_size(sys.stdout.fileno()).columns
    return max(NARROWEST, min(WIDEST, columns or WIDEST))


def terminal_width() -> int:
    """Return the columns of the terminal; 0 if standard output is none."""
    return width() if _is_terminal() else 0


def has_colour() -> bool:
    """Is standard output something that shows colours, and nobody against it?"""
    return _is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


def show(lines: Iterable[str]) -> None:
    """Print *lines*, each in its style; on a terminal those that are too long are wrapped."""
    colour, columns = has_colour(), terminal_width()
    for line in lines:
        style = getattr(line, "style", "")
        for row in _wrapped(printable(line), columns):
            if colour and style and row and sys.stdout is not None:
                write = getattr(sys.stdout, "write_raw", sys.stdout.write)
                write(f"\x1b[{style}m{row}\x1b[0m\n")
            else:
                print(row)
    if sys.stdout is not None:
        sys.stdout.flush()


def _wrapped(line: str, columns: int) -> list[str]:
    if not columns or len(line) <= columns or re.match(_COMMAND, line):
        return [line]
    import textwrap  # here: only lines on a terminal are wrapped

    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line,
        columns,
        subsequent_indent=indent + "    ",
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
        expand_tabs=False,
    )


def _is_terminal() -> bool:
    return sys.stdout is not None and not sys.stdout.closed and sys.stdout.isatty()
