"""Output that goes nowhere - a reader that hangs, a full disk - holds up neither frames nor the control thread."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from line import Line, transfer
from pktmend.testbed.netns import end
from tools import PATIENCE, PKTMEND, until


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, int]]:
    """The ends of a pipe that is full and that nobody reads."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"." * 4096)
    yield reader, writer
    for fd in (reader, writer):
        os.close(fd)


def passes(line: Line) -> bool:
    return line.a.run("ping", "-c1", "-W1", "10.7.0.2", check=False).returncode == 0


def test_bridge_whose_output_nobody_reads(line: Line, full_pipe: tuple[int, int]) -> None:
    """It carries, binds an interface that was made again, and heeds SIGTERM."""
    _, out = full_pipe
    process = line.node.spawn(*PKTMEND, "bridge", "-i", "pa", "-I", "pb", "--json", stdout=out, stderr=out)
    try:
        until(lambda: passes(line), "frames pass")
        line.node.run("ip", "link", "del", "dev", "pb")
        line.cross()
        line.a.run("ip", "neigh", "flush", "all")
        until(lambda: passes(line), "frames pass again")
        process.send_signal(signal.SIGUSR1)
        transfer(line.a, line.b, 1 << 20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        end(process)


def test_monitor_whose_output_nobody_reads(line: Line, full_pipe: tuple[int, int]) -> None:
    reader, out = full_pipe
    process = line.node.spawn(*PKTMEND, "monitor", "-i", "pa", "--json", stdout=out, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        assert b"watching pa" in process.stderr.readline()
        assert os.read(reader, 4096) == b"." * 4096
        until(lambda: b'"watching pa"' in os.read(reader, 4096), "what waited")
        process.send_signal(signal.SIGTERM)  # nobody reads the rest
        assert process.wait(PATIENCE) == 0
    finally:
        end(process)


@pytest.mark.parametrize("both", [False, True])
def test_full_disk_under_the_output_costs_output_only(line: Line, *, both: bool, tmp_path: Path) -> None:
    """Frames pass, what is lost is told where that can be, and the end is an error: the summary is lost too."""
    said = tmp_path / "said"
    with Path("/dev/full").open("wb") as full, said.open("wb") as told:
        process = line.node.spawn(
            *PKTMEND, "bridge", "-i", "pa", "-I", "pb", "--json", stdout=full, stderr=full if both else told
        )
        try:
            until(lambda: passes(line), "frames pass")
            if not both:
                until(lambda: "stdout: 1 line" in said.read_text(), "the loss is told")
            transfer(line.a, line.b, 1 << 20)
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 4
        finally:
            end(process)
    assert "Traceback" not in said.read_text()
    assert both or "writing standard output: No space left on device" in said.read_text()
