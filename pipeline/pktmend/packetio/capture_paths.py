"""PATH... of the command line as a list of captures: folders with all that is in them, patterns, "-"."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from typing import Final

from pktmend.packetio.compressed import plain_beginning
from pktmend.packetio.urls import is_url, list_url

MAGICS: Final = tuple(
    bytes.fromhex(magic)
    for magic in ("a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "a1b2cd34", "34cdb2a1", "0a0d0d0a")
)
NAMES: Final = (".pcap", ".pcapng", ".cap", ".ntar")  # a file of a folder with this in its name is to be a capture


@dataclass(slots=True)
class Files:
    """What is to be read.

    paths:       in the order in which they were named; a folder's are sorted.
    is_many:     they are more than one file that was named.
    passed_over: files in folders that are no captures, neither by name nor by content, or that are no plain files; what
                 has a URL is told by its name alone.
    """

    paths: list[str] = field(default_factory=list)
    is_many: bool = False
    passed_over: int = 0


def find_files(words: Sequence[str]) -> Files:
    """Return the files that *words* name, each once.  What cannot be read is found out when it is."""
    files = Files(is_many=len(words) > 1)
    seen: set[str] = set()

    def take(path: str) -> None:
        real = path if path == "-" or is_url(path) else os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            files.paths.append(path)

    for word in words:
        if is_url(word):
            found = list_url(word)
            files.is_many |= found != [word]
            for path in found:
                if path == word or is_named_capture(path):
                    take(path)
                else:
                    files.passed_over += 1
        elif word != "-" and os.path.isdir(word):  # noqa: PTH112 - "" and NUL are answered, not raised
            files.is_many = True
            for path in _walk(word):
                if is_capture(path):
                    take(path)
                else:
                    files.passed_over += 1
        elif has_magic(word) and not os.path.lexists(word) and (matches := _matches(word)):
            files.is_many = True
            plain = [path for path in matches if Path(path).is_dir() or Path(path).is_file()]
            more = find_files(plain)
            files.passed_over += more.passed_over + len(matches) - len(plain)  # a FIFO would be waited for
            for path in more.paths:
                take(path)
        else:
            take(word)
    return files


def _matches(pattern: str) -> list[str]:
    return sorted(glob(pattern, recursive=True))  # noqa: PTH207 - of absolute patterns as well


def _walk(folder: str) -> Iterator[str]:
    """Yield what lies in *folder* and below, sorted; a link to a folder is not followed."""
    for where, below, names in os.walk(folder):
        below.sort()
        yield from (os.path.join(where, name) for name in sorted(names))  # noqa: PTH118 - names stay as they are written


def is_named_capture(path: str) -> bool:
    """Does its name say that it is one?"""
    return any(name in Path(path).name.lower() for name in NAMES)


def is_capture(path: str) -> bool:
    """Is this file of a folder one, by its name, or else by its first bytes?"""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - a FIFO would be waited for
            return False
        return is_named_capture(path) or plain_beginning(path) in MAGICS
    except OSError:
        return True  # to be read, and reported
