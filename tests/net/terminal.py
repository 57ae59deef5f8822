"""Commands in a real terminal (tmux): keys are sent, the screen is read."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tools import PATIENCE, ROOT, until
from watching import Pair

NUMBERS = itertools.count()


class Terminal:
    """One tmux server with one window, in which a shell command runs."""

    def __init__(self, command: str, width: int = 100, height: int = 40, **environment: str) -> None:
        self._name = f"pktmend-test-{os.getpid()}-{next(NUMBERS)}"
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **environment}
        self._tmux(
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            str(width),
            "-y",
            str(height),
            f"{command}; stty -a | tr ';' '\\n' | grep -E 'icanon|echo '; echo LEFT; sleep 60",
        )

    def _tmux(self, *argv: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._name, *argv],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        return done.stdout

    def press(self, *keys: str) -> None:
        """Send keys."""
        self._tmux("send-keys", *keys)

    def screen(self, *, colours: bool = False) -> str:
        """Return what is to be seen, with escape sequences if asked for."""
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else []))

    def shows(self, *words: str) -> str:
        """Wait until all of them are to be seen; return the screen."""
        found = [""]

        def is_shown() -> bool:
            found[0] = self.screen()
            return all(word in found[0] for word in words)

        try:
            until(is_shown, f"seeing {words}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{found[0]}") from None
        return found[0]

    def matches(self, *patterns: str) -> None:
        """Wait until a line of the screen fits each pattern."""
        until(lambda: all(re.search(each, self.screen(), re.MULTILINE) for each in patterns), f"seeing {patterns}")

    def close(self) -> None:
        """End the server that was started here."""
        subprocess.run(["tmux", "-L", self._name, "kill-server"], capture_output=True, check=False)


def monitor(pair: Pair, *argv: str, python: tuple[str, ...] = ("-P", "-m", "pktmend")) -> str:
    """Return the shell command of a monitor in node."""
    return shlex.join(pair.node.argv([sys.executable, *python, "monitor", "-i", "pa", *argv]))


def holder_of(path: Path) -> int:
    """Return the id of the process that has *path* open: the monitor, behind a shell and what else tmux started."""
    return next(int(fd.parts[2]) for fd in Path("/proc").glob("[0-9]*/fd/*") if _links_to(fd, path))


def _links_to(fd: Path, target: Path) -> bool:
    try:
        return fd.readlink() == target
    except OSError:
        return False
