"""The keyboard of the live view: bytes of a terminal, and the keys that they are."""

from __future__ import annotations

import os
import pty
import time
import tty
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktmend.commands.monitor.keyboard import Keys, keys_of


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("jq", ["j", "q"]),
        ("\x1b[A\x1bOB\n", ["up", "down", "enter"]),
        ("\x1b[5~\x1b[F\x7f\x15", ["page up", "end", "backspace", "clear"]),
        ("\x1b", ["escape"]),
        ("\x1b\x1b[C", ["escape", "right"]),
        ("\x1b[15~\x1b[1;5Dx\x01\x00", ["x"]),  # F5 and Ctrl-Left are not known, control characters are no text
        ("é日", ["é", "日"]),
        ("\x1b[12", []),
    ],
)
def test_keys_are_told_apart(text: str, keys: list[str]) -> None:
    assert keys_of(text) == keys


@given(st.text("\x1b[O15~;A\x00qé", max_size=20))
def test_whatever_comes_is_a_name_or_one_character_that_can_be_shown(text: str) -> None:
    assert all(key.isprintable() and (len(key) == 1 or key.replace(" ", "").isalpha()) for key in keys_of(text))


@pytest.fixture
def keyboard() -> Iterator[tuple[Keys, int]]:
    """Keys that read a terminal, and where to type."""
    typist, terminal = pty.openpty()
    tty.setcbreak(terminal)
    keys = Keys()
    keys._fd = terminal
    yield keys, typist
    os.close(typist)
    os.close(terminal)


def test_keys_whose_bytes_come_in_two_parts_are_one_key(keyboard: tuple[Keys, int]) -> None:
    keys, typist = keyboard
    assert keys.pressed() == []
    os.write(typist, b"x\x1b")
    assert keys.pressed() == ["x", "escape"]
    os.write(typist, b"j" * 63 + b"\x1b[A" + "é".encode())  # 64 are read at a time
    found: list[str] = []
    end = time.monotonic() + 30
    while len(found) < 65 and time.monotonic() < end:
        found += keys.pressed()
    assert found == ["j"] * 63 + ["up", "é"]
