"""Files that another process changes while they are read: what was checked stays as it was, and nothing ends us."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from scapy.all import wrpcap

import frames as f
from tapes import File

GOOD = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD)

# what another process does to the file once the first packets of it are seen
CHECK = """
import os, sys
from pktmend.runtime import stage_loader

def stage(batch, seen=[]):
    if not seen:
        seen.append(1)
        {change}

path = sys.argv[1]
stage_loader.load = lambda text: lambda: stage
sys.argv = ["pktmend", "check", "-r", path, "--stage", "x"]
from pktmend.cli import main
main()
"""


def checked_while(path: Path, change: str) -> subprocess.CompletedProcess[str]:
    program = CHECK.format(change=change)
    return subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Some megabytes: more than is read ahead."""
    wrpcap(str(tmp_path / "x.pcap"), [GOOD] * 100_000, linktype=1)
    return tmp_path / "x.pcap"


@pytest.mark.parametrize("left", [0, 24, 8_000_000, 8_000_001])
def test_file_that_is_truncated_meanwhile_is_one_line(large: Path, left: int) -> None:
    done = checked_while(large, f"os.truncate(path, {left})")
    assert done.returncode == 5, done
    assert done.stderr.count("\n") == 1 and f"{large} was truncated while it was read" in done.stderr
    assert " packets, 0 truncated" in done.stdout  # what came before it counts


def test_limit_is_reached_before_the_file_becomes_shorter(large: Path) -> None:
    program = CHECK.replace('"--stage", "x"', '"--stage", "x", "-c", "10"')
    done = subprocess.run(
        [sys.executable, "-c", program.format(change="os.truncate(path, 24)"), str(large)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0 and done.stdout.startswith("10 packets"), done


def test_lengths_that_change_after_they_were_checked_are_not_used(tmp_path: Path) -> None:
    """fix clears `not ready` in the block it read, whatever the file says by then."""
    flags = File("=").option(2, File("=").pack("I", 1 << 9 | 2))
    leaked = f.leaked(f.ether / f.ip4 / f.tcp / f.PAYLOAD)
    file = File("=").section().interface()
    before = len(file.data)
    for _ in range(3):
        file.packet(leaked, flags)
    path, out = tmp_path / "x.pcapng", tmp_path / "y.pcapng"
    path.write_bytes(file.data)
    program = f"""
import os, sys
from pktmend import Capture, classify, Copy, Pipeline, verify
from pktmend.runtime.stages import Repair
def change(batch):
    with open({str(path)!r}, "r+b") as file:
        file.seek({before} + 4)
        file.write(b"\\xfc\\xff\\xff\\x7f")  # the length of the first block
        file.seek({before} + 20)
        file.write(b"\\xf0\\xff\\xff\\x6f")  # and of its packet
with Capture({str(path)!r}) as source:
    sink = Copy({str(out)!r}, source)
    Pipeline(source, [verify, classify, change, Repair("unfinished")], sink).run()
    sink.close()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done
    right, ready = f.raw(f.ether / f.ip4 / f.tcp / f.PAYLOAD), File("=").option(2, File("=").pack("I", 2))
    assert out.read_bytes() == file.data.replace(leaked, right).replace(flags, ready)
