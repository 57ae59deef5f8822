"""Single key presses from a terminal, without waiting for them."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty


class Keys:
    """Reads keys while it is open; nothing where standard input is no terminal or we are not in its foreground."""

    def __init__(self) -> None:
        self._fd = -1
        self._before: list[int | list[bytes | int]] = []

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

    def pressed(self) -> str:
        """Return what was pressed since the last call."""
        if self._fd < 0 or not select.select([self._fd], [], [], 0)[0]:
            return ""
        try:
            return os.read(self._fd, 64).decode(errors="replace")
        except OSError:  # the terminal has gone
            self._fd = -1
            return ""

    def close(self) -> None:
        """Leave the terminal as it was.  Idempotent."""
        if self._fd >= 0:
            with contextlib.suppress(termios.error):  # the terminal has gone
                termios.tcsetattr(self._fd, termios.TCSANOW, self._before)
        self._fd = -1
