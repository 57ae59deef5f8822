"""Single key presses from a terminal, without waiting for them.

Rules of this file:
1. A key is its character, or the name of what has none: `up`, `enter`, `escape`.
2. Escape is the beginning of other keys, too: it is itself if nothing follows at once.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import sys
import termios
import tty
from typing import Final

NAMES: Final = {
    "\n": "enter",
    "\r": "enter",
    "\x1b": "escape",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x15": "clear",  # Ctrl-U
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[1~": "home",
    "\x1b[4~": "end",
}
ARROWS: Final = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
NAMES.update({f"\x1b{mode}{letter}": name for letter, name in ARROWS.items() for mode in "[O"})
ESCAPE_SECONDS: Final = 0.03  # within which the rest of a key comes, over ssh too
_KEYS: Final = re.compile("\x1b(?:\\[[0-?]*[ -/]*(?:[@-~]|$)|O(?:[ -~]|$))|.", re.DOTALL)
_UNFINISHED: Final = re.compile("\x1b(?:\\[[0-?]*[ -/]*|O)?$")


def keys_of(text: str) -> list[str]:
    """Return the keys that *text*, as a terminal sends it, is made of; those that nobody knows are left out."""
    found = (NAMES.get(each, each) for each in _KEYS.findall(text))
    return [key for key in found if key.isprintable()]


class Keys:
    """Reads keys while it is open; nothing where standard input is no terminal or we are not in its foreground."""

    def __init__(self) -> None:
        self._fd = -1
        self._before: list[int | list[bytes | int]] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def open(self) -> None:
        """Have keys come at once and unseen.  Ctrl-C and Ctrl-Z stay what they are."""
        try:
            if sys.stdin is None or not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp():
                return
        except OSError:
            return
        fd = sys.stdin.fileno()
        with contextlib.suppress(termios.error):  # it has gone since
            self._before = termios.tcgetattr(fd)
            tty.setcbreak(fd, termios.TCSANOW)
            self._fd = fd

    @property
    def are_open(self) -> bool:
        """Do keys come?"""
        return self._fd >= 0

    def pressed(self) -> list[str]:
        """Return the keys since the last call."""
        text = self._read(0)
        for _ in range(4):  # somebody may send nothing but beginnings
            if not text or not _UNFINISHED.search(text) or not (more := self._read(ESCAPE_SECONDS)):
                break
            text += more
        return keys_of(text)

    def _read(self, seconds: float) -> str:
        if self._fd < 0 or not select.select([self._fd], [], [], seconds)[0]:
            return ""
        try:
            return self._decoder.decode(os.read(self._fd, 64))
        except OSError:  # the terminal has gone
            self._fd = -1
            return ""

    def close(self) -> None:
        """Leave the terminal as it was.  Idempotent."""
        if self._fd >= 0:
            with contextlib.suppress(termios.error):  # the terminal has gone
                termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
        self._fd = -1
