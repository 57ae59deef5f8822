"""Text that cannot command a terminal: names of interfaces, processes and namespaces are other people's."""

from __future__ import annotations

import re
from typing import Final

# C0 but tab and newline, DEL, C1, what turns the writing direction, line separators, and bytes that were no UTF-8
_COMMANDS: Final = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


def printable(text: str) -> str:
    """Return *text* with each control character as `\\x1b` or `\\u202e`; tab and newline stay."""
    if text.isascii() and text.replace("\n", " ").replace("\t", " ").isprintable():
        return text  # nearly always: the expression need not even be compiled
    return re.sub(_COMMANDS, _escaped, text)


def on_one_line(text: object) -> str:
    """Return *text* as a part of a line: the name of a file may hold anything, newlines too."""
    return printable(str(text)).replace("\n", "\\x0a").replace("\t", "\\x09")


def printable_json(text: str) -> str:
    """Return JSON, which escapes C0 by itself, with the others as `\\u009b`; its value is the same."""
    return re.sub(_COMMANDS, lambda match: match[0] if match[0] < " " else f"\\u{ord(match[0]):04x}", text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode() of a byte that is no UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
