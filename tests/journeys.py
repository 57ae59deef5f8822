"""docs/journeys.md as a reader types it: blocks of commands, each run by one shell, an installed wheel first on PATH.

A block is what stands in ```sh behind `<!-- journey: NAME -->`; `, net` there says that it needs a network.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import ROOT

PAGE = (ROOT / "docs" / "journeys.md").read_text()
BLOCK = re.compile(r"^<!-- journey: (\w+)(, net)? -->\n```sh\n(.*?)^```\n", re.DOTALL | re.MULTILINE)
BLOCKS = {name: text for name, _, text in BLOCK.findall(PAGE)}
LIVE = {name for name, is_live, _ in BLOCK.findall(PAGE) if is_live}
HEREDOC = re.compile(r"<<'(\w+)'")
MARK = "@@exit "
Before = Mapping[int, str]


@dataclass(frozen=True)
class Done:
    """A command, its exit code, and what it printed, errors too."""

    command: str
    code: int
    text: str


def commands(block: str) -> list[str]:
    """Return the commands of a block; one with a here-document has several lines."""
    found: list[str] = []
    end = ""
    for line in block.splitlines():
        if end:
            found[-1] += f"\n{line}"
            end = "" if line == end else end
        else:
            found.append(line)
            end = match[1] if (match := HEREDOC.search(line)) else ""
    return found


def run(
    name: str, pktmend: Path, folder: Path, *, inside: Sequence[str] = (), first: str = "", before: Before | None = None
) -> list[Done]:
    """Run a block in *folder* by one bash, started by the words *inside*.

    first: what it runs, silently, before all of it.   before: the same before the command of that number.
    """
    wanted = commands(BLOCKS[name])
    script = "".join(
        f'{(before or {}).get(n, ":")} >/dev/null 2>&1\n{command}\necho "{MARK}$?"\n'
        for n, command in enumerate(wanted)
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PKTMEND"))}
    environment |= {
        "PATH": f"{pktmend.parent}:{os.environ['PATH']}",
        "XDG_STATE_HOME": str(folder / "state"),  # what `offload set` remembers is not the machine's
    }
    done = subprocess.run(
        [*inside, "bash", "-c", f"{first}\nexec 2>&1\ncd {folder}\n{script}"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    parts = re.split(rf"^{MARK}(\d+)\n", done.stdout, flags=re.MULTILINE)
    assert len(parts) == 2 * len(wanted) + 1, done.stdout + done.stderr
    return [Done(command, int(parts[2 * n + 1]), parts[2 * n]) for n, command in enumerate(wanted)]
