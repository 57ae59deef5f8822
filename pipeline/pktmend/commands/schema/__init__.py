"""JSON Schemas of what commands print with `--json`.

A schema's number rises when something is renamed, removed or changes its meaning; fields may be added without that.
"""

from __future__ import annotations

from pathlib import Path

from pktmend.console.suggestion import one_of
from pktmend.errors import ConfigError

HERE = Path(__file__).parent


def names() -> list[str]:
    """Return the commands that have one."""
    return sorted({path.stem.rpartition("-")[0] for path in HERE.glob("*-*.json")})


def text_of(name: str) -> str:
    """Return the newest schema of a command.  ConfigError if it has none."""
    found = sorted(HERE.glob(f"{name}-*.json"), key=lambda path: int(path.stem.rpartition("-")[2]))
    if name not in names() or not found:
        raise ConfigError(f"there is no schema {name!r}", one_of(name, names()))
    return found[-1].read_text(encoding="utf-8")
