"""The live view on a terminal: drawn on the alternate screen twice a second and at each key.

On every way out the terminal is left as it was.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from rich.console import Console
from rich.live import Live

from pktmend.commands.monitor.flow_packets import FlowPacket
from pktmend.commands.monitor.keyboard import Keys
from pktmend.commands.monitor.options import MonitorOptions
from pktmend.commands.monitor.snapshot import BadPacket, Snapshot
from pktmend.commands.monitor.state import State
from pktmend.commands.monitor.text_lines import Lines
from pktmend.commands.monitor.view import view
from pktmend.console.history import BARS
from pktmend.console.streams import terminal
from pktmend.host.output_file import write_text
from pktmend.records import Flow

DRAW_SECONDS: Final = 0.5


def can_show() -> bool:
    """Can this terminal be drawn on?  A dumb one, or one in whose background we run, cannot."""
    console = Console(file=terminal(sys.stdout))
    if not console.is_terminal or console.is_dumb_terminal:
        return False
    try:
        return os.tcgetpgrp(sys.stdout.fileno()) == os.getpgrp()
    except OSError:
        return False


def is_ascii(console: Console) -> bool:
    """Can the console not show the bars of a sparkline?"""
    try:
        BARS.encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return True
    return False


class Screen:
    """Draws on the terminal until close(); from then on it prints lines.

    packets_of: asked for the last bad packets of the flow that is looked at.
    """

    def __init__(self, packets_of: Callable[[str, Flow], Sequence[FlowPacket]]) -> None:
        self._packets_of = packets_of
        self._console = Console(file=terminal(sys.stdout))
        self._is_ascii = is_ascii(self._console)
        self._lines = Lines()
        self._keys = Keys()
        self._live: Live | None = None
        self._began = time.monotonic()
        self._next_draw = 0.0
        self._state: State | None = None
        self._latest: BadPacket | None = None
        self._event = ""
        self._must_sleep = False
        signal.signal(signal.SIGTSTP, self._on_sleep)
        self._show()

    def _on_sleep(self, number: int, frame: FrameType | None) -> None:
        self._must_sleep = True

    def _show(self) -> None:
        self._live = Live(
            console=self._console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._live.start()
        self._keys.open()

    def close(self) -> None:
        """Leave the alternate screen.  Idempotent."""
        self._keys.close()
        if self._live is not None:
            live, self._live = self._live, None
            live.stop()

    def bad(self, packets: Sequence[BadPacket], snapshot: Snapshot) -> None:
        """Remember the latest one."""
        self._latest = packets[-1]
        self._lines.bad(packets, snapshot)

    def event(self, kind: str, text: str) -> None:
        """Show it in a line of its own."""
        self._event = text
        if self._live is None:
            self._lines.event(kind, text)

    def second(self, before: Snapshot, now: Snapshot) -> None:
        """Take another second."""
        state = self._take(now)
        state.history.add(before, now)

    def _take(self, now: Snapshot) -> State:
        if self._state is None:
            self._state = State(now, packets_of=self._packets_of)
        self._state.has_keys = self._keys.are_open
        if not self._state.is_paused:
            self._state.snapshot, self._state.latest = now, self._latest
            self._state.seconds = time.monotonic() - self._began
        self._state.event = self._event
        return self._state

    def report(self, snapshot: Snapshot) -> None:
        """Print the statistics (SIGUSR1) where they can be read later: on the screen that was there before."""
        self.close()
        self._lines.report(snapshot)
        self._show()

    def tick(self, snapshot: Snapshot) -> bool:
        """Handle the keys, and draw if it is time; False once q was pressed."""
        if self._must_sleep:
            self._sleep()
        state = self._take(snapshot)
        pressed = self._keys.pressed()
        for key in pressed:
            if not state.press(key):
                return False
        now = time.monotonic()
        if pressed or now >= self._next_draw:
            self._next_draw = now + DRAW_SECONDS
            state.look_again()
            self._draw(state)
        return True

    def _draw(self, state: State) -> None:
        if self._live is not None:
            width, height = self._console.size
            self._live.update(view(state, width, height, is_ascii=self._is_ascii, fills=True), refresh=True)

    def _sleep(self) -> None:
        """Ctrl-Z: give the terminal back while stopped."""
        self._must_sleep = False
        self.close()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._show()

    def end(self, snapshot: Snapshot) -> None:
        """Print the summary on the screen that was there before."""
        self._lines.end(snapshot)


class Picture(Lines):
    """Lines, and at the end the live view as an SVG file: for documents."""

    WIDTH, HEIGHT = 100, 40

    def __init__(self, options: MonitorOptions) -> None:
        super().__init__()
        self._path, self._mode = options.picture, options.mode
        self._began = time.monotonic()
        self._state: State | None = None

    def second(self, before: Snapshot, now: Snapshot) -> None:
        """Take another second."""
        super().second(before, now)
        self._state = self._state or State(now)
        self._state.snapshot, self._state.latest = now, self._latest
        self._state.history.add(before, now)
        self._state.seconds = time.monotonic() - self._began

    def end(self, snapshot: Snapshot) -> None:
        """Draw the last second, and print the summary."""
        super().end(snapshot)
        self._state = self._state or State(snapshot)
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
            console = Console(
                record=True,
                width=self.WIDTH,
                file=nowhere,
                force_terminal=True,
                color_system="truecolor",
                no_color=False,
            )
            console.print(view(self._state, self.WIDTH, self.HEIGHT))
        drawn = console.export_svg(title="pktmend monitor")
        # without the fonts that rich would have a browser fetch from elsewhere
        write_text(self._path, re.sub(r"@font-face \{[^}]*\}", "", drawn), mode=self._mode)
