"""Numbers in sentences: one is one, whatever is counted."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import frames as f
import tapes as t
from pktmend.commands.bench.receive import run_line
from pktmend.console.plural import quantity
from tools import PKTMEND

# "1 packets", "1 ip checksums"; "1 ip, 1 tcp checksums" are two
WRONG = re.compile(
    r"(?<!, )(?<![\d.])1 (?:\w+ )?(?:packet|checksum|frame|field|header|conversation|sender|time|byte|bit|"
    r"interface|namespace|problem|warning|note|connection|segment|error)s\b"
    r"|\b1 \w+ (?:are|have)\b|\b1 of 1 (?:differ|are) "
)


@pytest.mark.parametrize(
    ("n", "words", "text"),
    [
        (0, "packet", "0 packets"),
        (1, "packet", "1 packet"),
        (2, "packet", "2 packets"),
        (1, "process", "1 process"),
        (3, "process", "3 processes"),
        (1, "checksum is", "1 checksum is"),
        (2, "checksum is", "2 checksums are"),
        (2, "partial packet was", "2 partial packets were"),
        (5, "IPv4 header has", "5 IPv4 headers have"),
        (2, "field differs", "2 fields differ"),
        (1, "field differs", "1 field differs"),
    ],
)
def test_quantity(n: int, words: str, text: str) -> None:
    assert quantity(n, words) == text


def test_the_pattern_finds_what_it_should() -> None:
    assert WRONG.search("in 1 packets") and WRONG.search("- 1 ip checksums are") and WRONG.search("1 fields are")
    assert not any(WRONG.search(text) for text in ("1 ip, 1 tcp checksums are", "11 packets", "in 1 packet 1 check"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: f.put16(f.raw(p), 50, 0),
        lambda p: f.put16(f.raw(p), 24, 0),
        lambda p: f.put16(f.raw(p), 50, 0x1234),
        lambda p: f.put16(f.raw(p), 50, f.get16(f.raw(p), 50) ^ 1),
        lambda p: f.put16(f.raw(p), 24, 0x1234),
        lambda p: f.put16(f.raw(p), 50, ~f.get16(f.raw(p), 50) & 0xFFFF),
        f.leaked,
        f.raw,
    ],
    ids=["tcp 0", "ip 0", "tcp", "tcp bit", "ip", "complement", "leaked", "good"],
)
@pytest.mark.parametrize(
    "command",
    [("check",), ("check", "--at", "wire"), ("diagnose",), ("diagnose", "--at", "wire"), ("fix", "-w", "fixed.pcap")],
    ids=" ".join,
)
def test_one_packet_is_one(tmp_path: Path, spoil: Callable[[Any], bytes], command: tuple[str, ...]) -> None:
    path = t.pcap(tmp_path / "x.pcap", [(1.0, spoil(f.ether / f.ip4 / f.tcp / f.PAYLOAD))])
    done = subprocess.run(
        [*PKTMEND, command[0], "-r", str(path), *command[1:]],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1) and "1 packet" in done.stdout
    assert not WRONG.search(done.stdout), done.stdout


def test_a_run_of_frames_is_told_in_a_sentence() -> None:
    run = {
        "run": 7,
        "received": 1,
        "lost": 2,
        "duplicates": 0,
        "reordered": 0,
        "late": 0,
        "first": 330,
        "last": 332,
        "octets": 64,
    }
    assert run_line(run).startswith(
        "  run 7: 1 frame received, 64 bytes; numbers 330 to 332, of which 2 missing; 0 came"
    )
