"""The bridge built with AddressSanitizer and UndefinedBehaviorSanitizer, fed live with what public captures hold and
with damaged copies of it: no report, an exact ledger, and in pass mode the output equals the input.

tcpdump before the bridge and tcpdump behind it are the judges.  Building takes most of the time (13 s of one CPU); it
goes on from the start of the whole run, see conftest.
"""

from __future__ import annotations

import random
import shutil
import socket
import struct
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import dpkt
import pytest
from scapy.all import Raw

import frames as f
from kinds import carried, control_plane, tiny
from line import Line, open_tap
from running import RunningBridge
from sanitizing import Build
from tools import CAPTURES, ROOT, need, until

MTU = 9000
MUTANTS = 20_000
ETHERNET = 1
LAST = f.raw(f.ether / f.ip4 / f.udp / Raw(b"the last"))
MODES = {
    "pass": ("--repair", "none", "--no-coalesce"),
    "all": ("--repair", "all", "--ring", "v3"),
    "finish": ("--repair", "all", "--finish", "pb", "--corrupt", "drop"),
    "coalesce": (),
}


def library(name: str) -> str:
    """Where the compiler keeps a sanitizer's library."""
    return subprocess.run(
        [sysconfig.get_config_var("CC").split()[0], f"-print-file-name={name}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


@pytest.fixture(scope="module")
def sanitized(sanitized_build: Build) -> Path:
    """A copy of the package with its extensions built for the sanitizers; the folder to put into PYTHONPATH."""
    need("tcpdump", "gcc")
    folder = sanitized_build.wait()
    shutil.copytree(ROOT / "pipeline", folder, ignore=shutil.ignore_patterns("*.so", "__pycache__"), dirs_exist_ok=True)
    return folder


def from_captures() -> list[bytes]:
    """Ethernet frames of the public captures that fit into the MTU, by dpkt."""
    found = []
    for path in sorted(CAPTURES.rglob("*.pcap*")):
        try:
            with path.open("rb") as file:
                reader = dpkt.pcap.UniversalReader(file)
                if reader.datalink() == ETHERNET:
                    found += [bytes(frame) for _, frame in reader if 14 <= len(frame) <= MTU + 14]
        except (ValueError, dpkt.Error, OSError, struct.error, EOFError):
            continue  # a capture that is broken as a file
    return found


def mutants(seeds: list[bytes], count: int) -> Iterator[bytes]:
    """Damaged copies: bits, fields of lengths, ends cut off and put on, halves of two frames; always the same ones."""
    dice = random.Random(20)
    for _ in range(count):
        frame = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 4)):
            kind, at = dice.randrange(5), dice.randrange(12, len(frame))
            if kind == 0:
                frame[at] ^= 1 << dice.randrange(8)
            elif kind == 1:
                frame[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            elif kind == 2:
                frame = frame[: max(14, at)]
            elif kind == 3:
                frame += dice.randbytes(dice.randrange(1, 80))
            else:
                frame = frame[:at] + bytearray(dice.choice(seeds))[at:]
            frame = frame[: MTU + 14]
            frame += bytes(max(0, 14 - len(frame)))
        yield bytes(frame)


@pytest.fixture(scope="module")
def frames() -> list[bytes]:
    """Frames of every kind, those of the public captures if they are there (PKTMEND_CAPTURES), and damaged ones."""
    seeds = [*from_captures(), *control_plane().values(), *tiny().values(), *carried().values()]
    assert len(seeds) > (1000 if CAPTURES.exists() else 100)
    return [*seeds, *mutants(seeds, MUTANTS)]


def headers(seeds: list[bytes], count: int) -> Iterator[bytes]:
    """Frames behind virtio-net headers that claim something of them; the kernel refuses what is too wild."""
    dice = random.Random(21)
    for frame in dice.choices(seeds, k=count):
        start = dice.choice((14, 34, 54, 74, dice.randrange(0, 200)))
        offset = dice.choice((6, 16, 8, 2, dice.randrange(0, 40)))
        size = dice.randrange(1, 1500)
        kind, size = dice.choice(((0, 0), (1, size), (4, size), (5, 100), (0x81, 9)))
        yield struct.pack("=BBHHHH", 1, kind, start + 20, size, start, offset) + frame


def watch(line: Line, host: str, interface: str) -> tuple[subprocess.Popen[bytes], Path]:
    path = line.testbed.folder() / "trace.pcap"
    process = getattr(line, host).spawn(
        "tcpdump",
        "-Z",
        "root",
        "-i",
        interface,
        "-Q",
        "in",
        "-B",
        "131072",
        "-s",
        "70000",  # not 256 KiB, its default: that many fewer slots has the ring
        "--immediate-mode",
        "-U",
        "-w",
        str(path),
        stderr=subprocess.PIPE,
    )
    assert b"listening" in process.stderr.readline()
    return process, path


def read(watched: tuple[subprocess.Popen[bytes], Path], out: socket.socket) -> list[bytes]:
    """Send a last frame, by which the end is known, and return what came before it."""
    process, path = watched
    out.send(LAST)
    until(lambda: path.read_bytes().endswith(LAST), "the last frame")
    process.terminate()
    assert process.stderr is not None
    said = process.stderr.read()
    assert process.wait(10) == 0 and b"\n0 packets dropped by kernel" in said, said
    with path.open("rb") as file:
        *frames, last = [frame for _, frame in dpkt.pcap.Reader(file)]
    assert last == LAST
    return frames


@pytest.mark.parametrize("mode", MODES)
def test_no_report_on_captures_and_damaged_frames(
    sanitized: Path, frames: list[bytes], make_line: object, mode: str
) -> None:
    line: Line = make_line(MTU)  # type: ignore[operator]
    line.silence()
    preload = f"{library('libasan.so')} {library('libubsan.so')}"
    bridge = RunningBridge(
        line.node,
        "-i",
        "pa",
        "-I",
        "pb",
        "--no-seccomp",
        "--loop",  # many frames are alike, and a probe is one more
        "off",
        *MODES[mode],
        prefix=(
            "env",
            f"PYTHONPATH={sanitized}",
            f"LD_PRELOAD={preload}",
            "PYTHONSAFEPATH=1",
            "ASAN_OPTIONS=detect_leaks=0:halt_on_error=1",
            "UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1",
        ),
    )
    assert "bridging" in bridge.first_line, bridge.first_line
    assert str(sanitized) in Path(f"/proc/{bridge.process.pid}/maps").read_text()
    before, behind = watch(line, "node", "pa"), watch(line, "b", "eth0")
    with open_tap(line.a, "eth0") as out, open_tap(line.a, "eth0", vnet=True) as claims:
        for i, each in enumerate(frames):
            out.send(each)
            if i % 64 == 0:
                time.sleep(0.002)
        if mode != "pass":
            for i, each in enumerate(headers(frames, 3000)):
                with suppress(OSError):
                    claims.send(each)
                if i % 64 == 0:
                    time.sleep(0.002)
        there, _ = bridge.stop()
        said = "\n".join(bridge.said)
        assert "Sanitizer" not in said and "runtime error" not in said, said[-4000:]
        with open_tap(line.node, "pb") as last:
            went_in, came_out = read(before, out), read(behind, last)
    assert there["read"] == len(went_in) > MUTANTS and there["kernel_drops"] == 0
    if mode == "pass":
        assert came_out == went_in
        assert there["sent"] == there["read"]
        assert sum(there["checks"]["udp"].values()) > 100 and there["malformed"] > 100
    elif mode != "finish":
        assert set(there["dropped"]) <= {"unsplittable"} and there["truncated"] == 0  # claims that contradict the frame
