"""FIFOs: who waits for the other end says so and ends at Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.all import wrpcap

import frames as f
from tools import PATIENCE, until

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def start(*argv: str | Path, **options: int) -> subprocess.Popen[bytes]:
    command = [Path(sys.executable).with_name("pktmend"), *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload,no-any-return]


def first_line(program: subprocess.Popen[bytes]) -> bytes:
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


def fix(tmp_path: Path, fifo: Path) -> subprocess.Popen[bytes]:
    wrpcap(str(tmp_path / "a.pcap"), [GOOD] * 100, linktype=1)
    return start("fix", "-r", tmp_path / "a.pcap", "-w", fifo)


def test_writer_tells_that_it_waits_for_a_reader(tmp_path: Path, fifo: Path) -> None:
    program = fix(tmp_path, fifo)
    assert first_line(program) == f"pktmend: waiting for a reader of FIFO {fifo}\n".encode()
    assert fifo.read_bytes() == (tmp_path / "a.pcap").read_bytes()
    assert program.wait(PATIENCE) == 0


def test_reader_that_is_there_is_not_waited_for(tmp_path: Path, fifo: Path) -> None:
    reader = subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE)
    program = fix(tmp_path, fifo)
    assert reader.communicate(timeout=PATIENCE)[0] == (tmp_path / "a.pcap").read_bytes()
    assert program.wait(PATIENCE) == 0 and program.stderr is not None and program.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_wait_for_a_reader(tmp_path: Path, fifo: Path, number: int) -> None:
    program = fix(tmp_path, fifo)
    first_line(program)
    program.send_signal(number)
    assert program.wait(PATIENCE) == 130 and program.stderr is not None and not program.stderr.read().strip()


@pytest.mark.parametrize("argv", [("check", "-r"), ("diagnose", "-r"), ("fix", "-w", "/dev/null", "-r")])
def test_signal_ends_the_wait_for_a_writer(fifo: Path, argv: tuple[str, ...]) -> None:
    program = start(*argv, fifo)
    until(lambda: holds(program.pid, fifo))
    program.send_signal(signal.SIGINT)
    assert program.wait(PATIENCE) in (0, 130)
    assert program.stderr is not None and b"Traceback" not in program.stderr.read()


def test_capture_comes_through_a_fifo(tmp_path: Path, fifo: Path) -> None:
    wrpcap(str(tmp_path / "a.pcap"), [GOOD] * 100, linktype=1)
    program = start("check", "-r", fifo)
    fifo.write_bytes((tmp_path / "a.pcap").read_bytes())
    assert program.wait(PATIENCE) == 0 and program.stdout is not None
    assert program.stdout.read().startswith(b"100 packets")
