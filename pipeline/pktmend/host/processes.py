"""Processes of this machine: which there are, and what they are called."""

from __future__ import annotations

from pathlib import Path


def processes() -> list[int]:
    """Return the ids of all processes, lowest first."""
    return sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def program_of(pid: int) -> str:
    """Return the name of a process, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
