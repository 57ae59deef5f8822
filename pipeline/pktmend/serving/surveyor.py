"""The surveyor: a process beside a bridge or monitor with --workloads that says again and again whose what is.

These give up what it would take to look at other users' processes; this process keeps that and nothing else.

Rules of this file:
1. It sends no packet, takes no request and reads nothing from its parent but the end of it.
2. CAP_SYS_PTRACE is all that it keeps: /proc/PID/ns of other users' processes takes it.  A seccomp filter lets it read
   files and ask netlink; Landlock would deny it just those files of /proc, so it has none.
3. It rests at least nine times as long as a look takes: a tenth of a CPU at most.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from pktmend.host import privileges
from pktmend.serving.survey import Survey, survey

INTERVAL: Final = 5.0  # seconds
REST_FACTOR: Final = 9
LONGEST: Final = 64 << 20  # bytes of an answer
PATIENCE: Final = 3.0
START: Final = "import sys; sys.path[:] = sys.argv[1].split(':'); from pktmend.serving.surveyor import main; main()"


def main() -> None:
    """Run the process: look, say it on standard output, until its parent's end of standard input closes."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # it ends with its parent
    harden_surveyor()
    rest = 0.0
    while not select.select([0], [], [], rest)[0]:
        begun = time.monotonic()
        text = json.dumps(survey(), ensure_ascii=True)
        try:
            _write(f"{text}\n".encode())
        except BrokenPipeError:
            return
        rest = max(INTERVAL, (time.monotonic() - begun) * REST_FACTOR)


def harden_surveyor() -> str:
    """Give up everything else; return why system calls are not filtered, if they are not."""
    privileges.close_inherited()
    return privileges.harden(keep=[privileges.CAP_SYS_PTRACE], groups=["links"])


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


class Surveyor:
    """The parent's side: begun when made, ended by close().

    pid:    of the process.
    latest: the last survey; None before the first one, and once the process is gone.
    """

    def __init__(self) -> None:
        package = str(Path(__file__).resolve().parents[2])  # an editable install is on no path of sys.path
        path = ":".join([package, *(each for each in sys.path if each)])
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", START, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        self._data = bytearray()
        self.latest: Survey | None = None
        self._is_lost = False

    def poll(self, notify: Callable[[str], None]) -> None:
        """Take what it has said; *notify*, once, if it is gone.  Never waits."""
        while not self._is_lost:
            try:
                data = os.read(self._output.fileno(), 1 << 20)
            except BlockingIOError:
                break
            self._data += data
            if not data or len(self._data) > LONGEST:
                self._is_lost, self.latest = True, None
                self._data.clear()
                notify("the process that names pods and containers is gone: metrics have no such labels any more")
        *lines, rest = self._data.split(b"\n")
        if lines:
            self.latest = Survey.from_json(json.loads(lines[-1]))
            self._data = bytearray(rest)

    def close(self) -> None:
        """End it."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:  # it looks at the last pods, and ends then
            return
