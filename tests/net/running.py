"""A `pktmend` command that runs in a testbed: its snapshots, what it says on stderr, and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from pktmend.testbed.netns import Host
from schemas import judge
from tools import PATIENCE, PKTMEND, until


class RunningBridge:
    """A running `pktmend bridge`; stop() returns its last snapshot."""

    def __init__(
        self,
        host: Host,
        *argv: str,
        program: tuple[str, ...] = ("bridge",),
        prefix: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        self._name = program[0]
        self.process = host.spawn(
            *prefix,
            *PKTMEND,
            *program,
            *argv,
            "--json",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )
        assert self.process.stderr is not None
        self.first_line = self.process.stderr.readline().decode()
        self.snapshots: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
            if "snapshot" in self.lines[-1]:
                self.snapshots.append(self.lines[-1]["snapshot"])

    def pause(self) -> None:
        """Stop all its threads (SIGSTOP) and wait until they have; resume by SIGCONT."""
        self.process.send_signal(signal.SIGSTOP)
        tasks = Path(f"/proc/{self.process.pid}/task")
        while any(" T " not in (task / "stat").read_text().rpartition(")")[2][:4] for task in tasks.iterdir()):
            time.sleep(0.001)

    def cpu_seconds(self) -> float:
        """What it has used so far, all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.decode().removesuffix("\n").removeprefix("pktmend: "))

    def listen(self) -> None:
        """Keep what it says on stderr in `said`; a test that reads stderr itself calls this at the end only."""
        if self._listener.ident is None:
            self._listener.start()

    def await_told(self, count: int) -> None:
        """Wait until it has said *count* lines on stderr after its first one."""
        self.listen()
        until(lambda: len(self.said) >= count, f"line {count} of {self.said}")

    def ended(self, code: int = 0) -> list[str]:
        """Wait for its end; return what it said on stderr after its first line, without `pktmend: `."""
        self.listen()
        ended = self.process.wait(PATIENCE)
        for thread in (self._reader, self._listener):
            thread.join(PATIENCE)
        assert ended == code, self.said
        return self.said

    def told(self, count: int = 0) -> list[str]:
        """End it by SIGTERM once it has said *count* lines; return all that it said, as ended()."""
        if count:
            self.await_told(count)
        self.stop()
        return self.said

    @property
    def directions(self) -> list[dict[str, Any]]:
        """Those of the last snapshot."""
        found: list[dict[str, Any]] = self.snapshots[-1]["directions"]
        return found

    def stop(self, number: int = signal.SIGTERM) -> list[dict[str, Any]]:
        """End it by a signal: it drains its ring first; return the directions of the last snapshot."""
        self.process.send_signal(number)
        self.ended()
        for each in (self.lines[0], *self.lines[-2:]):  # a line costs some milliseconds
            judge(self._name).validate(each)
        for d in self.directions:
            assert_ledger(d)
        return self.directions


def assert_ledger(d: dict[str, Any]) -> None:
    """Every frame ends in exactly one counter, on a drained direction."""
    cut = d.get("cut_through", {"frames": 0, "lost": 0})
    assert d["arrived"] == cut["frames"] + d["kernel_seen"] + cut["lost"], d
    assert d["kernel_seen"] == d["read"] + d["kernel_drops"], d
    ends = d["sent"] + sum(d["dropped"].values()) + d["truncated"] + sum(d["tx_error"].values()) + d["held"]
    assert d["read"] == ends, d
