"""Print what is deployed, or write it to a folder."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pktmend.commands.deploy.fit import Place
from pktmend.commands.deploy.kinds import KINDS, MANIFESTS, Part
from pktmend.console.suggestion import one_of
from pktmend.errors import ConfigError, OSFailure
from pktmend.host.output_file import usual_mode, write_text
from pktmend.host.output_folder import make_folder
from pktmend.host.shipped_files import read_shipped, shipped_folder

FOLDER_MODE = 0o755


def listed() -> str:
    """Return a line for each part of each kind; those that are printed only when they are named have a +."""
    rows = [(kind, part) for kind, parts in KINDS.items() for part in parts]
    lines = [f"{kind:<11} {('+' if part.is_asked else '') + part.name:<12} {part.what}" for kind, part in rows]
    return "\n".join([*lines, "", "+: only where it is named, as in `pktmend deploy kubernetes doctor`"])


def chosen(kind: str, names: Sequence[str]) -> list[Part]:
    """Return the parts called so, in the order of the list; without names those that need not be asked for.

    Raises: ConfigError for a word that is none.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is nothing called {kind!r} to deploy", one_of(kind, KINDS))
    parts = {part.name: part for part in KINDS[kind]}
    for name in names:
        if name not in parts:
            raise ConfigError(f"{kind} has no part {name!r}", one_of(name, parts))
    return [part for part in parts.values() if (part.name in names if names else not part.is_asked)]


def texts_of(kind: str, parts: Sequence[Part], place: Place) -> list[str]:
    """Return what is in each file, fitted to *place*."""
    return place.fit([_text(part) for part in parts], " ".join(("pktmend deploy", kind, *(p.name for p in parts))))


def _text(part: Part) -> str:
    text = read_shipped(shipped_folder("deploy", "deploy") / part.path).decode()
    if not part.head:
        return text
    groups = text[text.index("\ngroups:") + 1 :]
    return part.head + "".join(f"  {line}" if line.strip() else line for line in groups.splitlines(keepends=True))


def run_deploy(kind: str, names: Sequence[str], place: Place, *, folder: str, force: bool) -> None:
    """Print the parts of *kind*, or write them below *folder* and say which files these are.

    Raises: ConfigError for words that do not fit; OSFailure for a file that is there, unless *force*, or is refused.
    """
    parts = chosen(kind, names)
    texts = texts_of(kind, parts, place)
    if not folder:
        sys.stdout.write(_joined(kind, parts, texts))
        return
    paths = [str(Path(folder) / part.written_as) for part in parts]
    there = [path for path in paths if os.path.lexists(path)]
    if there and not force:
        raise OSFailure(f"{', '.join(there)}: there already", "--force writes over it", errno.EEXIST, there[0])
    make_folder(folder, mode=FOLDER_MODE)
    for path, text in zip(paths, texts, strict=True):
        write_text(path, text, mode=usual_mode())
        print(path)


def _joined(kind: str, parts: Sequence[Part], texts: Sequence[str]) -> str:
    """Return one stream: documents of YAML for kubectl; else each file behind its name, as `systemctl cat` has it."""
    if len(parts) == 1:
        return texts[0]
    if kind in MANIFESTS:
        return "---\n".join(texts)
    return "\n".join(f"# {part.written_as}\n{text}" for part, text in zip(parts, texts, strict=True))
