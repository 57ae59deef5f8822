"""`monitor -w` into a pipe: whoever reads it, or does not, the watching goes on."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pktmend.testbed.netns import Testbed
from tools import PATIENCE, PKTMEND, need
from watching import Monitor, Pair, account, good


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    need("tshark", "capinfos")
    with Testbed() as testbed:
        yield Pair(testbed)


def test_closed_pipe_stops_the_writer_only(pair: Pair) -> None:
    process = pair.node.spawn(
        *PKTMEND,
        "monitor",
        "-i",
        "pa",
        "-w",
        "-",
        "udp",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    assert b"watching" in process.stderr.readline()
    pair.send([good()] * 3)
    assert process.stdout.read(4) == b"\x0a\x0d\x0d\x0a"
    process.stdout.close()
    while b"Broken pipe; writing stopped, watching goes on" not in (said := process.stderr.readline()):
        assert said
        pair.send([good()] * 5)
    pair.send([good()] * 5)
    process.send_signal(signal.SIGTERM)
    summary = process.stderr.read().decode()
    assert process.wait(PATIENCE) == 0
    assert "EPIPE" in summary and "pa: " in summary


def test_pipe_that_tshark_reads(pair: Pair) -> None:
    """`pktmend monitor -w - | tshark -r -`, live."""
    process = pair.node.spawn(
        *PKTMEND,
        "monitor",
        "-i",
        "pa",
        "-w",
        "-",
        "-c",
        "20",
        "udp",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    tshark = subprocess.Popen(
        ["tshark", "-r", "-", "-T", "fields", "-e", "udp.dstport"],
        stdin=process.stdout,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert b"watching" in process.stderr.readline()
    pair.send([good()] * 20)
    out, _ = tshark.communicate(timeout=PATIENCE)
    assert out.split() == [b"5000"] * 20 and process.wait(PATIENCE) == 0


def test_pipe_that_nobody_reads_holds_nothing_up(pair: Pair, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        monitor = Monitor(pair.node, "-i", "pa", "-w", str(pipe), "udp")
        pair.send([good(1400)] * 2000)
        last = monitor.end()
    finally:
        os.close(reader)
    assert last["directions"][0]["packets"] == account(last) == 2000
    assert last["file"]["not_written"]["no reader"] > 1900
    assert any("nobody reads it" in text for text in monitor.told("writer"))


def test_fifo_without_a_reader_is_waited_for_in_words_and_not_through_signals(pair: Pair, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    argv = (*PKTMEND, "monitor", "-i", "pa", "-w", str(pipe), "--duration", "0.5")
    for reader in (False, True):
        monitor = pair.node.spawn(*argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert monitor.stderr is not None
        assert monitor.stderr.readline() == f"pktmend: waiting for a reader of FIFO {pipe}\n".encode()
        if reader:
            assert pipe.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
        else:
            monitor.send_signal(signal.SIGINT)
        assert monitor.wait(PATIENCE) == (0 if reader else 130)
    done = pair.node.run(*argv[:5], "-i", "nosuch0", "-w", str(pipe), check=False)
    assert done.returncode == 4 and "nosuch0" in done.stderr and "FIFO" not in done.stderr
