"""What test modules share beside fixtures."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, AnyStr

import pytest

from pktmend import Batch, Function, Verdict, _core
from pktmend.cli.running import call_of, run_call

ROOT = Path(__file__).resolve().parent.parent
PKTMEND = (sys.executable, "-P", "-m", "pktmend")  # the command, with nothing imported from the current folder
# Seconds for what takes far less: how long a busy machine may take, or one by emulation, which says so.
PATIENCE = float(os.environ.get("PKTMEND_TEST_PATIENCE", "30"))
CAPTURES = Path(os.environ.get("PKTMEND_CAPTURES", ROOT.parent / "shared" / "captures"))


def need(*programs: str) -> None:
    """Skip unless *programs* are installed."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def run_pktmend(*argv: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the command as installed."""
    command = Path(sys.executable).with_name("pktmend")
    return subprocess.run([str(command), *argv], input=stdin, capture_output=True, timeout=240, check=False)


def until(condition: Callable[[], bool], what: str = "it", seconds: float = PATIENCE) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.02)


def read_up_to(word: AnyStr, stream: IO[AnyStr]) -> None:
    """Read lines until one holds *word*; it fails where they end before."""
    said = []
    while not said or word not in said[-1]:
        said.append(stream.readline())
        assert said[-1], f"{word!r} was not said, but {said}"


def frames_in(path: Path) -> list[bytes]:
    """Return the frames of a capture as scapy reads them."""
    from scapy.utils import RawPcapReader  # takes a second to import, and few modules need it

    with RawPcapReader(str(path)) as reader:
        return [bytes(frame) for frame, _ in reader]


def left(pid: int) -> list[str]:
    """Return the namespaces of the demo or lab with process id *pid* that are still there."""
    return [path.name for path in Path("/run/netns").glob(f"pktmend-{pid}-*")]


class Collect:
    """A sink: keeps copies of what passes."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def open(self, capacity: int) -> _core.Sink:
        return Function(self).open(capacity)

    def __call__(self, batch: Batch) -> None:
        self.frames += [bytes(batch.frame(i)) for i in range(len(batch)) if batch.verdict[i] == Verdict.PASS]


class Kept(io.BytesIO):
    """Bytes that stay when the stream over them goes."""

    def close(self) -> None:
        """Stay."""


def run_inside(*argv: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command in this process: what it prints and its exit code are the same, and no interpreter is started."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    handlers = {number: signal.getsignal(number) for number in numbers}
    kept = sys.argv, sys.stdout, sys.stderr
    out, err = Kept(), Kept()
    try:
        sys.argv = ["pktmend", *argv]
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(each, encoding="utf-8", errors="surrogateescape", write_through=True)
            for each in (out, err)
        )
        code = run_call(call_of(argv)[0])
        sys.stdout.flush()
    finally:
        sys.argv, sys.stdout, sys.stderr = kept
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return subprocess.CompletedProcess(["pktmend", *argv], int(code or 0), out.getvalue(), err.getvalue())


def links(pid: int) -> list[str]:
    """Return what a process has open."""
    found = []
    with suppress(OSError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.append(str(each.readlink()))
    return found
