"""Where the repaired copy of each capture goes in a folder of output: nothing twice, nor over what is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Final

from pktmend.errors import ConfigError
from pktmend.packetio.capture_paths import Files, find_files

COMPRESSED: Final = (".gz", ".zst", ".xz")  # a copy is not


def targets_of(words: Sequence[str], folder: str | None) -> tuple[Files, dict[str, str]]:
    """Return the captures that *words* name, and for each the path of its copy: below *folder* as below what was named.

    Raises: ConfigError, before anything is written: two captures with one copy, a copy in the place of a capture,
            standard input, *folder* within what is read.
    """
    files = Files(is_many=True)
    targets: dict[str, str] = {}
    for word in words:
        found = find_files([word])
        files.passed_over += found.passed_over
        is_folder = word != "-" and Path(word).is_dir()
        if is_folder and folder is not None:
            _require_apart(word, folder)
        for path in found.paths:
            if path in targets:
                continue
            files.paths.append(path)
            if path == "-" and folder is not None:
                raise ConfigError("standard input has no name for a copy in a folder", "fix -r - -w OUT")
            name = os.path.relpath(path, word) if is_folder else PurePath(path).name
            targets[path] = str(PurePath(folder or ".", _plain(name)))
    if folder is not None:
        _require_distinct(targets)
    return files, targets


def _plain(name: str) -> str:
    return next((name[: -len(end)] for end in COMPRESSED if name.endswith(end) and len(name) > len(end)), name)


def _require_apart(word: str, folder: str) -> None:
    read, written = (PurePath(os.path.realpath(each)) for each in (word, folder))
    if written.is_relative_to(read):
        raise ConfigError(f"-o {folder} lies within {word}, which is read", "name a folder beside it")


def _require_distinct(targets: dict[str, str]) -> None:
    sources = {os.path.realpath(path): path for path in targets}
    seen: dict[str, str] = {}
    for path, target in targets.items():
        real = os.path.realpath(target)
        if real in sources:
            raise ConfigError(f"the copy of {path} would be {target}, which is read", "name another folder")
        if real in seen:
            raise ConfigError(f"{seen[real]} and {path} would both become {target}", "fix them one after the other")
        seen[real] = path
