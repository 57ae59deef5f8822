"""FIFOs: a command that waits for the other end says so and ends at Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from scapy.all import wrpcap

import frames as f
from tools import PATIENCE, until

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
Program = subprocess.Popen[bytes]
Start = Callable[..., Program]


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


@pytest.fixture
def start() -> Iterator[Start]:
    """Start pktmend; it has ended and its pipes are closed after the test."""
    with ExitStack() as stack:

        def begin(*argv: str | Path) -> Program:
            command = [Path(sys.executable).with_name("pktmend"), *argv]
            program = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
            stack.callback(program.kill)
            return program

        yield begin


def first_line(program: Program) -> bytes:
    assert program.stderr is not None
    return program.stderr.readline()


def holds(pid: int, path: Path) -> bool:
    """Does the process have it open?"""
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if fd.samefile(path):
                return True
        except FileNotFoundError:  # closed meanwhile
            continue
    return False


@pytest.fixture
def fix(start: Start, tmp_path: Path, fifo: Path) -> Program:
    """`pktmend fix` of a capture into the FIFO."""
    wrpcap(str(tmp_path / "a.pcap"), [GOOD] * 100, linktype=1)
    return start("fix", "-r", tmp_path / "a.pcap", "-w", fifo)


def test_writer_tells_that_it_waits_for_a_reader(tmp_path: Path, fifo: Path, fix: Program) -> None:
    assert first_line(fix) == f"pktmend: waiting for a reader of FIFO {fifo}\n".encode()
    assert fifo.read_bytes() == (tmp_path / "a.pcap").read_bytes()
    assert fix.wait(PATIENCE) == 0


def test_reader_that_is_there_is_not_waited_for(start: Start, tmp_path: Path, fifo: Path) -> None:
    wrpcap(str(tmp_path / "a.pcap"), [GOOD] * 100, linktype=1)
    with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE) as reader:
        program = start("fix", "-r", tmp_path / "a.pcap", "-w", fifo)
        assert reader.communicate(timeout=PATIENCE)[0] == (tmp_path / "a.pcap").read_bytes()
    assert program.wait(PATIENCE) == 0 and program.stderr is not None and program.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_wait_for_a_reader(fix: Program, number: int) -> None:
    first_line(fix)
    fix.send_signal(number)
    assert fix.wait(PATIENCE) == 130 and fix.stderr is not None and not fix.stderr.read().strip()


@pytest.mark.parametrize("argv", [("check", "-r"), ("diagnose", "-r"), ("fix", "-w", "/dev/null", "-r")])
def test_signal_ends_the_wait_for_a_writer(start: Start, fifo: Path, argv: tuple[str, ...]) -> None:
    program = start(*argv, fifo)
    until(lambda: holds(program.pid, fifo))
    program.send_signal(signal.SIGINT)
    assert program.wait(PATIENCE) in (0, 130)
    assert program.stderr is not None and b"Traceback" not in program.stderr.read()


def test_capture_comes_through_a_fifo(start: Start, tmp_path: Path, fifo: Path) -> None:
    wrpcap(str(tmp_path / "a.pcap"), [GOOD] * 100, linktype=1)
    program = start("check", "-r", fifo)
    fifo.write_bytes((tmp_path / "a.pcap").read_bytes())
    assert program.wait(PATIENCE) == 0 and program.stdout is not None
    assert program.stdout.read().startswith(b"100 packets")
