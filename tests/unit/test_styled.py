"""Lines on a terminal: as wide as it is, no word broken, coloured unless NO_COLOR says no, and harmless."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from pktmend.console.styled import BOLD, Styled, width
from tools import PATIENCE, PKTMEND, ROOT, run_pktmend

LEAKED = ROOT / "examples" / "leaked.pcap"
SGR = re.compile(r"\x1b\[[\d;]*m")
DIAGNOSE = (*PKTMEND, "diagnose", "-r", str(LEAKED), "--at", "wire", "--explain")
SHOW = "from pktmend.console import streams; streams.protect(); from pktmend.console.styled import *; show({})"


def on_terminal(*argv: str, columns: int = 80, **environment: str) -> str:
    """Return what a command writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    process = subprocess.Popen(argv, stdout=theirs, stderr=subprocess.DEVNULL, env=kept | environment)
    os.close(theirs)
    said = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the other end is gone
            break
        if not chunk:
            break
        said += chunk
    os.close(ours)
    process.wait(PATIENCE)
    return said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_no_line_is_wider_than_the_terminal_but_a_command(columns: int) -> None:
    lines = SGR.sub("", on_terminal(*DIAGNOSE, columns=columns)).splitlines()
    assert len(lines) > 30
    assert [line for line in lines if len(line) > columns and not line.lstrip().startswith("$ ")] == []


def test_no_word_and_no_address_is_broken() -> None:
    wide, narrow = (SGR.sub("", on_terminal(*DIAGNOSE, columns=columns)).split() for columns in (110, 80))
    assert {word for word in narrow if word not in wide} <= {"right;", "below", "it", "the"}
    assert "10.7.0.1:57028" in narrow and "ca:32:0b:d7:71:9e" in narrow


def test_what_is_said_is_the_same_with_and_without_colours() -> None:
    coloured, plain = on_terminal(*DIAGNOSE), on_terminal(*DIAGNOSE, NO_COLOR="1")
    assert SGR.search(coloured) and not SGR.search(plain)
    assert SGR.sub("", coloured) == plain
    assert not SGR.search(on_terminal(*DIAGNOSE, TERM="dumb"))


def test_a_pipe_gets_no_colours_and_the_usual_width() -> None:
    text = run_pktmend("diagnose", "-r", str(LEAKED), "--at", "wire").stdout.decode()
    assert not SGR.search(text) and 80 < max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize("command", ["doctor", "lab list"])
def test_others_keep_to_the_terminal_too(command: str) -> None:
    lines = SGR.sub("", on_terminal(*PKTMEND, *command.split())).splitlines()
    assert lines and [line for line in lines if len(line) > 80 and not line.lstrip().startswith("$ ")] == []


@pytest.mark.parametrize("style", ["", "1;31"])
def test_a_name_cannot_command_the_terminal(style: str) -> None:
    line = f"Styled('x\\x1b]0;title\\x07\\u202ey', {style!r})"
    said = SGR.sub("", on_terminal(sys.executable, "-c", SHOW.format(f"[{line}]")))
    assert said == "x\\x1b]0;title\\x07\\u202ey\n"


def test_a_command_and_a_long_word_stay_whole() -> None:
    command, word = "  $ " + "ip link " * 20, "f" * 100
    said = on_terminal(sys.executable, "-c", SHOW.format([command, f"  - {word} end"]), columns=80)
    assert said.splitlines()[0] == command and f"{word}\n" in said


def test_width_follows_who_asks_within_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert width() == 110
    for said, used in (("70", 70), ("1000", 110), ("1", 40), ("x", 110), ("", 110)):
        monkeypatch.setenv("_PKTMEND_COLUMNS", said)
        assert width() == used


def test_a_styled_line_is_a_line() -> None:
    assert Styled("x", BOLD) == "x" and Styled("x", BOLD).style == "1" and Path("x") == Path(Styled("x", BOLD))
